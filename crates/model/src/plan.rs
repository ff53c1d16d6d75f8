//! Plans: frozen pipelines with their values.

use crate::{Condition, Digest, Json, Kind, Name, Operand, PipelineName, RetryPolicy, StepId, canonical};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Format of the plan record that this release writes.
pub const PLAN_FORMAT: u16 = 1;

/// A frozen pipeline: steps, edges and policies as data. With parameter values it is a plan.
///
/// The machine needs nothing but this: what a kind can do is recorded here when the plan is built, so that a plan can
/// be checked, drawn and driven by a process that does not know the kinds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRecord {
    /// Format of this record.
    pub format: u16,
    /// Name of the pipeline.
    pub pipeline: PipelineName,
    /// The steps, in the order in which the author placed them.
    pub steps: Vec<StepRecord>,
    /// The parameters that a start must give, with their JSON Schema.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Json>,
    /// What the run gives back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Operand>,
    /// Most steps, and most compensations, that run at once.
    pub parallel: u32,
    /// Time limit of a run, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Whether compensations run one after another, whatever `parallel` says.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unwind_one_at_a_time: bool,
}

/// One step of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRecord {
    /// Its id.
    pub id: StepId,
    /// Its kind.
    pub kind: Kind,
    /// Its fields, as the kind encodes them. Kept raw: an unknown kind blocks one step, not the plan.
    pub with: Json,
    /// What the node stands for.
    #[serde(default, skip_serializing_if = "Role::is_step")]
    pub role: Role,
    /// When in the life of a run it has its turn.
    #[serde(default, skip_serializing_if = "Section::is_main")]
    pub section: Section,
    /// The outputs that it reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<Read>,
    /// Steps that must be at rest before it, though it reads nothing of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<StepId>,
    /// Condition under which it runs at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// The environment that it goes into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// Locks of the scope that it belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<Name>,
    /// What to do when it is not known whether it took effect.
    pub in_doubt: InDoubt,
    /// What its kind can do beside running.
    #[serde(default)]
    pub methods: Methods,
    /// What becomes of its effect when the run unwinds.
    pub undo: UndoPolicy,
    /// Whether its permanent failure lets the run go on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub best_effort: bool,
    /// Whether failures after it no longer unwind.
    #[serde(default, skip_serializing_if = "is_false")]
    pub point_of_no_return: bool,
    /// How its attempts are repeated.
    pub retry: RetryPolicy,
    /// How its compensation is repeated.
    pub undo_retry: RetryPolicy,
    /// How questions about it are repeated while it is in doubt.
    pub observe_retry: RetryPolicy,
    /// Time limit of one entry of its body, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Time limit over all its attempts and waits, in milliseconds, from its first intent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<u64>,
}

fn is_false(b: &bool) -> bool {
    !*b
}

/// What a node of a plan stands for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A step with a body.
    #[default]
    Step,
    /// A sub-plan for each item of a list that is known only at run time; each item is a run of its own.
    ForEach {
        /// The list.
        list: Operand,
        /// RFC 6901 pointer to the key within an item; empty when the item is its own key.
        key: String,
        /// The plan of one item. Its parameters are `item` and those that the node's `with` gives.
        each: Box<PlanRecord>,
        /// Most items that run at once, up to [`ITEMS_AT_ONCE`](crate::limits::ITEMS_AT_ONCE).
        parallel: u32,
    },
    /// A plan that runs as a run of its own.
    SubRun {
        /// The plan.
        plan: Box<PlanRecord>,
    },
}

impl Role {
    fn is_step(&self) -> bool {
        *self == Role::Step
    }
}

/// When in the life of a run a step has its turn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Section {
    /// On the way forward.
    #[default]
    Main,
    /// After a failure has been unwound.
    OnFailure,
    /// At the end, whatever happened.
    Finally,
}

impl Section {
    fn is_main(&self) -> bool {
        *self == Section::Main
    }
}

/// A place in another step's output that a step reads. Reading is an edge of the graph.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// The step that is read.
    pub step: StepId,
    /// How it is read.
    #[serde(default, skip_serializing_if = "ReadMode::is_required")]
    pub mode: ReadMode,
}

/// What becomes of a reader when the step that it reads is skipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadMode {
    /// The reader is skipped too.
    #[default]
    Required,
    /// The reader gets nothing in its place.
    OrNone,
    /// The reader takes the first that was not skipped of all reads with this number; skipped when all are.
    FirstOf(u16),
}

impl ReadMode {
    fn is_required(&self) -> bool {
        *self == ReadMode::Required
    }
}

/// What to do when it is not known whether an attempt took effect. Declared by every kind, never defaulted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InDoubt {
    /// It has no effect outside: enter it again.
    NoEffect,
    /// Its effects carry keys that make repeating harmless: enter it again.
    Idempotent,
    /// Look at the world.
    Observe,
    /// Rest, and ask an operator.
    AskOperator,
}

/// What becomes of a step's effect when its run unwinds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndoPolicy {
    /// Compensate.
    Undo,
    /// Leave it, and list it in the outcome.
    Keep,
    /// Rest, and ask an operator.
    Ask,
}

/// What a kind can do beside running.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Methods {
    /// It tells what it would change.
    #[serde(default, skip_serializing_if = "is_false")]
    pub preview: bool,
    /// It takes a before-image.
    #[serde(default, skip_serializing_if = "is_false")]
    pub before: bool,
    /// It can look whether it took effect.
    #[serde(default, skip_serializing_if = "is_false")]
    pub observe: bool,
    /// It can undo what it did.
    #[serde(default, skip_serializing_if = "is_false")]
    pub compensate: bool,
    /// Its effects cannot outlive the process that makes them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub local: bool,
}

impl PlanRecord {
    /// The pipeline's hash: SHA-256 of this record's canonical JSON.
    ///
    /// # Errors
    /// When a value in it cannot be canonical, such as an integer beyond ±2^53.
    pub fn hash(&self) -> Result<Digest, canonical::CanonicalError> {
        Ok(Digest::of(canonical::of(self)?.as_bytes()))
    }

    /// The plan's hash: SHA-256 of the canonical JSON of the pipeline's hash and the values.
    ///
    /// # Errors
    /// When a value cannot be canonical.
    pub fn hash_with(&self, values: &BTreeMap<String, Json>) -> Result<Digest, canonical::CanonicalError> {
        plan_hash(self.hash()?, values)
    }
}

/// The hash of the plan that a pipeline with this hash makes with these values; see [`PlanRecord::hash_with`].
///
/// # Errors
/// When a value cannot be canonical.
pub fn plan_hash(
    pipeline: Digest,
    values: &BTreeMap<String, Json>,
) -> Result<Digest, canonical::CanonicalError> {
    let both = BTreeMap::from([("pipeline", Json::of(&pipeline)?), ("values", Json::of(values)?)]);
    Ok(Digest::of(canonical::of(&both)?.as_bytes()))
}
