//! For tests of steps and pipelines: virtual time, contexts for plain calls of steps, and faults that are aimed.
//!
//! * [`VirtualClock`] follows tokio's paused time, so that a test of hours takes milliseconds.
//! * [`ForTest`] gives a step a context without an engine: a step is an ordinary function in a unit test.
//! * [`FakeCluster`] runs releases, sends traffic to them and counts it, all of it in memory and in virtual time.
//! * [`FaultStore`] wraps a store and fails, or stops, exactly where it is aimed, and tells whether it did.
#![deny(missing_docs)]

mod clock;
mod cluster;
mod context;
mod fault;

pub use clock::VirtualClock;
pub use cluster::{CallFault, FakeCluster, Script};
pub use context::{ForTest, Recorded, TestContext};
pub use fault::{Aim, Call, Fault, FaultStore, Side};
