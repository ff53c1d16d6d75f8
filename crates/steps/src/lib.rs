//! The stock steps: what a pipeline is made of before anybody writes a step of their own.
//!
//! | Step | What it does | In doubt |
//! |---|---|---|
//! | [`Command`] | runs a program, or a script when a shell is asked for | as its author says; by default an operator is asked |
//!
//! [`steps`] registers them all. What each does in every case is in the book, under *stock steps*.
#![deny(missing_docs)]

#[cfg(unix)]
mod command;
#[cfg(unix)]
mod process;
mod registry;

#[cfg(unix)]
pub use command::{Argv, Command, CommandOutput, ExitCodes, IntoArgv};
pub use registry::steps;
