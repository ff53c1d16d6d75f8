//! Rounds of the load on a fresh journal.

use crate::{
    BoxError, load,
    machine::{Flushes, cpu},
    report::quantile,
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use towpath::{
    Engine,
    store_sqlite::{Durability, Options, SqliteStore},
};

/// What one round measured.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) steps: usize,
    pub(crate) elapsed: Duration,
    pub(crate) cpu: Duration,
    pub(crate) flushes: Option<u64>,
    /// Transitions of runs; a start is none.
    pub(crate) transitions: u64,
    /// Commits of the database, whatever they were for.
    pub(crate) commits: u64,
    /// Time of one step, in microseconds, sorted. Only of rounds with one run in flight.
    pub(crate) step_us: Vec<f64>,
    /// Time of one run, in milliseconds, sorted.
    pub(crate) run_ms: Vec<f64>,
}

impl Round {
    pub(crate) fn steps_per_second(&self) -> f64 {
        self.steps as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn cpu_us_per_step(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.steps as f64
    }

    pub(crate) fn p99_run_ms(&self) -> f64 {
        quantile(&self.run_ms, 0.99)
    }
}

/// A runtime with one worker more than cores: a leader blocks one while the disk flushes.
fn runtime() -> Result<tokio::runtime::Runtime, BoxError> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(cores + 1).enable_all().build()?)
}

/// Drives `runs` runs, `in_flight` at a time.
pub(crate) fn drive(folder: &Path, full: bool, runs: usize, in_flight: usize) -> Result<Round, BoxError> {
    let file = folder.join("journal.db");
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.join(format!("journal.db{suffix}")));
    }
    let durability = if full { Durability::Full } else { Durability::Normal };
    runtime()?.block_on(async {
        let store = Arc::new(SqliteStore::open(&file, Options { durability, ..Options::default() })?);
        let engine =
            Engine::builder(store.clone()).steps(load::kinds()).concurrency(in_flight + 8).start().await?;
        load::entered();
        let before = store.stats();
        let (flushes, cpu_before, start) = (Flushes::begin(folder), cpu(), Instant::now());
        let run_ms = all(&engine, runs, in_flight).await?;
        let elapsed = start.elapsed();
        let cpu = cpu() - cpu_before;
        let flushes = flushes.count();
        let after = store.stats();
        engine.shutdown().await?;
        let mut step_us = if in_flight == 1 { gaps(&load::entered()) } else { Vec::new() };
        step_us.sort_by(f64::total_cmp);
        Ok(Round {
            steps: runs * load::STEPS,
            elapsed,
            cpu,
            flushes,
            transitions: after.transitions - before.transitions,
            commits: after.commits - before.commits,
            step_us,
            run_ms,
        })
    })
}

/// The times between one body and the next of the same run.
fn gaps(entered: &[Instant]) -> Vec<f64> {
    let runs = entered.chunks(load::STEPS);
    runs.flat_map(|run| run.windows(2).map(|w| (w[1] - w[0]).as_secs_f64() * 1e6)).collect()
}

async fn all(engine: &Engine, runs: usize, in_flight: usize) -> Result<Vec<f64>, BoxError> {
    let next = Arc::new(AtomicUsize::new(0));
    let plan = load::plan()?;
    let mut callers = Vec::new();
    for _ in 0..in_flight {
        let (engine, next, plan) = (engine.clone(), next.clone(), plan.clone());
        let caller = async move {
            let mut took = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= runs {
                    return Ok::<_, BoxError>(took);
                }
                let start = Instant::now();
                let run = engine.run(plan.clone(), format!("run-{n}").as_str()).await?;
                run.settled().await?;
                took.push(start.elapsed().as_secs_f64() * 1e3);
            }
        };
        callers.push(tokio::spawn(caller));
    }
    let mut took = Vec::new();
    for caller in callers {
        took.extend(caller.await??);
    }
    took.sort_by(f64::total_cmp);
    Ok(took)
}
