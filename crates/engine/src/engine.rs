//! The engine, as a value that users hold.

use crate::{
    Builder, EngineError, EngineErrorKind, IntoRunKey, Run, evidence,
    explain::{self, explain},
    health::{self, Health},
    reconcile::wind_down,
    shared::{Phase, Shared},
};
use std::{fmt, sync::Arc};
use tokio::runtime::Handle;
use towpath_machine::Explanation;
use towpath_model::{IdError, Json, PipelineName, RunId, WorkerId};
use towpath_step::{Pipeline, Steps};
use towpath_store::{Filter, LockRow, Page, RunRow, Store};

/// Drives runs. A cheap handle: clones are the same engine, and the last one stops it.
///
/// ```
/// use towpath_engine::{Engine, Settled};
/// use towpath_step::{Pipeline, StepContext, StepError, step, steps};
/// # extern crate towpath_step as towpath;
///
/// #[step("demo.greet/v1", no_effect)]
/// async fn greet(_cx: &StepContext, name: String) -> Result<String, StepError> {
///     Ok(format!("hello {name}"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let p = Pipeline::new("greetings");
/// let greeting = p.step("greet", greet::of("world"));
/// let plan = p.output(&greeting).build()?.plan()?;
///
/// let engine = Engine::open("memory:").steps(steps![greet]).start().await?;
/// let run = engine.run(plan, "first").await?;
/// assert_eq!(run.settled().await?, Settled::Succeeded("hello world".to_owned()));
/// engine.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    runtime: Handle,
}

impl Drop for Inner {
    /// Nobody holds the engine any more: bodies are dropped and what they were is journaled, without a grace.
    fn drop(&mut self) {
        if self.shared.phase() == Phase::Open {
            let shared = self.shared.clone();
            self.runtime.spawn(async move {
                if let Err(error) = wind_down(&shared, false).await {
                    tracing::warn!(error = %error, "the worker could not be retired; its lease will expire");
                }
            });
        }
    }
}

impl Engine {
    /// An engine on the store at an address: `sqlite:deploys.db`, or `memory:` for tests.
    pub fn open(address: &str) -> Builder {
        Builder::at(address)
    }

    /// An engine on a store.
    pub fn builder(store: Arc<dyn Store>) -> Builder {
        Builder::of(store)
    }

    pub(crate) fn of(shared: Arc<Shared>) -> Self {
        Engine { inner: Arc::new(Inner { shared, runtime: Handle::current() }) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// The name under which the engine is registered. It changes when its lease was lost.
    pub fn worker(&self) -> WorkerId {
        self.shared().lease.worker()
    }

    /// The kinds of steps that the engine was given.
    pub fn steps(&self) -> &Steps {
        &self.shared().steps
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared().store
    }

    /// The pipeline of this name, when the engine [was given](Builder::pipelines) one.
    pub fn pipeline(&self, name: &str) -> Option<&Pipeline<Json>> {
        self.shared().pipelines.get(name)
    }

    /// The pipelines that the engine was given, by name.
    pub fn pipelines(&self) -> impl Iterator<Item = &Pipeline<Json>> {
        self.shared().pipelines.iter()
    }

    /// A run that was started earlier, here or elsewhere; `Out` is what its pipeline gives back, and
    /// [`Json`](towpath_model::Json) reads anything.
    ///
    /// # Errors
    /// When there is no such run.
    pub async fn attach<Out>(&self, run: RunId) -> Result<Run<Out>, EngineError> {
        let row = find(self.shared(), "attach to a run", run).await?;
        Ok(Run::of(self.clone(), &row))
    }

    /// The run that was started with this key of a pipeline, when there is one.
    ///
    /// # Errors
    /// When the name or the key is none, or the store cannot tell.
    pub async fn find(&self, pipeline: &str, key: impl IntoRunKey) -> Result<Option<RunRow>, EngineError> {
        const FIND: &str = "find a run by its key";
        let unfit = |e: IdError| EngineError::unfit(FIND, vec![e.to_string()]);
        let (pipeline, key) =
            (PipelineName::new(pipeline).map_err(unfit)?, key.into_run_key().map_err(unfit)?);
        self.shared().store.find_key(&pipeline, &key).await.map_err(|e| EngineError::store(FIND, e))
    }

    /// Runs, newest first, in pages.
    ///
    /// # Errors
    /// When the store cannot tell.
    pub async fn runs(&self, filter: &Filter, page: Page) -> Result<Vec<RunRow>, EngineError> {
        self.shared().store.list(filter, page).await.map_err(|e| EngineError::store("list runs", e))
    }

    /// Every lock that a run holds or waits for, in the order of their names.
    ///
    /// # Errors
    /// When the store cannot tell.
    pub async fn locks(&self) -> Result<Vec<LockRow>, EngineError> {
        self.shared().store.locks().await.map_err(|e| EngineError::store("list locks", e))
    }

    /// Why a run does not move, and who can move it.
    ///
    /// # Errors
    /// When there is no such run, or the store cannot tell.
    pub async fn explain(&self, run: RunId) -> Result<Explanation, EngineError> {
        let row = find(self.shared(), explain::OPERATION, run).await?;
        explain(self.shared(), &row).await
    }

    /// Anchors the heads that moved since the last anchor, now and not within a minute: before a process ends, before a
    /// copy is made. Nothing is done by an engine without a [signer](Builder::signer).
    ///
    /// # Errors
    /// When the store or the signer cannot.
    pub async fn anchor(&self) -> Result<(), EngineError> {
        let Some(signer) = &self.shared().signer else { return Ok(()) };
        let anchored = evidence::anchor(self.shared(), &**signer).await;
        anchored.map(drop).map_err(|e| EngineError::new(EngineErrorKind::Store, "anchor heads").because(e))
    }

    /// How the engine is.
    pub async fn health(&self) -> Health {
        health::health(self.shared()).await
    }

    /// Brings what runs to an end and stops the engine: bodies are asked to stop and have their grace, what they did is
    /// journaled, nothing new begins, and every lease is given back.
    ///
    /// # Errors
    /// When the store cannot be told; the leases will expire.
    pub async fn shutdown(&self) -> Result<(), EngineError> {
        let shared = self.shared();
        if shared.phase() == Phase::Open {
            wind_down(shared, true).await.map_err(|e| EngineError::store("shut the engine down", e))?;
            return self.anchor().await;
        }
        // Somebody else does it already. The sender lives as long as this handle, so that waiting cannot fail.
        let _ = shared.phases().wait_for(|phase| *phase == Phase::Stopped).await;
        Ok(())
    }
}

/// The row of a run.
pub(crate) async fn find(
    shared: &Shared,
    operation: &'static str,
    run: RunId,
) -> Result<RunRow, EngineError> {
    let row = shared.store.find(run).await.map_err(|e| EngineError::store(operation, e).with("run", run))?;
    row.ok_or_else(|| EngineError::new(EngineErrorKind::NotFound, operation).with("run", run))
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("worker", &self.worker()).finish_non_exhaustive()
    }
}
