//! What an author of Towpath steps and pipelines needs.
#![deny(missing_docs)]

#[doc(hidden)]
pub mod __private;
mod context;
mod erased;
mod error;
mod finite;
mod handle;
pub mod host;
mod input;
mod output;
mod pipeline;
mod providers;
mod scrub;
mod secret;
mod step;
mod steps;

pub use context::{Signal, SignalWithin, Sleep, StepContext};
pub use erased::{ErasedStep, Observed, Undo, UndoEnded};
pub use error::StepError;
pub use handle::{Condition, Handle, Ordered};
pub use input::{Input, IntoInput, Reads};
pub use output::Output;
pub use pipeline::{Draft, Params, Pipeline, Plan, PlanErrors, PlanProblem};
pub use providers::{Need, Offers, Provider, Providers};
pub use scrub::Scrubber;
pub use secret::{SecretRef, SecretValue};
pub use step::Step;
pub use steps::{DecodeError, StepKind, Steps, StepsProblem};
pub use towpath_model as model;
pub use towpath_step_macros::{Output, Provider, step};
