//! What is doubtful in a plan.
//!
//! A plan that is wrong is refused when it is built. What is found here is lawful, and likely to hurt: each rule says
//! why, and what to do. A caller that knows better allows a rule, for the whole plan or for one step.

mod allow;
mod find;
mod graph_rules;
mod rules;
mod text_rules;

pub use allow::{Allow, AllowError};
pub use find::{Finding, lint};
pub use rules::{RULES, Rule, Severity};
