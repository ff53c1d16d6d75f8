#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod diff;
pub mod doc;
mod dot;
mod eject;
mod estimate;
mod fields;
mod flowchart;
mod graph;
mod label;
mod lint;
mod marks;
mod mermaid;
mod nature;
mod overlay;
mod paint;
mod svg;
mod tree;
mod view;
mod words;

pub use diff::{Change, PlanDiff, Side, StepDiff, What, diff};
pub use eject::{eject, quote};
pub use estimate::{Blast, Estimate, Leg, PastRun, Span, Took, estimate};
pub use lint::{Allow, AllowError, Finding, RULES, Rule, Severity, lint};
pub use overlay::{Overlay, Seen, Standing};
pub use paint::{Look, Tone};
pub use view::PlanView;
