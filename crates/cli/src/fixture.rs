//! Lawful journals for tests: made by the machine itself, in a store in memory, by a driver that runs no bodies.

use crate::{App, app::run_on};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use towpath::{
    machine::{BodyEnd, Decision, Input, Observation, Plan, RunState, UndoEnd},
    model::{
        Actor, Attempt, Chain, Digest, Ended, Epoch, Event, Failure, FailureKind, InDoubt, Json, Kind,
        Listing, Methods, Name, PLAN_FORMAT, PlanRecord, RetryPolicy, RunId, RunKey, RunNo, RunStarted,
        Section, Seq, Status, StepId, StepRecord, Timestamp, UndoPolicy, Verb, WorkerId, canonical,
    },
    store::{Blob, Claim, Clock, ManualClock, MemoryStore, NewRun, Started, Store, Transition, Wake},
};

/// A step whose kind repeats harmlessly and cannot be undone.
pub(crate) fn step(id: &str) -> StepRecord {
    StepRecord {
        id: StepId::new(id).unwrap(),
        kind: Kind::new("demo.step/v1").unwrap(),
        with: Json::parse("{}").unwrap(),
        role: Default::default(),
        section: Section::Main,
        reads: Vec::new(),
        after: Vec::new(),
        when: None,
        environment: None,
        locks: Vec::new(),
        in_doubt: InDoubt::Idempotent,
        methods: Methods::default(),
        undo: UndoPolicy::Undo,
        best_effort: false,
        point_of_no_return: false,
        retry: RetryPolicy::fixed(3, Duration::from_secs(30)),
        undo_retry: RetryPolicy::fixed(2, Duration::from_secs(30)),
        observe_retry: RetryPolicy::fixed(2, Duration::from_secs(30)),
        timeout_ms: None,
        within_ms: None,
    }
}

/// A step that can be observed and undone.
pub(crate) fn effect(id: &str) -> StepRecord {
    let methods = Methods { observe: true, compensate: true, ..Methods::default() };
    StepRecord { in_doubt: InDoubt::Observe, methods, ..step(id) }
}

/// The step, after another.
pub(crate) fn after(before: &str, step: StepRecord) -> StepRecord {
    StepRecord { after: vec![StepId::new(before).unwrap()], ..step }
}

/// The step, in its section.
pub(crate) fn within(section: Section, step: StepRecord) -> StepRecord {
    StepRecord { section, ..step }
}

pub(crate) fn failure(kind: FailureKind, message: &str) -> Failure {
    Failure::new(kind, message)
}

pub(crate) fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

/// A store with a clock that stands still, and a worker in it.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<dyn Store>,
    started: u8,
}

fn worker() -> WorkerId {
    WorkerId::new("worker-1").unwrap()
}

impl World {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        World::on(Arc::new(MemoryStore::new(clock.clone())), clock).await
    }

    /// A store of another kind, that goes by this clock.
    pub(crate) async fn on(store: Arc<dyn Store>, clock: Arc<ManualClock>) -> Self {
        store.register(&worker(), Duration::from_secs(1 << 30)).await.unwrap();
        World { clock, store, started: 0 }
    }

    /// Runs a command line, and gives its exit code and what it wrote.
    pub(crate) async fn run(&self, args: &str) -> (u8, String, String) {
        run_on(App::stock().on(self.store.clone()), args).await
    }

    /// Runs a command line that succeeds, and gives what it wrote.
    pub(crate) async fn ok(&self, args: &str) -> String {
        let (code, out, err) = self.run(args).await;
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        out
    }

    /// The hash that the head of a run says.
    pub(crate) async fn store_head(&self, no: RunNo) -> String {
        self.store.head(no).await.unwrap().hash.to_string()
    }

    /// Starts a run of a plan with these steps.
    pub(crate) async fn start(&mut self, pipeline: &str, key: &str, steps: Vec<StepRecord>) -> Driven {
        self.start_plan(record(pipeline, steps), key).await
    }

    pub(crate) async fn start_plan(&mut self, record: PlanRecord, key: &str) -> Driven {
        self.started += 1;
        let mut id = [0x11; 16];
        (id[0], id[15]) = (self.started, self.started);
        let run = RunId::from_bytes(id);
        let now = self.clock.now();
        let text = canonical::of(&record).unwrap();
        let (values, digest) = (BTreeMap::new(), Digest::of(text.as_bytes()));
        let start = RunStarted {
            plan_hash: record.hash_with(&values).unwrap(),
            plan: towpath::model::BlobRef { digest, bytes: text.len() as u64 },
            pipeline: record.pipeline.clone(),
            key: RunKey::new(key).unwrap(),
            values,
            labels: BTreeMap::from([("owner".to_owned(), "shop".to_owned())]),
            reason: "nightly".into(),
            parent: None,
            forked_from: None,
            deadline: record.deadline_ms.map(|ms| now.plus(Duration::from_millis(ms))),
            fencing: BTreeMap::new(),
        };
        let event: Event = start.clone().into();
        let mut chain = Chain::new(run);
        let by = Actor::new("user:alice").unwrap();
        let sealed = chain.seal(event.kind().code(), now, Epoch(1), &by, event.encode().unwrap());
        let mut state = RunState::new(run, Arc::new(Plan::compile(Arc::new(record)).unwrap()));
        state.apply(Seq(1), now, &event).unwrap();
        let new = NewRun {
            run,
            pipeline: start.pipeline,
            key: start.key,
            plan_hash: start.plan_hash,
            events: vec![sealed.stored],
            head_hash: sealed.hash,
            listing: Listing { status: Status::Running, note: String::new(), outcome: None },
            labels: start.labels.into_iter().collect(),
            parent: None,
            wake: Wake::At(now),
            owner: Some(worker()),
            blobs: vec![Blob { digest, text }],
            locks: Vec::new(),
            over: None,
        };
        let Started::New(no) = self.store.start_run(new).await.unwrap() else { panic!("the key is taken") };
        let mut driven = Driven {
            clock: self.clock.clone(),
            store: self.store.clone(),
            no,
            epoch: Epoch(1),
            state,
            chain,
            owned: true,
        };
        driven.decide().await;
        driven
    }
}

