//! Faults that are aimed at one call of a store, and tell whether they hit.

use async_trait::async_trait;
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use towpath_model::{
    Digest, Entry, EntryId, Epoch, Header, Name, NewEntry, PipelineName, RunId, RunKey, RunNo, Seq,
    SignedHead, StepId, StoredAnchor, StoredEvent, Timestamp, WorkerId,
};
use towpath_store::{
    Changed, Claim, Claimed, Filter, Head, LockRow, LogLine, NewAnchor, NewRun, Note, NoteVersion, Page,
    Progress, Projector, Put, Redaction, Refused, Removal, Remove, RemovedRun, RunRow, Started, Store,
    StoreError, StoreErrorKind, StoreHealth, Transition, Unanchored,
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

/// A side of a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// Nothing of it is done.
    Before,
    /// It is done, and durable if it writes; the answer is not given yet.
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

/// A call of a store, as a hook is asked about it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Call<'a> {
    /// A run is started.
    Start(&'a NewRun),
    /// Transitions are written.
    Commit(&'a [Transition]),
    /// Runs are claimed. Afterwards it is asked about only when there were some.
    Claim,
    /// A worker registers.
    Register,
    /// A worker renews its lease.
    Heartbeat,
    /// A worker gives its lease back.
    Retire,
    /// The head of this run's journal is read.
    Head(RunNo),
    /// Events of this run are read.
    Events(RunNo),
    /// The inbox of this run is read.
    Entries(RunNo),
    /// This run is set aside.
    Quarantine(RunNo),
    /// Runs are removed.
    Remove(&'a [Remove]),
    /// What removed runs have left is freed.
    Sweep,
    /// An anchor is written.
    Anchor,
    /// A payload is removed.
    Redact,
    /// A note is written.
    Note(&'a NoteVersion),
}

impl Call<'_> {
    fn operation(self) -> &'static str {
        match self {
            Call::Start(_) => "start the run",
            Call::Commit(_) => "commit",
            Call::Claim => "claim runs",
            Call::Register => "register the worker",
            Call::Heartbeat => "renew the lease",
            Call::Retire => "retire the worker",
            Call::Head(_) => "read the head",
            Call::Events(_) => "read events",
            Call::Entries(_) => "read the inbox",
            Call::Quarantine(_) => "set the run aside",
            Call::Remove(_) => "remove runs",
            Call::Sweep => "free what removed runs have left",
            Call::Anchor => "write an anchor",
            Call::Redact => "redact an event",
            Call::Note(_) => "write a note",
        }
    }

    /// Whether one of the events that are written with it is such.
    fn writes(self, is_such: impl Fn(&StoredEvent) -> bool) -> bool {
        // Each is asked about, also behind one that is such.
        let any = |events: &[StoredEvent]| events.iter().filter(|event| is_such(event)).count() > 0;
        match self {
            Call::Start(new) => any(&new.events),
            Call::Commit(batch) => {
                let own = batch.iter().filter(|t| any(&t.events)).count();
                let started = batch.iter().flat_map(|t| &t.start).filter(|new| any(&new.events)).count();
                own + started > 0
            }
            _ => false,
        }
    }
}

/// What happens where a fault strikes.
#[derive(Clone)]
pub enum Fault {
    /// The store answers with an error of this kind: before, nothing was done; after, the answer is lost.
    Error(StoreErrorKind),
    /// It takes this long, in tokio's time, until the call goes on, or until it is answered.
    Late(Duration),
    /// This is called. It may panic, or block for ever, so that a parent can kill the process just there.
    Call(Arc<dyn Fn() + Send + Sync>),
}

impl Fault {
    /// The store cannot be reached: what is tried again may go well.
    pub const AWAY: Fault = Fault::Error(StoreErrorKind::Unavailable);
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Error(kind) => f.debug_tuple("Error").field(kind).finish(),
            Fault::Late(by) => f.debug_tuple("Late").field(by).finish(),
            Fault::Call(_) => f.write_str("Call"),
        }
    }
}

