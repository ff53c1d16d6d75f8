//! What nearly every user of the library needs: `use towpath::prelude::*`.

pub use towpath_engine::{Engine, Run, Settled, Until};
pub use towpath_model::{Change, PlanPreview, RetryPolicy, RunKey};
pub use towpath_step::__private::derive::Step;
pub use towpath_step::{
    Approved, Before, Body, Compensate, Condition, Environment, Foresee, Handle, Input, IntoInput, Observe,
    Observed, Output, Params, Pipeline, Plan, PlanErrors, Preview, Provider, SecretRef, StepContext,
    StepError, Steps, Undo, Verified, params, step, steps, text,
};
#[cfg(feature = "stock")]
pub use towpath_steps as stock;
#[cfg(feature = "deploy")]
pub use towpath_steps::deploy::{
    BlueGreen, BuildImage, Canary, ErrorRate, Image, Inconclusive, Latency, Live, MakeRelease, Migrate,
    Promote, Release, Retire, Rollback, Rolling, ScanImage, Severity,
};
#[cfg(feature = "stock")]
pub use towpath_steps::{Approval, Calendar, Expired, Notify, Wait, Window};
#[cfg(all(feature = "stock", unix))]
pub use towpath_steps::{Argv, Command, ExitCodes};
#[cfg(feature = "http")]
pub use towpath_steps::{HttpCall, HttpCheck, HttpProbe, HttpRequest};

/// This many milliseconds.
pub fn millis(n: u64) -> std::time::Duration {
    std::time::Duration::from_millis(n)
}

/// This many seconds.
pub fn seconds(n: u64) -> std::time::Duration {
    std::time::Duration::from_secs(n)
}

/// This many minutes.
pub fn minutes(n: u64) -> std::time::Duration {
    std::time::Duration::from_secs(n * 60)
}

/// This many hours.
pub fn hours(n: u64) -> std::time::Duration {
    std::time::Duration::from_secs(n * 3_600)
}
