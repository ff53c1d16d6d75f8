//! Writing an archive.

use super::{
    ARCHIVE_FORMAT, ArchiveError, ArchiveErrorKind,
    record::{BlobRecord, End, EventRecord, First, LogRecord, Record, RunRecord},
};
use crate::config::EVENTS_PAGE;
use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};
use towpath_model::{Digest, Event, Header, RunId, RunNo, Seq, StepId, StoredEvent};
use towpath_store::{Cursor, Filter, Level, Page, RunRow, Store, StoreErrorKind};

const OPERATION: &str = "write an archive";
const LOGS_PAGE: usize = 1_000;

/// A run that was written, with its place in the order in which runs can be removed: items before what they belong to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// The run.
    pub run: RunId,
    /// Number of the last event that was written.
    pub seq: Seq,
    /// Hash of that event.
    pub hash: Digest,
}

/// Writes a run with its items, and all that they refer to, into a file. A file that is there already is replaced, at
/// once and only by a whole one.
///
/// A run that goes on is written up to where its journal ends at that moment. What was written is answered, the deepest
/// items first.
///
/// # Errors
/// When the store cannot be read, a journal has gaps, or the file cannot be written.
pub async fn write(store: &dyn Store, row: &RunRow, path: &Path) -> Result<Vec<Written>, ArchiveError> {
    let beside = beside(path);
    let written = write_to(store, row, &beside).await;
    let placed = match &written {
        Ok(_) => place(&beside, path),
        Err(_) => Ok(()),
    };
    if written.is_err() || placed.is_err() {
        // Nothing more can be done about it than to say what went wrong first.
        drop(std::fs::remove_file(&beside));
    }
    placed.map_err(|e| ArchiveError::file(OPERATION, path, e))?;
    written
}

/// Where a file is written before it is whole: in the folder of its place, so that it can be moved there at once.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    name.into()
}

/// Moves a file to its place, for good: the folder is made durable as well.
fn place(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::rename(from, to)?;
    #[cfg(unix)]
    {
        let folder = match to.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

async fn write_to(store: &dyn Store, row: &RunRow, path: &Path) -> Result<Vec<Written>, ArchiveError> {
    let failed = |e| ArchiveError::file(OPERATION, path, e);
    let file = File::create(path).map_err(failed)?;
    let mut writer = Writer {
        to: BufWriter::new(file),
        path: path.to_owned(),
        end: End::default(),
        blobs: BTreeSet::new(),
        written: Vec::new(),
    };
    let at = store.now().await.map_err(|e| ArchiveError::store(OPERATION, e))?;
    writer.put(&Record::Archive(First { format: ARCHIVE_FORMAT, run: row.run, at }))?;
    writer.family(store, row).await?;
    writer.blobs(store).await?;
    writer.put(&Record::End(writer.end))?;
    let Writer { to, mut written, .. } = writer;
    let file = to.into_inner().map_err(|e| failed(e.into_error()))?;
    let synced = tokio::task::spawn_blocking(move || file.sync_all()).await;
    synced.map_err(std::io::Error::other).and_then(|done| done).map_err(failed)?;
    // Each was written before its items.
    written.reverse();
    Ok(written)
}

struct Writer {
    to: BufWriter<File>,
    path: PathBuf,
    end: End,
    /// Blobs that the runs refer to.
    blobs: BTreeSet<Digest>,
    written: Vec<Written>,
}

impl Writer {
    fn put(&mut self, record: &Record) -> Result<(), ArchiveError> {
        self.end.count(record);
        let written = serde_json::to_writer(&mut self.to, record).map_err(std::io::Error::from);
        let written = written.and_then(|()| self.to.write_all(b"\n"));
        written.map_err(|e| ArchiveError::file(OPERATION, &self.path, e))
    }

    /// Writes a run, its items, and theirs.
    async fn family(&mut self, store: &dyn Store, row: &RunRow) -> Result<(), ArchiveError> {
        let mut open = vec![row.clone()];
        while let Some(row) = open.pop() {
            self.run(store, &row).await?;
            let filter = Filter { level: Level::ItemsOf(row.run), ..Filter::default() };
            let mut after = None;
            loop {
                let page = store.list(&filter, Page { after, limit: Page::MOST }).await;
                let page = page.map_err(|e| ArchiveError::store(OPERATION, e).with("run", row.run))?;
                let Some(last) = page.last() else { break };
                after = Some(Cursor(last.no));
                open.extend(page);
            }
        }
        Ok(())
    }

    async fn run(&mut self, store: &dyn Store, row: &RunRow) -> Result<(), ArchiveError> {
        let failed = |e| ArchiveError::store(OPERATION, e).with("run", row.run);
        let head = store.head(row.no).await.map_err(failed)?;
        self.put(&Record::Run(Box::new(RunRecord::of(row, head.seq, head.hash))))?;
        let (mut seq, mut steps) = (Seq(0), BTreeSet::new());
        while seq < head.seq {
            let left = usize::try_from(head.seq.0 - seq.0).unwrap_or(usize::MAX);
            let page = store.events(row.no, seq, left.min(EVENTS_PAGE)).await.map_err(failed)?;
            if page.is_empty() {
                let cut = ArchiveError::new(ArchiveErrorKind::Damaged, OPERATION).with("run", row.run);
                return Err(cut.with("its journal ends at", seq).with("its head says", head.seq));
            }
            for stored in &page {
                seq = seq.next();
                self.put(&Record::Event(EventRecord::of(stored)))?;
                self.refer(stored, &mut steps);
            }
        }
        for step in steps {
            self.logs(store, row.no, &step).await?;
        }
        if let Some(signed) = store.signed_head(row.no).await.map_err(failed)? {
            self.put(&Record::Signed(signed))?;
        }
        self.written.push(Written { run: row.run, seq: head.seq, hash: head.hash });
        Ok(())
    }

    /// Notes what an event refers to. One that cannot be read refers to nothing that could be found.
    fn refer(&mut self, stored: &StoredEvent, steps: &mut BTreeSet<StepId>) {
        let Ok(header) = Header::decode(&stored.header) else { return };
        let Some(Ok(event)) = stored.payload.as_ref().map(|p| Event::decode(header.kind, p)) else { return };
        self.blobs.extend(event.blobs().into_iter().map(|blob| blob.digest));
        match event {
            Event::StepStarted(e) => drop(steps.insert(e.step)),
            Event::CompensationStarted(e) => drop(steps.insert(e.step)),
            _ => {}
        }
    }

    async fn logs(&mut self, store: &dyn Store, run: RunNo, step: &StepId) -> Result<(), ArchiveError> {
        let mut after = 0;
        loop {
            let page = store.logs(run, step, after, LOGS_PAGE).await;
            let page = page.map_err(|e| ArchiveError::store(OPERATION, e))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.line;
            for line in page {
                self.put(&Record::Log(LogRecord::of(line)))?;
            }
        }
    }

    /// Writes the blobs. One that is missing is found missing by whoever verifies the file.
    async fn blobs(&mut self, store: &dyn Store) -> Result<(), ArchiveError> {
        for digest in std::mem::take(&mut self.blobs) {
            match store.blob(digest).await {
                Ok(text) => self.put(&Record::Blob(BlobRecord { digest, text }))?,
                Err(e) if e.kind() == StoreErrorKind::NotFound => {}
                Err(e) => return Err(ArchiveError::store(OPERATION, e)),
            }
        }
        Ok(())
    }
}
