//! For tests of steps and pipelines: virtual time, contexts for plain calls of steps, and faults that are aimed.
//!
//! * [`VirtualClock`] follows tokio's paused time, so that a test of hours takes milliseconds.
//! * [`ForTest`] gives a step a context without an engine: a step is an ordinary function in a unit test.
//! * [`FaultStore`] wraps a store and fails, or stops, exactly where it is aimed, and tells whether it did.
#![deny(missing_docs)]

mod clock;
mod context;
mod fault;

pub use clock::VirtualClock;
pub use context::{ForTest, Recorded, TestContext};
pub use fault::{Aim, Call, Fault, FaultStore, Side};
