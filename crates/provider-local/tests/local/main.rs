//! Releases on one machine, with real processes: the supervisor, the service of `examples/service.rs`, and clients.
#![expect(clippy::unwrap_used, reason = "tests, and the helpers that only they use")]

mod contract;
mod http;
mod killed;
mod relay;
mod world;
