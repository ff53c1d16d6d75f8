//! Transitions per second of the store, with the floor beside them: the same rows, written by hand on one thread.
//!
//! `cargo run --release -p towpath-store-sqlite --example commit_rate -- [FOLDER] [ROUNDS] [normal]`. The folder has to be
//! on the disk to be measured; `normal` does not wait for the disk, and shows the work of the processor. Everything is measured in turn, several rounds, and the medians are printed.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use rusqlite::{Connection, params};
use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;
use towpath_model::{
    Actor, Chain, Digest, Epoch, Listing, PipelineName, RunId, RunKey, RunNo, Status, Timestamp, WorkerId,
};
use towpath_store::{NewRun, Started, Store, StoreError, Transition, Wake};
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
    let rounds: usize = arguments.next().map_or(Ok(5), |n| n.parse())?;
    let durability = match arguments.next().as_deref() {
        Some("normal") => Durability::Normal,
        _ => Durability::Full,
    };
    let files =
        ["floor", "store"].map(|what| folder.join(format!("commit-rate-{}.{what}", std::process::id())));
    // One worker more than cores, since a leader blocks one while the disk is flushed.
    let cores = std::thread::available_parallelism()?.get();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores + 1).build()?;
    println!(
        "{:24}{:>10}{:>8}{:>10}{:>10}{:>10}{:>10}",
        "", "per s", "ratio", "p50 us", "p99 us", "cpu us", "commits"
    );
    // In slices, so that what else the machine does falls on both alike.
    for (group, runs, slices, slice) in [(1, 1, 8, 500), (64, 64, 1, 300), (64, 1_000, 1, 64)] {
        files.iter().for_each(|file| remove(file));
        let floor = Floor::open(&files[0], durability)?;
        let store = Bench::open(&files[1], durability, runs, &runtime)?;
        let (mut bare, mut whole) = (Vec::new(), Vec::new());
        for _ in 0..rounds * slices {
            bare.push(floor.slice((runs as usize * slice).div_ceil(group), group)?);
            whole.push(store.slice(slice, &runtime)?);
        }
        let (bare, whole) = (median(&bare), median(&whole));
        print(&format!("floor, groups of {group}"), &bare, &bare);
        print(&format!("store, {runs} in flight"), &whole, &bare);
    }
    files.iter().for_each(|file| remove(file));
    println!("ratio: to the floor above it; cpu, commits: per transition");
    Ok(())
}