type Hook = Arc<dyn Fn(Side, Call<'_>) -> Option<Fault> + Send + Sync>;

/// A store in which calls go wrong where a hook says so. Everything else passes through.
///
/// A test asserts with [`fired`](FaultStore::fired) that its fault struck.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use towpath_model::WorkerId;
/// use towpath_store::{MemoryStore, Store, SystemClock};
/// use towpath_testkit::{Call, Fault, FaultStore, Side};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = FaultStore::new(Arc::new(MemoryStore::new(Arc::new(SystemClock))));
/// store.strike(Side::Before, 1, |call| matches!(call, Call::Register), Fault::AWAY);
/// let (worker, lease) = (WorkerId::new("worker")?, Duration::from_secs(10));
/// assert!(store.register(&worker, lease).await.is_err());
/// assert!(store.register(&worker, lease).await.is_ok());
/// assert_eq!(store.fired(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FaultStore {
    inner: Arc<dyn Store>,
    hook: Mutex<Hook>,
    fired: AtomicU32,
}

impl fmt::Debug for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl FaultStore {
    /// Wraps a store. Nothing goes wrong yet.
    pub fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(FaultStore { inner, hook: Mutex::new(Arc::new(|_, _| None)), fired: AtomicU32::new(0) })
    }

    /// Wraps a store in which the first append goes wrong that holds the event aimed at.
    pub fn aimed(inner: Arc<dyn Store>, aim: Aim, fault: Fault) -> Arc<Self> {
        FaultStore::of_run(inner, aim, |_| true, fault)
    }

    /// As [`aimed`](FaultStore::aimed), at runs for which `whose` answers yes. It is asked about each event in the order
    /// in which they are written, so that it can learn of a run by its first one.
    pub fn of_run(
        inner: Arc<dyn Store>,
        aim: Aim,
        whose: impl Fn(RunId) -> bool + Send + Sync + 'static,
        fault: Fault,
    ) -> Arc<Self> {
        let store = FaultStore::new(inner);
        let is_aimed_at = move |event: &StoredEvent| {
            Header::decode(&event.header).is_ok_and(|h| whose(h.run) && h.seq == aim.seq)
        };
        store.strike(aim.side, 1, move |call| call.writes(&is_aimed_at), fault);
        store
    }

    /// Asks this about every call from now on, before and after it, in place of what was asked until now.
    pub fn hook(&self, hook: impl Fn(Side, Call<'_>) -> Option<Fault> + Send + Sync + 'static) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(hook);
        self.fired.store(0, Ordering::SeqCst);
    }

    /// Strikes once, at the n-th call for which `which` says yes, counted from 1.
    pub fn strike(
        &self,
        side: Side,
        nth: u32,
        which: impl Fn(Call<'_>) -> bool + Send + Sync + 'static,
        fault: Fault,
    ) {
        let seen = AtomicU32::new(0);
        self.hook(move |at, call| {
            let hit = which(call) && at == side && seen.fetch_add(1, Ordering::SeqCst) + 1 == nth;
            hit.then(|| fault.clone())
        });
    }

    /// How often a fault struck, since it was said where one does.
    pub fn fired(&self) -> u32 {
        self.fired.load(Ordering::SeqCst)
    }

    async fn ask(&self, side: Side, call: Call<'_>) -> Result<(), StoreError> {
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(fault) = hook(side, call) else { return Ok(()) };
        self.fired.fetch_add(1, Ordering::SeqCst);
        match fault {
            Fault::Error(kind) => Err(StoreError::new(kind, call.operation()).with("fault", side)),
            Fault::Late(by) => {
                tokio::time::sleep_until(Instant::now() + by).await;
                Ok(())
            }
            Fault::Call(call) => {
                call();
                Ok(())
            }
        }
    }

    /// Makes a call between what the hook says before and after it.
    async fn between<T>(
        &self,
        call: Call<'_>,
        made: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.ask(Side::Before, call).await?;
        let answer = made.await?;
        self.ask(Side::After, call).await?;
        Ok(answer)
    }
}

#[async_trait]
impl Store for FaultStore {
    async fn start_run(&self, run: NewRun) -> Result<Started, StoreError> {
        self.between(Call::Start(&run), self.inner.start_run(run.clone())).await
    }

    async fn commit(&self, batch: Vec<Transition>) -> Result<Vec<Result<Seq, Refused>>, StoreError> {
        self.between(Call::Commit(&batch), self.inner.commit(batch.clone())).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        self.ask(Side::Before, Call::Claim).await?;
        let claimed = self.inner.claim(claim).await?;
        if !claimed.is_empty() {
            self.ask(Side::After, Call::Claim).await?;
        }
        Ok(claimed)
    }

