//! Driving one run.
//!
//! A [`Driver`] is a task that owns all there is of a run in memory: its state, the head of its chain, its bodies. It
//! is told what happens through its mailbox, turns it into events, writes them in one transition with everything that
//! follows, and only then does what follows. While a commit is under way, messages queue.
//!
//! Invariants:
//!
//! * nothing is done before the transition that holds its intent is durable;
//! * a journal that cannot be written holds everything, and ends nothing;
//! * without the lease nothing is written, and every body is dropped.

mod actions;
mod commit;
mod core;
mod draft;
mod family;
mod inputs;
mod leave;
mod rest;

pub(crate) use self::commit::{engine_actor, lock_changes};
pub(crate) use self::core::{Begin, Driver};
pub(crate) use self::family::{order_entry, report};
