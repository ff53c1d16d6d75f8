//! What can happen to a run: the events of its journal.
//!
//! A kind's code and name never change, and a field is only ever added with a default. A reader that meets a code it
//! does not know does not go on: the run is quarantined until a release that knows it folds it.

use crate::{
    Actor, Aftermath, Attempt, BlobRef, Digest, Failure, ItemKey, Json, Name, Order, Outcome, Payload,
    PipelineName, RunId, RunKey, Seq, StepId, Timestamp, Verb, Why,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

macro_rules! kinds { ($($code:literal $name:ident $word:literal $doc:literal;)*) => {
    /// One event of a journal.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub enum Event { $(#[doc = $doc] $name($name),)* }

    /// The kind of an event.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
    #[repr(u16)]
    pub enum EventKind { $(#[doc = $doc] $name = $code,)* }

    impl EventKind {
        /// All kinds, by code.
        pub const ALL: &'static [EventKind] = &[$(EventKind::$name),*];

        /// The kind with this code.
        pub fn from_code(code: u16) -> Option<Self> {
            match code { $($code => Some(EventKind::$name),)* _ => None }
        }

        /// The kind's name, as journals show it.
        pub fn word(self) -> &'static str {
            match self { $(EventKind::$name => $word,)* }
        }
    }

    impl Event {
        /// The kind of this event.
        pub fn kind(&self) -> EventKind {
            match self { $(Event::$name(_) => EventKind::$name,)* }
        }

        /// The payload as it is stored: JSON.
        ///
        /// # Errors
        /// When a value in it cannot be JSON; events made of other events' parts always can.
        pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
            match self { $(Event::$name(e) => serde_json::to_vec(e),)* }
        }

        /// Reads the payload of an event of this kind.
        ///
        /// # Errors
        /// When the code is unknown, or the payload is not that of its kind.
        pub fn decode(code: u16, payload: &[u8]) -> Result<Self, EventError> {
            let kind = EventKind::from_code(code).ok_or(EventError::UnknownKind(code))?;
            let read = match kind { $(EventKind::$name => serde_json::from_slice(payload).map(Event::$name),)* };
            read.map_err(|e| EventError::Payload { kind, error: e.to_string() })
        }
    }

    $(impl From<$name> for Event { fn from(e: $name) -> Event { Event::$name(e) } })*
} }

kinds! {
    1 RunStarted "run-started" "A run of a plan begins.";
    2 StepStarted "step-started" "The intent of an attempt: journaled before any effect.";
    3 StepDone "step-done" "A step took effect and has its output.";
    4 StepFailed "step-failed" "An attempt did not take effect, by its author's word.";
    5 StepInDoubt "step-in-doubt" "An attempt ended without saying whether it took effect.";
    6 StepObserved "step-observed" "The world was asked about a step in doubt, and it is not done.";
    7 Checkpointed "checkpointed" "A step saved a value.";
    8 WaitStarted "wait-started" "A body ended at a durable wait.";
    9 WaitOver "wait-over" "A durable wait is over; the body is entered again.";
    10 StepSkipped "step-skipped" "A step will not run.";
    11 StepReset "step-reset" "An operator has a resting step tried again.";
    12 SignalKept "signal-kept" "A signal came for which nobody waits yet.";
    13 VerbAnswered "verb-answered" "An operator's verb was accepted, or refused.";
    14 DeadlinePassed "deadline-passed" "The run's time limit passed.";
    15 UnwindStarted "unwind-started" "Everything is at rest; undoing begins.";
    16 CompensationStarted "compensation-started" "The intent of undoing a step.";
    17 CompensationDone "compensation-done" "A step is undone.";
    18 CompensationFailed "compensation-failed" "Undoing a step did not succeed.";
    19 CompensationAsked "compensation-asked" "Whether to undo a step is an operator's decision.";
    20 CompensationReset "compensation-reset" "An operator has undoing a step tried, again or at all.";
    21 CompensationSkipped "compensation-skipped" "An operator leaves a step's effect in place.";
    22 Unwound "unwound" "Undoing is over.";
    23 RunSettled "run-settled" "The run is over. The last event, unless the run that it is an item of has it undone.";
    24 PlanReplaced "plan-replaced" "The run goes on under another plan.";
    25 Imported "imported" "A fork took over a step's output from its parent.";
    26 Redacted "redacted" "The payload of an event was removed, its header kept.";
    27 LocksAsked "locks-asked" "The run queues for the locks of a scope.";
    28 LocksTaken "locks-taken" "The run holds the locks of a scope.";
    29 LocksReturned "locks-returned" "The run gave locks back.";
    30 ItemsListed "items-listed" "The items of a for_each, read once.";
    31 SubRunsStarted "sub-runs-started" "Items of a for_each begin, each as a run of its own.";
    32 SubRunSettled "sub-run-settled" "A run that is an item is over.";
    33 SubRunsUnwinding "sub-runs-unwinding" "Runs that are items are asked to undo what they did.";
    34 Overridden "overridden" "Somebody passed a closed window, a freeze or a gate, with a reason.";
    35 EntryRefused "entry-refused" "An entry of the inbox that cannot be followed.";
    36 ParentOrdered "parent-ordered" "The run that this one is an item of has it leave its way.";
}

impl Event {
    /// Who caused the event, when it was not the engine.
    pub fn caused_by(&self) -> Option<&Actor> {
        match self {
            Event::VerbAnswered(e) => Some(&e.by),
            Event::SignalKept(e) => Some(&e.from),
            Event::EntryRefused(e) => Some(&e.from),
            Event::WaitOver(e) => e.from.as_ref(),
            Event::PlanReplaced(e) => Some(&e.by),
            Event::Redacted(e) => Some(&e.by),
            Event::Overridden(e) => Some(&e.by),
            Event::ParentOrdered(e) => match &e.order {
                Order::Abandon { by, .. } => Some(by),
                Order::Unwind | Order::Cancel => None,
            },
            _ => None,
        }
    }
}

impl EventKind {
    /// The code that headers carry.
    pub fn code(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// An event that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum EventError {
    /// Its kind is not known to this release.
    UnknownKind(u16),
    /// Its payload is not that of its kind.
    Payload {
        /// The kind.
        kind: EventKind,
        /// What the decoder said.
        error: String,
    },
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventError::UnknownKind(code) => {
                write!(
                    f,
                    "event kind {code} is unknown to this release: a newer one wrote it; upgrade, then retry"
                )
            }
            EventError::Payload { kind, error } => write!(f, "read the payload of a {kind} event: {error}"),
        }
    }
}

