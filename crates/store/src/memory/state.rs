//! What there is.

use super::logs::Logs;
use crate::{Head, Progress, RemovedRun, StoreError, StoreErrorKind};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use towpath_model::{
    Digest, Entry, EntryId, Epoch, Listing, Name, PipelineName, RunId, RunKey, RunNo, Seq, SignedHead,
    Status, StepId, StoredAnchor, StoredEvent, Timestamp, WorkerId,
};

#[derive(Default)]
pub(super) struct State {
    pub(super) runs: BTreeMap<RunNo, Run>,
    pub(super) removed: BTreeMap<RunNo, RemovedRun>,
    pub(super) by_id: HashMap<RunId, RunNo>,
    pub(super) by_key: HashMap<(PipelineName, RunKey), RunNo>,
    pub(super) workers: BTreeMap<WorkerNo, Worker>,
    pub(super) blobs: HashMap<Digest, String>,
    /// Blobs of removed runs, which others may refer to.
    pub(super) unswept: BTreeSet<Digest>,
    pub(super) anchors: Vec<StoredAnchor>,
    /// Runs that moved, or were removed, since they were in an anchor.
    pub(super) unanchored: BTreeSet<RunNo>,
    /// Versions and texts of notes, by kind and name.
    pub(super) notes: BTreeMap<(Name, Name), (u64, String)>,
    pub(super) last_run: i64,
    pub(super) locks: BTreeMap<Name, Lock>,
    pub(super) last_worker: u64,
    pub(super) last_entry: i64,
    pub(super) last_line: u64,
}

/// One registration of a worker: the same id may register again after it died, and owns nothing of before then.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct WorkerNo(pub(super) u64);

pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) process: u64,
    pub(super) alive_at: Timestamp,
    pub(super) deadline: Timestamp,
    pub(super) end: Option<End>,
}

/// How a worker lost its lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// A run of it was taken over after its deadline; it may live all the same.
    TakenOver,
    /// Its process is gone.
    Dead,
}

pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) pipeline: PipelineName,
    pub(super) key: RunKey,
    pub(super) plan_hash: Digest,
    pub(super) labels: Vec<(String, String)>,
    pub(super) parent: Option<RunId>,
    pub(super) started_at: Timestamp,
    pub(super) changed_at: Timestamp,
    pub(super) listing: Listing,
    pub(super) events: Vec<StoredEvent>,
    pub(super) hash: Digest,
    pub(super) epoch: Epoch,
    pub(super) owner: Option<WorkerNo>,
    pub(super) takeovers: u32,
    pub(super) wake_at: Option<Timestamp>,
    /// Since when somebody has to look at it, whatever its wake: it has an entry, or was given back in the middle.
    /// Counts only while nobody owns it.
    pub(super) ready_at: Option<Timestamp>,
    pub(super) entries: BTreeMap<EntryId, Entry>,
    /// Those of them that it is to read though it is over.
    pub(super) recalls: BTreeSet<EntryId>,
    /// Those of them that other runs sent, or the store.
    pub(super) sent: BTreeSet<EntryId>,
    pub(super) seen: HashSet<Name>,
    pub(super) logs: Logs,
    pub(super) progress: BTreeMap<StepId, Progress>,
    pub(super) signed: Option<SignedHead>,
    /// Blobs that it has stored or refers to.
    pub(super) refers: HashSet<Digest>,
}

#[derive(Default)]
pub(super) struct Lock {
    pub(super) holder: Option<(RunNo, Timestamp)>,
    pub(super) queue: VecDeque<Waiter>,
    pub(super) fence: u64,
}

/// A run that waits for a lock.
pub(super) struct Waiter {
    pub(super) run: RunNo,
    pub(super) asked: Seq,
    pub(super) since: Timestamp,
}

impl Lock {
    pub(super) fn is_held_by(&self, run: RunNo) -> bool {
        self.holder.is_some_and(|(holder, _)| holder == run)
    }
}

impl Run {
    pub(super) fn seq(&self) -> Seq {
        Seq(self.events.len() as u64)
    }

    pub(super) fn is_settled(&self) -> bool {
        self.listing.status == Status::Settled
    }

    /// Takes the lease away and fences whoever held it. What waits in the inbox makes the run ready again;
    /// of one that is over, only what recalls it.
    pub(super) fn give_back(&mut self) {
        self.owner = None;
        self.epoch = self.epoch.next();
        self.takeovers = 0;
        let counts = |e: &&Entry| !self.is_settled() || self.recalls.contains(&e.id);
        self.ready_at = self.entries.values().find(counts).map(|e| e.received_at);
    }
}

impl State {
    pub(super) fn run(&self, operation: &'static str, no: RunNo) -> Result<&Run, StoreError> {
        let missing = || StoreError::new(StoreErrorKind::NotFound, operation).with("run", no);
        self.runs.get(&no).ok_or_else(missing)
    }

    pub(super) fn run_mut(&mut self, no: RunNo) -> Option<&mut Run> {
        self.runs.get_mut(&no)
    }

    /// The run of a number that was just found.
    pub(super) fn own(&mut self, no: RunNo) -> &mut Run {
        self.run_mut(no).expect("a run is removed with everything that has its number")
    }

    pub(super) fn numbered(&self) -> impl DoubleEndedIterator<Item = (RunNo, &Run)> {
        self.runs.iter().map(|(no, run)| (*no, run))
    }

    pub(super) fn head(&self, no: RunNo) -> Result<Head, StoreError> {
        let run = self.run("read the head", no)?;
        let owner = run.owner.map(|w| self.workers[&w].id.clone());
        Ok(Head { seq: run.seq(), hash: run.hash, epoch: run.epoch, owner })
    }

    /// The registration of a worker that has not lost its lease.
    pub(super) fn worker(&self, operation: &'static str, id: &WorkerId) -> Result<WorkerNo, StoreError> {
        let missing = || StoreError::new(StoreErrorKind::NotFound, operation).with("worker", id);
        let found = self.workers.iter().find(|(_, w)| w.id == *id && w.end.is_none());
        found.map(|(no, _)| *no).ok_or_else(missing)
    }

    /// Forgets workers that lost their lease and own nothing more.
    pub(super) fn forget_workers(&mut self) {
        let owners: BTreeSet<WorkerNo> = self.runs.values().filter_map(|r| r.owner).collect();
        self.workers.retain(|no, w| w.end.is_none() || owners.contains(no));
    }
}