/// A plan with these steps, one after the other as far as they say so.
pub(crate) fn record(pipeline: &str, steps: Vec<StepRecord>) -> PlanRecord {
    PlanRecord {
        format: PLAN_FORMAT,
        pipeline: towpath::model::PipelineName::new(pipeline).unwrap(),
        steps,
        params: BTreeMap::new(),
        output: None,
        parallel: 8,
        deadline_ms: None,
        unwind_one_at_a_time: false,
    }
}

/// A run that a test drives.
pub(crate) struct Driven {
    clock: Arc<ManualClock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) no: RunNo,
    epoch: Epoch,
    pub(crate) state: RunState,
    chain: Chain,
    owned: bool,
}

impl Driven {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Journals what follows from the state at this time.
    pub(crate) async fn decide(&mut self) {
        self.commit(Vec::new(), Vec::new()).await;
    }

    /// Moves the clock on, and journals what follows.
    pub(crate) async fn later(&mut self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
        self.decide().await;
    }

    async fn take(&mut self, input: Input) {
        let events = self.state.take(input, self.now()).unwrap();
        assert!(!events.is_empty(), "the machine took no notice");
        self.commit(events, Vec::new()).await;
    }

    fn attempt(&self, step: &str) -> Attempt {
        self.state.find(&StepId::new(step).unwrap()).unwrap().attempt()
    }

    async fn ended(&mut self, step: &str, end: BodyEnd) {
        let attempt = self.attempt(step);
        self.take(Input::Ended { step: StepId::new(step).unwrap(), attempt, end }).await;
    }

    pub(crate) async fn done(&mut self, step: &str, output: &str) {
        let output = json(output).into();
        self.ended(step, BodyEnd::Done { output, facts: BTreeMap::new(), unreadable: None }).await;
    }

    pub(crate) async fn failed(&mut self, step: &str, kind: FailureKind, message: &str) {
        self.ended(step, BodyEnd::Failed { failure: failure(kind, message), retry_after: None }).await;
    }

    pub(crate) async fn lost(&mut self, step: &str) {
        self.ended(step, BodyEnd::Lost { ended: Ended::Dropped, failure: None }).await;
    }

    pub(crate) async fn observed(&mut self, step: &str, answer: Observation) {
        self.take(Input::Observed { step: StepId::new(step).unwrap(), answer }).await;
    }

    pub(crate) async fn wait(&mut self, step: &str, wait: &str, signal: Option<&str>, secs: Option<u64>) {
        let until = secs.map(|s| self.now().plus(Duration::from_secs(s)));
        let signal = signal.map(|s| Name::new(s).unwrap());
        let (step, wait) = (StepId::new(step).unwrap(), Name::new(wait).unwrap());
        self.take(Input::Wait { step, wait, until, signal, checkpoint: None }).await;
    }

    pub(crate) async fn undone(&mut self, step: &str) {
        self.undoing(step, UndoEnd::Done).await;
    }

    pub(crate) async fn not_undone(&mut self, step: &str, kind: FailureKind, message: &str) {
        self.undoing(step, UndoEnd::Failed { failure: failure(kind, message), retry_after: None }).await;
    }

