//! What the suite needs of a store, and the runs that it makes.

use crate::{Claim, Claimed, Clock as _, ManualClock, NewRun, Started, Store, StoreError, Transition, Wake};
use std::{error::Error, sync::Arc, time::Duration};
use towpath_model::{
    Actor, Chain, Digest, Epoch, Json, Listing, Message, Name, NewEntry, PipelineName, RunId, RunKey, RunNo,
    Status, Timestamp, WorkerId,
};

/// What a rule answers: an error fails it like a panic does.
pub(super) type Outcome = Result<(), Box<dyn Error>>;

/// A fresh store for one test.
pub trait Fixture: Send + Sync {
    /// Opens a handle on the data, as another process would; all handles of a fixture show the same data. Dropping one
    /// is the death of its process.
    fn open(&self) -> Arc<dyn Store>;

    /// The clock that all its handles go by.
    fn clock(&self) -> &ManualClock;
}

/// The lease of every worker of the suite.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// A run that was not started yet.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// What starts it.
    pub(super) new: NewRun,
    /// The head of its journal.
    pub(super) chain: Chain,
}

impl Sample {
    /// A run whose id and key are made from `n`, with two events.
    pub(super) fn new(n: u64) -> Self {
        let mut bytes = [0xaa; 16];
        bytes[8..].copy_from_slice(&n.to_be_bytes());
        let run = RunId::from_bytes(bytes);
        let mut chain = Chain::new(run);
        let events = vec![event(&mut chain, Epoch(0), "first"), event(&mut chain, Epoch(0), "second")];
        let new = NewRun {
            run,
            pipeline: pipeline("checkout"),
            key: RunKey::new(&format!("run-{n}")).expect("a short line is a key"),
            plan_hash: Digest::of(b"plan"),
            events,
            head_hash: chain.hash(),
            listing: listing(Status::Running, ""),
            labels: Vec::new(),
            parent: None,
            wake: Wake::Keep,
            owner: None,
            blobs: Vec::new(),
            locks: Vec::new(),
            over: None,
        };
        Sample { new, chain }
    }

    /// The same run, leased to a worker from its start.
    pub(super) fn owned(mut self, worker: &WorkerId) -> Self {
        self.new.owner = Some(worker.clone());
        self
    }

    /// The same run, to be driven at a time.
    pub(super) fn waking(mut self, at: Timestamp) -> Self {
        self.new.wake = Wake::At(at);
        self
    }

    /// Starts it, with the lease of its owner if it has one.
    ///
    /// # Errors
    /// When the store fails, or knows a run with its key.
    pub(super) async fn start(self, store: &dyn Store) -> Result<Lease, Box<dyn Error>> {
        let Sample { new, chain } = self;
        let (run, epoch) = (new.run, Epoch(u64::from(new.owner.is_some())));
        match store.start_run(new).await? {
            Started::New(no) => Ok(Lease { run, no, epoch, chain }),
            Started::Existing(row) => Err(format!("{} is there", row.run).into()),
            Started::Moved => Err("a note has moved".into()),
        }
    }
}

/// The right to append to a run.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    /// The run.
    pub(super) run: RunId,
    /// Its number.
    pub(super) no: RunNo,
    /// The epoch of the lease.
    pub(super) epoch: Epoch,
    /// The head of its journal, as its driver knows it.
    pub(super) chain: Chain,
}

impl Lease {
    /// A transition that appends one event with this text, and moves the driver's head.
    pub(super) fn append(&mut self, text: &str) -> Transition {
        let after = self.chain.seq();
        let event = event(&mut self.chain, self.epoch, text);
        let mut transition = Transition::new(self.no, self.epoch, after, self.chain.hash());
        transition.events.push(event);
        transition
    }

    /// A transition without an event.
    pub(super) fn nothing(&self) -> Transition {
        Transition::new(self.no, self.epoch, self.chain.seq(), self.chain.hash())
    }

    /// A transition that gives the run back.
    pub(super) fn release(&self) -> Transition {
        Transition { release: true, ..self.nothing() }
    }

    /// A transition that settles the run and gives it back.
    pub(super) fn settle(&mut self) -> Transition {
        let listing = Some(listing(Status::Settled, ""));
        Transition { listing, release: true, ..self.append("settled") }
    }

    /// The same run under the lease of a claim.
    pub(super) fn claimed(&self, claim: &Claimed) -> Self {
        Lease { epoch: claim.epoch, ..self.clone() }
    }
}

fn event(chain: &mut Chain, epoch: Epoch, text: &str) -> towpath_model::StoredEvent {
    chain.seal(1, Timestamp::MIN, epoch, &Actor::engine(), text.as_bytes().to_vec()).stored
}

pub(super) fn listing(status: Status, note: &str) -> Listing {
    Listing { status, note: note.to_owned(), outcome: None }
}

pub(super) fn pipeline(name: &str) -> PipelineName {
    PipelineName::new(name).expect("a slug is a pipeline's name")
}

pub(super) fn worker(name: &str) -> WorkerId {
    WorkerId::new(name).expect("a short line is a worker's id")
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).expect("a short line is a name")
}

/// A signal of this name with this dedupe id.
pub(super) fn entry(dedupe_id: &str) -> NewEntry {
    let signal = Message::Signal { name: name("go"), step: None, value: Json::null() };
    let message = Json::of(&signal).expect("a message is JSON");
    NewEntry { dedupe_id: name(dedupe_id), actor: Actor::engine(), message }
}

/// Registers a worker of this name.
pub(super) async fn register(store: &dyn Store, name: &str) -> Result<WorkerId, StoreError> {
    let worker = worker(name);
    store.register(&worker, LEASE).await?;
    Ok(worker)
}

/// The time so many seconds from now.
pub(super) fn later(fixture: &dyn Fixture, seconds: u64) -> Timestamp {
    fixture.clock().now().plus(Duration::from_secs(seconds))
}

pub(super) fn numbers(claimed: &[Claimed]) -> Vec<RunNo> {
    claimed.iter().map(|c| c.no).collect()
}

/// Claims everything that can be claimed.
pub(super) async fn claim(store: &dyn Store, worker: &WorkerId) -> Result<Vec<Claimed>, StoreError> {
    store.claim(Claim { worker: worker.clone(), limit: 1_000, only: None }).await
}

/// Commits one transition that has to be taken.
pub(super) async fn commit(store: &dyn Store, transition: Transition) -> Outcome {
    let answers = store.commit(vec![transition]).await?;
    answers.into_iter().try_for_each(|answer| answer.map(drop))?;
    Ok(())
}

/// Dedupe ids of what waits in an inbox.
pub(super) async fn waiting(store: &dyn Store, run: RunNo) -> Result<Vec<String>, StoreError> {
    let entries = store.entries(run, usize::MAX).await?;
    Ok(entries.iter().map(|e| e.dedupe_id.to_string()).collect())
}
