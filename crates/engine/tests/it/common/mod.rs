//! What the tests of the engine share: a stage on which steps do what a test says, a clock, and what is
//! written to a store.
#![allow(dead_code, unused_imports, reason = "each test uses a part")]

mod world;

pub(crate) use towpath_testkit::{Call, Fault, FaultStore, Side};
pub(crate) use world::*;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;
use towpath_engine::{Builder, Engine, Run};
use towpath_model::{Digest, Event, EventKind, Header, Json, RunId, RunNo, Seq, StoredEvent, Timestamp};
use towpath_step::{Output, Pipeline, Plan, PlanErrors, Steps};
use towpath_store::{Clock, MemoryStore, Store, Transition};

/// A clock that follows tokio's paused time, from one runtime to the next.
#[derive(Debug)]
pub(crate) struct TestClock(Mutex<(Option<Instant>, Timestamp)>);

impl TestClock {
    fn new() -> Arc<Self> {
        Arc::new(TestClock(Mutex::new((None, Timestamp::from_micros(1_893_456_000_000_000)))))
    }

    /// Goes on from here in the runtime of the caller.
    fn anchor(&self) {
        let mut at = self.0.lock().unwrap();
        at.0 = Some(Instant::now());
    }

    /// Keeps the time for the next runtime.
    fn stop(&self) {
        let now = self.now();
        *self.0.lock().unwrap() = (None, now);
    }

    /// Moves the wall clock, and not the monotonic one.
    pub(crate) fn step(&self, by: Duration) {
        let mut at = self.0.lock().unwrap();
        at.1 = at.1.plus(by);
    }

    pub(crate) fn step_back(&self, by: Duration) {
        let mut at = self.0.lock().unwrap();
        at.1 = Timestamp::from_micros(at.1.as_micros() - by.as_micros() as i64);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let at = self.0.lock().unwrap();
        at.1.plus(at.0.map_or(Duration::ZERO, |start| start.elapsed()))
    }
}

/// A world, a clock and a store: what outlives engines.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) memory: Arc<MemoryStore>,
    pub(crate) world: Arc<World>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let scene = Scene::between_runtimes();
        scene.clock.anchor();
        scene
    }

    /// A scene of which each process has a runtime of its own.
    pub(crate) fn between_runtimes() -> Self {
        let clock = TestClock::new();
        Scene { memory: Arc::new(MemoryStore::new(clock.clone())), clock, world: World::new() }
    }

    /// Runs a process with its own runtime and its own handle of the store. When it returns, the process is killed: its
    /// tasks are gone, nothing more is written, and its death is proven.
    pub(crate) fn process<T>(&self, process: impl AsyncFnOnce(Builder) -> T) -> T {
        self.process_on(self.other_process(), process)
    }

    /// As [`process`](Self::process), but its death is not proven: its lease has to expire.
    pub(crate) fn process_that_vanishes<T>(&self, process: impl AsyncFnOnce(Builder) -> T) -> T {
        let handle = self.other_process();
        std::mem::forget(handle.clone());
        self.process_on(handle, process)
    }

    pub(crate) fn process_on<T>(&self, store: Arc<dyn Store>, process: impl AsyncFnOnce(Builder) -> T) -> T {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let done = runtime.block_on(async {
            self.clock.anchor();
            let done = process(self.builder_on(store)).await;
            self.clock.stop();
            done
        });
        drop(runtime);
        done
    }

    /// An engine on this scene's own handle of the store.
    pub(crate) fn builder(&self) -> Builder {
        self.builder_on(self.memory.clone())
    }

    pub(crate) fn builder_on(&self, store: Arc<dyn Store>) -> Builder {
        Engine::builder(store)
            .clock(self.clock.clone())
            .steps(kinds())
            .bind("world", self.world.clone())
            .park_after(Duration::ZERO)
            .settle_after(Duration::ZERO)
    }

    pub(crate) async fn engine(&self) -> Engine {
        self.builder().start().await.unwrap()
    }

    /// Another process on the same data: its own handle of the store.
    pub(crate) fn other_process(&self) -> Arc<MemoryStore> {
        Arc::new((*self.memory).clone())
    }

    /// The run's events, whoever drives it.
    pub(crate) async fn events_of(&self, run: RunId) -> Vec<Event> {
        let no = self.memory.find(run).await.unwrap().unwrap().no;
        events(&*self.memory, no).await
    }

    pub(crate) async fn events<Out>(&self, run: &Run<Out>) -> Vec<Event> {
        let no = run.row().await.unwrap().no;
        events(&*self.memory, no).await
    }

    /// The kinds of a run's events with their steps, as in `step-done a`.
    pub(crate) async fn journal<Out>(&self, run: &Run<Out>) -> Vec<String> {
        self.events(run).await.iter().map(line).collect()
    }

    pub(crate) async fn status(&self, run: RunId) -> towpath_model::Status {
        self.memory.find(run).await.unwrap().unwrap().listing.status
    }

    pub(crate) async fn row<Out>(&self, run: &Run<Out>) -> towpath_store::RunRow {
        self.memory.find(run.id()).await.unwrap().unwrap()
    }
}

pub(crate) async fn stored(store: &dyn Store, no: RunNo) -> Vec<StoredEvent> {
    store.events(no, Seq(0), 100_000).await.unwrap()
}

pub(crate) async fn events(store: &dyn Store, no: RunNo) -> Vec<Event> {
    let decode =
        |e: StoredEvent| Event::decode(Header::decode(&e.header).unwrap().kind, &e.payload.unwrap()).unwrap();
    stored(store, no).await.into_iter().map(decode).collect()
}

pub(crate) fn is_commit(call: Call<'_>) -> bool {
    matches!(call, Call::Commit(_))
}

/// Everything that is committed through a store from now on.
pub(crate) fn commits(store: &FaultStore) -> Arc<Mutex<Vec<Transition>>> {
    let commits = Arc::new(Mutex::new(Vec::new()));
    let seen = commits.clone();
    store.hook(move |side, call| {
        if let (Side::Before, Call::Commit(batch)) = (side, call) {
            seen.lock().unwrap().extend_from_slice(batch);
        }
        None
    });
    commits
}

/// One event in a few words.
pub(crate) fn line(event: &Event) -> String {
    let json: serde_json::Value = serde_json::from_slice(&event.encode().unwrap()).unwrap();
    match json.get("step").and_then(|s| s.as_str()) {
        Some(step) => format!("{} {step}", event.kind()),
        None => event.kind().to_string(),
    }
}

pub(crate) fn count(events: &[Event], kind: EventKind) -> usize {
    events.iter().filter(|e| e.kind() == kind).count()
}

pub(crate) fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

pub(crate) fn no_kinds() -> Steps {
    Steps::new()
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Waits in virtual time until something holds; a test that never gets there fails.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..200_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep_until(Instant::now() + Duration::from_millis(7)).await;
    }
    panic!("never: {what}");
}

/// Lets what is ready run, without moving the time.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn plan_of<Out: Output>(pipeline: Result<Pipeline<Out>, PlanErrors>) -> Plan<Out> {
    pipeline.unwrap().plan().unwrap()
}

pub(crate) fn zero() -> Digest {
    Digest::ZERO
}