    async fn undoing(&mut self, step: &str, end: UndoEnd) {
        let step = StepId::new(step).unwrap();
        let attempt = self.state.find(&step).unwrap().undo_attempt();
        self.take(Input::Undone { step, attempt, end }).await;
    }

    /// An operator's verb, as if its entry had been read at once.
    pub(crate) async fn verb(&mut self, verb: Verb) {
        let message = towpath::model::Message::Verb { verb, reason: "for a test".into() };
        let entry = towpath::model::NewEntry {
            dedupe_id: Name::new(&format!("test/{}", self.state.seq())).unwrap(),
            actor: Actor::new("user:bob").unwrap(),
            message: Json::of(&message).unwrap(),
        };
        self.store.put_entry(self.state.run(), entry).await.unwrap();
        self.inbox().await;
    }

    /// Reads the inbox, and journals what follows.
    pub(crate) async fn inbox(&mut self) {
        let entries = self.store.entries(self.no, 100).await.unwrap();
        let consumed = entries.iter().map(|e| e.id).collect();
        let events = self.state.merge(entries, self.now());
        self.commit(events, consumed).await;
    }

    /// Waits until there is something in the inbox, then reads it.
    pub(crate) async fn answer(&mut self) {
        loop {
            let store = self.store.clone();
            let changed = store.changed();
            if !store.entries(self.no, 1).await.unwrap().is_empty() {
                return self.inbox().await;
            }
            changed.await;
        }
    }

    async fn commit(&mut self, mut events: Vec<Event>, consumed: Vec<towpath::model::EntryId>) {
        if !self.owned {
            self.claim().await;
        }
        let after = self.chain.seq();
        let Decision { events: more, .. } = self.state.decide(self.now());
        events.extend(more);
        let mut transition = Transition::new(self.no, self.epoch, after, self.chain.hash());
        for event in events {
            let (code, payload) = (event.kind().code(), event.encode().unwrap());
            let sealed = self.chain.seal(code, self.clock.now(), self.epoch, &Actor::engine(), payload);
            transition.events.push(sealed.stored);
        }
        transition.head_hash = self.chain.hash();
        transition.consumed = consumed;
        transition.listing = Some(self.state.listing());
        transition.wake = self.state.wake().map_or(Wake::Never, Wake::At);
        let answers = self.store.commit(vec![transition]).await.unwrap();
        assert_eq!(answers, [Ok(self.chain.seq())]);
    }

    /// Appends an event that the machine does not make.
    pub(crate) async fn raw(&mut self, code: u16, payload: &str) {
        let mut transition = Transition::new(self.no, self.epoch, self.chain.seq(), self.chain.hash());
        let now = self.clock.now();
        let sealed = self.chain.seal(code, now, self.epoch, &Actor::engine(), payload.as_bytes().to_vec());
        transition.events.push(sealed.stored);
        transition.head_hash = self.chain.hash();
        self.store.commit(vec![transition]).await.unwrap().remove(0).unwrap();
    }

    /// Has a step save so many values.
    pub(crate) async fn saved(&mut self, step: &str, times: u64) {
        for from in (0..times).step_by(10_000) {
            let mut events = Vec::new();
            for _ in from..times.min(from + 10_000) {
                let step = StepId::new(step).unwrap();
                let input = Input::Checkpoint { step, undoing: false, value: json("1").into() };
                events.extend(self.state.take(input, self.now()).unwrap());
            }
            self.commit(events, Vec::new()).await;
        }
    }

    /// Gives the run back, as a driver does that has nothing to do.
    pub(crate) async fn release(&mut self) {
        let mut transition = Transition::new(self.no, self.epoch, self.chain.seq(), self.chain.hash());
        transition.release = true;
        self.store.commit(vec![transition]).await.unwrap().remove(0).unwrap();
        self.owned = false;
    }

    /// Gives the run back with another status, which is not in the journal.
    pub(crate) async fn release_as(&mut self, status: Status, note: &str) {
        let mut transition = Transition::new(self.no, self.epoch, self.chain.seq(), self.chain.hash());
        transition.listing = Some(Listing { status, note: note.into(), outcome: None });
        transition.release = true;
        self.store.commit(vec![transition]).await.unwrap().remove(0).unwrap();
        self.owned = false;
    }

    pub(crate) async fn quarantine(&mut self, reason: &str) {
        self.store.quarantine(self.no, self.epoch, self.chain.seq(), reason, None).await.unwrap();
        self.owned = false;
    }

    async fn claim(&mut self) {
        let claim = Claim { worker: worker(), limit: 1, only: Some(self.state.run()) };
        let claimed = self.store.claim(claim).await.unwrap();
        self.epoch = claimed.first().expect("the run has something to do").epoch;
        self.owned = true;
    }
}
