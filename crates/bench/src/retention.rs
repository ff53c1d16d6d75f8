//! `retention`: how long appends take while runs are removed.

use crate::{
    BoxError,
    report::say,
    runs::{Run, commit},
};
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};
use towpath::{
    model::{Actor, Listing, Status, WorkerId},
    store::{Removal, Remove, Store, Transition},
    store_sqlite::{Options, SqliteStore},
};

/// Runs that are removed.
const RUNS: u64 = 4;
/// Events of each.
const EVENTS: usize = 10_000;
/// Rows that one commit frees, as the engine asks for.
const PIECE: usize = 500;

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// 99th percentile of an append beside the removal.
    pub(crate) p99: Duration,
    /// The same beside another writer that writes runs as long as those: what any writer costs here.
    pub(crate) floor_p99: Duration,
    /// Appends that were made beside the removal.
    pub(crate) appends: usize,
    /// How long the removal took.
    pub(crate) took: Duration,
}

/// Writes runs and removes them beside two others that append.
///
/// # Errors
/// When the store cannot be used, or refuses.
pub(crate) fn retention(folder: &Path, round: usize) -> Result<Retention, BoxError> {
    let store = SqliteStore::open(folder.join(format!("retention-{round}.db")), Options::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worker = WorkerId::new("bench")?;
    runtime.block_on(store.register(&worker, Duration::from_secs(24 * 3_600)))?;
    let runs: Vec<Run> =
        (0..RUNS).map(|n| runtime.block_on(settled(&store, &worker, n))).collect::<Result<_, _>>()?;
    let alone = beside(&store, &worker, 100, || runtime.block_on(settled(&store, &worker, RUNS)).map(drop))?;
    let begun = Instant::now();
    let beside = beside(&store, &worker, 200, || runtime.block_on(remove(&store, &runs)))?;
    let took = begun.elapsed();
    let p99 = |all: &[Duration]| all.get(all.len() * 99 / 100).copied().unwrap_or_default();
    let told = Retention { p99: p99(&beside), floor_p99: p99(&alone), appends: beside.len(), took };
    say(&format!("p99 of {} appends {:?}, floor {:?}", told.appends, told.p99, told.floor_p99));
    Ok(told)
}

/// A run that is over.
async fn settled(store: &SqliteStore, worker: &WorkerId, n: u64) -> Result<Run, BoxError> {
    let mut run = Run::start(store, worker, n).await?;
    for _ in 0..EVENTS / PIECE {
        commit(store, run.append(PIECE)).await?;
    }
    let listing = Some(Listing { status: Status::Settled, note: String::new(), outcome: None });
    commit(store, Transition { listing, ..run.append(1) }).await?;
    Ok(run)
}

async fn remove(store: &SqliteStore, runs: &[Run]) -> Result<(), BoxError> {
    for run in runs {
        let (seq, hash) = (run.chain.seq(), run.chain.hash());
        let remove = Remove { run: run.id, seq, hash, by: Actor::engine(), note: String::new() };
        if store.remove(vec![remove]).await? != [Removal::Removed] {
            return Err("a run was not removed".into());
        }
    }
    while store.sweep(PIECE).await? {}
    Ok(())
}

/// Does something while two runs append; how long their appends took, in order.
fn beside(
    store: &SqliteStore,
    worker: &WorkerId,
    first: u64,
    work: impl FnOnce() -> Result<(), BoxError>,
) -> Result<Vec<Duration>, BoxError> {
    let is_over = AtomicBool::new(false);
    let appending = |n| -> Result<Vec<Duration>, BoxError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut run = runtime.block_on(Run::start(store, worker, n))?;
        let mut took = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let transition = run.append(2);
            let begun = Instant::now();
            runtime.block_on(commit(store, transition))?;
            took.push(begun.elapsed());
        }
        Ok(took)
    };
    thread::scope(|scope| {
        let (one, other) = (scope.spawn(|| appending(first)), scope.spawn(|| appending(first + 1)));
        let done = work();
        is_over.store(true, Ordering::Relaxed);
        let mut took = Vec::new();
        for appends in [one.join(), other.join()] {
            took.extend(appends.map_err(|_| "an append panicked")??);
        }
        done?;
        took.sort_unstable();
        Ok(took)
    })
}
