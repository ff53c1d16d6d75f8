//! The store.

use crate::{
    Backup, Options, Stats, backup,
    checkpoint::{Checkpointer, LogSize},
    committer::{Committer, LastCommit, Told},
    paths::Paths,
    proof::{Lives, Proofs},
    read::{self, Trails},
    readers::Readers,
    request::{Tx, Weight},
    stats::Counters,
    watch::Watch,
    write::{self, Projection},
    writer::Writer,
};
use async_trait::async_trait;
use std::{fmt, path::Path, sync::Arc, time::Duration};
use towpath_model::{
    Digest, Entry, EntryId, Epoch, Name, NewEntry, PipelineName, RunId, RunKey, RunNo, Seq, SignedHead,
    StepId, StoredAnchor, StoredEvent, Timestamp, WorkerId,
};
use towpath_store::{
    Changed, Changes, Claim, Claimed, Filter, Head, LockRow, LogLine, NewAnchor, NewRun, Note, NoteVersion,
    Page, Progress, Projector, Put, Redaction, Refused, Removal, Remove, RemovedRun, RunRow, Started, Store,
    StoreError, StoreErrorKind, StoreHealth, Transition, Unanchored, check_batch, check_note,
};

/// A store in one SQLite file. Several processes may open it.
///
/// ```no_run
/// use towpath_store_sqlite::{Options, SqliteStore};
/// let store = SqliteStore::open("deploys.db", Options::default())?;
/// # Ok::<(), towpath_store::StoreError>(())
/// ```
pub struct SqliteStore {
    writer: Arc<Writer>,
    readers: Readers,
    trails: Trails,
    watch: Arc<Watch>,
    checkpointer: Arc<Checkpointer>,
    lives: Lives,
    proofs: Arc<Proofs>,
    counters: Arc<Counters>,
    last_commit: Arc<LastCommit>,
    options: Options,
    paths: Paths,
}

