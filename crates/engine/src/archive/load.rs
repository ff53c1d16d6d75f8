//! An archive as a store.

use super::{
    ArchiveError, ArchiveErrorKind,
    read::Lines,
    record::{Record, RunRecord},
};
use std::{path::Path, sync::Arc, time::Duration};
use towpath_model::{Digest, Epoch, RunId, Seq, SignedHead, StoredEvent, WorkerId};
use towpath_store::{
    Blob, LogLine, ManualClock, MemoryStore, NewRun, Started, Store, StoreError, Transition, Wake,
};

const OPERATION: &str = "open an archive";
const LEASE: Duration = Duration::from_secs(3_600);

/// A run that is being read.
struct Loading {
    record: RunRecord,
    events: Vec<StoredEvent>,
    logs: Vec<LogLine>,
    signed: Option<SignedHead>,
}

/// An archive that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The run that was archived.
    pub run: RunId,
    /// It and its items.
    pub store: Arc<dyn Store>,
}

/// Opens an archive as a store in memory that holds its runs. What is written to that store is gone with it.
///
/// Whether the file is intact is not looked at; see [`verify`](super::verify). The store's time is that at which the
/// archive was made.
///
/// # Errors
/// When the file cannot be read, is no archive, or was cut off.
pub async fn open(path: &Path) -> Result<Opened, ArchiveError> {
    let (mut lines, first) = Lines::open(path)?;
    let (mut runs, mut blobs) = (Vec::<Loading>::new(), Vec::new());
    while let Some(record) = lines.next()? {
        match record {
            Record::Run(record) => {
                runs.push(Loading { record: *record, events: Vec::new(), logs: Vec::new(), signed: None });
            }
            Record::Event(event) => {
                let run = runs.last_mut().ok_or_else(|| lines.damaged("an event of no run"))?;
                run.events.push(event.stored().ok_or_else(|| lines.damaged("its digits are none"))?);
            }
            Record::Log(line) => {
                let run = runs.last_mut().ok_or_else(|| lines.damaged("a log of no run"))?;
                run.logs.push(line.line());
            }
            Record::Signed(head) => {
                let run = runs.last_mut().ok_or_else(|| lines.damaged("a signature of no run"))?;
                run.signed = Some(head);
            }
            Record::Blob(blob) => blobs.push(Blob { digest: blob.digest, text: blob.text }),
            Record::Archive(_) | Record::End(_) => {}
        }
    }
    let clock = Arc::new(ManualClock::default());
    let store = MemoryStore::new(clock.clone());
    let failed = |e: StoreError| ArchiveError::store(OPERATION, e).with("file", path.display());
    let worker = WorkerId::new("archive").expect("a word is a worker's id");
    store.register(&worker, LEASE).await.map_err(failed)?;
    for run in runs {
        clock.set(run.record.started_at);
        let blobs = std::mem::take(&mut blobs);
        let again = load(&store, &worker, &clock, run, blobs).await.map_err(failed)?;
        if !again {
            let twice = ArchiveError::new(ArchiveErrorKind::Damaged, OPERATION).with("file", path.display());
            return Err(twice.with("what", "two runs of it have one key"));
        }
    }
    store.retire(&worker).await.map_err(failed)?;
    clock.set(first.at);
    Ok(Opened { run: first.run, store: Arc::new(store) })
}

/// Starts a run as it was, and gives it its last row and its logs; whether its key was free.
async fn load(
    store: &MemoryStore,
    worker: &WorkerId,
    clock: &ManualClock,
    run: Loading,
    blobs: Vec<Blob>,
) -> Result<bool, StoreError> {
    let Loading { record, events, logs, signed } = run;
    let seq = Seq(events.len() as u64);
    let hash = events.last().map_or(Digest::ZERO, |e| Digest::of(&e.header));
    let new = NewRun {
        run: record.run,
        pipeline: record.pipeline,
        key: record.key,
        plan_hash: record.plan_hash,
        events,
        head_hash: record.head,
        listing: record.listing.clone(),
        labels: record.labels,
        parent: record.parent,
        wake: Wake::Never,
        owner: Some(worker.clone()),
        blobs,
        locks: Vec::new(),
        over: None,
    };
    let Started::New(no) = store.start_run(new).await? else { return Ok(false) };
    clock.set(record.changed_at);
    let transition = Transition {
        listing: Some(record.listing),
        logs,
        signed,
        release: true,
        ..Transition::new(no, Epoch(1), seq, hash)
    };
    // The lease was just taken, and nobody else has a handle of this store.
    let answers = store.commit(vec![transition]).await?;
    debug_assert!(answers.iter().all(Result::is_ok));
    Ok(true)
}
