//! A plan for examples.

/// The record of a pipeline with a bit of everything, as JSON: what the examples of this crate look at.
pub const PLAN: &str = include_str!("../samples/checkout.json");
