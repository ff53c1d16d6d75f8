//! The proof that a crash loses nothing: a child that is killed where it is aimed, and a ledger outside of it.
//!
//! * [`ledger`]: a process of its own that appends one line for each effect and syncs it. It, and never the engine's
//!   journal, says what happened.
//! * [`plans`]: the sample plans, and the steps they are made of.
//! * [`child`]: the process that drives one run, and stops dead where it is told to.

pub mod child;
pub mod ledger;
pub mod plans;
