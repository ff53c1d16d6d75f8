//! The rules that the engine keeps, each by name.

#![allow(clippy::unwrap_used, reason = "these are tests")]

extern crate towpath_step as towpath;

mod common;

mod chaos;
mod doubt;
mod ends;
#[cfg(feature = "sign")]
mod evidence;
mod faults;
mod follow;
mod freezes;
mod inbox;
mod items;
mod leases;
mod locks;
mod pipelines;
mod preview;
mod preview_items;
mod quarantine;
mod recalls;
mod retain;
mod runs;
#[cfg(feature = "schedule")]
mod schedules;
mod secrets;
mod sends;
#[cfg(feature = "sqlite")]
mod sqlite;
mod unwinding;
mod waits;
