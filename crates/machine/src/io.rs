//! What goes in and what comes out.

use crate::{ItemStart, Ordered};
use std::{collections::BTreeMap, time::Duration};
use towpath_model::{Attempt, Ended, Entry, Event, Failure, Json, Name, Payload, StepId, Timestamp};

/// What came from outside the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The before-image was taken, or could not be.
    Before {
        /// The step.
        step: StepId,
        /// The image.
        result: Result<Payload, (Failure, Option<Duration>)>,
    },
    /// A body ended.
    Ended {
        /// The step.
        step: StepId,
        /// The attempt that was entered.
        attempt: Attempt,
        /// How.
        end: BodyEnd,
    },
    /// A body saves a value.
    Checkpoint {
        /// The step.
        step: StepId,
        /// Whether its compensation saves it.
        undoing: bool,
        /// The value.
        value: Payload,
    },
    /// A body has come to a durable wait that is not over. When an earlier attempt has come to it before, the deadline
    /// and the signal that were journaled then count.
    Wait {
        /// The step.
        step: StepId,
        /// The wait.
        wait: Name,
        /// When it is over at the latest.
        until: Option<Timestamp>,
        /// The signal that ends it.
        signal: Option<Name>,
        /// A checkpoint to be saved with it.
        checkpoint: Option<Payload>,
    },
    /// The world was asked about a step in doubt.
    Observed {
        /// The step.
        step: StepId,
        /// What it said.
        answer: Observation,
    },
    /// A compensation ended.
    Undone {
        /// The step.
        step: StepId,
        /// The attempt that was entered.
        attempt: Attempt,
        /// How.
        end: UndoEnd,
    },
    /// The list of a `for_each` was read.
    Listed {
        /// The step.
        step: StepId,
        /// The items and what else their plan is given, as they are journaled, and how many items there are; or what
        /// is wrong with the list.
        result: Result<(Payload, Payload, u64), Failure>,
    },
    /// An entry of the run's inbox.
    Entry(Entry),
}

/// How a body ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BodyEnd {
    /// It returned its output.
    Done {
        /// The output, or where it is stored.
        output: Payload,
        /// The places that deciding needs, when it is a blob.
        facts: BTreeMap<String, Json>,
        /// Why nobody can read the output, though the step is done.
        unreadable: Option<Failure>,
    },
    /// It returned an error.
    Failed {
        /// The error. [`FailureKind::Unknown`](towpath_model::FailureKind::Unknown) means in doubt.
        failure: Failure,
        /// How long the other side asked to wait.
        retry_after: Option<Duration>,
    },
    /// It saw that somebody else has changed what the step owns, and left it alone.
    TakenOver(Json),
    /// It ended without a word.
    Lost {
        /// How.
        ended: Ended,
        /// What is known of it: a panic's message.
        failure: Option<Failure>,
    },
}

/// What the world said of a step in doubt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Observation {
    /// It took effect.
    Done {
        /// The output.
        output: Payload,
        /// The places that deciding needs, when it is a blob.
        facts: BTreeMap<String, Json>,
        /// Why nobody can read the output.
        unreadable: Option<Failure>,
    },
    /// It did not.
    NotDone,
    /// Somebody else has changed what the step owns.
    TakenOver(Json),
    /// It cannot be told, or asking failed.
    Unknown {
        /// Why.
        failure: Failure,
        /// How long the other side asked to wait, or how long what was sent may still be on its way.
        retry_after: Option<Duration>,
    },
}

/// How a compensation ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UndoEnd {
    /// The step is undone.
    Done,
    /// It returned an error.
    Failed {
        /// The error.
        failure: Failure,
        /// How long the other side asked to wait.
        retry_after: Option<Duration>,
    },
    /// It ended without a word: it is entered again, as another attempt.
    Lost(Ended, Option<Failure>),
}

/// What follows, once the events are durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Take the step's before-image, then answer with [`Input::Before`].
    TakeBefore(StepId),
    /// Read the list of a `for_each`, then answer with [`Input::Listed`].
    List(StepId),
    /// Put together what the items of a `for_each` gave back, in order, then answer with [`Input::Ended`].
    Gather(StepId),
    /// Enter the step's body. When the body waits in memory at the wait that is just over, let it go on instead.
    Enter(StepId, Attempt),
    /// Ask the world about the step, then answer with [`Input::Observed`].
    Observe(StepId),
    /// Enter the step's compensation.
    Compensate(StepId, Attempt),
    /// Ask the step's body to stop, drop it after the grace period, and answer with [`Input::Ended`].
    Stop(StepId),
    /// Drop the step's body at once: it is over its time, and its end is [`Ended::TimedOut`].
    Expire(StepId),
    /// Forget the step's body when it waits in memory at a durable wait.
    Forget(StepId),
}

impl Action {
    /// The step whose running body it is about.
    pub(crate) fn body(&self) -> Option<&StepId> {
        match self {
            Action::Enter(step, _) | Action::Stop(step) | Action::Expire(step) => Some(step),
            _ => None,
        }
    }
}

/// What the machine decided.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Decision {
    /// Events to be journaled, already folded into the state.
    pub events: Vec<Event>,
    /// What to do once they are durable.
    pub actions: Vec<Action>,
    /// Runs that begin in the transition that holds the events.
    pub starts: Vec<ItemStart>,
    /// Entries for runs that are items, sent by the same transition. They reach runs that have settled, too.
    pub orders: Vec<Ordered>,
    /// Whether there is more to decide at once, in a transition of its own.
    pub more: bool,
}
