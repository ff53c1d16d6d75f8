//! Towpath's pure state machine: what a run is, and what it does next.
//!
//! A run's state is the fold of its events and nothing else. Three functions make a run go:
//!
//! * [`RunState::take`] turns what came from outside (a body ended, a signal came) into events;
//! * [`RunState::apply`] folds an event into the state;
//! * [`RunState::decide`] says what follows: further events, and actions to be done once they are durable.
//!
//! Nothing here has a clock, randomness, async or I/O; the time now is an argument. A driver journals the events in one
//! transition, and only then does the actions: intent before effect.
//!
//! [`check()`] finds everything that is wrong with a plan at once, and [`Plan`] is a plan made ready to be driven.
#![deny(missing_docs)]

mod accept;
mod apply;
mod check;
mod condition;
mod decide;
mod explain;
mod inbox;
mod io;
mod items;
mod jitter;
mod locks;
mod node;
mod plan;
mod sections;
mod settle;
#[cfg(test)]
mod sim;
mod state;
mod state_of;
mod status;
mod steps;
#[cfg(test)]
mod tests;
mod transitions;
mod unwind;
mod verbs;
mod work;

pub use apply::{Corrupt, CorruptKind};
pub use check::{Problem, Problems, check};
pub use condition::holds;
pub use explain::{Explanation, Mover, Wait};
pub use io::{Action, BodyEnd, Decision, Input, Observation, UndoEnd};
pub use items::{
    Foreseen, ItemStart, ItemState, Items, Listed, Ordered, Seen, foresee_items, list_items, read_items,
};
pub use jitter::full_jitter;
pub use locks::{LockHold, LockStateKind};
pub use node::{Node, Waiting};
pub use plan::{ForEach, Ix, Plan};
pub use state::{Leaving, Phase, RunState};
pub use state_of::{Rest, StepState, StepStateKind, UndoState, UndoStateKind};
pub use transitions::{LOCK_MOVES, Move, PHASE_MOVES, STEP_MOVES, UNDO_MOVES};
