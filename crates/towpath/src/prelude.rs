//! What nearly every user of the library needs: `use towpath::prelude::*`.

pub use towpath_engine::{Engine, Run, Settled, Until};
pub use towpath_model::{RetryPolicy, RunKey};
pub use towpath_step::{
    Condition, Handle, Input, IntoInput, Observed, Output, Params, Pipeline, Plan, PlanErrors, Provider,
    SecretRef, Step, StepContext, StepError, Steps, Undo, params, step, steps,
};

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
