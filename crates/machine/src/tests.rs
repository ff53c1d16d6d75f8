//! The rules that a run keeps, each as a test with the rule as its name.

mod cost;
mod coverage;
mod doubt;
mod explanations;
mod fuzz;
mod items;
mod limits;
mod locks;
mod recalls;
mod rules;
mod skips;
mod unwinding;
mod verbs;
mod waits;
