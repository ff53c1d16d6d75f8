//! What an author of Towpath steps and pipelines needs.
//!
//! # A step
//!
//! A step is an async fn with a decorator. It stays an ordinary fn, to be called so in a unit test; beside it comes the
//! step of the same name that a pipeline places.
//!
//! ```
//! # extern crate towpath_step as towpath;
//! use serde::{Deserialize, Serialize};
//! use towpath_step::{Output, StepContext, StepError, step};
//!
//! #[derive(Serialize, Deserialize, Output)]
//! pub struct Report { pub critical: u32 }
//!
//! #[step("shop.scan/v1", no_effect)]
//! pub async fn scan(cx: &StepContext, digest: String) -> Result<Report, StepError> {
//!     cx.log(format_args!("scanning {digest}"));
//!     Ok(Report { critical: 0 })
//! }
//! ```
//!
//! * [`#[step]`](macro@step) has every word that the decorator takes: what to do in doubt, how to look, how to undo.
//! * [`StepContext`] is what a body sees of the engine: keys, checkpoints, durable waits, providers, secrets.
//! * [`StepError`] carries the class of a failure, on which everything that follows hangs.
//! * [`#[derive(Step)]`](macro@Step) makes a struct a step, with a constructor and setters.
//! * [`Step`](trait@Step) is the trait behind it, for a step that is written by hand.
//!
//! # A pipeline
//!
//! Placing a step gives a [`Handle`] to its output, whose fields are handles too. Giving a handle to a step is an edge of
//! the graph; comparing one makes a [`Condition`]. What comes out is data: a [`Plan`] that is checked as a whole, hashed
//! and stored before it runs.
//!
//! ```
//! # extern crate towpath_step as towpath;
//! # use serde::{Deserialize, Serialize};
//! # use towpath_step::{Output, Pipeline, PlanErrors, StepContext, StepError, params, step};
//! # #[derive(Serialize, Deserialize, Output)] pub struct Report { pub critical: u32 }
//! # #[step("shop.scan/v1", no_effect)]
//! # async fn scan(_cx: &StepContext, digest: String) -> Result<Report, StepError> { Ok(Report { critical: 0 }) }
//! # #[step("shop.promote/v1", idempotent)]
//! # async fn promote(_cx: &StepContext, digest: String) -> Result<(), StepError> { Ok(()) }
//! fn release() -> Result<Pipeline<Report>, PlanErrors> {
//!     let p = Pipeline::new("release");
//!     let digest = p.param::<String>("digest");
//!     let report = p.step("scan", scan::of(&digest));
//!     p.step("promote", promote::of(&digest)).when(report.critical.is(0));
//!     p.output(&report).build()
//! }
//!
//! let plan = release()?.with(params! { digest: "sha256:4f2c" })?;
//! # let _ = plan;
//! # Ok::<(), PlanErrors>(())
//! ```
//!
//! # What this crate does not do
//!
//! It runs nothing: it has no clock, no async runtime and no I/O but for [the file of a plan](Plan::save). An engine gives a body its context through [`host`], and
//! finds the step behind a stored kind in [`Steps`], which knows what it was given and nothing else.
//!
//! # Crates of steps
//!
//! A crate that depends on this one alone, and not on the facade `towpath`, tells the macros so. Either each of them, by
//! `crate = towpath_step`, or all at once, at its root: `extern crate towpath_step as towpath;`.
#![deny(missing_docs)]

#[doc(hidden)]
pub mod __private;
mod alone;
mod body;
mod context;
mod environment;
mod erased;
mod error;
mod finite;
mod fits;
mod gate;
mod handle;
mod home;
pub mod host;
mod input;
mod late;
mod output;
mod pipeline;
mod preview;
mod providers;
mod schema;
mod scrub;
mod secret;
mod step;
mod steps;

pub use body::{Before, Body, Claims, Compensate, Declares, Foresee, Observe, Preview};
pub use context::{RunFailure, Signal, SignalWithin, Sleep, StepContext};
pub use environment::{Claim, Environment, Times};
pub use erased::{ErasedStep, Observed, Undo, UndoEnded};
pub use error::StepError;
pub use gate::{Approved, ApprovedFields, Gate, Verified, VerifiedFields, Voice};
pub use handle::{Condition, Handle, Ordered};
pub use input::{Input, IntoInput, Reads, Text, TextPart};
pub use late::{LateBody, LateField, LateKind};
pub use output::Output;
pub use pipeline::{
    Draft, EachOutput, ItemName, ParamValue, Params, Pipeline, Plan, PlanErrors, PlanFileError,
    PlanFileErrorKind, PlanProblem,
};
#[doc(hidden)]
pub use preview::builtin;
pub use providers::{Need, Offering, Offers, Provider, Providers};
pub use scrub::Scrubber;
pub use secret::{SecretRef, SecretValue};
pub use step::{Declared, Step};
pub use steps::{DecodeError, StepKind, Steps, StepsProblem};
pub use towpath_model as model;
#[doc(inline)]
pub use towpath_step_macros::{Output, Provider, Step, step, text};
