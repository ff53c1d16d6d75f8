//! A step of a run.

use crate::{Items, StepState, UndoState};
use std::collections::BTreeMap;
use towpath_model::{Attempt, Ended, Failure, Json, Name, Payload, Seq, Timestamp};

/// A step of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    pub(crate) state: StepState,
    pub(crate) attempt: Attempt,
    /// Tries since the beginning, or since an operator's reset, as the retry policy counts them.
    pub(crate) tries: u32,
    /// Questions since it is in doubt.
    pub(crate) asks: u32,
    pub(crate) intent: Option<Seq>,
    pub(crate) last_failure: Option<Failure>,
    /// How the last attempt ended when nobody knows whether it took effect.
    pub(crate) doubt: Option<Ended>,
    /// What was seen when somebody else had changed what it owns: until it is tried again, or done, it is not undone
    /// without an operator's word.
    pub(crate) taken_over: Option<Json>,
    pub(crate) before: Option<Payload>,
    pub(crate) checkpoint: Option<Payload>,
    pub(crate) waits: BTreeMap<Name, Waiting>,
    /// Its items, when it is a `for_each` and they are listed.
    pub(crate) items: Option<Box<Items>>,
    pub(crate) generation: u32,
    /// Steps of its section that it waits for and that are not at rest.
    pub(crate) missing: u32,
    /// When the time over all its attempts and waits is over.
    pub(crate) within: Option<Timestamp>,
    pub(crate) since: Timestamp,
    pub(crate) undo: UndoState,
    pub(crate) undo_attempt: Attempt,
    pub(crate) undo_tries: u32,
    /// Steps that depend on it and are not settled, while the run unwinds.
    pub(crate) undo_missing: u32,
    /// Whether an operator has said that it is to be undone.
    pub(crate) undo_confirmed: bool,
}

/// A durable wait of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// When it is over at the latest.
    pub until: Option<Timestamp>,
    /// The signal that ends it.
    pub signal: Option<Name>,
    /// How it ended: by a signal's value, or by time. `None` while it lasts.
    pub over: Option<Option<Json>>,
}

impl Node {
    pub(crate) fn new(missing: u32) -> Self {
        Node {
            state: StepState::Pending,
            attempt: Attempt(0),
            tries: 0,
            asks: 0,
            intent: None,
            last_failure: None,
            doubt: None,
            taken_over: None,
            before: None,
            checkpoint: None,
            waits: BTreeMap::new(),
            items: None,
            generation: 0,
            missing,
            within: None,
            since: Timestamp::MIN,
            undo: UndoState::No,
            undo_attempt: Attempt(0),
            undo_tries: 0,
            undo_missing: 0,
            undo_confirmed: false,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> &StepState {
        &self.state
    }

    /// The last attempt that was started; 0 before the first.
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// Number of the event that was its first intent.
    pub fn intent(&self) -> Option<Seq> {
        self.intent
    }

    /// What was there before it.
    pub fn before(&self) -> Option<&Payload> {
        self.before.as_ref()
    }

    /// What it saved last.
    pub fn checkpoint(&self) -> Option<&Payload> {
        self.checkpoint.as_ref()
    }

    /// Its durable waits, over or not.
    pub fn waits(&self) -> &BTreeMap<Name, Waiting> {
        &self.waits
    }

    /// Its items, when it is a `for_each` and they are listed.
    pub fn items(&self) -> Option<&Items> {
        self.items.as_deref()
    }

    /// How often an operator gave its effects new keys.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The error of its last attempt, when it had one.
    pub fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref()
    }

    /// Since when it stands where it stands.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Where its undoing stands.
    pub fn undo_state(&self) -> &UndoState {
        &self.undo
    }

    /// The last attempt at undoing it.
    pub fn undo_attempt(&self) -> Attempt {
        self.undo_attempt
    }

    /// How its last attempt ended, when it is not known whether it took effect: what a compensation has to be told.
    pub fn doubt(&self) -> Option<Ended> {
        match &self.state {
            StepState::Done { .. } => None,
            StepState::InDoubt { ended, .. } => Some(*ended),
            _ => self.doubt,
        }
    }

    /// Whether nobody knows if it took effect, or whose effect is there.
    pub(crate) fn is_unclear(&self) -> bool {
        self.doubt.is_some() || self.taken_over.is_some()
    }

    /// The durable wait at which it is parked.
    pub(crate) fn open_wait(&self) -> Option<(&Name, &Waiting)> {
        match &self.state {
            StepState::Parked { wait } => self.waits.get_key_value(wait),
            _ => None,
        }
    }

    /// When its state is over, if a time ends it.
    pub(crate) fn timer(&self) -> Option<Timestamp> {
        match &self.state {
            StepState::Backoff { at } => Some(*at),
            StepState::InDoubt { again, .. } => *again,
            StepState::Parked { .. } => self.open_wait().and_then(|(_, wait)| wait.until),
            _ => None,
        }
    }

    /// When the time over all its attempts and waits is over, as long as there is something that it ends.
    pub(crate) fn within_timer(&self) -> Option<Timestamp> {
        let ends =
            matches!(self.state, StepState::Running | StepState::Parked { .. } | StepState::Backoff { .. });
        self.within.filter(|_| ends)
    }
}
