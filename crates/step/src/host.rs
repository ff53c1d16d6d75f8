//! What an engine gives to a step while it runs, and gets from it. Authors of steps do not need this module.

use crate::{Providers, RunFailure, SecretValue, StepError};
use async_trait::async_trait;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use towpath_model::{Attempt, Json, KeyPhase, Name, PlanPreview, RunId, StepId, Timestamp};

/// Everything about one entry of a body that is known when it begins.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The run.
    pub run: RunId,
    /// The step's path.
    pub step: StepId,
    /// The attempt.
    pub attempt: Attempt,
    /// Whether the step's work is entered, or its compensation.
    pub phase: KeyPhase,
    /// How often an operator gave the step's effects new keys.
    pub generation: u32,
    /// The outputs that the step reads; one that was skipped is not there.
    pub outputs: Vec<(StepId, Json)>,
    /// The run's parameter values.
    pub params: Arc<BTreeMap<String, Json>>,
    /// The last checkpoint.
    pub checkpoint: Option<Json>,
    /// The before-image, once it was taken.
    pub before: Option<Json>,
    /// Why the run left its way, for the steps that have their turn after that.
    pub failure: Option<Arc<RunFailure>>,
    /// The providers that the engine has, by trait and name.
    pub providers: Providers,
    /// The locks that are held for the step, each with its fencing number.
    pub fencing: BTreeMap<Name, u64>,
}

/// A durable wait that a body asks for.
#[derive(Clone, Debug)]
pub struct WaitAsk {
    /// Its name, unique in the step.
    pub name: Name,
    /// How long it lasts at most, from the first time it was asked for; for ever, for a signal without a limit.
    pub limit: Option<Duration>,
    /// The signal that ends it.
    pub signal: Option<Name>,
    /// A checkpoint to be saved in the same commit.
    pub checkpoint: Option<Json>,
}

/// How a wait ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Waited {
    /// Its time passed.
    TimeOver,
    /// The signal came, with this value.
    Signal(Json),
}

/// The engine, as a body sees it.
#[async_trait]
pub trait Host: Send + Sync {
    /// Journals a checkpoint; returns when it is durable.
    ///
    /// # Errors
    /// When it is above the limit, or cannot be written.
    async fn checkpoint(&self, value: Json) -> Result<(), StepError>;

    /// Begins a durable wait, or returns at once when the wait of that name is over. When it parks the body, it never
    /// returns: the body is dropped.
    ///
    /// # Errors
    /// When the step has too many waits, or asks for a wait of the same name with another signal.
    async fn wait(&self, ask: WaitAsk) -> Result<Waited, StepError>;

    /// The value of a secret, at the moment of use.
    ///
    /// # Errors
    /// When nobody knows it.
    async fn secret(&self, name: &str) -> Result<SecretValue, StepError>;

    /// Tells what these steps of the run's plan would change, from where the run and the world stand now.
    ///
    /// # Errors
    /// When this host knows no plan, or the steps are none of it.
    async fn preview(&self, steps: &[StepId]) -> Result<PlanPreview, StepError> {
        let _ = steps;
        Err(StepError::permanent("there is no plan here whose steps could be previewed"))
    }

    /// Adds lines to the step's log.
    fn log(&self, text: &str);

    /// Reports progress.
    fn progress(&self, percent: u8, message: &str);

    /// The time now, by the engine's clock.
    fn now(&self) -> Timestamp;

    /// Resolves when the step is asked to stop.
    async fn cancelled(&self);

    /// Whether the step was asked to stop.
    fn is_cancelled(&self) -> bool;
}
