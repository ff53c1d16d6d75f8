#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod app;
mod args;
mod cx;
mod document;
mod explain;
mod fault;
mod find;
#[cfg(test)]
mod fixture;
mod journal;
mod open;
mod out;
mod runs;
mod send;
mod setup;
mod show;
mod steps;
mod story;
mod summary;
mod tick;
mod verify;
mod watch;
mod when;

pub use app::{App, main, run};
pub use setup::Ready;
