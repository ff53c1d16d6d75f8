//! What differs between two plans.

mod facets;
mod text;
mod value;

pub use value::{Change, PlanDiff, Side, StepDiff, What, diff};
