//! Transitions per second of the store, with the floor beside them: the same rows, written by hand on one thread.
//!
//! `cargo run --release -p towpath-store-sqlite --example commit_rate -- [FOLDER] [ROUNDS] [normal]`. The folder has to be
//! on the disk to be measured; `normal` does not wait for the disk, and shows the work of the processor. Everything is measured in turn, several rounds, and the medians are printed.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use rusqlite::{Connection, params};
use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use towpath_model::{
    Actor, Chain, Digest, Epoch, Listing, PipelineName, RunId, RunKey, RunNo, Status, Timestamp, WorkerId,
};
use towpath_store::{NewRun, Started, Store, Transition, Wake};
use towpath_store_sqlite::{Durability, Options, SqliteStore};

/// Bytes of the payloads of "step n is done" and "step n + 1 begins".
const PAYLOADS: [usize; 2] = [420, 160];

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

#[derive(Clone, Copy, Default)]
struct Measure {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    cpu_us: f64,
    commits: f64,
}

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let rounds = arguments.next().map_or(Ok(5), |n| n.parse())?;
    let durability = match arguments.next().as_deref() {
        Some("normal") => Durability::Normal,
        _ => Durability::Full,
    };
    let file = folder.join(format!("commit-rate-{}.db", std::process::id()));
    let mut measures: [(&str, Vec<Measure>); 5] = [
        ("floor, one by one", Vec::new()),
        ("store, one by one", Vec::new()),
        ("floor, groups of 64", Vec::new()),
        ("store, 64 in flight", Vec::new()),
        ("store, 1000 in flight", Vec::new()),
    ];
    for _ in 0..rounds {
        measures[0].1.push(floor(&file, durability, 4_000, 1)?);
        measures[1].1.push(store(&file, durability, 1, 4_000)?);
        measures[2].1.push(floor(&file, durability, 128_000, 64)?);
        measures[3].1.push(store(&file, durability, 64, 1_500)?);
        measures[4].1.push(store(&file, durability, 1_000, 100)?);
    }
    remove(&file);
    println!(
        "{:24}{:>10}{:>8}{:>10}{:>10}{:>10}{:>10}",
        "", "per s", "ratio", "p50 us", "p99 us", "cpu us", "commits"
    );
    let mut floor = 1.0;
    for (what, measures) in &measures {
        let m = median(measures);
        if what.starts_with("floor") {
            floor = m.per_second;
        }
        let ratio = m.per_second / floor;
        println!(
            "{what:24}{:10.0}{ratio:8.2}{:10.1}{:10.1}{:10.1}{:10.3}",
            m.per_second, m.p50_us, m.p99_us, m.cpu_us, m.commits
        );
    }
    println!("ratio: to the floor above it; cpu, commits: per transition");
    Ok(())
}

