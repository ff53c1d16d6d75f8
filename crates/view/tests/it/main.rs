//! Pictures, differences, lint, estimates, scripts and schemas of plans.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;
mod diffs;
mod ejects;
mod estimates;
mod lints;
mod page;
mod pictures;
mod schemas;
