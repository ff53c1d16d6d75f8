//! Which transitions are legal: the whole table, in one place.
//!
//! A test holds the machine to it in both directions: nothing else ever happens, and everything here does happen in some
//! run of the tests.

use crate::{LockStateKind, Phase, StepStateKind, UndoStateKind};
use towpath_model::EventKind;

/// From each of these states, each of these events may lead to each of those.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move<S: 'static> {
    /// The states before.
    pub from: &'static [S],
    /// The events.
    pub event: &'static [EventKind],
    /// The states after.
    pub to: &'static [S],
}

/// `states before: events => states after;`
macro_rules! moves {
    ($of:ident { $($($from:ident)|+: $($event:ident)|+ => $($to:ident)|+;)* }) => {
        &[$(Move {
            from: &[$($of::$from),+],
            event: &[$(EventKind::$event),+],
            to: &[$($of::$to),+],
        }),*]
    };
}

/// How a step goes on its way forward.
pub const STEP_MOVES: &[Move<StepStateKind>] = moves! { StepStateKind {
    Pending: RunStarted | Unwound | VerbAnswered | ParentOrdered => Ready;
    Pending: StepDone | StepFailed | StepInDoubt | StepObserved | StepSkipped => Ready;
    Ready: StepStarted => Running;
    Ready: StepSkipped => Skipped;
    Ready: StepFailed => Backoff | Resting | Failed;
    Ready: ItemsListed => Items;
    Running: StepDone => Done;
    Running: StepFailed => Backoff | Resting | Failed;
    Running: StepInDoubt => InDoubt | Backoff | Resting | Failed;
    Running: StepObserved => InDoubt | Backoff | Resting | Failed;
    Running: WaitStarted => Parked;
    Parked: WaitOver => Running;
    Parked: StepDone => Done;
    Parked: StepFailed => Backoff | Resting | Failed;
    Parked: StepInDoubt => InDoubt | Backoff | Resting | Failed;
    Backoff: StepStarted => Running | Items;
    Backoff: ItemsListed => Items;
    Items: StepDone => Done;
    Items: StepFailed => Resting | Failed;
    Backoff: StepFailed => Backoff | Resting | Failed;
    InDoubt: StepDone => Done;
    InDoubt: StepObserved => InDoubt | Backoff | Resting | Failed;
    Resting: StepReset => Backoff;
    Resting: StepDone => Done;
    Resting: StepSkipped => Skipped;
} };

/// How the undoing of a step goes.
pub const UNDO_MOVES: &[Move<UndoStateKind>] = moves! { UndoStateKind {
    No: UnwindStarted => Waiting | Kept;
    Waiting: UnwindStarted => Ready | Observing | Stuck;
    Waiting: CompensationDone | CompensationFailed | CompensationSkipped => Ready;
    Observing: StepDone => Ready;
    Observing: StepObserved => Ready | Stuck;
    Ready: CompensationAsked => Asked;
    Ready | Backoff: CompensationStarted => Running;
    Running: CompensationDone => Done;
    Running: CompensationFailed => Backoff | Stuck | Left;
    Stuck | Asked: CompensationReset => Ready;
    Stuck | Asked: CompensationDone => Done;
    Stuck | Asked: CompensationSkipped => Left;
    Waiting | Observing | Ready | Backoff | Stuck | Asked: VerbAnswered | ParentOrdered => Left;
} };

/// How a run goes from one part of its life to the next.
pub const PHASE_MOVES: &[Move<Phase>] = moves! { Phase {
    Forward: StepFailed | StepInDoubt | VerbAnswered | DeadlinePassed | ParentOrdered => Draining;
    Draining | Settled: UnwindStarted => Unwinding;
    Draining | Unwinding: Unwound => OnFailure | Finally;
    Forward: RunStarted | StepDone | StepFailed | StepInDoubt | StepSkipped => Finally;
    OnFailure: StepDone | StepFailed | StepInDoubt | StepObserved | StepSkipped => Finally;
    OnFailure: Unwound | VerbAnswered | ParentOrdered => Finally;
    Forward | Draining | Unwinding | OnFailure | Finally: RunSettled => Settled;
} };

/// How the locks of a scope go.
pub const LOCK_MOVES: &[Move<LockStateKind>] = moves! { LockStateKind {
    Free: LocksAsked => Asked;
    Asked: LocksTaken => Asked | Held;
    Asked | Held: LocksReturned | RunSettled => Free;
} };

/// Notes what happens, for the test that compares it with what is legal. Nothing outside tests.
#[cfg(not(test))]
pub(crate) mod visit {
    use crate::{LockStateKind, Phase, StepState, UndoState};
    use towpath_model::EventKind;

    pub(crate) fn event(_: EventKind) {}
    pub(crate) fn step(_: &StepState, _: &StepState) {}
    pub(crate) fn undo(_: &UndoState, _: &UndoState) {}
    pub(crate) fn phase(_: Phase, _: Phase) {}
    pub(crate) fn lock(_: LockStateKind, _: LockStateKind) {}
}

/// Notes what happens in this thread.
#[cfg(test)]
pub(crate) mod visit {
    use crate::{LockStateKind, Phase, StepState, StepStateKind, UndoState, UndoStateKind};
    use std::{cell::RefCell, collections::BTreeSet};
    use towpath_model::EventKind;

    #[derive(Clone, PartialEq, Eq, Debug, Default)]
    pub(crate) struct Visited {
        event: Option<EventKind>,
        pub(crate) steps: BTreeSet<(StepStateKind, EventKind, StepStateKind)>,
        pub(crate) undos: BTreeSet<(UndoStateKind, EventKind, UndoStateKind)>,
        pub(crate) phases: BTreeSet<(Phase, EventKind, Phase)>,
        pub(crate) locks: BTreeSet<(LockStateKind, EventKind, LockStateKind)>,
    }

    thread_local! {
        static VISITED: RefCell<Visited> = RefCell::default();
    }

    fn with(note: impl FnOnce(&mut Visited, EventKind)) {
        VISITED.with_borrow_mut(|v| {
            let event = v.event.expect("states change only while an event is folded");
            note(v, event);
        });
    }

    pub(crate) fn event(kind: EventKind) {
        VISITED.with_borrow_mut(|v| v.event = Some(kind));
    }

    pub(crate) fn step(from: &StepState, to: &StepState) {
        with(|v, event| _ = v.steps.insert((from.kind(), event, to.kind())));
    }

    pub(crate) fn undo(from: &UndoState, to: &UndoState) {
        with(|v, event| _ = v.undos.insert((from.kind(), event, to.kind())));
    }

    pub(crate) fn phase(from: Phase, to: Phase) {
        with(|v, event| _ = v.phases.insert((from, event, to)));
    }

    pub(crate) fn lock(from: LockStateKind, to: LockStateKind) {
        with(|v, event| _ = v.locks.insert((from, event, to)));
    }

    /// Everything since the last call.
    pub(crate) fn take() -> Visited {
        VISITED.take()
    }
}
