//! Pipelines: what an author writes, checked as a whole and frozen.

mod build;
mod draft;
mod encode;
mod guard;
mod locks;
mod nest;
mod params;
mod plan;
mod problem;
mod saved;
mod shown;
mod state;
mod thaw;
mod windows;
mod within;

pub use draft::Draft;
pub use params::ParamValue;
pub use params::Params;
pub use plan::{Pipeline, Plan};
pub use problem::{PlanErrors, PlanProblem};
pub use saved::{PlanFileError, PlanFileErrorKind};
pub(crate) use state::{Detail, State, blank};
pub use within::{EachOutput, ItemName};

use std::time::Duration;

/// Whole milliseconds, rounded up so that a short time does not become none, and held to what plans can store.
pub(crate) fn millis(time: Duration) -> u64 {
    let ms = time.as_nanos().div_ceil(1_000_000);
    u64::try_from(ms).unwrap_or(u64::MAX).min(1 << 53)
}
