//! `audit`: what the chain costs, and how fast a store full of it is verified.

use crate::{
    BoxError,
    machine::cpu,
    report::say,
    runs::{Run, commit, payload},
};
use rusqlite::Connection;
use std::{
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};
use towpath::{
    engine::verify,
    model::{Actor, Chain, Digest, Epoch, RunId, Timestamp, WorkerId},
    store::{Cursor, Filter, Page, Store},
    store_sqlite::{Durability, Options, SqliteStore},
};

/// Events of one run of the store that is verified.
const RUN: usize = 1_000;
/// Events of one transition of it.
const BATCH: usize = 250;

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audit {
    /// Events in the store.
    pub(crate) events: usize,
    /// Verifying all of them, from the file.
    pub(crate) verify: Duration,
    /// Reading the same rows in the order in which they lie, and hashing their bytes, with nothing around it.
    pub(crate) floor: Duration,
    /// Processor time for sealing one event: encoding its header, and both hashes.
    pub(crate) chain: Duration,
    /// Processor time for the two hashes alone.
    pub(crate) hashes: Duration,
}

/// Writes a store of so many events, and verifies it.
///
/// # Errors
/// When the store cannot be used, or does not verify.
pub(crate) fn audit(folder: &Path, events: usize) -> Result<Audit, BoxError> {
    let file = folder.join("audit.db");
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.join(format!("audit.db{suffix}")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = Options { durability: Durability::Normal, ..Options::default() };
    let store = SqliteStore::open(&file, options)?;
    let runs = events.div_ceil(RUN);
    runtime.block_on(fill(&store, runs))?;
    let floor = raw(&file, runs * RUN)?;
    let begun = Instant::now();
    let seen = runtime.block_on(verify_all(&store))?;
    let verify = begun.elapsed();
    if seen != runs * RUN {
        return Err(format!("{seen} events were verified, and {} were written", runs * RUN).into());
    }
    let (chain, hashes) = seal(1_000_000);
    say(&format!(
        "verified {seen} events in {:.2} s, floor {:.2} s",
        verify.as_secs_f64(),
        floor.as_secs_f64()
    ));
    Ok(Audit { events: seen, verify, floor, chain, hashes })
}

async fn fill(store: &SqliteStore, runs: usize) -> Result<(), BoxError> {
    let worker = WorkerId::new("bench")?;
    store.register(&worker, Duration::from_secs(24 * 3_600)).await?;
    for n in 0..runs {
        let mut run = Run::start(store, &worker, n as u64).await?;
        for _ in 0..RUN / BATCH {
            commit(store, run.append(BATCH)).await?;
        }
    }
    Ok(())
}

async fn verify_all(store: &SqliteStore) -> Result<usize, BoxError> {
    let (mut after, mut seen) = (None, 0);
    loop {
        let page = store.list(&Filter::default(), Page { after, limit: Page::MOST }).await?;
        let Some(last) = page.last() else { return Ok(seen) };
        after = Some(Cursor(last.no));
        for row in &page {
            let verdict = verify::run(store, row).await?;
            if let Some(fault) = verdict.fault {
                return Err(format!("run {}: {fault}", row.run).into());
            }
            seen += verdict.events.0 as usize;
        }
    }
}

/// The floor: the same rows, read in order and hashed.
fn raw(file: &Path, events: usize) -> Result<Duration, BoxError> {
    let connection = Connection::open(file)?;
    let begun = Instant::now();
    let mut all = connection.prepare("SELECT header, payload FROM events ORDER BY id")?;
    let mut rows = all.query([])?;
    let mut seen = 0;
    while let Some(row) = rows.next()? {
        let (header, payload): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
        black_box((Digest::of(&header), Digest::of(&payload)));
        seen += 1;
    }
    if seen != events {
        return Err(format!("{seen} events were read, and {events} were written").into());
    }
    Ok(begun.elapsed())
}

/// Processor time for one event: sealing it, and its two hashes alone.
fn seal(events: u32) -> (Duration, Duration) {
    let mut chain = Chain::new(RunId::from_bytes([1; 16]));
    let (actor, payload) = (Actor::engine(), payload());
    let begun = cpu();
    for _ in 0..events {
        black_box(chain.seal(3, Timestamp::MIN, Epoch(1), &actor, payload.clone()));
    }
    let sealed = cpu() - begun;
    let header = chain.seal(3, Timestamp::MIN, Epoch(1), &actor, payload.clone()).stored.header;
    let begun = cpu();
    for _ in 0..events {
        black_box((Digest::of(black_box(&header)), Digest::of(black_box(&payload))));
    }
    (sealed / events, (cpu() - begun) / events)
}
