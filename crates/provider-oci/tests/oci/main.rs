//! Images, as whoever uses the crate sees them.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

mod build;
mod hand;
mod layout;
mod unpack;
