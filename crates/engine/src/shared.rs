//! What all parts of one engine share.

use crate::{
    config::{Config, GIVE_WAY},
    freeze,
    lease::Lease,
    pipelines::Pipelines,
    plans::Plans,
    runs::{Runs, Slot},
    secrets::SecretSource,
    signer::Signer,
    tally::{Left, Tally},
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
};
use tokio::sync::{Notify, watch};
use towpath_model::Timestamp;
use towpath_step::{Providers, Steps};
use towpath_store::{Clock, Store};

/// One engine's insides. Tasks hold this; users hold an [`Engine`](crate::Engine), whose last clone stops the tasks.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) steps: Steps,
    pub(crate) providers: Providers,
    pub(crate) secrets: Arc<dyn SecretSource>,
    pub(crate) signer: Option<Arc<dyn Signer>>,
    pub(crate) pipelines: Pipelines,
    pub(crate) config: Config,
    pub(crate) plans: Plans,
    pub(crate) runs: Runs,
    pub(crate) lease: Lease,
    pub(crate) tally: Tally,
    pub(crate) freezes: freeze::Known,
    /// Tells the reconciler to look for work now.
    poked: Notify,
    /// The earliest wake of a run that this engine gave back, as far as the reconciler has not seen it.
    sooner: AtomicI64,
    /// When runs are due that this engine cannot drive.
    blocked: Mutex<BTreeSet<Timestamp>>,
    /// Whether a claim or a start was answered by an error, so that a run may be ours without our knowing.
    pub(crate) unsure: AtomicBool,
    /// How many ask for runs to be driven: the background, and every `drive` under way.
    drivers_wanted: AtomicUsize,
    /// How often the reconciler has begun and ended to look for work.
    looks: watch::Sender<Looks>,
    /// Grows with everything that the store tells has changed.
    changed: watch::Sender<u64>,
    phase: watch::Sender<Phase>,
}

/// The part of its life that an engine is in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    /// It takes runs up.
    Open,
    /// It brings what it drives to an end, and takes nothing up.
    Draining,
    /// It does nothing any more.
    Stopped,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { store, clock, steps, providers, secrets, signer, pipelines, config } = parts;
        let wanted = usize::from(config.background);
        Shared {
            lease: Lease::new(config.worker.clone()),
            plans: Plans::default(),
            runs: Runs::default(),
            tally: Tally::default(),
            freezes: freeze::Known::none(),
            poked: Notify::new(),
            sooner: AtomicI64::new(i64::MAX),
            blocked: Mutex::default(),
            unsure: AtomicBool::new(false),
            drivers_wanted: AtomicUsize::new(wanted),
            looks: watch::Sender::new(Looks::default()),
            changed: watch::Sender::new(0),
            phase: watch::Sender::new(Phase::Open),
            store,
            clock,
            steps,
            providers,
            secrets,
            signer,
            pipelines,
            config,
        }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Moves on to a later part of the engine's life. It never goes back.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let moves = phase > *now;
            *now = phase.max(*now);
            moves
        });
        self.poke();
    }

    /// Tells of the parts of the engine's life.
    pub(crate) fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Has the reconciler look for work now.
    pub(crate) fn poke(&self) {
        self.poked.notify_one();
    }

    pub(crate) async fn poked(&self) {
        self.poked.notified().await;
    }

    /// Remembers when a run is due that this engine cannot drive.
    pub(crate) fn blocked_until(&self, at: Timestamp) {
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        blocked.retain(|due| due.plus(GIVE_WAY) >= now);
        blocked.insert(at);
    }

    /// Whether a run that this engine cannot drive is due at this time: others look first, who perhaps can.
    pub(crate) fn is_blocked_until(&self, at: Timestamp) -> bool {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner).contains(&at)
    }

    /// Tells the reconciler of a run that was given back and is due at `at`.
    pub(crate) fn wakes_at(&self, at: Timestamp) {
        if self.sooner.fetch_min(at.as_micros(), Ordering::Relaxed) > at.as_micros() {
            self.poke();
        }
    }

    /// The earliest wake that was told since the last call.
    pub(crate) fn take_sooner(&self) -> Option<Timestamp> {
        let micros = self.sooner.swap(i64::MAX, Ordering::Relaxed);
        (micros != i64::MAX).then(|| Timestamp::from_micros(micros))
    }

    /// Whether runs are to be taken up.
    pub(crate) fn is_driving(&self) -> bool {
        self.drivers_wanted.load(Ordering::Acquire) > 0
            && self.phase() == Phase::Open
            && self.lease.is_valid()
    }

    /// Has runs driven until the guard is dropped.
    pub(crate) fn drive(self: &Arc<Self>) -> Driving {
        self.drivers_wanted.fetch_add(1, Ordering::AcqRel);
        self.poke();
        Driving(self.clone())
    }

    /// The reconciler begins to look for work.
    pub(crate) fn look_begins(&self) {
        self.looks.send_modify(|looks| looks.begun += 1);
    }

    /// The reconciler has looked for work, and what is due is in memory; or it could not.
    pub(crate) fn look_ends(&self, found: bool) {
        self.looks.send_modify(|looks| {
            if found {
                looks.ended = looks.begun;
            }
        });
    }

    /// How often the reconciler has begun to look for work.
    pub(crate) fn looks(&self) -> u64 {
        self.looks.borrow().begun
    }

    /// Returns when the reconciler has begun and ended a look after `begun` ones; false when the engine stops.
    pub(crate) async fn looked_after(&self, begun: u64) -> bool {
        let (mut looks, mut phases) = (self.looks.subscribe(), self.phases());
        tokio::select! {
            looked = looks.wait_for(|looks| looks.ended > begun) => looked.is_ok(),
            _ = phases.wait_for(|phase| *phase > Phase::Open) => false,
        }
    }

    /// How many further runs may be taken into memory.
    pub(crate) fn free(&self) -> usize {
        self.config.concurrency.saturating_sub(self.runs.len())
    }

    /// A run leaves memory.
    pub(crate) fn leave(&self, slot: &Arc<Slot>, left: Left) {
        let was_full = self.free() == 0;
        if left == Left::Lost && !slot.is_lost() {
            // The lease holds, so that the run may still be ours though nothing drives it: that is looked into.
            self.unsure.store(true, Ordering::Release);
        }
        self.tally.left(slot.run, left);
        self.runs.leave(slot);
        if was_full {
            // Others wait for this place.
            self.poke();
        }
    }

    /// Tells everybody who waits for a run that is not driven here that something was written.
    pub(crate) fn tell_changed(&self) {
        if self.changed.receiver_count() > 0 {
            self.changed.send_modify(|n| *n += 1);
        }
    }

    /// Tells of what the store tells.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

/// Looks for work, counted.
#[derive(Default)]
struct Looks {
    begun: u64,
    /// The last that ended well.
    ended: u64,
}

/// What an engine is made of.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) steps: Steps,
    pub(crate) providers: Providers,
    pub(crate) secrets: Arc<dyn SecretSource>,
    pub(crate) signer: Option<Arc<dyn Signer>>,
    pub(crate) pipelines: Pipelines,
    pub(crate) config: Config,
}

/// Runs are driven as long as this lives.
pub(crate) struct Driving(Arc<Shared>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.drivers_wanted.fetch_sub(1, Ordering::AcqRel);
    }
}
