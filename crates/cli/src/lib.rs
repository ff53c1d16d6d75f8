#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod again;
mod app;
mod archive;
mod args;
mod attempt;
mod backup;
mod cx;
mod document;
mod evidence;
mod explain;
mod fault;
mod find;
#[cfg(test)]
mod fixture;
mod freeze;
mod ids;
mod init;
mod items;
mod journal;
mod launch;
mod live;
mod locks;
mod open;
mod out;
mod picture;
mod plan;
mod redact;
mod retain;
mod rollback;
mod runs;
mod schedule;
pub mod screen;
mod send;
mod setup;
mod show;
mod start;
mod steps;
mod story;
mod summary;
mod tick;
mod values;
mod verify;
mod watch;
mod when;

pub use app::{App, code_of, main, main_of, run};
pub use picture::Picture;
pub use setup::Ready;
