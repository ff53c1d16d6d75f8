//! Who drives what.

use super::state::{End, Run, State, Worker, WorkerNo};
use crate::{Claim, Claimed, StoreError, StoreErrorKind};
use std::time::Duration;
use towpath_model::{Entry, EntryId, Epoch, Listing, RunNo, Seq, Status, Timestamp, WorkerId};

impl State {
    pub(super) fn register(
        &mut self,
        id: &WorkerId,
        process: u64,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Timestamp, StoreError> {
        if self.worker("register a worker", id).is_ok() {
            return Err(StoreError::new(StoreErrorKind::Invalid, "register a worker").with("lives", id));
        }
        self.last_worker += 1;
        let deadline = now.plus(lease);
        let worker = Worker { id: id.clone(), process, alive_at: now, deadline, end: None };
        self.workers.insert(WorkerNo(self.last_worker), worker);
        Ok(deadline)
    }

    pub(super) fn heartbeat(
        &mut self,
        id: &WorkerId,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Timestamp, StoreError> {
        let no = self.worker("renew a lease", id)?;
        let worker = self.workers.get_mut(&no).expect("the worker was just found");
        worker.alive_at = now;
        worker.deadline = now.plus(lease);
        Ok(worker.deadline)
    }

    pub(super) fn retire(&mut self, id: &WorkerId, now: Timestamp) -> Result<(), StoreError> {
        let no = self.worker("retire a worker", id)?;
        for run in self.runs.values_mut().filter(|r| r.owner == Some(no)) {
            run.give_back();
            run.ready_at.get_or_insert(now);
        }
        self.workers.remove(&no);
        Ok(())
    }

    pub(super) fn process_died(&mut self, process: u64) {
        for worker in self.workers.values_mut().filter(|w| w.process == process) {
            worker.end = Some(End::Dead);
        }
        self.forget_workers();
    }

    pub(super) fn claim(&mut self, claim: &Claim, now: Timestamp) -> Result<Vec<Claimed>, StoreError> {
        let me = self.worker("claim runs", &claim.worker)?;
        let is_asked = |run: &Run| claim.only.is_none_or(|only| only == run.id);
        let due = |(no, run): (RunNo, &Run)| self.due(run, me, now).map(|at| (at, no));
        let mut due: Vec<_> = self.numbered().filter(|(_, run)| is_asked(run)).filter_map(due).collect();
        due.sort_unstable();
        due.truncate(claim.limit);
        let claimed = due.into_iter().map(|(_, no)| self.take_lease(no, me)).collect();
        self.forget_workers();
        Ok(claimed)
    }

    /// Since when a run waits for somebody to claim it.
    fn due(&self, run: &Run, me: WorkerNo, now: Timestamp) -> Option<Timestamp> {
        let rests = run.listing.status == Status::Quarantined && run.ready_at.is_none();
        let is_over = run.is_settled() && run.owner.is_none() && run.ready_at.is_none();
        if is_over || rests {
            return None;
        }
        let wake_at = run.wake_at.filter(|at| *at <= now && run.listing.status != Status::Quarantined);
        match run.owner {
            None => wake_at.into_iter().chain(run.ready_at).min(),
            Some(owner) if owner == me => None,
            Some(owner) => {
                let owner = &self.workers[&owner];
                (owner.end.is_some() || owner.deadline <= now).then_some(owner.alive_at)
            }
        }
    }

    fn take_lease(&mut self, no: RunNo, me: WorkerNo) -> Claimed {
        let before = self.own(no).owner.replace(me);
        let (mut predecessor_alive_at, mut death_proven) = (None, false);
        if let Some(before) = before {
            let before = self.workers.get_mut(&before).expect("an owner stays known while it owns");
            let end = before.end.get_or_insert(End::TakenOver);
            death_proven = *end != End::TakenOver;
            predecessor_alive_at = Some(before.alive_at);
        }
        let run = self.own(no);
        run.epoch = run.epoch.next();
        run.takeovers += u32::from(before.is_some());
        Claimed {
            no,
            run: run.id,
            epoch: run.epoch,
            taken_over: before.is_some(),
            predecessor_alive_at,
            death_proven,
            takeovers_without_progress: run.takeovers,
        }
    }

    pub(super) fn quarantine(
        &mut self,
        no: RunNo,
        epoch: Epoch,
        seq: Seq,
        reason: &str,
        seen: Option<EntryId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let found = self.run("quarantine a run", no)?.epoch;
        if found != epoch {
            let lost = StoreError::new(StoreErrorKind::Invalid, "quarantine a run").with("run", no);
            return Err(lost.with("epoch", epoch).with("found", found));
        }
        let note = format!("event {seq}: {reason}");
        self.set_listing(no, Listing { status: Status::Quarantined, note, outcome: None }, now);
        let run = self.own(no);
        run.give_back();
        run.wake_at = None;
        let is_new = |entry: &&Entry| Some(entry.id) > seen && !run.sent.contains(&entry.id);
        run.ready_at = run.entries.values().find(is_new).map(|entry| entry.received_at);
        Ok(())
    }
}
