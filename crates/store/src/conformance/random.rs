//! Random calls, compared with a small model, and drivers that race.

use super::{
    block_on::block_on,
    fixture::{Fixture, LEASE, Lease, Outcome, Sample, claim, entry, later, register, waiting},
};
use crate::{
    Claim, Claimed, Clock as _, Put, Refused, Removal, Remove, Started, Store, StoreErrorKind, Transition,
    Wake,
};
use std::{
    collections::BTreeSet,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use towpath_model::{Actor, Chain, Epoch, RunNo, Seq, Timestamp, WorkerId};

/// SplitMix64: the same numbers for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn pick(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

/// What a store has to say, kept as simply as possible: leases, inboxes and heads, no rows and no logs.
struct Model<'a> {
    fixture: &'a dyn Fixture,
    /// A handle that only looks on.
    store: Arc<dyn Store>,
    random: Random,
    runs: Vec<ModelRun>,
    workers: Vec<ModelWorker>,
    lives: u64,
    removed: Vec<RunNo>,
}

struct ModelRun {
    key: u64,
    lease: Lease,
    owner: Option<WorkerId>,
    wake_at: Option<Timestamp>,
    ready_at: Option<Timestamp>,
    /// Dedupe id and time of what waits.
    entries: Vec<(String, Timestamp)>,
    seen: BTreeSet<String>,
    is_settled: bool,
}

struct ModelWorker {
    id: WorkerId,
    store: Arc<dyn Store>,
    alive_at: Timestamp,
    deadline: Timestamp,
    is_proven_dead: bool,
    was_taken_over: bool,
}

impl ModelWorker {
    fn is_known(&self) -> bool {
        !self.is_proven_dead && !self.was_taken_over
    }
}

type Step = Result<String, Box<dyn Error>>;

