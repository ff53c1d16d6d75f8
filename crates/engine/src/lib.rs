//! Towpath's engine: drives runs on tokio.
//!
//! An [`Engine`] is a value: made with [`Engine::open`], cheap to clone, and two in one process are fine. It starts runs
//! of plans, takes up whatever of its store has something to do and nobody drives, enters the bodies of steps, and
//! journals what becomes of them. It alone spawns tasks that belong to a run.
//!
//! ```
//! use towpath_engine::{Engine, Settled};
//! use towpath_step::{Pipeline, StepContext, StepError, step, steps};
//! # extern crate towpath_step as towpath;
//!
//! #[step("demo.build/v1", idempotent)]
//! async fn build(cx: &StepContext, commit: String) -> Result<String, StepError> {
//!     cx.log(format!("building {commit}"));
//!     Ok(format!("registry.example/shop:{commit}"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let p = Pipeline::new("checkout");
//! let image = p.step("build", build::of("4f2c"));
//! let plan = p.output(&image).build()?.plan()?;
//!
//! let engine = Engine::open("memory:").steps(steps![build]).start().await?;
//! // Starting again with the same key is the same run.
//! let run = engine.run(plan.clone(), "checkout@4f2c").await?;
//! assert_eq!(engine.run(plan, "checkout@4f2c").await?.id(), run.id());
//! assert_eq!(run.settled().await?, Settled::Succeeded("registry.example/shop:4f2c".to_owned()));
//! engine.shutdown().await?;
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs)]

mod again;
pub mod archive;
mod beat;
mod body;
mod builder;
mod config;
mod drive;
mod driver;
mod engine;
mod error;
mod evidence;
mod explain;
mod fold;
mod freeze;
mod health;
mod hex;
mod host;
mod lease;
mod mailbox;
mod note;
mod open;
mod os_user;
mod pipelines;
mod plans;
mod post;
mod preview;
mod quarantine;
mod reconcile;
mod redact;
mod resting;
mod retain;
mod run;
mod runs;
#[cfg(feature = "schedule")]
mod schedule;
mod secrets;
mod settled;
mod shared;
mod side;
mod signer;
#[cfg(test)]
#[path = "../../model/src/snapshot.rs"]
mod snapshot;
mod start;
mod take_up;
mod tally;
mod time;
mod updates;
mod values;
pub mod verify;

pub use async_trait::async_trait;
pub use builder::Builder;
pub use drive::{DriveReport, Until};
pub use engine::Engine;
pub use error::{EngineError, EngineErrorKind};
pub use explain::held_by;
pub use freeze::{Freeze, Frozen, freeze, freezes, thaw};
pub use health::Health;
pub use os_user::os_user;
pub use redact::redact;
pub use retain::{Kept, Removed, Retained, Retention};
pub use run::Run;
#[cfg(feature = "schedule")]
pub use schedule::{Act, Missed, Overlap, Schedule, ScheduleRow, Schedules, Skipped, Ticked};
pub use secrets::{EnvSecrets, SecretSource};
pub use settled::Settled;
pub use signer::Signer;
#[cfg(feature = "sign")]
pub use signer::{KeyError, Keys, LocalKey};
pub use start::{IntoRunKey, Start};
pub use towpath_machine::Explanation;
pub use towpath_store::{Cursor, Filter, LockRow, Page, RunRow};
pub use updates::{Update, Updates};
