//! The script as a whole.

use super::{
    shell::{self, quote},
    step,
};
use crate::{PlanView, graph::Graph, words};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};
use towpath_model::{Json, ReadMode, Section, StepId, StepRecord};

const HEAD: &str = include_str!("head.sh");
const FOOT: &str = include_str!("foot.sh");

/// A plan as a commented bash script that does the same without an engine: commands, approvals and conditions in the
/// order of their dependencies, undoing in reverse when one fails. What has no shell form stops the script, and says what
/// has to be done by hand.
///
/// The script says at its top what is lost: durability, knowing what happened after a crash, and most else that an engine
/// is for. It is a way out, and a way to read what a plan does; not a way to run it every day.
///
/// ```
/// use towpath_view::{PlanView, eject};
/// # let record: towpath_model::PlanRecord = serde_json::from_str(towpath_view::doc::PLAN)?;
/// let script = eject(&PlanView::of(&record));
/// assert!(script.starts_with("#!/usr/bin/env bash\n") && script.contains("set -euo pipefail"));
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn eject(view: &PlanView<'_>) -> String {
    let script = Script::of(view);
    let mut out = String::from("#!/usr/bin/env bash\n");
    let _ = writeln!(out, "# {}", script.title());
    out.push_str(HEAD);
    out.push_str(&script.params());
    for step in &view.record.steps {
        out.push('\n');
        out.push_str(&step::functions(&script, step));
    }
    for (section, name) in
        [(Section::OnFailure, "on_failure"), (Section::Finally, "finally"), (Section::Main, "main")]
    {
        let _ = writeln!(out, "\n{name}() {{\n  :");
        for step in script.ordered(section) {
            let name = script.name(&step.id);
            let goes_on = format!(
                "say {} 'failed, and the rest goes on'; skipped_{name}=yes",
                shell_word(step.id.as_str())
            );
            let call = match (section, step.best_effort) {
                (Section::Main, false) => format!("step_{name} || return $?"),
                // What has to be done by hand stops the script, whatever may fail.
                (Section::Main, true) => {
                    format!("step_{name} || {{ [ -z \"$HALTED\" ] || return 70; {goes_on}; }}")
                }
                // What comes after the end is recorded, and fails nothing.
                _ => format!("step_{name} || {{ {goes_on}; }}"),
            };
            let _ = writeln!(out, "  {call}");
            if step.point_of_no_return {
                let _ = writeln!(out, "  UNDO=() # the point of no return: nothing is undone any more");
            }
        }
        out.push_str("}\n");
    }
    out.push_str(FOOT);
    out
}

/// A word that holds no zero byte.
pub(super) fn shell_word(text: &str) -> String {
    quote(&words::clean(text)).unwrap_or_else(|| "''".into())
}

/// A plan on its way to a script.
pub(super) struct Script<'a> {
    view: PlanView<'a>,
    graph: Graph,
    names: BTreeMap<&'a StepId, String>,
    /// Parameters, and the variables that hold them.
    vars: BTreeMap<&'a str, String>,
}

impl<'a> Script<'a> {
    fn of(view: &PlanView<'a>) -> Self {
        let mut taken = BTreeSet::new();
        let mut unique = |text: &str| {
            let base = shell::name(text);
            let mut name = base.clone();
            let mut n = 2;
            while !taken.insert(name.clone()) {
                name = format!("{base}_{n}");
                n += 1;
            }
            name
        };
        let names = view.record.steps.iter().map(|s| (&s.id, unique(s.id.as_str()))).collect();
        let vars = view.record.params.keys().map(|p| (p.as_str(), format!("param_{}", unique(p)))).collect();
        Script { view: *view, graph: view.graph(), names, vars }
    }

    fn title(&self) -> String {
        let hash =
            |hash: Option<towpath_model::Digest>| hash.map_or_else(|| "none".to_owned(), |h| h.to_string());
        let (pipeline, plan) = (hash(self.view.pipeline_hash()), hash(self.view.plan_hash()));
        format!("{}: ejected from plan {plan}\n#   of pipeline {pipeline}", self.view.record.pipeline)
    }

    /// The values of the parameters; those that have none yet are taken from the environment.
    fn params(&self) -> String {
        let mut out = String::new();
        for (name, var) in &self.vars {
            let value = self.value(name).and_then(|value| quote(&text(&value)));
            let _ = match value {
                Some(word) => writeln!(out, "{var}={word}"),
                None => writeln!(out, ": \"${{{var}?set it to the parameter {}}}\"", shell::name(name)),
            };
        }
        out
    }

    /// The value of a parameter, when the plan has one.
    pub(super) fn value(&self, name: &str) -> Option<Json> {
        self.view.values?.get(name).cloned()
    }

    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str)
    }

    /// The part of a step's names.
    pub(super) fn name(&self, id: &StepId) -> String {
        self.names.get(id).cloned().unwrap_or_else(|| shell::name(id.as_str()))
    }

    fn ordered(&self, section: Section) -> impl Iterator<Item = &'a StepRecord> {
        let record = self.view.record;
        self.graph.by_rank(record, section).into_iter().flatten().map(|i| &record.steps[i])
    }

    /// The steps without which a step is skipped.
    pub(super) fn needed(&self, step: &StepRecord) -> BTreeSet<String> {
        let reads = step.reads.iter().filter(|r| r.mode == ReadMode::Required).map(|r| &r.step);
        let operands = step.when.iter().flat_map(|when| when.operands());
        let conditions = operands.filter_map(|operand| match operand {
            towpath_model::Operand::From { step, .. } => Some(step),
            _ => None,
        });
        reads.chain(conditions).map(|id| self.name(id)).collect()
    }
}

/// A JSON value as a shell holds it: a text without its quotes, and anything else as JSON.
pub(super) fn text(value: &Json) -> String {
    value.read::<String>().unwrap_or_else(|_| value.as_str().to_owned())
}
