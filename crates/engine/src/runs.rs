//! The runs in memory, and who looks at runs.

use crate::mailbox::{Mailbox, Msg};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tokio::sync::{Notify, futures::Notified, watch};
use towpath_model::{Outcome, RunId, RunNo, Status};

/// The runs that this engine drives.
#[derive(Default)]
pub(crate) struct Runs {
    maps: Mutex<Maps>,
    count: AtomicUsize,
    left: Notify,
}

#[derive(Default)]
struct Maps {
    slots: HashMap<RunId, Arc<Slot>>,
    /// Watches of runs that somebody looks at while they are not in memory.
    watches: HashMap<RunId, Weak<Watch>>,
    swept_at: usize,
}

/// One run in memory, as the rest of the engine sees it.
pub(crate) struct Slot {
    pub(crate) run: RunId,
    pub(crate) no: RunNo,
    pub(crate) mailbox: Mailbox,
    pub(crate) watch: Arc<Watch>,
    lost: AtomicBool,
    told_lost: Notify,
    gone: watch::Sender<bool>,
}

impl Slot {
    pub(crate) fn new(run: RunId, no: RunNo, mailbox: Mailbox, watch: Arc<Watch>) -> Self {
        Slot {
            run,
            no,
            mailbox,
            watch,
            lost: AtomicBool::new(false),
            told_lost: Notify::new(),
            gone: watch::Sender::new(false),
        }
    }

    /// Tells the driver that the lease is lost: it drops its bodies and forgets the run.
    pub(crate) fn lose(&self) {
        self.lost.store(true, Ordering::Release);
        // A permit stays behind, so that a driver that is about to wait does not.
        self.told_lost.notify_one();
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Returns when the lease is lost.
    pub(crate) async fn lost(&self) {
        while !self.is_lost() {
            self.told_lost.notified().await;
        }
    }

    /// Returns when the driver has left, and nothing of the run is under way here.
    pub(crate) async fn gone(&self) {
        // The sender lives in this slot, so that waiting cannot fail.
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }
}

/// What those who look at a run are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Whether the run is driven by this engine.
    pub(crate) here: bool,
    /// Grows with everything that is journaled here while somebody follows the run.
    pub(crate) version: u64,
    /// Where it stands, if that is known.
    pub(crate) status: Option<Status>,
    /// How it ended.
    pub(crate) outcome: Option<Arc<Outcome>>,
}

/// A run, for those who look at it.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    view: watch::Sender<View>,
    followers: AtomicUsize,
}

impl Watch {
    pub(crate) fn subscribe(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut View)) {
        self.view.send_modify(change);
    }

    /// Tells those who follow the run's journal that something was appended.
    pub(crate) fn appended(&self) {
        if self.followers.load(Ordering::Acquire) > 0 {
            self.view.send_modify(|view| view.version += 1);
        }
    }

    /// Has [`appended`](Self::appended) told, until the guard is dropped.
    pub(crate) fn follow(self: &Arc<Self>) -> Follow {
        self.followers.fetch_add(1, Ordering::AcqRel);
        Follow(self.clone())
    }
}

/// Somebody follows a run's journal as long as this lives.
pub(crate) struct Follow(Arc<Watch>);

impl Drop for Follow {
    fn drop(&mut self) {
        self.0.followers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Runs {
    fn maps(&self) -> MutexGuard<'_, Maps> {
        // Maps cannot be left half done by a panic.
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there are others beside one.
    pub(crate) fn is_busy(&self) -> bool {
        self.len() > 1
    }

    /// Takes a run into memory. What of it was in memory before, under an older epoch, is answered.
    pub(crate) fn enter(&self, run: RunId, no: RunNo, mailbox: Mailbox) -> (Arc<Slot>, Option<Arc<Slot>>) {
        let mut maps = self.maps();
        let known = maps.watches.remove(&run).and_then(|w| w.upgrade());
        let before = maps.slots.remove(&run);
        let watch = known.or_else(|| before.as_ref().map(|b| b.watch.clone())).unwrap_or_default();
        let slot = Arc::new(Slot::new(run, no, mailbox, watch));
        maps.slots.insert(run, slot.clone());
        self.count.store(maps.slots.len(), Ordering::Relaxed);
        (slot, before)
    }

    /// A run leaves memory.
    pub(crate) fn leave(&self, slot: &Arc<Slot>) {
        let mut maps = self.maps();
        if maps.slots.get(&slot.run).is_some_and(|s| Arc::ptr_eq(s, slot)) {
            maps.slots.remove(&slot.run);
            if Arc::strong_count(&slot.watch) > 1 {
                maps.keep(slot.run, &slot.watch);
            }
        }
        self.count.store(maps.slots.len(), Ordering::Relaxed);
        drop(maps);
        slot.watch.change(|view| view.here = false);
        slot.gone.send_replace(true);
        self.left.notify_waiters();
    }

    /// A run in memory.
    pub(crate) fn get(&self, run: RunId) -> Option<Arc<Slot>> {
        self.maps().slots.get(&run).cloned()
    }

    /// All runs in memory.
    pub(crate) fn all(&self) -> Vec<Arc<Slot>> {
        self.maps().slots.values().cloned().collect()
    }

    /// The watch of a run, in memory or not.
    pub(crate) fn watch(&self, run: RunId) -> Arc<Watch> {
        let mut maps = self.maps();
        if let Some(slot) = maps.slots.get(&run) {
            return slot.watch.clone();
        }
        if let Some(watch) = maps.watches.get(&run).and_then(Weak::upgrade) {
            return watch;
        }
        let watch = Arc::new(Watch::default());
        maps.keep(run, &watch);
        watch
    }

    /// Has the driver of a run look into its inbox; whether there is one.
    pub(crate) fn hint(&self, run: RunId) -> bool {
        self.get(run).is_some_and(|slot| slot.mailbox.send(Msg::Inbox).is_ok())
    }

    /// Returns when no run is in memory.
    pub(crate) async fn emptied(&self) {
        loop {
            let left = self.left.notified();
            if self.maps().slots.is_empty() {
                return;
            }
            left.await;
        }
    }

    /// Over when a run leaves memory, counted from this call.
    pub(crate) fn one_left(&self) -> Notified<'_> {
        self.left.notified()
    }
}

impl Maps {
    fn keep(&mut self, run: RunId, watch: &Arc<Watch>) {
        // Watches that nobody holds any more are swept now and then, so that they cannot pile up.
        if self.watches.len() > 2 * self.swept_at + 64 {
            self.watches.retain(|_, w| w.strong_count() > 0);
            self.swept_at = self.watches.len();
        }
        self.watches.insert(run, Arc::downgrade(watch));
    }
}