impl Model<'_> {
    fn now(&self) -> Timestamp {
        self.fixture.clock().now()
    }

    /// Index of a worker that is known to the store; the last of three lives is the one that counts.
    fn some_worker(&mut self) -> usize {
        let known: Vec<usize> = (0..self.workers.len()).filter(|i| self.workers[*i].is_known()).collect();
        known[self.random.pick(known.len())]
    }

    async fn add_worker(&mut self) -> Outcome {
        self.lives += 1;
        let store = self.fixture.open();
        let id = register(&*store, &format!("worker-{}", self.lives)).await?;
        let (alive_at, deadline) = (self.now(), self.now().plus(LEASE));
        let (is_proven_dead, was_taken_over) = (false, false);
        self.workers.push(ModelWorker { id, store, alive_at, deadline, is_proven_dead, was_taken_over });
        Ok(())
    }

    async fn start(&mut self) -> Step {
        let key = self.random.below(12);
        let by = self.some_worker();
        let mut sample = Sample::new(key);
        if self.random.chance(2) {
            sample = sample.owned(&self.workers[by].id);
        } else if self.random.chance(2) {
            sample = sample.waking(later(self.fixture, self.random.below(60)));
        }
        let store = self.workers[by].store.clone();
        let known = self.runs.iter().find(|r| r.key == key);
        match (store.start_run(sample.new.clone()).await?, known) {
            (Started::Existing(row), Some(run)) => assert_eq!(row.no, run.lease.no),
            (Started::New(no), None) => {
                let wake_at = match sample.new.wake {
                    Wake::At(at) => Some(at),
                    _ => None,
                };
                assert!(!self.removed.contains(&no), "number {no} was given twice");
                let epoch = Epoch(u64::from(sample.new.owner.is_some()));
                self.runs.push(ModelRun {
                    key,
                    lease: Lease { run: sample.new.run, no, epoch, chain: sample.chain },
                    owner: sample.new.owner,
                    wake_at,
                    ready_at: wake_at.is_none().then(|| self.now()),
                    entries: Vec::new(),
                    seen: BTreeSet::new(),
                    is_settled: false,
                });
            }
            (answer, _) => return Err(format!("start of run {key}: {answer:?}").into()),
        }
        Ok(format!("start {key}"))
    }

    /// A batch of transitions, some of them under a wrong epoch or after a wrong event.
    async fn commit(&mut self) -> Step {
        let (mut batch, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..=self.random.below(3) {
            let run = self.random.pick(self.runs.len());
            let (t, answer) = self.transition(run).await?;
            batch.push(t);
            expected.push(answer);
        }
        let by = self.some_worker();
        let shown = format!("commit {expected:?} of {:?}", batch.iter().map(|t| t.run).collect::<Vec<_>>());
        assert_eq!(self.workers[by].store.commit(batch).await?, expected, "{shown}");
        Ok(shown)
    }

    async fn transition(&mut self, run: usize) -> Result<(Transition, Result<Seq, Refused>), Box<dyn Error>> {
        let now = self.now();
        let (settles, releases) = (self.random.chance(12), self.random.chance(3));
        let (appends, wake, lie) = (self.random.below(3), self.random.below(4), self.random.below(12));
        let at = later(self.fixture, self.random.below(60));
        let run = &mut self.runs[run];
        let mut lease = run.lease.clone();
        let mut t = if settles { lease.settle() } else { lease.nothing() };
        for i in 0..appends {
            let more = lease.append(&format!("{i}"));
            t.events.extend(more.events);
            t.head_hash = more.head_hash;
        }
        t.release |= releases;
        t.wake = match wake {
            0 => Wake::At(at),
            1 => Wake::Never,
            _ => Wake::Keep,
        };
        let is_owned = run.owner.is_some();
        if lie == 0 || !is_owned {
            // Whoever does not hold the lease knows at best the epoch before.
            t.epoch = Epoch(t.epoch.0.wrapping_sub(1));
            return Ok((t, Err(Refused::Fenced)));
        }
        if lie == 1 {
            t.after = t.after.next();
            return Ok((t, Err(Refused::Sequence { found: run.lease.chain.seq() })));
        }
        run.lease = lease;
        match t.wake {
            Wake::At(at) => run.wake_at = Some(at),
            Wake::Never => run.wake_at = None,
            Wake::Keep => {}
        }
        if settles {
            run.is_settled = true;
            run.wake_at = None;
        }
        if t.gives_back() {
            run.owner = None;
            run.lease.epoch = run.lease.epoch.next();
            run.ready_at = run.entries.first().map(|(_, at)| *at);
        }
        debug_assert!(t.consumed.is_empty() && now <= at);
        Ok((t, Ok(run.lease.chain.seq())))
    }

    /// Folds the oldest entry of a run that somebody holds.
    async fn consume(&mut self) -> Step {
        let run = self.random.pick(self.runs.len());
        let run = &mut self.runs[run];
        let store = self.store.clone();
        let entries = store.entries(run.lease.no, 1).await?;
        let (Some(_), Some(first)) = (&run.owner, entries.first()) else { return Ok("-".into()) };
        let t = Transition { consumed: vec![first.id], ..run.lease.append("consumed") };
        assert_eq!(store.commit(vec![t]).await?, [Ok(run.lease.chain.seq())]);
        run.entries.remove(0);
        Ok(format!("consume of {}", run.lease.no))
    }

    async fn put(&mut self) -> Step {
        let (now, by) = (self.now(), self.some_worker());
        let (run, id) = (self.random.pick(self.runs.len()), format!("entry-{}", self.random.below(30)));
        let run = &mut self.runs[run];
        let expected = if run.seen.contains(&id) {
            Put::Duplicate
        } else if run.is_settled {
            Put::Settled
        } else {
            run.seen.insert(id.clone());
            run.entries.push((id.clone(), now));
            run.ready_at.get_or_insert(now);
            Put::Accepted
        };
        assert_eq!(self.workers[by].store.put_entry(run.lease.run, entry(&id)).await?, expected);
        Ok(format!("put {id} to {}: {expected:?}", run.lease.no))
    }

    /// Removes a run, which succeeds only when it is over; and frees some of what such runs have left.
    async fn remove(&mut self) -> Step {
        let (run, by) = (self.random.pick(self.runs.len()), self.some_worker());
        let (run_no, chain) = (self.runs[run].lease.no, self.runs[run].lease.chain.clone());
        let (seq, hash, note) = (chain.seq(), chain.hash(), String::new());
        let remove = Remove { run: self.runs[run].lease.run, seq, hash, by: Actor::engine(), note };
        let expected = if self.runs[run].is_settled { Removal::Removed } else { Removal::Open };
        assert_eq!(self.workers[by].store.remove(vec![remove]).await?, [expected]);
        if expected == Removal::Removed {
            self.runs.remove(run);
            self.removed.push(run_no);
        }
        let most = self.random.pick(6);
        self.workers[by].store.sweep(most).await?;
        Ok(format!("remove {run_no}: {expected}, and sweep {most}"))
    }

    async fn claim(&mut self) -> Step {
        let (by, limit, now) = (self.some_worker(), self.random.pick(4), self.now());
        let me = self.workers[by].id.clone();
        let due = |run: &ModelRun| match &run.owner {
            _ if run.is_settled => None,
            None => run.wake_at.filter(|at| *at <= now).into_iter().chain(run.ready_at).min(),
            Some(owner) if *owner == me => None,
            Some(owner) => {
                let owner = self.workers.iter().find(|w| w.id == *owner)?;
                (!owner.is_known() || owner.deadline <= now).then_some(owner.alive_at)
            }
        };
        let mut expected: Vec<Timestamp> = self.runs.iter().filter_map(due).collect();
        expected.sort_unstable();
        expected.truncate(limit);
        let claim = Claim { worker: me.clone(), limit, only: None };
        let claimed = self.workers[by].store.claim(claim).await?;
        let found: Option<Vec<Timestamp>> =
            claimed.iter().map(|c| self.runs.iter().find(|r| r.lease.no == c.no).and_then(due)).collect();
        assert_eq!(found, Some(expected), "what was claimed, by when it was due");
        for claim in &claimed {
            self.take(claim, &me);
        }
        Ok(format!("claim by {me}: {:?}", claimed.iter().map(|c| c.no).collect::<Vec<_>>()))
    }

    fn take(&mut self, claimed: &Claimed, me: &WorkerId) {
        let run = self.runs.iter_mut().find(|r| r.lease.no == claimed.no).expect("the run is in the model");
        let before = run.owner.replace(me.clone());
        assert_eq!(claimed.taken_over, before.is_some());
        assert!(claimed.epoch > run.lease.epoch);
        run.lease.epoch = claimed.epoch;
        let before = self.workers.iter_mut().find(|w| Some(&w.id) == before.as_ref());
        let known = before.map(|worker| {
            worker.was_taken_over = true;
            (worker.alive_at, worker.is_proven_dead)
        });
        assert_eq!(claimed.predecessor_alive_at, known.map(|(alive_at, _)| alive_at));
        assert_eq!(claimed.death_proven, known.is_some_and(|(_, is_proven_dead)| is_proven_dead));
    }

    async fn beat(&mut self) -> Step {
        let now = self.now();
        for i in 0..self.workers.len() {
            let worker = &mut self.workers[i];
            if worker.is_proven_dead || self.random.chance(3) {
                continue;
            }
            match worker.store.heartbeat(&worker.id, LEASE).await {
                Ok(deadline) => {
                    assert!(worker.is_known(), "{} was taken over", worker.id);
                    (worker.alive_at, worker.deadline) = (now, deadline);
                }
                Err(e) => assert!(worker.was_taken_over && e.kind() == StoreErrorKind::NotFound, "{e}"),
            }
        }
        Ok("heartbeats".into())
    }

    async fn kill(&mut self) -> Step {
        let worker = self.some_worker();
        // Dropping the worker's own handle is its death.
        let store = self.store.clone();
        let worker = &mut self.workers[worker];
        worker.store = store;
        worker.is_proven_dead = true;
        let id = worker.id.clone();
        self.add_worker().await?;
        Ok(format!("death of {id}"))
    }

    /// Compares everything that the model knows.
    async fn compare(&self) -> Outcome {
        let store = self.store.clone();
        for run in &self.runs {
            let (lease, head) = (&run.lease, store.head(run.lease.no).await?);
            assert_eq!((head.seq, head.hash), (lease.chain.seq(), lease.chain.hash()));
            assert_eq!((head.epoch, &head.owner), (lease.epoch, &run.owner));
            let entries: Vec<&str> = run.entries.iter().map(|(id, _)| id.as_str()).collect();
            assert_eq!(waiting(&*store, lease.no).await?, entries);
            let row = store.find(lease.run).await?.ok_or("a run is gone")?;
            assert_eq!((row.wake_at, &row.owner), (run.wake_at, &run.owner));
            assert_eq!(journal(&*store, lease).await?.hash(), lease.chain.hash());
        }
        let wakes = self.runs.iter().filter(|r| r.owner.is_none()).filter_map(|r| r.wake_at);
        assert_eq!(store.next_wake().await?, wakes.min());
        Ok(())
    }

    async fn step(&mut self) -> Step {
        if self.workers.iter().filter(|w| w.is_known()).count() < 2 {
            self.add_worker().await?;
        }
        match self.random.below(26) {
            24.. if !self.runs.is_empty() => self.remove().await,
            0..3 => self.start().await,
            _ if self.runs.is_empty() => Ok("-".into()),
            3..10 => self.commit().await,
            10..13 => self.put().await,
            13..15 => self.consume().await,
            15..20 => self.claim().await,
            20..22 => {
                let by = Duration::from_secs(self.random.below(15));
                self.fixture.clock().advance(by);
                Ok(format!("{by:?} pass"))
            }
            22 => self.beat().await,
            _ if self.random.chance(3) => self.kill().await,
            _ => Ok("-".into()),
        }
    }
}

