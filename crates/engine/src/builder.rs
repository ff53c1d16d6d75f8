//! Making an engine.

use crate::{
    Engine, EngineError, EnvSecrets, SecretSource, Signer, beat,
    config::Config,
    evidence, lease, open,
    os_user::os_user,
    pipelines::Pipelines,
    reconcile,
    shared::{Parts, Shared},
};
use std::{sync::Arc, time::Duration};
use towpath_model::{Actor, WorkerId};
use towpath_step::{Output, Pipeline, Provider, Providers, Steps};
use towpath_store::{Clock, Store, SystemClock};

/// An engine that is being made. Everything that is wrong is reported by [`start`](Builder::start), at once.
///
/// ```
/// use towpath_engine::Engine;
/// use towpath_step::{StepContext, StepError, step, steps};
/// # extern crate towpath_step as towpath;
///
/// #[step("demo.greet/v1", no_effect)]
/// async fn greet(_cx: &StepContext, name: String) -> Result<String, StepError> {
///     Ok(format!("hello {name}"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), towpath_engine::EngineError> {
/// let engine = Engine::open("memory:").steps(steps![greet]).start().await?;
/// engine.shutdown().await
/// # }
/// ```
#[must_use = "an engine does nothing until it is started"]
pub struct Builder {
    store: From,
    clock: Arc<dyn Clock>,
    steps: Steps,
    providers: Providers,
    secrets: Arc<dyn SecretSource>,
    signer: Option<Arc<dyn Signer>>,
    pipelines: Pipelines,
    config: Config,
    problems: Vec<String>,
}

/// Where the store comes from.
enum From {
    Value(Arc<dyn Store>),
    Address(String),
}

impl Builder {
    fn new(store: From) -> Self {
        let id = uuid::Uuid::now_v7();
        let worker = WorkerId::new(&format!("{}-{}", std::process::id(), id.simple()));
        Builder {
            store,
            clock: Arc::new(SystemClock),
            steps: towpath_step::builtin(),
            providers: Providers::new(),
            secrets: Arc::new(EnvSecrets),
            signer: None,
            pipelines: Pipelines::default(),
            config: Config {
                worker: worker.expect("digits and a UUID are a worker id"),
                actor: os_user(),
                lease: Duration::from_secs(10),
                grace: Duration::from_secs(30),
                park_after: Duration::from_secs(5),
                settle_after: Duration::from_secs(10),
                concurrency: 1_024,
                background: true,
            },
            problems: Vec::new(),
        }
    }

    pub(crate) fn of(store: Arc<dyn Store>) -> Self {
        Builder::new(From::Value(store))
    }

    pub(crate) fn at(address: &str) -> Self {
        Builder::new(From::Address(address.to_owned()))
    }

    /// Adds kinds of steps: `steps![build, ScanImage]`.
    pub fn steps(mut self, steps: Steps) -> Self {
        self.steps = self.steps.and(steps);
        self
    }

    /// Binds a provider to a name, for steps that need what it offers under that name.
    pub fn bind(mut self, name: &str, provider: impl Provider) -> Self {
        let provider = Arc::new(provider);
        let offered = Providers::new().provide(name, provider.clone());
        let taken = offered.list().filter(|(of, _)| self.providers.list().any(|there| there == (*of, name)));
        let twice =
            |(of, _): (&str, _)| format!("{name:?} is bound twice to something that offers {of}: keep one");
        self.problems.extend(taken.map(twice));
        self.providers = self.providers.provide(name, provider);
        self
    }

    /// Where the values of secrets come from; by default [the environment](EnvSecrets).
    pub fn secrets(mut self, secrets: impl SecretSource) -> Self {
        self.secrets = Arc::new(secrets);
        self
    }

    /// Who signs the heads of runs that settle, and anchors every minute what moved; by default nobody does.
    ///
    /// A key in a file is a `LocalKey` (feature `sign`).
    pub fn signer(mut self, signer: impl Signer) -> Self {
        self.signer = Some(Arc::new(signer));
        self
    }