fn print(what: &str, m: &Measure, floor: &Measure) {
    let ratio = m.per_second / floor.per_second;
    println!(
        "{what:24}{:10.0}{ratio:8.2}{:10.1}{:10.1}{:10.1}{:10.3}",
        m.per_second, m.p50_us, m.p99_us, m.cpu_us, m.commits
    );
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

/// Processor time of this process's threads, in seconds.
fn cpu() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanoseconds = |thread: std::fs::DirEntry| -> Option<u64> {
        std::fs::read_to_string(thread.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    threads.filter_map(nanoseconds).sum::<u64>() as f64 / 1e9
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
struct Floor(Connection);

impl Floor {
    const RUNS: usize = 1_000;

    fn open(file: &Path, durability: Durability) -> Outcome<Self> {
        let c = Connection::open(file)?;
        c.pragma_update(None, "synchronous", if durability == Durability::Full { "FULL" } else { "NORMAL" })?;
        c.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 1024; PRAGMA cache_size = -16384;
             CREATE TABLE heads (run_no INTEGER PRIMARY KEY, seq INTEGER, epoch INTEGER, head_id INTEGER, head_hash BLOB,
             claims INTEGER);
             CREATE TABLE events (id INTEGER PRIMARY KEY, run_no INTEGER, seq INTEGER, prev_id INTEGER, header BLOB,
             payload BLOB);
             BEGIN",
        )?;
        for run in 0..Self::RUNS {
            c.execute("INSERT INTO heads VALUES (?1, 0, 1, 0, zeroblob(32), 0)", [run as i64])?;
        }
        c.execute_batch("COMMIT")?;
        Ok(Floor(c))
    }

    fn slice(&self, commits: usize, group: usize) -> Outcome<Measure> {
        const INSERT: &str =
            "INSERT INTO events (run_no, seq, prev_id, header, payload) VALUES (?1, ?2, ?3, ?4, ?5)";
        const UPDATE: &str =
            "UPDATE heads SET seq = seq + 2, head_id = ?1, head_hash = ?2 WHERE run_no = ?3 AND epoch = 1";
        let (mut begin, mut commit) = (self.0.prepare("BEGIN IMMEDIATE")?, self.0.prepare("COMMIT")?);
        let (mut insert, mut update) = (self.0.prepare(INSERT)?, self.0.prepare(UPDATE)?);
        let (header, hash, payloads) = (vec![1_u8; 114], [7_u8; 32], PAYLOADS.map(|n| vec![b'x'; n]));
        let (mut latencies, mut next, watch) = (Vec::new(), 0, Watch::start());
        for _ in 0..commits {
            let begun = Instant::now();
            begin.execute([])?;
            for _ in 0..group {
                let (run, mut id) = ((next % Self::RUNS) as i64, 0);
                next += 1;
                for payload in &payloads {
                    id = insert.insert(params![run, 1, id, header, payload])?;
                }
                assert_eq!(update.execute(params![id, hash, run])?, 1);
            }
            commit.execute([])?;
            latencies.push(begun.elapsed());
        }
        Ok(watch.stop(commits * group, commits as u64, latencies))
    }
}

/// A store with so many runs, all of which are driven at once.
struct Bench {
    store: Arc<SqliteStore>,
    runs: Mutex<Vec<(Chain, RunNo)>>,
}

impl Bench {
    fn open(file: &Path, durability: Durability, runs: u64, runtime: &Runtime) -> Outcome<Self> {
        let store = Arc::new(SqliteStore::open(file, Options { durability, ..Options::default() })?);
        let runs = runtime.block_on(async {
            let worker = WorkerId::new("bench")?;
            store.register(&worker, Duration::from_secs(36_000)).await?;
            let mut started = Vec::new();
            for n in 0..runs {
                started.push(start(&store, &worker, n).await?);
            }
            Ok::<_, Box<dyn Error>>(started)
        })?;
        Ok(Bench { store, runs: Mutex::new(runs) })
    }

    /// So many transitions of each run, one after the other.
    fn slice(&self, each: usize, runtime: &Runtime) -> Outcome<Measure> {
        let mut runs = self.runs.lock().map_err(|_| "a slice has failed")?;
        // Sealed beforehand: hashing is the driver's work, not the store's.
        let plan = |(chain, no): &mut (Chain, RunNo)| -> Vec<Transition> {
            (0..each).map(|_| transition(chain, *no)).collect()
        };
        let plans: Vec<_> = runs.iter_mut().map(plan).collect();
        let drive = |plan: Vec<Transition>| {
            let store = self.store.clone();
            runtime.spawn(async move {
                let mut latencies = Vec::with_capacity(plan.len());
                for transition in plan {
                    let begun = Instant::now();
                    let answers = store.commit(vec![transition]).await?;
                    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
                    latencies.push(begun.elapsed());
                }
                Ok::<_, StoreError>(latencies)
            })
        };
        let (before, watch) = (self.store.stats(), Watch::start());
        let drivers: Vec<_> = plans.into_iter().map(drive).collect();
        let mut latencies = Vec::new();
        for driver in drivers {
            latencies.extend(runtime.block_on(driver)??);
        }
        let commits = self.store.stats().commits - before.commits;
        Ok(watch.stop(latencies.len(), commits, latencies))
    }
}

async fn start(store: &SqliteStore, worker: &WorkerId, n: u64) -> Outcome<(Chain, RunNo)> {
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
        parent: None,
        wake: Wake::Keep,
        owner: Some(worker.clone()),
        blobs: Vec::new(),
        locks: Vec::new(),
        over: None,
    });
    match started.await? {
        Started::New(no) => Ok((Chain::new(run), no)),
        Started::Existing(_) | Started::Moved => Err("the file is not fresh".into()),
    }
}

fn transition(chain: &mut Chain, no: RunNo) -> Transition {
    let (after, actor) = (chain.seq(), Actor::engine());
    let seal = |payload| chain.seal(1, Timestamp::MIN, Epoch(1), &actor, vec![b'x'; payload]).stored;
    let events = PAYLOADS.map(seal).to_vec();
    Transition { events, ..Transition::new(no, Epoch(1), after, chain.hash()) }
}