/// The chain of a run's stored events, verified.
async fn journal(store: &dyn Store, lease: &Lease) -> Result<Chain, Box<dyn Error>> {
    let mut chain = Chain::new(lease.run);
    for event in store.events(lease.no, Seq(0), usize::MAX).await? {
        chain.verify(&event)?;
    }
    Ok(chain)
}

/// Prints the seed and the calls of a sequence when it fails.
struct Trace(u64, Vec<String>);

impl Drop for Trace {
    fn drop(&mut self) {
        if thread::panicking() {
            let calls: Vec<&str> = self.1.iter().map(String::as_str).filter(|call| *call != "-").collect();
            eprintln!("TOWPATH_SEED={}:\n  {}", self.0, calls.join("\n  "));
        }
    }
}

pub(super) async fn any_sequence_of_calls_agrees_with_the_model(fixture: &dyn Fixture) -> Outcome {
    // What fails once fails always, unless somebody asks for another sequence.
    let seed = std::env::var("TOWPATH_SEED").ok().and_then(|seed| seed.parse().ok());
    let (random, runs, workers) = (Random(seed.unwrap_or(20_261_124)), Vec::new(), Vec::new());
    let (store, removed) = (fixture.open(), Vec::new());
    let mut model = Model { fixture, store, random, runs, workers, lives: 0, removed };
    let mut trace = Trace(model.random.0, Vec::new());
    for call in 0..1_500 {
        trace.1.push(model.step().await?);
        if call % 10 == 0 {
            model.compare().await?;
        }
    }
    let removed = model.removed.len();
    assert!(removed > 5 && model.lives > 5, "the sequence went nowhere: {removed} removed");
    model.compare().await
}

