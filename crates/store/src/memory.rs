//! The smallest store: everything in one process's memory, behind one lock.

mod anchors;
mod inbox;
mod lease;
mod lists;
mod logs;
mod notes;
mod redact;
mod remove;
mod state;
mod writes;

use crate::{
    Changed, Changes, Claim, Claimed, Clock, Filter, Head, LockRow, LogLine, NewAnchor, NewRun, Note,
    NoteVersion, Page, Progress, Projector, Put, Redaction, Refused, Removal, Remove, RemovedRun, RunRow,
    Started, Store, StoreError, StoreErrorKind, StoreHealth, SystemClock, Transition, Unanchored,
    check_batch, check_note,
};
use async_trait::async_trait;
use state::State;
use std::{
    fmt,
    ops::Bound,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use towpath_model::{
    Digest, Entry, EntryId, Epoch, Name, NewEntry, PipelineName, RunId, RunKey, RunNo, Seq, SignedHead,
    StepId, StoredAnchor, StoredEvent, Timestamp, WorkerId,
};

/// A store in memory, for tests and for trying things: it is gone with the process.
///
/// Each value is a handle, and stands for a process: [`clone`](Clone::clone) opens another on the same data, and
/// dropping a handle proves the death of the workers that registered through it. Share one handle in an `Arc`.
///
/// ```
/// # use std::sync::Arc;
/// use towpath_store::{ManualClock, MemoryStore, Store};
/// let clock = Arc::new(ManualClock::default());
/// let (here, there) = (MemoryStore::new(clock.clone()), Arc::new(MemoryStore::new(clock)));
/// let another_process_on_the_same_data = here.clone();
/// let the_same_process: Arc<dyn Store> = there.clone();
/// ```
pub struct MemoryStore {
    shared: Arc<Shared>,
    process: u64,
    last_commit: AtomicI64,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changes: Changes,
    processes: AtomicU64,
}

impl MemoryStore {
    /// An empty store that goes by this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::default();
        MemoryStore::handle(Arc::new(Shared {
            clock,
            state,
            changes: Changes::default(),
            processes: AtomicU64::new(0),
        }))
    }

    fn handle(shared: Arc<Shared>) -> Self {
        let process = shared.processes.fetch_add(1, Ordering::Relaxed);
        MemoryStore { shared, process, last_commit: AtomicI64::new(i64::MIN) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change checks first and writes then, so that a panic leaves nothing half done.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, and tells about it when `noticed` says so.
    fn write<T>(
        &self,
        write: impl FnOnce(&mut State, Timestamp) -> Result<T, StoreError>,
        noticed: impl FnOnce(&T) -> bool,
    ) -> Result<T, StoreError> {
        let now = self.shared.clock.now();
        let answer = write(&mut self.state(), now)?;
        self.last_commit.store(now.as_micros(), Ordering::Relaxed);
        if noticed(&answer) {
            self.shared.changes.tell();
        }
        Ok(answer)
    }
}

impl Default for MemoryStore {
    /// An empty store that goes by the system's clock.
    fn default() -> Self {
        MemoryStore::new(Arc::new(SystemClock))
    }
}

impl Clone for MemoryStore {
    /// Another handle on the same data, as another process would have.
    fn clone(&self) -> Self {
        MemoryStore::handle(self.shared.clone())
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.state().process_died(self.process);
        self.shared.changes.tell();
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("process", &self.process).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn start_run(&self, run: NewRun) -> Result<Started, StoreError> {
        self.write(|state, now| state.start_run(run, now), |_| true)
    }

    async fn commit(&self, batch: Vec<Transition>) -> Result<Vec<Result<Seq, Refused>>, StoreError> {
        check_batch(&batch)?;
        let is_noticed = batch.iter().any(Transition::is_noticed);
        let commit = |state: &mut State, now| {
            state.check_starts(&batch)?;
            Ok(batch.into_iter().map(|t| state.commit(t, now)).collect())
        };
        self.write(commit, |_| is_noticed)
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        self.write(|state, now| state.claim(&claim, now), |_| false)
    }

    async fn register(&self, worker: &WorkerId, lease: Duration) -> Result<Timestamp, StoreError> {
        self.write(|state, now| state.register(worker, self.process, now, lease), |_| false)
    }

    async fn heartbeat(&self, worker: &WorkerId, lease: Duration) -> Result<Timestamp, StoreError> {
        self.write(|state, now| state.heartbeat(worker, now, lease), |_| false)
    }

    async fn retire(&self, worker: &WorkerId) -> Result<(), StoreError> {
        self.write(|state, now| state.retire(worker, now), |_| true)
    }

    async fn next_wake(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.state().next_wake())
    }

    async fn head(&self, run: RunNo) -> Result<Head, StoreError> {
        self.state().head(run)
    }

    async fn events(&self, run: RunNo, after: Seq, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let state = self.state();
        let after = usize::try_from(after.0).unwrap_or(usize::MAX);
        Ok(state.run("read events", run)?.events.iter().skip(after).take(limit).cloned().collect())
    }

    async fn blob(&self, digest: Digest) -> Result<String, StoreError> {
        let missing = || StoreError::new(StoreErrorKind::NotFound, "read a blob").with("digest", digest);
        self.state().blobs.get(&digest).cloned().ok_or_else(missing)
    }

    async fn put_entry(&self, run: RunId, entry: NewEntry) -> Result<Put, StoreError> {
        self.write(|state, now| state.put_entry(run, entry, now), |put| *put == Put::Accepted)
    }

    async fn entries(&self, run: RunNo, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let state = self.state();
        Ok(state.run("read entries", run)?.entries.values().take(limit).cloned().collect())
    }

    async fn find(&self, run: RunId) -> Result<Option<RunRow>, StoreError> {
        let state = self.state();
        Ok(state.by_id.get(&run).map(|no| state.row(*no)))
    }

    async fn find_key(&self, pipeline: &PipelineName, key: &RunKey) -> Result<Option<RunRow>, StoreError> {
        let state = self.state();
        Ok(state.by_key.get(&(pipeline.clone(), key.clone())).map(|no| state.row(*no)))
    }

    async fn list(&self, filter: &Filter, page: Page) -> Result<Vec<RunRow>, StoreError> {
        Ok(self.state().list(filter, page))
    }

    async fn quarantine(
        &self,
        run: RunNo,
        epoch: Epoch,
        seq: Seq,
        reason: &str,
        seen: Option<EntryId>,
    ) -> Result<(), StoreError> {
        self.write(|state, now| state.quarantine(run, epoch, seq, reason, seen, now), |()| true)
    }

    fn changed(&self) -> Changed<'_> {
        Box::pin(self.shared.changes.wait())
    }

    async fn rebuild(&self, fold: &dyn Projector) -> Result<(), StoreError> {
        self.write(
            |state, now| {
                state.rebuild(fold, now);
                Ok(())
            },
            |()| true,
        )
    }

    async fn logs(
        &self,
        run: RunNo,
        step: &StepId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<LogLine>, StoreError> {
        let state = self.state();
        let lines = state.run("read logs", run)?.logs.of(step, after);
        Ok(lines.take(limit).cloned().collect())
    }

    async fn progress(&self, run: RunNo) -> Result<Vec<Progress>, StoreError> {
        Ok(self.state().run("read progress", run)?.progress.values().cloned().collect())
    }

    async fn locks(&self) -> Result<Vec<LockRow>, StoreError> {
        Ok(self.state().lock_rows())
    }

    async fn remove(&self, runs: Vec<Remove>) -> Result<Vec<Removal>, StoreError> {
        self.write(|state, now| Ok(runs.into_iter().map(|run| state.remove(run, now)).collect()), |_| false)
    }

    async fn sweep(&self, most: usize) -> Result<bool, StoreError> {
        Ok(self.state().sweep(most))
    }

    async fn removed(&self, after: RunNo, limit: usize) -> Result<Vec<RemovedRun>, StoreError> {
        let after = (Bound::Excluded(after), Bound::Unbounded);
        Ok(self.state().removed.range(after).take(limit).map(|(_, run)| run.clone()).collect())
    }

    async fn unanchored(&self, limit: usize) -> Result<Unanchored, StoreError> {
        Ok(self.state().unanchored(limit))
    }

    async fn anchor(&self, anchor: NewAnchor) -> Result<bool, StoreError> {
        self.write(|state, _| Ok(state.anchor(anchor)), |_| false)
    }

    async fn anchors(&self, after: u64, limit: usize) -> Result<Vec<StoredAnchor>, StoreError> {
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        Ok(self.state().anchors.iter().skip(after).take(limit).cloned().collect())
    }

    async fn signed_head(&self, run: RunNo) -> Result<Option<SignedHead>, StoreError> {
        Ok(self.state().run("read a signed head", run)?.signed.clone())
    }

    async fn redact(&self, redaction: Redaction) -> Result<Removal, StoreError> {
        self.write(|state, _| Ok(state.redact(redaction)), |answer| *answer == Removal::Removed)
    }

    async fn notes(&self, kind: &Name) -> Result<Vec<Note>, StoreError> {
        Ok(self.state().notes(kind))
    }

    async fn write_note(&self, over: &NoteVersion, text: &str) -> Result<bool, StoreError> {
        check_note(over, text)?;
        self.write(|state, _| Ok(state.write_note(over, text)), |is_written| *is_written)
    }

    async fn health(&self) -> Result<StoreHealth, StoreError> {
        let last = self.last_commit.load(Ordering::Relaxed);
        let last_commit = (last != i64::MIN).then(|| Timestamp::from_micros(last));
        Ok(StoreHealth { last_commit, ..self.state().health(self.shared.clock.now()) })
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.shared.clock.now())
    }
}
