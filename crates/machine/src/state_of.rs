//! Where a step stands.

use std::{collections::BTreeMap, fmt};
use towpath_model::{Ended, Failure, Json, Name, Payload, SkipWhy, StepId, Timestamp};

/// Where a step stands on its way forward.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StepState {
    /// Steps before it are not at rest.
    Pending,
    /// It may start.
    Ready,
    /// Its intent is journaled and its body runs; when no process runs it, it is in doubt.
    Running,
    /// Its body ended at this wait.
    Parked {
        /// The wait.
        wait: Name,
    },
    /// Its next attempt is due at this time.
    Backoff {
        /// The time.
        at: Timestamp,
    },
    /// The world is asked whether it took effect.
    InDoubt {
        /// How the attempt ended.
        ended: Ended,
        /// When it is asked again; nothing while an answer is awaited.
        again: Option<Timestamp>,
        /// Whether nothing more is to be asked: the answer was not done, or unknown, and the run unwinds.
        answered: bool,
    },
    /// An operator has to decide.
    Resting(Rest),
    /// It is a `for_each`, and its items have their turn.
    Items,
    /// It took effect.
    Done {
        /// Its output.
        output: Payload,
        /// The places of a blob output that deciding needs.
        facts: BTreeMap<String, Json>,
        /// Why nobody can read the output.
        unreadable: Option<Failure>,
    },
    /// It failed for good.
    Failed {
        /// What went wrong.
        failure: Failure,
    },
    /// It will not run.
    Skipped {
        /// Why.
        why: SkipWhy,
    },
}

/// Why a step rests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rest {
    /// Its author says that somebody has to decide, or its failure may not unwind the run.
    Failed(Failure),
    /// It is in doubt, and nobody but an operator can say what happened.
    InDoubt(Ended, Option<Failure>),
    /// The world was asked as often as allowed, and could not tell.
    Unknown(Failure),
    /// Somebody else has changed what it owns.
    TakenOver(Json),
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rest::Failed(failure) => write!(f, "{failure}"),
            Rest::InDoubt(ended, None) => write!(f, "it is not known whether it took effect: {ended}"),
            Rest::InDoubt(ended, Some(failure)) => {
                write!(f, "it is not known whether it took effect: {ended}: {failure}")
            }
            Rest::Unknown(failure) => write!(f, "it cannot be told whether it took effect: {failure}"),
            Rest::TakenOver(seen) => write!(f, "somebody else changed what it owns; seen: {}", seen.as_str()),
        }
    }
}

/// Where the undoing of a step stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum UndoState {
    /// There is nothing to undo, or the run does not unwind.
    #[default]
    No,
    /// Steps that depend on it are undone first.
    Waiting,
    /// It may begin.
    Ready,
    /// The world is asked first whether the step took effect.
    Observing,
    /// Its intent is journaled and its body runs, or is to be entered.
    Running,
    /// Its next attempt is due at this time.
    Backoff {
        /// The time.
        at: Timestamp,
    },
    /// It could not be undone; an operator has to decide.
    Stuck {
        /// What went wrong.
        failure: Failure,
    },
    /// Whether to undo it is an operator's decision.
    Asked,
    /// It is undone.
    Done,
    /// Its effect is kept, by its policy.
    Kept,
    /// Its effect is left in place, by an operator's word.
    Left,
}

impl UndoState {
    /// Whether nothing more will happen to it.
    pub fn is_settled(&self) -> bool {
        matches!(self, UndoState::No | UndoState::Done | UndoState::Kept | UndoState::Left)
    }

    /// Whether it comes to something without an operator, and without other steps being undone first.
    pub(crate) fn is_moving(&self) -> bool {
        matches!(
            self,
            UndoState::Ready | UndoState::Observing | UndoState::Running | UndoState::Backoff { .. }
        )
    }

    /// Whether an operator has to decide.
    pub fn is_resting(&self) -> bool {
        matches!(self, UndoState::Stuck { .. } | UndoState::Asked)
    }
}

/// The name of a [`StepState`], without what it holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "each is the variant of StepState with the same name")]
pub enum StepStateKind {
    Pending,
    Ready,
    Running,
    Parked,
    Backoff,
    InDoubt,
    Resting,
    Items,
    Done,
    Failed,
    Skipped,
}

/// The name of an [`UndoState`], without what it holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "each is the variant of UndoState with the same name")]
pub enum UndoStateKind {
    No,
    Waiting,
    Ready,
    Observing,
    Running,
    Backoff,
    Stuck,
    Asked,
    Done,
    Kept,
    Left,
}

impl UndoState {
    /// The name of this state.
    pub fn kind(&self) -> UndoStateKind {
        match self {
            UndoState::No => UndoStateKind::No,
            UndoState::Waiting => UndoStateKind::Waiting,
            UndoState::Ready => UndoStateKind::Ready,
            UndoState::Observing => UndoStateKind::Observing,
            UndoState::Running => UndoStateKind::Running,
            UndoState::Backoff { .. } => UndoStateKind::Backoff,
            UndoState::Stuck { .. } => UndoStateKind::Stuck,
            UndoState::Asked => UndoStateKind::Asked,
            UndoState::Done => UndoStateKind::Done,
            UndoState::Kept => UndoStateKind::Kept,
            UndoState::Left => UndoStateKind::Left,
        }
    }
}

impl StepState {
    /// The name of this state.
    pub fn kind(&self) -> StepStateKind {
        match self {
            StepState::Pending => StepStateKind::Pending,
            StepState::Ready => StepStateKind::Ready,
            StepState::Running => StepStateKind::Running,
            StepState::Parked { .. } => StepStateKind::Parked,
            StepState::Backoff { .. } => StepStateKind::Backoff,
            StepState::InDoubt { .. } => StepStateKind::InDoubt,
            StepState::Resting(_) => StepStateKind::Resting,
            StepState::Items => StepStateKind::Items,
            StepState::Done { .. } => StepStateKind::Done,
            StepState::Failed { .. } => StepStateKind::Failed,
            StepState::Skipped { .. } => StepStateKind::Skipped,
        }
    }

    /// Whether it comes to something without an operator and without a wait.
    pub(crate) fn is_moving(&self) -> bool {
        matches!(
            self,
            StepState::Ready
                | StepState::Running
                | StepState::Items
                | StepState::Backoff { .. }
                | StepState::InDoubt { answered: false, .. }
        )
    }

    /// Whether steps after it may start: it is done, failed as a best effort, or skipped.
    pub fn is_at_rest(&self) -> bool {
        matches!(self, StepState::Done { .. } | StepState::Failed { .. } | StepState::Skipped { .. })
    }
}

/// What a condition or a reader finds in the place of a step's output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// A value.
    Value(Json),
    /// The step was skipped, or failed as a best effort.
    Skipped(StepId),
    /// It is done, but its output cannot be read.
    Unreadable(StepId, Failure),
}
