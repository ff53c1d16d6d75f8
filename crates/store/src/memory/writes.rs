//! Starting runs and appending to them.

use super::state::{Lock, Run, State, Waiter};
use crate::{
    Blob, LockChange, LockRow, NewRun, Refused, Started, StoreError, StoreErrorKind, Transition, Wake,
    lock_grant,
};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use towpath_model::{Epoch, Listing, Name, RunNo, Seq, Status, Timestamp};

impl State {
    pub(super) fn start_run(&mut self, new: NewRun, now: Timestamp) -> Result<Started, StoreError> {
        let key = (new.pipeline.clone(), new.key.clone());
        if let Some(no) = self.by_key.get(&key) {
            return Ok(Started::Existing(Box::new(self.row(*no))));
        }
        if self.by_id.contains_key(&new.run) {
            let twice = StoreError::new(StoreErrorKind::Invalid, "start a run");
            return Err(twice.with("id is taken", new.run));
        }
        if new.over.as_ref().is_some_and(|over| !self.is_at(over)) {
            return Ok(Started::Moved);
        }
        let owner = new.owner.as_ref().map(|w| self.worker("start a run", w)).transpose()?;
        self.last_run += 1;
        let no = RunNo(self.last_run);
        let is_over = new.listing.status == Status::Settled;
        let wake_at = match new.wake {
            Wake::At(at) => Some(at),
            Wake::Keep | Wake::Never => None,
        };
        self.by_id.insert(new.run, no);
        self.by_key.insert(key, no);
        let refers = new.blobs.iter().map(|b| b.digest).collect();
        self.store_blobs(new.blobs);
        let locks = new.locks;
        let run = Run {
            id: new.run,
            pipeline: new.pipeline,
            key: new.key,
            plan_hash: new.plan_hash,
            labels: new.labels,
            parent: new.parent,
            started_at: now,
            changed_at: now,
            listing: new.listing,
            events: new.events,
            hash: new.head_hash,
            epoch: Epoch(u64::from(owner.is_some())),
            owner,
            takeovers: 0,
            wake_at,
            ready_at: (wake_at.is_none() && !is_over).then_some(now),
            entries: BTreeMap::new(),
            recalls: BTreeSet::new(),
            sent: BTreeSet::new(),
            seen: HashSet::new(),
            logs: Default::default(),
            progress: BTreeMap::new(),
            refers,
            signed: None,
        };
        self.runs.insert(no, run);
        self.unanchored.insert(no);
        for change in locks {
            self.change_lock(no, change, now);
        }
        Ok(Started::New(no))
    }

    /// Whether the runs that transitions start can be started; checked before anything is written.
    pub(super) fn check_starts(&self, batch: &[Transition]) -> Result<(), StoreError> {
        for new in batch.iter().flat_map(|t| &t.start) {
            let key = (new.pipeline.clone(), new.key.clone());
            let there = self.by_key.get(&key).and_then(|no| self.run("commit", *no).ok());
            if there.is_some_and(|run| run.id != new.run) {
                return Err(StoreError::new(StoreErrorKind::Invalid, "commit").with("key is taken", &new.key));
            }
        }
        Ok(())
    }

    pub(super) fn commit(&mut self, t: Transition, now: Timestamp) -> Result<Seq, Refused> {
        let run = self.run_mut(t.run).filter(|r| r.epoch == t.epoch).ok_or(Refused::Fenced)?;
        if run.seq() != t.after {
            return Err(Refused::Sequence { found: run.seq() });
        }
        if !t.events.is_empty() {
            run.hash = t.head_hash;
            run.takeovers = 0;
        }
        let gives_back = t.gives_back();
        let has_moved = !t.events.is_empty();
        run.events.extend(t.events);
        run.signed = t.signed.or(run.signed.take());
        match t.wake {
            Wake::Keep => {}
            Wake::At(at) => run.wake_at = Some(at),
            Wake::Never => run.wake_at = None,
        }
        for id in t.consumed {
            run.entries.remove(&id);
            run.recalls.remove(&id);
            run.sent.remove(&id);
        }
        run.refers.extend(t.blobs.iter().map(|b| b.digest).chain(t.refers));
        run.progress.extend(t.progress.into_iter().map(|p| (p.step.clone(), p)));
        let mut last_line = self.last_line;
        let run = self.own(t.run);
        for text in t.logs {
            run.logs.add(text, &mut last_line);
        }
        self.last_line = last_line;
        if let Some(listing) = t.listing {
            self.set_listing(t.run, listing, now);
        }
        self.store_blobs(t.blobs);
        for (run, entry) in t.send {
            self.send(run, entry, now);
        }
        for (run, entry) in t.recall {
            self.recall(run, entry, now);
        }
        for new in t.start.into_iter().filter(|new| !self.by_id.contains_key(&new.run)).collect::<Vec<_>>() {
            self.start_run(new, now).expect("a run without an owner, and with an id of its own, can start");
        }
        for change in t.locks {
            self.change_lock(t.run, change, now);
        }
        if has_moved {
            self.unanchored.insert(t.run);
        }
        let run = self.own(t.run);
        if gives_back {
            run.give_back();
        }
        Ok(run.seq())
    }

    fn store_blobs(&mut self, blobs: Vec<Blob>) {
        self.blobs.extend(blobs.into_iter().map(|b| (b.digest, b.text)));
    }

    pub(super) fn set_listing(&mut self, no: RunNo, listing: Listing, now: Timestamp) {
        let run = self.own(no);
        run.changed_at = now;
        run.listing = listing;
        if run.listing.status == Status::Settled {
            run.wake_at = None;
            let names: Vec<Name> = self.locks.keys().cloned().collect();
            for name in names {
                self.return_lock(no, &name, now);
            }
        }
    }

    fn change_lock(&mut self, run: RunNo, change: LockChange, now: Timestamp) {
        match change {
            LockChange::Ask { lock: name, asked } => {
                let lock = self.locks.entry(name.clone()).or_default();
                if !lock.is_held_by(run) && lock.queue.iter().all(|waiter| waiter.run != run) {
                    lock.queue.push_back(Waiter { run, asked, since: now });
                    self.grant(&name, now);
                }
            }
            LockChange::Return(name) => self.return_lock(run, &name, now),
        }
    }

    fn return_lock(&mut self, no: RunNo, name: &Name, now: Timestamp) {
        let Some(lock) = self.locks.get_mut(name) else { return };
        lock.queue.retain(|waiter| waiter.run != no);
        if lock.is_held_by(no) {
            lock.holder = None;
            self.grant(name, now);
        }
    }

    /// Gives a free lock to the first in its queue.
    fn grant(&mut self, name: &Name, now: Timestamp) {
        let Some(lock) = self.locks.get_mut(name).filter(|l| l.holder.is_none()) else { return };
        let Some(next) = lock.queue.pop_front() else { return };
        lock.holder = Some((next.run, now));
        lock.fence += 1;
        let grant = lock_grant(name, lock.fence, next.asked);
        let run = self.own(next.run).id;
        self.send(run, grant, now);
    }

    pub(super) fn lock_rows(&self) -> Vec<LockRow> {
        let run =
            |no: RunNo| self.run("read locks", no).expect("a run that was numbered is never removed").id;
        let row = |(name, lock): (&Name, &Lock)| LockRow {
            lock: name.clone(),
            fence: lock.fence,
            holder: lock.holder.map(|(no, since)| (run(no), since)),
            queue: lock.queue.iter().map(|waiter| (run(waiter.run), waiter.since)).collect(),
        };
        self.locks.iter().filter(|(_, lock)| lock.holder.is_some()).map(row).collect()
    }
}
