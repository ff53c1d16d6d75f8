//! Releases on one machine, with real processes: the supervisor, the service of `examples/instance.rs`, and clients.
#![expect(clippy::unwrap_used, reason = "tests, and the helpers that only they use")]

mod chaos;
mod contract;
mod failures;
mod http;
mod images;
mod killed;
mod load;
mod prometheus;
mod proxy;
mod relay;
mod world;
