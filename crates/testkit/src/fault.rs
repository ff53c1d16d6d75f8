//! Faults that are aimed at one append, and tell whether they hit.

use async_trait::async_trait;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use towpath_model::{
    Digest, Entry, Epoch, Header, NewEntry, PipelineName, RunId, RunKey, RunNo, Seq, StepId, StoredEvent,
    Timestamp, WorkerId,
};
use towpath_store::{
    Changed, Claim, Claimed, Filter, Head, LogLine, NewRun, Page, Progress, Projector, Put, Refused, RunRow,
    Started, Store, StoreError, StoreErrorKind, StoreHealth, Transition,
};

/// Where a fault strikes: at the append that holds the event with this number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Aim {
    /// Number of the event.
    pub seq: Seq,
    /// On which side of the append.
    pub side: Side,
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} event {}", self.side, self.seq)
    }
}

/// A side of an append.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// Nothing of it is written.
    Before,
    /// It is durable, and the answer is not given yet.
    After,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Before => "before",
            Side::After => "after",
        })
    }
}

/// What happens where a fault strikes.
#[derive(Clone)]
pub enum Fault {
    /// The store answers with an error: before, nothing was written; after, the answer is lost.
    Error,
    /// This is called, with the aim. It may block for ever, so that a parent can kill the process just there.
    Call(Arc<dyn Fn(Aim) + Send + Sync>),
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Error => "Error",
            Fault::Call(_) => "Call",
        })
    }
}

/// A store in which one append goes wrong: the first that holds the event aimed at. Everything else passes through.
///
/// A test asserts with [`fired`](FaultStore::fired) that the fault struck.
pub struct FaultStore {
    inner: Arc<dyn Store>,
    aim: Aim,
    /// Whether an event of this run can be the one that is aimed at.
    whose: Box<dyn Fn(RunId) -> bool + Send + Sync>,
    fault: Fault,
    fired: AtomicU32,
}

impl fmt::Debug for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStore")
            .field("aim", &self.aim)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl FaultStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn Store>, aim: Aim, fault: Fault) -> Arc<Self> {
        FaultStore::of_run(inner, aim, |_| true, fault)
    }

    /// Wraps a store, with an aim at runs for which `whose` answers yes. It is asked about each event in the order in which
    /// they are written, so that it can learn of a run by its first one.
    pub fn of_run(
        inner: Arc<dyn Store>,
        aim: Aim,
        whose: impl Fn(RunId) -> bool + Send + Sync + 'static,
        fault: Fault,
    ) -> Arc<Self> {
        Arc::new(FaultStore { inner, aim, whose: Box::new(whose), fault, fired: AtomicU32::new(0) })
    }

    /// How often the fault struck: 0 or 1.
    pub fn fired(&self) -> u32 {
        self.fired.load(Ordering::SeqCst)
    }

    fn holds<'a>(&self, events: impl Iterator<Item = &'a StoredEvent>) -> bool {
        let is_aimed_at = |event: &StoredEvent| {
            Header::decode(&event.header).is_ok_and(|h| (self.whose)(h.run) && h.seq == self.aim.seq)
        };
        events.filter(|event| is_aimed_at(event)).count() > 0
    }

    /// Strikes, if this is the side aimed at and it was not struck before.
    fn strike(&self, side: Side, operation: &'static str) -> Result<(), StoreError> {
        let first = || self.fired.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if self.aim.side != side || !first() {
            return Ok(());
        }
        match &self.fault {
            Fault::Error => {
                Err(StoreError::new(StoreErrorKind::Unavailable, operation).with("fault", self.aim))
            }
            Fault::Call(call) => {
                call(self.aim);
                Ok(())
            }
        }
    }
}

#[async_trait]
impl Store for FaultStore {
    async fn start_run(&self, run: NewRun) -> Result<Started, StoreError> {
        let hit = self.holds(run.events.iter());
        if hit {
            self.strike(Side::Before, "start the run")?;
        }
        let started = self.inner.start_run(run).await?;
        if hit {
            self.strike(Side::After, "start the run")?;
        }
        Ok(started)
    }

    async fn commit(&self, batch: Vec<Transition>) -> Result<Vec<Result<Seq, Refused>>, StoreError> {
        let started =
            |t: &'_ Transition| t.start.iter().flat_map(|new| new.events.clone()).collect::<Vec<_>>();
        let started: Vec<StoredEvent> = batch.iter().flat_map(started).collect();
        let hit = self.holds(batch.iter().flat_map(|t| &t.events).chain(&started));
        if hit {
            self.strike(Side::Before, "commit")?;
        }
        let answers = self.inner.commit(batch).await?;
        if hit {
            self.strike(Side::After, "commit")?;
        }
        Ok(answers)
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        self.inner.claim(claim).await
    }

