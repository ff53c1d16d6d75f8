//! A cluster on which 1.0.0 is live, and what rolls 2.0.0 out to it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;
use towpath_engine::{Builder, Engine, Run, Settled};
use towpath_model::{Timestamp, Verb};
use towpath_step::{Environment, Pipeline};
use towpath_steps::deploy::{Canary, ErrorRate, Health, Live, Promote, Release};
use towpath_store::{Clock, MemoryStore, Store};
use towpath_testkit::{FakeCluster, Script};

/// A clock that follows tokio's paused time, from one runtime to the next.
#[derive(Debug)]
pub(crate) struct RuntimesClock(Mutex<(Option<Instant>, Timestamp)>);

impl Clock for RuntimesClock {
    fn now(&self) -> Timestamp {
        let at = self.0.lock().unwrap();
        at.1.plus(at.0.map_or(Duration::ZERO, |start| start.elapsed()))
    }
}

pub(crate) struct Scene {
    pub(crate) clock: Arc<RuntimesClock>,
    pub(crate) memory: Arc<MemoryStore>,
    pub(crate) cluster: Arc<FakeCluster>,
}

pub(crate) const NEW: Script2 = Script2 { errors: 0.0 };
pub(crate) const WORSE: Script2 = Script2 { errors: 0.1 };

/// How 2.0.0 behaves, in short.
#[derive(Clone, Copy)]
pub(crate) struct Script2 {
    errors: f64,
}

impl Scene {
    /// 1.0.0 is live with two instances, of whose requests one in a thousand fails; there are 100 requests a second.
    pub(crate) fn of(script: Script2) -> Self {
        Scene::with(Script::healthy().after(Duration::from_secs(3)).errors(script.errors))
    }

    pub(crate) fn with(script: Script) -> Self {
        let scene = Scene::empty(script);
        scene.cluster.script("orders", "1.0.0", Script::healthy().errors(0.001));
        scene.cluster.have_live("orders", "1.0.0", 2);
        scene.cluster.traffic("orders", 100.0);
        scene
    }

    /// Nothing is live.
    pub(crate) fn empty(script: Script) -> Self {
        let clock =
            Arc::new(RuntimesClock(Mutex::new((None, Timestamp::from_micros(1_893_456_000_000_000)))));
        let cluster = FakeCluster::new(clock.clone());
        cluster.script("orders", "2.0.0", script);
        Scene { memory: Arc::new(MemoryStore::new(clock.clone())), clock, cluster }
    }

    /// Runs a process with its own runtime and its own handle of the store. When it returns, the process is killed.
    pub(crate) fn process<T>(&self, process: impl AsyncFnOnce(Builder) -> T) -> T {
        self.process_on(self.other_process(), process)
    }

    pub(crate) fn process_on<T>(&self, store: Arc<dyn Store>, process: impl AsyncFnOnce(Builder) -> T) -> T {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            self.clock.0.lock().unwrap().0 = Some(Instant::now());
            let done = process(self.builder_on(store)).await;
            let now = self.clock.now();
            *self.clock.0.lock().unwrap() = (None, now);
            done
        })
    }

    pub(crate) fn other_process(&self) -> Arc<MemoryStore> {
        Arc::new((*self.memory).clone())
    }

    pub(crate) fn builder_on(&self, store: Arc<dyn Store>) -> Builder {
        Engine::builder(store)
            .clock(self.clock.clone())
            .steps(towpath_steps::steps())
            .bind("production", self.cluster.clone())
            .park_after(Duration::ZERO)
            .settle_after(Duration::ZERO)
    }

    /// Runs a pipeline to its end in one process.
    pub(crate) fn run(&self, pipeline: Pipeline<Live>) -> Settled<Live> {
        self.process(async |builder| {
            let engine = builder.start().await.unwrap();
            let run = engine.run(pipeline.plan().unwrap(), "once").await.unwrap();
            run.settled().await.unwrap()
        })
    }

    /// Lets time pass while nobody drives anything.
    pub(crate) fn away(&self, time: Duration) {
        let mut at = self.clock.0.lock().unwrap();
        at.1 = at.1.plus(time);
    }

    pub(crate) fn weights(&self) -> Vec<(String, u8)> {
        self.cluster.weights("orders").into_iter().collect()
    }

    /// 2.0.0 is live for good.
    pub(crate) fn is_out(&self) {
        let routes = self.cluster.routes_now("orders").unwrap();
        assert_eq!((routes.stable.as_str(), routes.weight("2.0.0")), ("2.0.0", 100), "{routes:?}");
        assert_eq!(routes.held_until, None);
    }

    /// Everything is as it was before.
    pub(crate) fn is_as_before(&self) {
        let routes = self.cluster.routes_now("orders").unwrap();
        assert_eq!((routes.stable.as_str(), routes.weight("1.0.0")), ("1.0.0", 100), "{routes:?}");
        assert_eq!(routes.held_until, None);
        assert_eq!(self.cluster.versions("orders"), ["1.0.0"], "nothing leaked");
    }

    /// The text of each move of weights so far, those of the setup apart.
    pub(crate) fn moves(&self) -> Vec<String> {
        let all = self.cluster.moves("orders").into_iter().skip(1);
        all.map(|routes| {
            let weights: Vec<_> = routes.weights.iter().map(|(v, w)| format!("{v}={w}")).collect();
            format!("{} of {}", weights.join(" "), routes.stable)
        })
        .collect()
    }
}

pub(crate) fn release() -> Release {
    Release {
        service: "orders".into(),
        version: "2.0.0".into(),
        digest: "sha256:2.0.0".into(),
        image: "oci:images:2.0.0".into(),
        instances: 2,
        env: BTreeMap::new(),
        health: Health::from(towpath_provider::HealthProbe::at("/health")),
    }
}

pub(crate) fn production() -> Environment {
    Environment::named("production")
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn canary() -> Canary {
    Canary::of(release())
        .to(&production())
        .weights([10, 50, 100])
        .bake(seconds(60))
        .every(seconds(20))
        .judge(ErrorRate::not_worse_than_baseline())
}

pub(crate) fn pipeline(canary: Canary) -> Pipeline<Live> {
    let p = Pipeline::new("orders");
    let canary = p.step("canary", canary);
    let live = p.step("promote", Promote::of(&canary).to(&production()));
    p.output(&live).build().unwrap()
}

/// Tells a run that rests to go on.
pub(crate) fn again() -> Verb {
    Verb::Retry { step: None, new_key: false, from_scratch: false }
}

/// Gives a run up that rests because somebody took over: its undoing rests as well, and is then told to leave alone what is
/// not its own and take away what is.
pub(crate) async fn gives_up(run: &Run<Live>) {
    run.verb(Verb::Cancel { unwind: true }, "enough").await.unwrap();
    assert!(
        matches!(run.settled().await.unwrap(), Settled::Stuck(_)),
        "nothing is touched before somebody says so"
    );
    run.verb(again(), "take away what is yours").await.unwrap();
    let settled = run.settled().await.unwrap();
    assert!(matches!(settled, Settled::Cancelled(_)), "{settled:?}");
}
