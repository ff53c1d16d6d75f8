//! The reconciler: always looks for runs that have something to do and that nobody drives.

use crate::{
    config::{CLAIM_PAGE, GIVE_WAY, INBOX_LEAST, POLL, POLL_LEAST},
    mailbox::Msg,
    shared::{Phase, Shared},
    take_up::take_up,
    time::{self, Backoff},
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::Instant;
use towpath_model::{Epoch, RunId, Timestamp};
use towpath_store::{Claim, Claimed, Cursor, Filter, Page, RunRow, StoreError, StoreErrorKind};

/// Looks for work until the engine stops.
pub(crate) async fn reconcile(shared: Arc<Shared>) {
    let mut looks = Looks { looked: Instant::now(), hinted: Instant::now(), hint: false, next_wake: None };
    let (mut phases, mut by_time) = (shared.phases(), false);
    while shared.phase() == Phase::Open {
        // Called before looking, so that nothing falls between looking and waiting.
        let changed = shared.store.changed();
        looks.look(&shared, by_time).await;
        by_time = false;
        let told = tokio::select! {
            () = shared.poked() => false,
            () = time::until(Some(looks.again(&shared))) => {
                by_time = true;
                false
            }
            _ = phases.changed() => false,
            () = changed => true,
        };
        looks.hint_inboxes(&shared, told);
        if told || looks.is_stale() {
            // A store may miss what others write; those who look at runs of others look now and then.
            shared.tell_changed();
        }
        if told && !looks.may_look() {
            // A store that is busy tells all the time: it is asked now and then.
            tokio::select! {
                () = time::until(Some(looks.looked + POLL_LEAST)) => {}
                () = shared.poked() => {}
                _ = phases.changed() => {}
            }
        }
    }
}

/// When the reconciler looked at what.
struct Looks {
    looked: Instant,
    hinted: Instant,
    /// Whether runs in memory are to look into their inboxes.
    hint: bool,
    next_wake: Option<Timestamp>,
}

impl Looks {
    async fn look(&mut self, shared: &Arc<Shared>, by_time: bool) {
        if by_time && self.gives_way_until(shared) > Some(shared.now()) {
            self.looked = Instant::now();
            return;
        }
        // What was told before this look is found by it.
        let sooner = shared.take_sooner();
        if shared.is_driving() {
            shared.look_begins();
            let found = look(shared).await;
            shared.look_ends(found.is_ok());
            self.next_wake = found.unwrap_or_else(|error| {
                tracing::warn!(error = %error, "the store cannot be asked for work; trying again");
                sooner
            });
        }
        self.looked = Instant::now();
    }

    fn again(&self, shared: &Shared) -> Instant {
        let wake = self.next_wake.filter(|_| shared.is_driving() && shared.free() > 0);
        let wake = wake.map(|at| time::look_at(&*shared.clock, self.gives_way_until(shared).unwrap_or(at)));
        let hint = self.hint.then(|| self.hinted + INBOX_LEAST);
        [wake, hint].into_iter().flatten().fold(self.looked + POLL, Instant::min)
    }

    /// When what is due next is a run that this engine cannot drive: until when others may take it up first, who perhaps
    /// can.
    fn gives_way_until(&self, shared: &Shared) -> Option<Timestamp> {
        self.next_wake.filter(|at| shared.is_blocked_until(*at)).map(|at| at.plus(GIVE_WAY))
    }

    fn is_stale(&self) -> bool {
        self.looked.elapsed() >= POLL
    }

    fn may_look(&self) -> bool {
        self.looked.elapsed() >= POLL_LEAST
    }

    /// Has runs that are in memory look into their inboxes: what changed may be for one of them. With many in memory it
    /// is said to all of them now and then.
    fn hint_inboxes(&mut self, shared: &Shared, told: bool) {
        self.hint |= told || self.is_stale();
        let is_time = self.hinted.elapsed() >= INBOX_LEAST || shared.runs.len() <= FEW;
        if !self.hint || !is_time {
            return;
        }
        (self.hint, self.hinted) = (false, Instant::now());
        for slot in shared.runs.all() {
            // One that has left meanwhile is claimed again when its inbox holds something.
            let _ = slot.mailbox.send(Msg::Look);
        }
    }
}

/// Runs in memory up to which all of them are told of every change.
const FEW: usize = 16;

/// Takes up what is due; when something will be due next.
async fn look(shared: &Arc<Shared>) -> Result<Option<Timestamp>, StoreError> {
    if shared.unsure.swap(false, Ordering::AcqRel) {
        let found = sweep(shared).await;
        if found.is_err() {
            shared.unsure.store(true, Ordering::Release);
        }
        found?;
    }
    loop {
        let limit = shared.free().min(CLAIM_PAGE);
        if limit == 0 {
            break;
        }
        let claimed = claim(shared, limit, None).await?;
        let is_last = claimed.len() < limit;
        claimed.into_iter().for_each(|claimed| take_up(shared, claimed));
        if is_last {
            break;
        }
    }
    shared.store.next_wake().await
}

async fn claim(shared: &Shared, limit: usize, only: Option<RunId>) -> Result<Vec<Claimed>, StoreError> {
    let worker = shared.lease.worker();
    let claimed = shared.store.claim(Claim { worker: worker.clone(), limit, only }).await;
    if !shared.lease.is_valid() || shared.lease.worker() != worker {
        // The lease was lost meanwhile: what was claimed belongs to a name that nobody renews, and goes to whoever
        // claims it when that expires.
        return Ok(Vec::new());
    }
    if claimed.is_err() {
        // What was claimed nevertheless belongs to us, and nobody else will take it up.
        shared.unsure.store(true, Ordering::Release);
    }
    claimed
}

/// Finds runs that the store holds for ours though we do not drive them: a claim or a start was answered by an error.
async fn sweep(shared: &Arc<Shared>) -> Result<(), StoreError> {
    // Whatever they are: one that is over may have been recalled, and a quarantined one have a verb to answer.
    let filter = Filter { owner: Some(shared.lease.worker()), ..Filter::default() };
    let mut after = None;
    loop {
        let page = shared.store.list(&filter, Page { after, limit: 1_000 }).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(Cursor(last.no));
        for row in &page {
            take_up_ours(shared, row).await?;
        }
    }
}

/// Takes up a run that is ours already, if nothing drives it.
pub(crate) async fn take_up_ours(shared: &Arc<Shared>, row: &RunRow) -> Result<(), StoreError> {
    if shared.runs.get(row.run).is_some() {
        return Ok(());
    }
    let head = shared.store.head(row.no).await?;
    if head.owner.as_ref() != Some(&shared.lease.worker()) || head.epoch == Epoch(0) {
        return Ok(());
    }
    let (no, run, epoch) = (row.no, row.run, head.epoch);
    let claimed = Claimed {
        no,
        run,
        epoch,
        taken_over: false,
        predecessor_alive_at: None,
        death_proven: false,
        takeovers_without_progress: 0,
    };
    take_up(shared, claimed);
    Ok(())
}

/// Brings everything to an end and gives the lease back.
pub(crate) async fn wind_down(shared: &Arc<Shared>, grace: bool) -> Result<(), StoreError> {
    shared.enter(Phase::Draining);
    for slot in shared.runs.all() {
        // One that has left meanwhile needs no telling.
        let _ = slot.mailbox.send(Msg::Drain { grace });
    }
    let most = if grace { shared.config.grace } else { Duration::ZERO } + shared.config.lease;
    if tokio::time::timeout(most, shared.runs.emptied()).await.is_err() {
        // A journal that cannot be written, or a body that does not come to an await: the lease decides.
        shared.runs.all().iter().for_each(|slot| slot.lose());
        let _ = tokio::time::timeout(shared.config.margin(), shared.runs.emptied()).await;
        shared.enter(Phase::Stopped);
        tracing::warn!("a body did not come to its end: its run is free when the lease expires");
        // Given back now, the run would be driven elsewhere while that body may still act.
        return Ok(());
    }
    shared.enter(Phase::Stopped);
    let worker = shared.lease.worker();
    let mut backoff = Backoff::new();
    let mut tries = 0;
    loop {
        match shared.store.retire(&worker).await {
            // The lease was lost before: there is nothing to give back.
            Err(error) if error.kind() == StoreErrorKind::NotFound => return Ok(()),
            Err(error) if error.is_transient() && tries < 3 => backoff.wait().await,
            done => return done,
        }
        tries += 1;
    }
}
