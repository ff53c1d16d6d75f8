//! The stock steps: what a pipeline is made of before anybody writes a step of their own.
//!
//! | Step | What it does | In doubt |
//! |---|---|---|
//! | [`Command`] | runs a program, or a script when a shell is asked for | as its author says; by default an operator is asked |
//! | [`Approval`] | asks people, and gives an `Approved` of what they were asked about | changes nothing |
//! | [`Wait`] | waits for a time or a signal | changes nothing |
//! | [`Notify`] | tells people something | tells it again |
//!
//! [`steps`] registers them all. What each does in every case is in the book, under *stock steps*.
#![deny(missing_docs)]

mod approval;
#[cfg(unix)]
mod command;
mod notify;
#[cfg(unix)]
mod process;
mod registry;
mod wait;

pub use approval::{Approval, Expired};
#[cfg(unix)]
pub use command::{Argv, Command, CommandOutput, ExitCodes, IntoArgv};
pub use notify::Notify;
pub use registry::steps;
pub use wait::{Wait, WaitEnd};
