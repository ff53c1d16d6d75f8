//! What the tests of the store share: a folder of their own, stores in it, and runs.

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use towpath_model::{
    Actor, Chain, Digest, Epoch, Json, Listing, Message, Name, NewEntry, PipelineName, RunId, RunKey, RunNo,
    Status, Timestamp, WorkerId,
};
use towpath_store::{ManualClock, NewRun, Started, Store, Transition, Wake, conformance::Fixture};
use towpath_store_sqlite::{Options, SqliteStore};

pub(crate) const LEASE: Duration = Duration::from_secs(30);

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A folder that is gone with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let name = format!("towpath-store-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
        Folder(folder)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("journal.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A fresh store for one test.
pub(crate) struct Sqlite {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) folder: Folder,
}

impl Sqlite {
    pub(crate) fn new() -> Self {
        Sqlite { clock: Arc::new(ManualClock::default()), folder: Folder::new() }
    }

    pub(crate) fn store(&self) -> SqliteStore {
        let options = Options { clock: self.clock.clone(), ..Options::default() };
        SqliteStore::open(self.folder.database(), options).expect("the store opens")
    }
}

impl Fixture for Sqlite {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store())
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }
}

/// A file beside the database.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(crate) fn run_id(n: u64) -> RunId {
    let mut bytes = [0xaa; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    RunId::from_bytes(bytes)
}

pub(crate) fn listing(status: Status, note: &str) -> Listing {
    Listing { status, note: note.to_owned(), outcome: None }
}

pub(crate) async fn register(store: &dyn Store, name: &str) -> Outcome<WorkerId> {
    let worker = WorkerId::new(name)?;
    store.register(&worker, LEASE).await?;
    Ok(worker)
}

/// A signal with this dedupe id.
pub(crate) fn entry(dedupe_id: &str) -> Outcome<NewEntry> {
    let message = Json::of(&Message::Signal { name: Name::new("go")?, step: None, value: Json::null() })?;
    Ok(NewEntry { dedupe_id: Name::new(dedupe_id)?, actor: Actor::engine(), message })
}

/// A run that its driver knows the head of.
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) no: RunNo,
    pub(crate) chain: Chain,
}

impl Run {
    /// A new run without events, leased to a worker.
    pub(crate) async fn start(store: &dyn Store, worker: &WorkerId, n: u64) -> Outcome<Self> {
        let (id, chain) = (run_id(n), Chain::new(run_id(n)));
        let started = store.start_run(NewRun {
            run: id,
            pipeline: PipelineName::new("checkout")?,
            key: RunKey::new(&format!("run-{n}"))?,
            plan_hash: Digest::ZERO,
            events: Vec::new(),
            head_hash: chain.hash(),
            listing: listing(Status::Running, ""),
            labels: vec![("n".to_owned(), n.to_string())],
            parent: None,
            wake: Wake::Keep,
            owner: Some(worker.clone()),
            blobs: Vec::new(),
            locks: Vec::new(),
            over: None,
        });
        match started.await? {
            Started::New(no) => Ok(Run { id, no, chain }),
            Started::Existing(row) => Err(format!("{} is there", row.run).into()),
            Started::Moved => Err("it goes by no note".into()),
        }
    }

    /// A transition with so many events.
    pub(crate) fn append(&mut self, events: usize) -> Transition {
        let (after, actor) = (self.chain.seq(), Actor::engine());
        let payload = |n| format!("{{\"event\": {n}, \"text\": \"{}\"}}", "x".repeat(200)).into_bytes();
        let seal = |n| self.chain.seal(1, Timestamp::MIN, Epoch(1), &actor, payload(n)).stored;
        let events = (0..events).map(seal).collect();
        Transition { events, ..Transition::new(self.no, Epoch(1), after, self.chain.hash()) }
    }
}

/// The chain of a run as it is stored, verified.
pub(crate) async fn stored_chain(store: &dyn Store, run: RunId, no: RunNo) -> Outcome<Chain> {
    let mut chain = Chain::new(run);
    for event in store.events(no, towpath_model::Seq(0), usize::MAX).await? {
        chain.verify(&event)?;
    }
    Ok(chain)
}
