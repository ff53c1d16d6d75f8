//! A run, as a value that users hold.

use crate::{
    Engine, EngineError, EngineErrorKind, Settled, Updates,
    engine::find,
    explain::explain,
    resting::{Resting, resting_items},
    runs::{View, Watch},
    settled,
    shared::{Phase, Shared},
};
use serde::de::DeserializeOwned;
use std::{fmt, marker::PhantomData, sync::Arc};
use tokio::sync::watch;
use towpath_machine::Explanation;
use towpath_model::{RunId, RunNo, Status};
use towpath_store::RunRow;

const WAIT: &str = "wait for a run";

/// A run whose pipeline gives back an `Out`. A handle: the run goes on when it is dropped.
///
/// It holds its engine: as long as there is a handle, the engine drives its runs.
///
/// ```
/// use towpath_engine::{Engine, Settled};
/// use towpath_step::{Pipeline, StepContext, StepError, step, steps};
/// # extern crate towpath_step as towpath;
///
/// #[step("demo.gate/v1", no_effect)]
/// async fn gate(cx: &StepContext) -> Result<String, StepError> {
///     cx.signal("go").await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let p = Pipeline::new("gated");
/// let went = p.step("gate", gate::of());
/// let plan = p.output(&went).build()?.plan()?;
///
/// let engine = Engine::open("memory:").steps(steps![gate]).start().await?;
/// let run = engine.run(plan, "first").label("owner", "shop").await?;
/// run.signal("go", "on a Tuesday").await?;
/// assert_eq!(run.settled().await?, Settled::Succeeded("on a Tuesday".to_owned()));
/// # engine.shutdown().await?;
/// # Ok(())
/// # }
/// ```
pub struct Run<Out = ()> {
    pub(crate) engine: Engine,
    pub(crate) id: RunId,
    pub(crate) no: RunNo,
    pub(crate) watch: Arc<Watch>,
    output: PhantomData<fn() -> Out>,
}

impl<Out> Run<Out> {
    pub(crate) fn new(engine: Engine, id: RunId, no: RunNo) -> Self {
        let watch = engine.shared().runs.watch(id);
        Run { engine, id, no, watch, output: PhantomData }
    }

    pub(crate) fn of(engine: Engine, row: &RunRow) -> Self {
        Run::new(engine, row.run, row.no)
    }

    /// Its id.
    pub fn id(&self) -> RunId {
        self.id
    }

    /// The engine that this handle goes through.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its row: where it stands, with labels and times.
    ///
    /// # Errors
    /// When the store cannot tell.
    pub async fn row(&self) -> Result<RunRow, EngineError> {
        find(self.engine.shared(), "look at a run", self.id).await
    }

    /// Why it does not move, and who can move it.
    ///
    /// # Errors
    /// When the store cannot tell, or the journal cannot be folded.
    pub async fn explain(&self) -> Result<Explanation, EngineError> {
        self.engine.explain(self.id).await
    }

    /// What is journaled of it, from its first event on, and what comes as it comes.
    pub fn events(&self) -> Updates {
        Updates::new(&self.engine, self.id, self.no)
    }
}

impl<Out: DeserializeOwned> Run<Out> {
    /// Returns when the run is over, or when an operator has to decide: about the run, or about one of its items while no
    /// other moves. A run that waits is neither.
    ///
    /// # Errors
    /// When the store cannot tell, the output is not an `Out`, or the engine was shut down before the run was over.
    ///
    /// # Cancel safety
    /// Safe to drop.
    pub async fn settled(&self) -> Result<Settled<Out>, EngineError> {
        let shared = self.engine.shared();
        let (mut views, mut changes) = (self.watch.subscribe(), shared.changes());
        loop {
            let view = views.borrow_and_update().clone();
            changes.mark_unchanged();
            if let Some(outcome) = &view.outcome {
                return settled::read(shared, outcome).await;
            }
            // A run that is driven here tells everything. Of any other, and of one that may be stuck, the row tells.
            let tells = view.here && !matches!(view.status, Some(Status::Stuck | Status::Quarantined) | None);
            if !tells {
                let row = find(shared, WAIT, self.id).await?;
                if let Some(outcome) = &row.listing.outcome {
                    return settled::read(shared, outcome).await;
                }
                if matches!(row.listing.status, Status::Stuck | Status::Quarantined) {
                    return Ok(Settled::Stuck(explain(shared, &row).await?));
                }
                let items = resting_items(shared, &row).await;
                let items = items.map_err(|e| EngineError::store(WAIT, e).with("run", self.id))?;
                if items.is_some_and(Resting::is_stuck) {
                    return Ok(Settled::Stuck(explain(shared, &row).await?));
                }
            }
            if shared.phase() == Phase::Stopped {
                return Err(EngineError::new(EngineErrorKind::Stopped, WAIT).with("run", self.id));
            }
            next(shared, &mut views, &mut changes, view.here).await;
        }
    }
}

/// Returns when there may be news of a run, or the engine stops.
pub(crate) async fn next(
    shared: &Shared,
    views: &mut watch::Receiver<View>,
    changes: &mut watch::Receiver<u64>,
    here: bool,
) {
    let mut phases = shared.phases();
    // The senders live as long as the handle that waits, so that waiting cannot fail.
    tokio::select! {
        _ = views.changed() => {}
        _ = changes.changed(), if !here => {}
        _ = phases.wait_for(|phase| *phase == Phase::Stopped) => {}
    }
}

impl<Out> Clone for Run<Out> {
    fn clone(&self) -> Self {
        let (engine, watch) = (self.engine.clone(), self.watch.clone());
        Run { engine, id: self.id, no: self.no, watch, output: PhantomData }
    }
}

impl<Out> fmt::Debug for Run<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Run({})", self.id)
    }
}
