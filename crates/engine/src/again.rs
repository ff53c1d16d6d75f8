//! Doing again what a run did.

use crate::{Engine, EngineError, EngineErrorKind, IntoRunKey, Start, engine::find, fold, shared::Shared};
use std::collections::BTreeMap;
use towpath_model::{Json, RunId, RunStarted, SavedPlan};
use towpath_step::Plan;

const OPERATION: &str = "read the plan of a run";

/// Labels that say how a run came about, and nothing of what it is about.
const OF_THE_START: [&str; 4] = ["again", "despite-freeze", "schedule", "tick"];

impl Engine {
    /// The plan that a run was started with, and its values, from its journal.
    ///
    /// # Errors
    /// When there is no such run, it is an item of another, or its journal cannot be read.
    pub async fn plan_of(&self, run: RunId) -> Result<Plan<Json>, EngineError> {
        read(self.shared(), run).await.map(|(plan, _)| plan)
    }

    /// A start of the plan of a run, with its values, under another key: whatever became of that run. The new run has its
    /// labels, and `again` with its id.
    ///
    /// ```
    /// # use towpath_engine::{Engine, Settled};
    /// # use towpath_step::{Pipeline, StepContext, StepError, step, steps};
    /// # extern crate towpath_step as towpath;
    /// # #[step("demo.greet/v1", no_effect)]
    /// # async fn greet(_cx: &StepContext, name: String) -> Result<String, StepError> { Ok(name) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let p = Pipeline::new("greetings");
    /// # let greeting = p.step("greet", greet::of("world"));
    /// # let plan = p.output(&greeting).build()?.plan()?;
    /// # let engine = Engine::open("memory:").steps(steps![greet]).start().await?;
    /// let run = engine.run(plan, "first").await?;
    /// let again = engine.again(run.id(), "second").await?.reason("once more").await?;
    /// assert_ne!(again.id(), run.id());
    /// # engine.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`plan_of`](Self::plan_of); what the start needs is checked when it is awaited.
    pub async fn again(&self, run: RunId, key: impl IntoRunKey) -> Result<Start<Json>, EngineError> {
        let (plan, started) = read(self.shared(), run).await?;
        let start = self.run(plan, key).label("again", run.to_string());
        let labels: BTreeMap<String, String> = started.labels;
        let kept = labels.into_iter().filter(|(label, _)| !OF_THE_START.contains(&label.as_str()));
        Ok(kept.fold(start, |start, (label, value)| start.label(label, value)))
    }
}

/// The plan of a run and what it was started with.
async fn read(shared: &Shared, run: RunId) -> Result<(Plan<Json>, RunStarted), EngineError> {
    let row = find(shared, OPERATION, run).await?;
    if let Some(parent) = row.parent {
        let item = EngineError::new(EngineErrorKind::Refused, OPERATION).with("run", run);
        return Err(item.with("why", format!("it is an item of run {parent}: do that one again")));
    }
    let corrupt = |why: Box<dyn std::error::Error + Send + Sync>| {
        EngineError::new(EngineErrorKind::Corrupt, OPERATION).with("run", run).because(why)
    };
    let (started, record) = fold::begun(shared, run, row.no).await.map_err(|e| corrupt(e.into()))?;
    let saved = SavedPlan::of(record, started.values.clone()).map_err(|e| corrupt(e.into()))?;
    let plan = Plan::of_saved(saved).map_err(|e| corrupt(e.into()))?;
    if plan.hash() != started.plan_hash {
        return Err(corrupt("its plan is not the one that its first event names".into()));
    }
    Ok((plan, started))
}
