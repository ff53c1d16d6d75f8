//! The steps that roll releases out, on an engine in virtual time and a cluster in memory.
#![cfg(feature = "deploy")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

extern crate towpath_step as towpath;

mod crash;
mod faults;
mod others;
mod rollouts;
mod scene;
mod steps;
mod stored;