/// Claims runs, appends to them, gives some back, keeps others beyond its lease and goes on writing to them. Answers
/// how many of its events were accepted.
async fn drive(fixture: &dyn Fixture, name: &str, seed: u64) -> Result<u64, Box<dyn Error>> {
    let (store, mut random) = (fixture.open(), Random(seed));
    let (mut accepted, mut life) = (0, 0);
    let mut me = register(&*store, name).await?;
    let mut kept: Vec<Lease> = Vec::new();
    for _ in 0..120 {
        if store.heartbeat(&me, LEASE).await.is_err() {
            life += 1;
            me = register(&*store, &format!("{name}-{life}")).await?;
        }
        // Its lease may have run out since the heartbeat.
        for claimed in claim(&*store, &me).await.unwrap_or_default() {
            let mut lease = Lease {
                run: claimed.run,
                no: claimed.no,
                epoch: claimed.epoch,
                chain: Chain::new(claimed.run),
            };
            lease.chain = journal(&*store, &lease).await?;
            kept.push(lease);
        }
        let mut still = Vec::new();
        for mut lease in kept {
            let events = 1 + random.below(3);
            let batch = (0..events).map(|i| lease.append(&format!("{name} {i}"))).collect();
            let answers = store.commit(batch).await?;
            let taken = answers.iter().filter(|a| a.is_ok()).count() as u64;
            assert!(taken == 0 || taken == events, "a batch of one driver was half taken: {answers:?}");
            accepted += taken;
            if taken == 0 {
                continue;
            }
            if random.chance(2) {
                let wake = Wake::At(store.now().await?);
                let _ = store.commit(vec![Transition { wake, ..lease.release() }]).await?;
            } else {
                still.push(lease);
            }
        }
        kept = still;
        if random.chance(6) {
            fixture.clock().advance(LEASE);
        }
    }
    Ok(accepted)
}

pub(super) async fn drivers_that_race_for_leases_write_one_journal(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let mut leases = Vec::new();
    for n in 0..5 {
        leases.push(Sample::new(n).start(&*store).await?);
    }
    let accepted = AtomicU64::new(0);
    let race = |name: &str, seed| {
        let count = block_on(drive(fixture, name, seed)).map_err(|e| e.to_string())?;
        accepted.fetch_add(count, Ordering::SeqCst);
        Ok::<(), String>(())
    };
    thread::scope(|scope| {
        let threads = [("one", 1), ("two", 2), ("three", 3)].map(|(name, seed)| {
            let race = &race;
            scope.spawn(move || race(name, seed))
        });
        threads.map(|t| t.join().expect("no driver panics")).into_iter().collect::<Result<Vec<()>, String>>()
    })?;
    let mut written = 0;
    for lease in &leases {
        let chain = journal(&*store, lease).await?;
        assert_eq!(store.head(lease.no).await?.hash, chain.hash());
        written += chain.seq().0 - 2;
    }
    assert_eq!(written, accepted.into_inner(), "what was accepted is what is there");
    assert!(written > 100, "the drivers did nothing");
    Ok(())
}
