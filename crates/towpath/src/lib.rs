//! Deployment workflows as a library: typed, composable steps on a durable state machine, embedded in your own program.
//!
//! * **Nothing is lost.** Kill the process anywhere; started again, the deployment goes on from there.
//! * **Nothing is done twice by accident.** A step's intent is journaled before its effect; after a crash in between,
//!   the world is asked what happened.
//! * **Everything can be undone.** Undoing is part of a step, is durable itself, and also covers steps that may have
//!   happened.
//! * **A plan is data.** It is checked, hashed and seen before it runs.
//!
//! # A pipeline
//!
//! ```
//! use towpath::prelude::*;
//!
//! #[derive(serde::Serialize, serde::Deserialize, Output)]
//! pub struct Image { pub digest: String }
//!
//! #[step("shop.build/v1", idempotent)]
//! async fn build(_cx: &StepContext, commit: String) -> Result<Image, StepError> {
//!     Ok(Image { digest: format!("sha256:{commit}") })
//! }
//!
//! #[step("shop.smoke/v1", no_effect)]
//! async fn smoke(_cx: &StepContext, digest: String) -> Result<bool, StepError> {
//!     Ok(digest.starts_with("sha256:"))
//! }
//!
//! fn checkout() -> Result<Pipeline<bool>, PlanErrors> {
//!     let p = Pipeline::new("checkout");
//!     let commit = p.param::<String>("commit");
//!     let image = p.step("build", build::of(&commit));
//!     let ok = p.step("smoke", smoke::of(&image.digest));
//!     p.output(&ok).build()
//! }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let plan = checkout()?.with(params! { commit: "4f2c" })?;
//! assert_eq!(plan.pipeline(), "checkout");
//! # Ok(())
//! # }
//! ```
//!
//! # Where things are
//!
//! | Crate | What |
//! |---|---|
//! | this one | the door: re-exports and the [`prelude`] |
//! | [`step`](mod@model) and the macros | what authors of steps and pipelines use; at the root of this crate |
//! | [`stock`] | the stock steps: commands, approvals, waits; feature `stock`, on by default; with `http` also calls and checks |
//! | [`engine`] | drives runs on tokio |
//! | [`machine`] | the pure state machine |
//! | [`store`] | where journals live |
//! | [`model`] | what is stored |
//! | [`provider`] | the traits of outside systems |
//! | `oci`, `osv`, `sql`, `local` | providers of real systems, each behind a feature of that name |
//! | [`view`] | what can be seen of a plan: pictures, differences, lint |
#![deny(missing_docs)]

pub use towpath_engine as engine;
pub use towpath_machine as machine;
pub use towpath_model as model;
pub use towpath_provider as provider;
#[cfg(feature = "oci")]
pub use towpath_provider_oci as oci;
#[cfg(feature = "osv")]
pub use towpath_provider_osv as osv;
#[cfg(feature = "sql")]
pub use towpath_provider_sql as sql;
#[cfg(feature = "stock")]
pub use towpath_steps as stock;
pub use towpath_store as store;
#[cfg(feature = "sqlite")]
pub use towpath_store_sqlite as store_sqlite;
pub use towpath_view as view;

#[doc(hidden)]
pub use towpath_step::__private;
pub use towpath_step::*;

pub use towpath_engine::{
    Builder, DriveReport, Engine, EngineError, EngineErrorKind, EnvSecrets, Explanation, Health, IntoRunKey,
    Run, SecretSource, Settled, Start, Until, Update, Updates, held_by, os_user,
};

#[cfg(feature = "local")]
pub mod local;
pub mod prelude;
