//! How long a plan may take, by what its steps took before, and what it may touch.

mod blast;
mod past;
mod schedule;
mod text;

pub use blast::Blast;
pub use past::{Estimate, Leg, PastRun, Span, Took, estimate};