impl std::error::Error for EventError {}

macro_rules! bodies { ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty,)* })*) => { $(
    $(#[$doc])*
    #[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
    pub struct $name { $($(#[$field_doc])* pub $field: $ty,)* }
)* } }

bodies! {
    /// A run of a plan begins.
    RunStarted {
        /// Hash of the plan: pipeline and values.
        plan_hash: Digest,
        /// The pipeline's record, stored once for all its runs; its digest is the pipeline's hash.
        plan: BlobRef,
        /// The pipeline's name.
        pipeline: PipelineName,
        /// The caller's name for this run.
        key: RunKey,
        /// The values of the parameters.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        values: BTreeMap<String, Json>,
        /// Labels to search by.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        labels: BTreeMap<String, String>,
        /// Why, in the starter's words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
        /// The run and step that this one runs below.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Below>,
        /// The run that this one was forked from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forked_from: Option<RunId>,
        /// When its time is over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
        /// Of an item: the locks that its root run holds for it, each with its fencing number.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fencing: BTreeMap<Name, u64>,
    }

    /// Where a sub-run stands.
    Below {
        /// The parent.
        run: RunId,
        /// The parent's step, a `for_each`.
        step: StepId,
        /// The item.
        item: ItemKey,
        /// Place of the item in its list, from 0.
        index: u64,
        /// What stands before the ids of its steps wherever they are named from outside: `deploy[eu-west-1]`, and with
        /// a parent that is an item itself `outer[a]/deploy[eu-west-1]`.
        path: StepId,
    }

    /// The intent of an attempt.
    StepStarted {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: Attempt,
        /// What was there before, when the kind takes a before-image; only with the first intent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Payload>,
    }

    /// A step took effect and has its output.
    StepDone {
        /// The step.
        step: StepId,
        /// Its output.
        output: Payload,
        /// Who says so.
        #[serde(default, skip_serializing_if = "DoneBy::is_body")]
        by: DoneBy,
        /// The places of a blob output that conditions read, by pointer, so that deciding needs no blob.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        facts: BTreeMap<String, Json>,
        /// Why nobody can read the output, though the step is done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output_error: Option<Failure>,
    }

    /// An attempt did not take effect, by its author's word.
    StepFailed {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: Attempt,
        /// What went wrong.
        failure: Failure,
        /// What follows.
        then: Then,
    }

    /// An attempt ended without saying whether it took effect.
    StepInDoubt {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: Attempt,
        /// How it ended.
        ended: Ended,
        /// What it said, when it said something.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// What follows.
        then: Doubt,
    }

    /// The world was asked about a step in doubt, and it is not done.
    StepObserved {
        /// The step.
        step: StepId,
        /// What was answered.
        answer: Answer,
    }

    /// A step saved a value.
    Checkpointed {
        /// The step.
        step: StepId,
        /// Whether its body or its compensation saved it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        undoing: bool,
        /// The value.
        value: Payload,
    }

    /// A body ended at a durable wait.
    WaitStarted {
        /// The step.
        step: StepId,
        /// The wait's name.
        wait: Name,
        /// When it is over at the latest; never, for a signal without a limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// The signal that ends it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<Name>,
        /// The checkpoint that was saved with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checkpoint: Option<Payload>,
    }

    /// A durable wait is over.
    WaitOver {
        /// The step.
        step: StepId,
        /// The wait's name.
        wait: Name,
        /// What the signal said; nothing when its time ended the wait.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Json>,
        /// Who sent the signal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Actor>,
        /// Number of the event that kept the signal, when it came before somebody waited.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<Seq>,
    }

    /// A step will not run.
    StepSkipped {
        /// The step.
        step: StepId,
        /// Why.
        why: SkipWhy,
    }

    /// An operator has a resting step tried again.
    StepReset {
        /// The step.
        step: StepId,
        /// Whether its effects get new keys.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        new_key: bool,
        /// Whether its checkpoint and waits are forgotten.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        from_scratch: bool,
        /// Whether it takes a new before-image.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        new_before: bool,
    }

    /// A signal came for which nobody waits yet.
    SignalKept {
        /// Name of the signal.
        signal: Name,
        /// Only for this step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
        /// What it says.
        value: Json,
        /// Who sent it.
        from: Actor,
        /// When the store took it.
        received_at: Timestamp,
    }

    /// An entry of the inbox that cannot be followed.
    EntryRefused {
        /// The sender's id of the entry.
        id: Name,
        /// Who sent it.
        from: Actor,
        /// Why, and what to do instead.
        why: String,
    }

    /// An operator's verb was accepted, or refused.
    VerbAnswered {
        /// The sender's id of the entry.
        id: Name,
        /// The verb.
        verb: Verb,
        /// Who.
        by: Actor,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
        /// Why it was refused, and what to do instead; nothing when it was accepted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
    }

    /// The run's time limit passed.
    DeadlinePassed {}

    /// Everything is at rest; undoing begins.
    UnwindStarted {
        /// Why.
        why: Why,
    }

    /// The intent of undoing a step.
    CompensationStarted {
        /// The step.
        step: StepId,
        /// The attempt at undoing it.
        attempt: Attempt,
    }

    /// A step is undone.
    CompensationDone {
        /// The step.
        step: StepId,
        /// Who says so.
        #[serde(default, skip_serializing_if = "DoneBy::is_body")]
        by: DoneBy,
    }

    /// Undoing a step did not succeed.
    CompensationFailed {
        /// The step.
        step: StepId,
        /// The attempt at undoing it.
        attempt: Attempt,
        /// What went wrong.
        failure: Failure,
        /// What follows: again, or rest.
        then: Then,
    }

    /// Whether to undo a step is an operator's decision.
    CompensationAsked {
        /// The step.
        step: StepId,
    }

    /// An operator has undoing a step tried, again or at all.
    CompensationReset {
        /// The step.
        step: StepId,
        /// Whether its effects get new keys.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        new_key: bool,
    }

    /// An operator leaves a step's effect in place.
    CompensationSkipped {
        /// The step.
        step: StepId,
    }

    /// Undoing is over.
    Unwound {}

    /// The run is over.
    RunSettled {
        /// How it ended.
        outcome: Outcome,
        /// What it leaves behind.
        #[serde(default)]
        aftermath: Aftermath,
    }

    /// The run goes on under another plan.
    PlanReplaced {
        /// Hash of the plan until now.
        from: Digest,
        /// Hash of the plan from now on.
        to: Digest,
        /// The new pipeline's record.
        plan: BlobRef,
        /// Steps that differ.
        changed: Vec<StepId>,
        /// Who replaced it.
        by: Actor,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    }

    /// A fork took over a step's output from its parent.
    Imported {
        /// The step.
        step: StepId,
        /// Its output.
        output: Payload,
        /// Number of the parent's event that it was taken from.
        at: Seq,
        /// Whether unwinding the fork undoes the step too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        adopt_undo: bool,
    }

    /// The payload of an event was removed, its header kept.
    Redacted {
        /// Number of the event.
        at: Seq,
        /// Who removed it.
        by: Actor,
        /// Why, in their words.
        reason: String,
    }

    /// The run queues for the locks of a scope: all of them at once.
    LocksAsked {
        /// The locks, in the order of their names.
        locks: Vec<Name>,
    }

    /// The run holds locks that it queued for. It begins with the scope when it holds all of them.
    LocksTaken {
        /// The locks, each with the fencing number that steps read and hand to providers.
        locks: Vec<(Name, u64)>,
    }

    /// The run gave the locks of a scope back, or its place in their queues.
    LocksReturned {
        /// The locks.
        locks: Vec<Name>,
    }

    /// The items of a `for_each`, read once.
    ItemsListed {
        /// The step.
        step: StepId,
        /// Key and value of each, in order: `[["eu-west-1", {…}], …]`.
        items: Payload,
        /// The values of the other parameters of the items' plan: an object.
        given: Payload,
        /// How many there are.
        count: u64,
    }

    /// Items of a `for_each` begin, each as a run of its own: those of a stretch of the list. A run's id follows from
    /// its parent, step, place and try: see [`RunId::of_item`].
    SubRunsStarted {
        /// The step.
        step: StepId,
        /// Place of the first.
        first: u64,
        /// How many.
        count: u64,
    }

    /// A run that is an item is over.
    SubRunSettled {
        /// The step.
        step: StepId,
        /// Place of the item in its list.
        index: u64,
        /// Key of the item.
        item: ItemKey,
        /// The run.
        run: RunId,
        /// How it ended.
        outcome: Outcome,
        /// Whether it did something that it can undo.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        undoable: bool,
        /// Whether something that it did stays in place and is not undone any more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        left: bool,
    }

    /// Runs that are items are asked to undo what they did.
    SubRunsUnwinding {
        /// The step.
        step: StepId,
        /// Places of the items in their list.
        items: Vec<u64>,
    }

    /// The run that this one is an item of has it leave its way.
    ParentOrdered {
        /// What it is to do.
        order: Order,
        /// The locks that its root run holds for it from now on, each with its fencing number; empty when they are
        /// those of before.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fencing: BTreeMap<Name, u64>,
    }

    /// Somebody passed a closed window, a freeze or a gate, with a reason.
    Overridden {
        /// What was passed.
        what: Name,
        /// Who passed it.
        by: Actor,
        /// Why, in their words.
        reason: String,
    }
}

/// Who says that something is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoneBy {
    /// The body returned.
    #[default]
    Body,
    /// The world was asked.
    Observed,
    /// An operator said so.
    Operator,
}

impl DoneBy {
    fn is_body(&self) -> bool {
        *self == DoneBy::Body
    }
}

/// What follows a failed attempt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// Another attempt, not before this time.
    Retry {
        /// The time.
        at: Timestamp,
    },
    /// Nothing: it has failed for good.
    Fail,
    /// It rests, and an operator has to decide.
    Rest,
}

/// How an attempt ended that is in doubt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The body said that it does not know.
    Unknown,
    /// Its time limit passed.
    TimedOut,
    /// It was dropped: by a cancel, a drain or a lost lease.
    Dropped,
    /// It panicked.
    Panicked,
    /// The process died.
    Died,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ended::Unknown => "the body does not know whether it took effect",
            Ended::TimedOut => "its time limit passed",
            Ended::Dropped => "its body was dropped",
            Ended::Panicked => "its body panicked",
            Ended::Died => "its process died",
        })
    }
}

/// What follows doubt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// The world is asked.
    Observe,
    /// Another attempt, not before this time: the kind says that repeating is harmless.
    Retry {
        /// The time.
        at: Timestamp,
    },
    /// Nothing more is asked: the run unwinds, and its compensation takes the effect as possible.
    Fail,
    /// It rests, and an operator has to decide.
    Rest,
}

/// What the world said of a step in doubt that is not known to be done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It did not take effect.
    NotDone,
    /// Somebody else has changed what the step owns.
    TakenOver {
        /// What is there now, and who put it there, as far as can be seen.
        seen: Json,
    },
    /// It cannot be told.
    Unknown {
        /// Why.
        failure: Failure,
        /// When it is asked again; never, when it rests.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again: Option<Timestamp>,
    },
}

/// Why a step will not run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipWhy {
    /// Its condition does not hold.
    Condition,
    /// It reads a step that was skipped, or that failed as a best effort.
    Reads {
        /// That step.
        step: StepId,
    },
    /// An operator skipped it.
    Operator {
        /// Who.
        by: Actor,
    },
}

mod blobs;
#[cfg(test)]
mod tests;