    async fn register(&self, worker: &WorkerId, lease: Duration) -> Result<Timestamp, StoreError> {
        self.inner.register(worker, lease).await
    }

    async fn heartbeat(&self, worker: &WorkerId, lease: Duration) -> Result<Timestamp, StoreError> {
        self.inner.heartbeat(worker, lease).await
    }

    async fn retire(&self, worker: &WorkerId) -> Result<(), StoreError> {
        self.inner.retire(worker).await
    }

    async fn next_wake(&self) -> Result<Option<Timestamp>, StoreError> {
        self.inner.next_wake().await
    }

    async fn head(&self, run: RunNo) -> Result<Head, StoreError> {
        self.inner.head(run).await
    }

    async fn events(&self, run: RunNo, after: Seq, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.inner.events(run, after, limit).await
    }

    async fn blob(&self, digest: Digest) -> Result<String, StoreError> {
        self.inner.blob(digest).await
    }

    async fn put_entry(&self, run: RunId, entry: NewEntry) -> Result<Put, StoreError> {
        self.inner.put_entry(run, entry).await
    }

    async fn entries(&self, run: RunNo, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.inner.entries(run, limit).await
    }

    async fn find(&self, run: RunId) -> Result<Option<RunRow>, StoreError> {
        self.inner.find(run).await
    }

    async fn find_key(&self, pipeline: &PipelineName, key: &RunKey) -> Result<Option<RunRow>, StoreError> {
        self.inner.find_key(pipeline, key).await
    }

    async fn list(&self, filter: &Filter, page: Page) -> Result<Vec<RunRow>, StoreError> {
        self.inner.list(filter, page).await
    }

    async fn quarantine(&self, run: RunNo, epoch: Epoch, seq: Seq, reason: &str) -> Result<(), StoreError> {
        self.inner.quarantine(run, epoch, seq, reason).await
    }

    fn changed(&self) -> Changed<'_> {
        self.inner.changed()
    }

    async fn rebuild(&self, fold: &dyn Projector) -> Result<(), StoreError> {
        self.inner.rebuild(fold).await
    }

    async fn logs(
        &self,
        run: RunNo,
        step: &StepId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<LogLine>, StoreError> {
        self.inner.logs(run, step, after, limit).await
    }

    async fn progress(&self, run: RunNo) -> Result<Vec<Progress>, StoreError> {
        self.inner.progress(run).await
    }

    async fn health(&self) -> Result<StoreHealth, StoreError> {
        self.inner.health().await
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.inner.now().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_model::{Actor, Chain, Listing, Status};
    use towpath_store::{MemoryStore, SystemClock, Wake};

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    /// Starts a run with one event through a store with this fault; says what came of it.
    fn start(side: Side, fault: Fault) -> (bool, bool, u32) {
        let inner: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
        let store = FaultStore::new(inner.clone(), Aim { seq: Seq(1), side }, fault);
        let run = RunId::from_bytes([1; 16]);
        let mut chain = Chain::new(run);
        let sealed = chain.seal(1, Timestamp::MIN, Epoch(1), &Actor::engine(), b"{}".to_vec());
        let new = NewRun {
            run,
            pipeline: PipelineName::new("p").unwrap(),
            key: RunKey::new("k").unwrap(),
            plan_hash: Digest::ZERO,
            events: vec![sealed.stored],
            head_hash: sealed.hash,
            listing: Listing { status: Status::Running, note: String::new(), outcome: None },
            labels: Vec::new(),
            parent: None,
            wake: Wake::Never,
            owner: None,
            blobs: Vec::new(),
        };
        block_on(async {
            let answered = store.start_run(new).await.is_ok();
            (answered, inner.find(run).await.unwrap().is_some(), store.fired())
        })
    }

    #[test]
    fn an_error_before_leaves_nothing_and_after_loses_the_answer() {
        assert_eq!(start(Side::Before, Fault::Error), (false, false, 1));
        assert_eq!(start(Side::After, Fault::Error), (false, true, 1));
    }

    #[test]
    fn a_call_is_told_where_it_struck() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let call = Fault::Call(Arc::new(move |aim| sender.send(aim).unwrap()));
        assert_eq!(start(Side::After, call), (true, true, 1));
        assert_eq!(receiver.recv().unwrap().to_string(), "after event 1");
    }
}