    async fn register(&self, worker: &WorkerId, lease: Duration) -> Result<Timestamp, StoreError> {
        self.between(Call::Register, self.inner.register(worker, lease)).await
    }

    async fn heartbeat(&self, worker: &WorkerId, lease: Duration) -> Result<Timestamp, StoreError> {
        self.between(Call::Heartbeat, self.inner.heartbeat(worker, lease)).await
    }

    async fn retire(&self, worker: &WorkerId) -> Result<(), StoreError> {
        self.between(Call::Retire, self.inner.retire(worker)).await
    }

    async fn next_wake(&self) -> Result<Option<Timestamp>, StoreError> {
        self.inner.next_wake().await
    }

    async fn head(&self, run: RunNo) -> Result<Head, StoreError> {
        self.between(Call::Head(run), self.inner.head(run)).await
    }

    async fn events(&self, run: RunNo, after: Seq, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.between(Call::Events(run), self.inner.events(run, after, limit)).await
    }

    async fn blob(&self, digest: Digest) -> Result<String, StoreError> {
        self.inner.blob(digest).await
    }

    async fn put_entry(&self, run: RunId, entry: NewEntry) -> Result<Put, StoreError> {
        self.inner.put_entry(run, entry).await
    }

    async fn entries(&self, run: RunNo, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.between(Call::Entries(run), self.inner.entries(run, limit)).await
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

    async fn quarantine(
        &self,
        run: RunNo,
        epoch: Epoch,
        seq: Seq,
        reason: &str,
        seen: Option<EntryId>,
    ) -> Result<(), StoreError> {
        self.between(Call::Quarantine(run), self.inner.quarantine(run, epoch, seq, reason, seen)).await
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

    async fn locks(&self) -> Result<Vec<LockRow>, StoreError> {
        self.inner.locks().await
    }

    async fn remove(&self, runs: Vec<Remove>) -> Result<Vec<Removal>, StoreError> {
        self.between(Call::Remove(&runs), self.inner.remove(runs.clone())).await
    }

    async fn sweep(&self, most: usize) -> Result<bool, StoreError> {
        self.between(Call::Sweep, self.inner.sweep(most)).await
    }

    async fn removed(&self, after: RunNo, limit: usize) -> Result<Vec<RemovedRun>, StoreError> {
        self.inner.removed(after, limit).await
    }

    async fn unanchored(&self, limit: usize) -> Result<Unanchored, StoreError> {
        self.inner.unanchored(limit).await
    }

    async fn anchor(&self, anchor: NewAnchor) -> Result<bool, StoreError> {
        self.between(Call::Anchor, self.inner.anchor(anchor)).await
    }

    async fn anchors(&self, after: u64, limit: usize) -> Result<Vec<StoredAnchor>, StoreError> {
        self.inner.anchors(after, limit).await
    }

    async fn signed_head(&self, run: RunNo) -> Result<Option<SignedHead>, StoreError> {
        self.inner.signed_head(run).await
    }

    async fn redact(&self, redaction: Redaction) -> Result<Removal, StoreError> {
        self.between(Call::Redact, self.inner.redact(redaction)).await
    }

    async fn notes(&self, kind: &Name) -> Result<Vec<Note>, StoreError> {
        self.inner.notes(kind).await
    }

    async fn write_note(&self, over: &NoteVersion, text: &str) -> Result<bool, StoreError> {
        self.between(Call::Note(over), self.inner.write_note(over, text)).await
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
        let store = FaultStore::aimed(inner.clone(), Aim { seq: Seq(1), side }, fault);
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
            locks: Vec::new(),
            over: None,
        };
        block_on(async {
            let answered = store.start_run(new).await.is_ok();
            (answered, inner.find(run).await.unwrap().is_some(), store.fired())
        })
    }

    #[test]
    fn an_error_before_leaves_nothing_and_after_loses_the_answer() {
        assert_eq!(start(Side::Before, Fault::AWAY), (false, false, 1));
        assert_eq!(start(Side::After, Fault::AWAY), (false, true, 1));
    }

    #[test]
    fn a_call_is_made_where_it_was_aimed() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let call = Fault::Call(Arc::new(move || sender.send("struck").unwrap()));
        assert_eq!(start(Side::After, call), (true, true, 1));
        assert_eq!(receiver.recv().unwrap(), "struck");
    }
}