impl SqliteStore {
    /// Opens the store in this file, and makes it when there is none.
    ///
    /// # Errors
    /// A file that is not a store, one of a newer format, and one on a network file system are refused and left as
    /// they are; the kind of the error is then [`Format`](towpath_store::StoreErrorKind::Format).
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let paths = Paths::of(path.as_ref())?;
        let counters = Arc::new(Counters::default());
        let last_commit = Arc::<LastCommit>::default();
        let changes = Changes::default();
        let checkpointer = Checkpointer::new(&paths, &options, counters.clone());
        let told =
            Told { changes: changes.clone(), counters: counters.clone(), last_commit: last_commit.clone() };
        let committer = Committer::open(&paths, &options, LogSize::new(checkpointer.clone()), told)?;
        let writer = Writer::new(committer, counters.clone());
        Ok(SqliteStore {
            watch: Watch::new(changes, writer.clone()),
            writer,
            readers: Readers::new(&paths, &options),
            trails: Trails::default(),
            checkpointer,
            lives: Lives::new(&paths),
            proofs: Arc::new(Proofs::new(&paths)),
            counters,
            last_commit,
            options,
            paths,
        })
    }

    /// What was done through this handle so far.
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.paths.database
    }

    /// Copies the store into a file, as it is at one moment, while others go on. Opened as a store of its own, the copy is
    /// driven by nobody, and none of those who drive the original is taken for dead.
    ///
    /// It blocks for as long as reading the whole database takes. The file appears under its name when it is whole and on
    /// the disk.
    ///
    /// # Errors
    /// When there is something of that name, or the copy cannot be made.
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<Backup, StoreError> {
        backup::backup(&self.paths, &self.options, to.as_ref())
    }

    /// What a rebuild finds about one run.
    async fn project(&self, run: RunNo, fold: &dyn Projector) -> Result<(), StoreError> {
        loop {
            let events = self.events(run, Seq(0), usize::MAX).await?;
            let row = fold.project(&events);
            let found = Projection { run, seq: Seq(events.len() as u64), row };
            if self.writer.write("rebuild", move |tx| write::project(tx, &found)).await? {
                return Ok(());
            }
        }
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.watch.close();
        self.writer.close();
        self.checkpointer.close();
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn start_run(&self, run: NewRun) -> Result<Started, StoreError> {
        self.writer.write("start a run", move |tx| write::start(tx, &run)).await
    }

    async fn commit(&self, batch: Vec<Transition>) -> Result<Vec<Result<Seq, Refused>>, StoreError> {
        check_batch(&batch)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let weight = Weight { transitions: batch.len(), bytes: batch.iter().map(Transition::bytes).sum() };
        let commit = move |tx: &Tx<'_>| {
            write::check_starts(tx, &batch)?;
            batch.iter().map(|t| write::commit(tx, t)).collect()
        };
        let answers: Vec<Result<Seq, Refused>> =
            self.writer.submit("commit", weight, commit).answer().await?;
        self.counters.transitions.add(answers.iter().filter(|a| a.is_ok()).count() as u64);
        Ok(answers)
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        let proofs = self.proofs.clone();
        let (claimed, proven) =
            self.writer.write("claim runs", move |tx| write::claim(tx, &claim, &proofs)).await?;
        proven.into_iter().for_each(crate::proof::Proven::clear);
        Ok(claimed)
    }

    async fn register(&self, worker: &WorkerId, lease: Duration) -> Result<Timestamp, StoreError> {
        let life = self.lives.begin(worker)?;
        let id = worker.clone();
        let register = move |tx: &Tx<'_>| write::register(tx, &id, lease);
        let deadline = self.writer.write("register a worker", register).await?;
        life.keep();
        Ok(deadline)
    }

    async fn heartbeat(&self, worker: &WorkerId, lease: Duration) -> Result<Timestamp, StoreError> {
        let worker = worker.clone();
        self.writer.write("renew a lease", move |tx| write::heartbeat(tx, &worker, lease)).await
    }

    async fn retire(&self, worker: &WorkerId) -> Result<(), StoreError> {
        let id = worker.clone();
        self.writer.write("retire a worker", move |tx| write::retire(tx, &id)).await?;
        self.lives.end(worker);
        Ok(())
    }

    async fn next_wake(&self) -> Result<Option<Timestamp>, StoreError> {
        self.readers.read("read the next wake", read::next_wake)
    }

    async fn head(&self, run: RunNo) -> Result<Head, StoreError> {
        self.readers.read("read the head", |c| read::head(c, run))
    }

    async fn events(&self, run: RunNo, after: Seq, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.readers.read("read events", |c| read::events(c, &self.trails, run, after, limit))
    }

    async fn blob(&self, digest: Digest) -> Result<String, StoreError> {
        self.readers.read("read a blob", |c| read::blob(c, digest))
    }

    async fn put_entry(&self, run: RunId, entry: NewEntry) -> Result<Put, StoreError> {
        self.writer.write("put an entry", move |tx| write::put_entry(tx, run, &entry)).await
    }

    async fn entries(&self, run: RunNo, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.readers.read("read entries", |c| read::entries(c, run, limit))
    }

    async fn find(&self, run: RunId) -> Result<Option<RunRow>, StoreError> {
        self.readers.read("find a run", |c| read::row_by_run(c, run))
    }

    async fn find_key(&self, pipeline: &PipelineName, key: &RunKey) -> Result<Option<RunRow>, StoreError> {
        self.readers.read("find a run", |c| read::row_by_key(c, pipeline, key))
    }

    async fn list(&self, filter: &Filter, page: Page) -> Result<Vec<RunRow>, StoreError> {
        read::list(&self.readers, filter, page)
    }

    async fn quarantine(
        &self,
        run: RunNo,
        epoch: Epoch,
        seq: Seq,
        reason: &str,
        seen: Option<EntryId>,
    ) -> Result<(), StoreError> {
        let reason = reason.to_owned();
        let quarantine = move |tx: &Tx<'_>| write::quarantine(tx, run, epoch, seq, &reason, seen);
        self.writer.write("quarantine a run", quarantine).await
    }

    fn changed(&self) -> Changed<'_> {
        Box::pin(self.watch.wait())
    }

    async fn rebuild(&self, fold: &dyn Projector) -> Result<(), StoreError> {
        let mut after = RunNo(0);
        loop {
            let runs = self.readers.read("rebuild", |c| read::runs_after(c, after, 1_000))?;
            let Some(last) = runs.last() else { return Ok(()) };
            after = *last;
            for run in runs {
                match self.project(run, fold).await {
                    // It was removed meanwhile.
                    Err(error) if error.kind() == StoreErrorKind::NotFound => {}
                    done => done?,
                }
            }
        }
    }

    async fn logs(
        &self,
        run: RunNo,
        step: &StepId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<LogLine>, StoreError> {
        self.readers.read("read logs", |c| read::logs(c, run, step, after, limit))
    }

    async fn progress(&self, run: RunNo) -> Result<Vec<Progress>, StoreError> {
        self.readers.read("read progress", |c| read::progress(c, run))
    }

    async fn locks(&self) -> Result<Vec<LockRow>, StoreError> {
        self.readers.read("read locks", read::locks)
    }

    async fn remove(&self, runs: Vec<Remove>) -> Result<Vec<Removal>, StoreError> {
        let remove = move |tx: &Tx<'_>| runs.iter().map(|run| write::remove(tx, run)).collect();
        self.writer.write("remove runs", remove).await
    }

    async fn sweep(&self, most: usize) -> Result<bool, StoreError> {
        // Looked at without the write connection first: mostly there is nothing to do.
        if !self.readers.read("free what removed runs have left", read::is_unswept)? {
            return Ok(false);
        }
        self.writer.write("free what removed runs have left", move |tx| write::sweep(tx, most)).await
    }

    async fn removed(&self, after: RunNo, limit: usize) -> Result<Vec<RemovedRun>, StoreError> {
        self.readers.read("read of removed runs", |c| read::removed(c, after, limit))
    }

    async fn unanchored(&self, limit: usize) -> Result<Unanchored, StoreError> {
        self.readers.read("look for moved heads", |c| read::unanchored(c, limit))
    }

    async fn anchor(&self, anchor: NewAnchor) -> Result<bool, StoreError> {
        self.writer.write("write an anchor", move |tx| write::anchor(tx, &anchor)).await
    }

    async fn anchors(&self, after: u64, limit: usize) -> Result<Vec<StoredAnchor>, StoreError> {
        self.readers.read("read anchors", |c| read::anchors(c, after, limit))
    }

    async fn signed_head(&self, run: RunNo) -> Result<Option<SignedHead>, StoreError> {
        self.readers.read("read a signed head", |c| read::signed_head(c, run))
    }

    async fn redact(&self, redaction: Redaction) -> Result<Removal, StoreError> {
        self.writer.write("redact an event", move |tx| write::redact(tx, &redaction)).await
    }

    async fn notes(&self, kind: &Name) -> Result<Vec<Note>, StoreError> {
        self.readers.read("read notes", |c| read::notes(c, kind))
    }

    async fn write_note(&self, over: &NoteVersion, text: &str) -> Result<bool, StoreError> {
        check_note(over, text)?;
        let (over, text) = (over.clone(), text.to_owned());
        self.writer.write("write a note", move |tx| write::write_note(tx, &over, &text)).await
    }

    async fn health(&self) -> Result<StoreHealth, StoreError> {
        let now = self.options.clock.now();
        if let Some(failing) = self.last_commit.failing() {
            return Err(failing);
        }
        let last_commit = self.last_commit.at();
        let health = self.readers.read("read the health", |c| read::health(c, now))?;
        Ok(StoreHealth { last_commit, ..health })
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.options.clock.now())
    }
}
