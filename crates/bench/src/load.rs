//! The load: runs of ten steps that do nothing.

use crate::BoxError;
use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};
use towpath::prelude::*;

/// Steps of one run.
pub(crate) const STEPS: usize = 10;

/// When bodies were entered, for the time between two steps of one run.
static ENTERED: Mutex<Vec<Instant>> = Mutex::new(Vec::new());

/// Takes what was recorded since the last call.
pub(crate) fn entered() -> Vec<Instant> {
    std::mem::take(&mut *ENTERED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Gives 256 bytes of JSON and does nothing.
#[step("bench.nothing/v1", observe = unknown)]
async fn nothing(_cx: &StepContext, before: String) -> Result<String, StepError> {
    ENTERED.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
    Ok(before)
}

async fn unknown(_cx: &StepContext, before: String) -> Result<Observed<String>, StepError> {
    Ok(Observed::Done(before))
}

/// The kinds of the load.
pub(crate) fn kinds() -> Steps {
    steps![nothing]
}

/// A chain of ten steps; each hands 256 bytes of JSON on.
pub(crate) fn plan() -> Result<Plan, BoxError> {
    let p = Pipeline::new("bench");
    let text = "x".repeat(254);
    let mut last = p.step("step-0", nothing::of(text));
    for i in 1..STEPS {
        last = p.step(&format!("step-{i}"), nothing::of(&last));
    }
    Ok(p.build()?.plan()?)
}