fn median(measures: &[Measure]) -> Measure {
    let of = |field: fn(&Measure) -> f64| {
        let mut values: Vec<f64> = measures.iter().map(field).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    Measure {
        per_second: of(|m| m.per_second),
        p50_us: of(|m| m.p50_us),
        p99_us: of(|m| m.p99_us),
        cpu_us: of(|m| m.cpu_us),
        commits: of(|m| m.commits),
    }
}

fn remove(file: &Path) {
    for suffix in ["", "-wal", "-shm", ".want", ".bench.lock"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
}

/// Processor time of this process, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

struct Watch(Instant, f64);

impl Watch {
    fn start() -> Self {
        Watch(Instant::now(), cpu())
    }

    fn stop(self, transitions: usize, commits: u64, mut latencies: Vec<Duration>) -> Measure {
        let (seconds, cpu, n) = (self.0.elapsed().as_secs_f64(), cpu() - self.1, transitions as f64);
        latencies.sort_unstable();
        let at = |q: f64| {
            latencies.get((latencies.len() as f64 * q) as usize).map_or(0.0, |l| l.as_secs_f64() * 1e6)
        };
        Measure {
            per_second: n / seconds,
            p50_us: at(0.5),
            p99_us: at(0.99),
            cpu_us: cpu / n * 1e6,
            commits: commits as f64 / n,
        }
    }
}

/// The rows of a transition, as the store writes them, without the store.
fn floor(file: &Path, durability: Durability, transitions: usize, group: usize) -> Outcome<Measure> {
    remove(file);
    let runs = 1_000.min(transitions / group);
    let c = Connection::open(file)?;
    c.pragma_update(None, "synchronous", if durability == Durability::Full { "FULL" } else { "NORMAL" })?;
    c.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 1024; PRAGMA cache_size = -16384;
         CREATE TABLE heads (run_no INTEGER PRIMARY KEY, seq INTEGER, epoch INTEGER, head_id INTEGER, head_hash BLOB, claims INTEGER);
         CREATE TABLE events (id INTEGER PRIMARY KEY, run_no INTEGER, seq INTEGER, prev_id INTEGER, header BLOB, payload BLOB);
         BEGIN",
    )?;
    for run in 0..runs {
        c.execute("INSERT INTO heads VALUES (?1, 0, 1, 0, zeroblob(32), 0)", [run as i64])?;
    }
    c.execute_batch("COMMIT")?;
    let mut begin = c.prepare("BEGIN IMMEDIATE")?;
    let mut commit = c.prepare("COMMIT")?;
    let mut insert =
        c.prepare("INSERT INTO events (run_no, seq, prev_id, header, payload) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut update = c.prepare("UPDATE heads SET seq = ?1, head_id = ?2, head_hash = ?3 WHERE run_no = ?4 AND seq = ?5 AND epoch = 1")?;
    let (header, hash, payloads) = (vec![1_u8; 114], [7_u8; 32], PAYLOADS.map(|n| vec![b'x'; n]));
    let mut latencies = Vec::new();
    let watch = Watch::start();
    for first in (0..transitions).step_by(group) {
        let begun = Instant::now();
        begin.execute([])?;
        for n in first..first + group {
            let (run, mut seq) = ((n % runs) as i64, (n / runs * 2) as i64);
            let before = seq;
            let mut id = 0;
            for payload in &payloads {
                seq += 1;
                id = insert.insert(params![run, seq, id, header, payload])?;
            }
            assert_eq!(update.execute(params![seq, id, hash, run, before])?, 1);
        }
        commit.execute([])?;
        latencies.push(begun.elapsed());
    }
    Ok(watch.stop(transitions, (transitions / group) as u64, latencies))
}

/// So many runs at once, each with so many transitions one after the other.
fn store(file: &Path, durability: Durability, runs: u64, each: usize) -> Outcome<Measure> {
    remove(file);
    let store = Arc::new(SqliteStore::open(file, Options { durability, ..Options::default() })?);
    let worker = WorkerId::new("bench")?;
    // One worker more than cores, since a leader blocks one while the disk is flushed.
    let cores = std::thread::available_parallelism()?.get();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores + 1).build()?;
    runtime.block_on(async {
        store.register(&worker, Duration::from_secs(3_600)).await?;
        let mut plans = Vec::new();
        for n in 0..runs {
            plans.push(plan(&store, &worker, n, each).await?);
        }
        let (before, watch) = (store.stats(), Watch::start());
        let drive = |plan: Vec<Transition>| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut latencies = Vec::with_capacity(plan.len());
                for transition in plan {
                    let begun = Instant::now();
                    let answers = store.commit(vec![transition]).await?;
                    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
                    latencies.push(begun.elapsed());
                }
                Ok::<_, towpath_store::StoreError>(latencies)
            })
        };
        let drivers: Vec<_> = plans.into_iter().map(drive).collect();
        let mut latencies = Vec::new();
        for driver in drivers {
            latencies.extend(driver.await??);
        }
        let commits = store.stats().commits - before.commits;
        Ok(watch.stop(latencies.len(), commits, latencies))
    })
}

/// Starts a run, and seals its events beforehand: hashing is the driver's work, not the store's.
async fn plan(store: &SqliteStore, worker: &WorkerId, n: u64, each: usize) -> Outcome<Vec<Transition>> {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    let run = RunId::from_bytes(id);
    let started = store.start_run(NewRun {
        run,
        pipeline: PipelineName::new("bench")?,
        key: RunKey::new(&format!("{n}"))?,
        plan_hash: Digest::ZERO,
        events: Vec::new(),
        head_hash: Digest::ZERO,
        listing: Listing { status: Status::Running, note: String::new(), outcome: None },
        labels: Vec::new(),
        wake: Wake::Keep,
        owner: Some(worker.clone()),
        blobs: Vec::new(),
    });
    let Started::New(no) = started.await? else { return Err("the file is not fresh".into()) };
    let mut chain = Chain::new(run);
    Ok((0..each).map(|_| transition(&mut chain, no)).collect())
}

fn transition(chain: &mut Chain, no: RunNo) -> Transition {
    let (after, actor) = (chain.seq(), Actor::engine());
    let seal = |payload| chain.seal(1, Timestamp::MIN, Epoch(1), &actor, vec![b'x'; payload]).stored;
    let events = PAYLOADS.map(seal).to_vec();
    Transition { events, ..Transition::new(no, Epoch(1), after, chain.hash()) }
}
