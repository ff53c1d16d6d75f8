//! What the tests of the engine share: a stage on which steps do what a test says, a clock, and a store that fails.
#![allow(dead_code, unused_imports, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod store;
mod world;

pub(crate) use store::{Hook, Hooked, Moment};
pub(crate) use world::*;

use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use towpath_engine::{Builder, Engine, Run};
use towpath_model::{Digest, Event, EventKind, Header, Json, RunNo, Seq, StoredEvent, Timestamp};
use towpath_step::{Output, Pipeline, Plan, PlanErrors, Steps};
use towpath_store::{Clock, MemoryStore, Store};

/// A clock that follows tokio's paused time.
#[derive(Debug)]
pub(crate) struct TestClock {
    start: Instant,
    base: Timestamp,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.base.plus(self.start.elapsed())
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(TestClock { start: Instant::now(), base: Timestamp::from_micros(1_893_456_000_000_000) })
}

/// A world, a clock and a store: what outlives engines.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) memory: Arc<MemoryStore>,
    pub(crate) world: Arc<World>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let clock = clock();
        Scene { memory: Arc::new(MemoryStore::new(clock.clone())), clock, world: World::new() }
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

    pub(crate) async fn events<Out>(&self, run: &Run<Out>) -> Vec<Event> {
        let no = run.row().await.unwrap().no;
        events(&*self.memory, no).await
    }

    /// The kinds of a run's events with their steps, as in `step-done a`.
    pub(crate) async fn journal<Out>(&self, run: &Run<Out>) -> Vec<String> {
        self.events(run).await.iter().map(line).collect()
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
