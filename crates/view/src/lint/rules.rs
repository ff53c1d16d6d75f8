//! The table of rules.

use super::{
    find::{At, Scope},
    graph_rules as graph, text_rules as text,
};
use serde::Serialize;
use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth a thought.
    Hint,
    /// Likely to hurt one day.
    Warning,
    /// Not to be run without a word of somebody.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Hint => "hint",
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// A rule.
pub struct Rule {
    /// Its stable id.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it finds.
    pub what: &'static str,
    /// Why that hurts.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
    pub(super) check: fn(&Scope<'_>) -> Vec<At>,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("id", &self.id).field("severity", &self.severity).finish_non_exhaustive()
    }
}

macro_rules! rules { ($($id:literal $severity:ident $check:path: $what:literal, $why:literal, $fix:literal;)*) => {
    /// Every rule there is, as docs/lint.md lists them.
    pub const RULES: &[Rule] = &[$(Rule {
        id: $id, severity: Severity::$severity, what: $what, why: $why, fix: $fix, check: $check,
    },)*];
} }

rules! {
    "ungated-production" Error graph::ungated_production:
        "a step deploys into production, or by its name deploys, promotes or shifts traffic, and no gate is before it",
        "whatever was built last reaches customers without anybody having looked",
        "put an approval or another gate before it, by reading it or by `after`";
    "plain-secret" Error text::plain_secret:
        "a field or parameter that is named like a secret holds a literal, or a text has the shape of a known credential",
        "plans are stored, shown, hashed and approved: whoever can read one can read the secret",
        "give the name of a secret instead: `SecretRef::named(…)`; and change the secret, since it was stored";
    "shell-interpolation" Error text::shell_interpolation:
        "a text made of handles or parameters is given to a shell to be read as code",
        "a value with a quote, a `;` or a `$(` in it is run as a command",
        "give the program and its arguments one by one, or the value as an argument or in the environment";
    "mutable-tag" Warning text::mutable_tag:
        "an image is named by `:latest`, or without a digest",
        "what was scanned and approved may be another image than the one that is deployed, or rolled back to",
        "name it by digest: take the output of the step that built it, or `name@sha256:…`";
    "plain-http" Warning text::plain_http:
        "an address begins with `http://` and is not of this machine",
        "whoever is on the way reads and changes what is said",
        "use `https://`";
    "no-undo" Warning graph::no_undo:
        "a step has an effect and is to be undone, but its kind cannot be undone",
        "when a later step fails, the effect stays, and the outcome says compensated all the same",
        "write its compensation, or say `keep` if the effect may stay";
    "no-health-check" Warning graph::no_health_check:
        "nothing looks after a deployment whether what was deployed is well",
        "a release that starts and does not work counts as succeeded",
        "put a smoke test, a health check or an analysis after it";
    "no-limit-for-people" Warning graph::no_limit_for_people:
        "a step waits for people without a time limit",
        "a question that nobody answers keeps the run, its locks and what it has begun for ever",
        "give it `within`, or an expiry of its own";
    "waits-while-holding" Warning graph::waits_while_holding:
        "a step waits for people while it holds a lock",
        "everybody else waits for the same answer",
        "ask before the lock is taken";
    "approval-of-nothing" Warning graph::approval_of_nothing:
        "people are asked, and the step reads nothing that they could be shown",
        "an approval that is bound to nothing approves whatever comes after it",
        "have it read what is approved: the release, the report, the preview";
    "gate-guards-nothing" Warning graph::gate_guards_nothing:
        "no step waits for a gate",
        "what it was to guard runs beside it",
        "put the steps that it guards after it";
    "crosses-no-return" Warning graph::crosses_no_return:
        "a step that may fail comes after the point of no return",
        "its failure unwinds nothing: the run is stuck until somebody decides",
        "put it before, make it a best effort, or be ready to decide";
    "crosses-best-effort" Warning graph::crosses_best_effort:
        "a best effort has an effect that unwinding has to undo",
        "it may fail without harm, but when undoing it fails the whole run is stuck",
        "say `keep` for it, or do not call it a best effort";
    "retried-doubt" Warning graph::retried_doubt:
        "a step that asks an operator when in doubt is retried by itself",
        "an author who does not trust the world to tell hardly trusts an error to mean that nothing happened",
        "give it one attempt, or an `observe`";
    "concurrent-deploys" Warning graph::concurrent_deploys:
        "two steps deploy into one environment at once",
        "which of them comes last is chance, and neither can tell whose failure it sees",
        "put one after the other";
    "unlocked-production" Warning graph::unlocked_production:
        "a step deploys into production, or by its name deploys, promotes or shifts traffic, and holds no lock",
        "two runs at once put two releases there, and each undoes what the other did",
        "place it in the scope of a lock: `p.holding(…)`";
    "unused-parameter" Warning text::unused_parameter:
        "a parameter is declared and read by nothing",
        "whoever starts a run gives a value and believes that it counts",
        "read it, or take it away";
    "unbounded-schema" Hint text::unbounded_schema:
        "the schema of a parameter has a text or a list without a bound",
        "a value above 64 KiB is no inline value any more, and one above 16 MiB is refused when the run is started",
        "give it `maxLength` or `maxItems`";
    "no-time-limit" Hint graph::no_time_limit:
        "a step with an effect has no time limit, and the run has no deadline",
        "a call that never returns keeps the run for ever",
        "give it `timeout` or `within`, or the run a deadline";
    "idle-step" Hint graph::idle_step:
        "a step has no effect, guards nothing, and nobody reads its output",
        "it costs time and can fail the run for nothing",
        "read its output, or take it away";
}