    /// Adds pipelines that can be started [by name](Engine::pipeline): from a command line, a form, a schedule.
    ///
    /// ```
    /// use towpath_engine::{Engine, Settled};
    /// use towpath_step::{Pipeline, PlanErrors, StepContext, StepError, model::Json, params, step, steps};
    /// # extern crate towpath_step as towpath;
    ///
    /// #[step("demo.greet/v1", no_effect)]
    /// async fn greet(_cx: &StepContext, name: String) -> Result<String, StepError> {
    ///     Ok(format!("hello {name}"))
    /// }
    ///
    /// fn greetings() -> Result<Pipeline<String>, PlanErrors> {
    ///     let p = Pipeline::new("greetings");
    ///     let name = p.param::<String>("name");
    ///     let greeting = p.step("greet", greet::of(&name));
    ///     p.output(&greeting).build()
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let engine = Engine::open("memory:").steps(steps![greet]).pipelines([greetings()?]).start().await?;
    /// let greetings = engine.pipeline("greetings").ok_or("it was just given")?;
    /// let run = engine.run(greetings.with(params! { name: "world" })?, "first").await?;
    /// assert_eq!(run.settled().await?, Settled::Succeeded(Json::of("hello world")?));
    /// # engine.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pipelines<Out: Output>(self, pipelines: impl IntoIterator<Item = Pipeline<Out>>) -> Self {
        pipelines.into_iter().fold(self, Builder::pipeline)
    }

    /// Adds one pipeline that can be started by name; pipelines of different results are added one by one.
    pub fn pipeline<Out: Output>(mut self, pipeline: Pipeline<Out>) -> Self {
        self.pipelines.put(pipeline.untyped());
        self
    }

    /// Where the time comes from; by default the system. Give the same clock to the store.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The name of this engine among the workers of its store. It has to be unique; the default is.
    pub fn worker(mut self, worker: WorkerId) -> Self {
        self.config.worker = worker;
        self
    }

    /// Who sends what is sent through this engine; by default the user of the process.
    pub fn actor(mut self, actor: Actor) -> Self {
        self.config.actor = actor;
        self
    }

    /// How long this engine is taken for alive after it was last heard of: 10 seconds by default, at least one.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.config.lease = lease;
        self
    }

    /// How long a body that was asked to stop may go on: 30 seconds by default.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.grace = grace;
        self
    }

    /// Up to which length a durable wait is waited for in memory: 5 seconds by default.
    pub fn park_after(mut self, wait: Duration) -> Self {
        self.config.park_after = wait;
        self
    }

    /// How long a request of a dead worker may still be under way, before the world is asked what became of it: 10
    /// seconds by default.
    pub fn settle_after(mut self, wait: Duration) -> Self {
        self.config.settle_after = wait;
        self
    }

    /// Most runs in memory: 1,024 by default.
    pub fn concurrency(mut self, runs: usize) -> Self {
        self.config.concurrency = runs;
        self
    }

    /// Whether runs are driven without anybody asking, as they are by default. Without, only
    /// [`drive`](Engine::drive) makes them go.
    pub fn background(mut self, background: bool) -> Self {
        self.config.background = background;
        self
    }

    /// Starts the engine, on the runtime of tokio that this is awaited on.
    ///
    /// # Errors
    /// Everything that is wrong with what was given, at once; or the store cannot be opened.
    pub async fn start(self) -> Result<Engine, EngineError> {
        const START: &str = "start an engine";
        let Builder { store, clock, steps, providers, secrets, signer, pipelines, config, mut problems } =
            self;
        problems.extend(steps.problems().iter().map(ToString::to_string));
        problems.extend(pipelines.problems(&steps, &providers));
        if config.concurrency == 0 {
            problems.push("no run may be in memory: give `concurrency` at least 1".into());
        }
        if config.lease < Duration::from_secs(1) {
            problems.push(format!(
                "a lease of {:?} is too short to be renewed: give it a second at least",
                config.lease
            ));
        }
        let store = match store {
            From::Value(store) => Ok(store),
            From::Address(address) => open::open(&address, &clock).await,
        };
        let store = match store {
            Ok(store) => Some(store),
            Err(open::OpenError::Address(problem)) => {
                problems.push(problem);
                None
            }
            Err(open::OpenError::Store(error)) if problems.is_empty() => {
                return Err(EngineError::store(START, error));
            }
            Err(open::OpenError::Store(error)) => {
                problems.push(error.to_string());
                None
            }
        };
        let Some(store) = store.filter(|_| problems.is_empty()) else {
            return Err(EngineError::unfit(START, problems));
        };
        let shared = Arc::new(Shared::new(Parts {
            store,
            clock,
            steps,
            providers,
            secrets,
            signer,
            pipelines,
            config,
        }));
        lease::register(&shared).await.map_err(|e| EngineError::store(START, e))?;
        tokio::spawn(lease::keep(shared.clone()));
        tokio::spawn(reconcile::reconcile(shared.clone()));
        if shared.config.background {
            tokio::spawn(beat::keep(shared.clone()));
        }
        if shared.signer.is_some() {
            tokio::spawn(evidence::keep(shared.clone()));
        }
        Ok(Engine::of(shared))
    }
}
