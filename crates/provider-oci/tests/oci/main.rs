//! Images, as whoever uses the crate sees them.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

mod build;
#[cfg(feature = "registry")]
mod contract;
mod hand;
mod layout;
#[cfg(feature = "registry")]
mod proxy;
#[cfg(feature = "registry")]
mod registry;
#[cfg(feature = "registry")]
mod server;
mod unpack;
