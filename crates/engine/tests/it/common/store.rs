//! A store that does what a test says before and after each write.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};
use towpath_engine::async_trait;
use towpath_model::{
    Digest, Entry, Epoch, NewEntry, PipelineName, RunId, RunKey, RunNo, Seq, StepId, StoredEvent, Timestamp,
    WorkerId,
};
use towpath_store::{
    Changed, Claim, Claimed, Filter, Head, LogLine, NewRun, Page, Progress, Projector, Put, Refused, RunRow,
    Started, Store, StoreError, StoreErrorKind, StoreHealth, Transition,
};

/// Where a hook is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    BeforeCommit,
    AfterCommit,
    BeforeStart,
    AfterStart,
    BeforeHeartbeat,
    BeforeEntries,
    BeforeClaim,
    AfterClaim,
}

/// What a hook says: an error instead of an answer, or nothing.
pub(crate) type Hook = Arc<dyn Fn(Moment) -> bool + Send + Sync>;

/// A store behind a hook: where it says true, the answer is an error.
pub(crate) struct Hooked {
    inner: Arc<dyn Store>,
    hook: Mutex<Hook>,
    commits: Mutex<Vec<Transition>>,
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooked")
    }
}

impl Hooked {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Hooked { inner, hook: Mutex::new(Arc::new(|_| false)), commits: Mutex::default() })
    }

    pub(crate) fn hook(&self, hook: impl Fn(Moment) -> bool + Send + Sync + 'static) {
        *self.hook.lock().unwrap() = Arc::new(hook);
    }

    /// Everything that was committed through this.
    pub(crate) fn commits(&self) -> Vec<Transition> {
        self.commits.lock().unwrap().clone()
    }

    fn ask(&self, moment: Moment) -> Result<(), StoreError> {
        let hook = self.hook.lock().unwrap().clone();
        if hook(moment) {
            return Err(
                StoreError::new(StoreErrorKind::Unavailable, "a test").with("at", format!("{moment:?}"))
            );
        }
        Ok(())
    }
}

#[async_trait]
impl Store for Hooked {
    async fn start_run(&self, run: NewRun) -> Result<Started, StoreError> {
        self.ask(Moment::BeforeStart)?;
        let started = self.inner.start_run(run).await?;
        self.ask(Moment::AfterStart)?;
        Ok(started)
    }

    async fn commit(&self, batch: Vec<Transition>) -> Result<Vec<Result<Seq, Refused>>, StoreError> {
        self.ask(Moment::BeforeCommit)?;
        self.commits.lock().unwrap().extend(batch.iter().cloned());
        let answers = self.inner.commit(batch).await?;
        self.ask(Moment::AfterCommit)?;
        Ok(answers)
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        self.ask(Moment::BeforeClaim)?;
        let claimed = self.inner.claim(claim).await?;
        if !claimed.is_empty() {
            self.ask(Moment::AfterClaim)?;
        }
        Ok(claimed)
    }

    async fn register(&self, worker: &WorkerId, lease: Duration) -> Result<Timestamp, StoreError> {
        self.inner.register(worker, lease).await
    }

    async fn heartbeat(&self, worker: &WorkerId, lease: Duration) -> Result<Timestamp, StoreError> {
        self.ask(Moment::BeforeHeartbeat)?;
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
        self.ask(Moment::BeforeEntries)?;
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
