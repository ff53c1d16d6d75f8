//! The worker's lease: renewed while it can be, let go before it ends.

use crate::shared::{Phase, Shared};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use towpath_model::WorkerId;
use towpath_store::{StoreError, StoreErrorKind};

/// What this engine is to the store: a worker with a lease.
pub(crate) struct Lease {
    valid: AtomicBool,
    held: Mutex<Held>,
}

struct Held {
    worker: WorkerId,
    /// How often the engine registered.
    registered: u32,
    /// When the lease ends, by the monotonic clock: never later than what the store says.
    until: Option<Instant>,
}

impl Lease {
    pub(crate) fn new(worker: WorkerId) -> Self {
        let held = Mutex::new(Held { worker, registered: 0, until: None });
        Lease { valid: AtomicBool::new(false), held }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        // Three plain values cannot be left half done by a panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the engine may drive runs.
    pub(crate) fn is_valid(&self) -> bool {
        self.valid.load(Ordering::Acquire)
    }

    /// The name under which the engine is registered.
    pub(crate) fn worker(&self) -> WorkerId {
        self.held().worker.clone()
    }

    /// How long the lease holds if it is not renewed.
    pub(crate) fn left(&self) -> Duration {
        self.held().until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    fn renewed(&self, until: Instant) {
        self.held().until = Some(until);
        self.valid.store(true, Ordering::Release);
    }

    fn lose(&self) {
        self.valid.store(false, Ordering::Release);
        self.held().until = None;
    }

    /// The name to register under: another one each time, because runs of the old one belong to it until it expires.
    fn next_name(&self, base: &WorkerId) -> WorkerId {
        let mut held = self.held();
        held.registered += 1;
        if held.registered > 1 {
            let name = format!("{base}~{}", held.registered);
            let short = name.len() - name.len().min(64);
            held.worker =
                WorkerId::new(&name[name.ceil_char_boundary(short)..]).unwrap_or_else(|_| base.clone());
        }
        held.worker.clone()
    }
}

/// Registers the engine as a worker.
pub(crate) async fn register(shared: &Shared) -> Result<(), StoreError> {
    let worker = shared.lease.next_name(&shared.config.worker);
    let sent = Instant::now();
    shared.store.register(&worker, shared.config.lease).await?;
    shared.lease.renewed(sent + shared.config.lease);
    Ok(())
}

/// Keeps the lease until the engine stops.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut phases = shared.phases();
    let mut beat = Instant::now() + shared.config.beat();
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(beat) => {}
            _ = phases.wait_for(|phase| *phase == Phase::Stopped) => return,
        }
        beat = renew(&shared).await;
    }
}

/// Renews the lease; when to do so next.
async fn renew(shared: &Shared) -> Instant {
    let (lease, sent) = (shared.config.lease, Instant::now());
    if !shared.lease.is_valid() {
        return match register(shared).await {
            Ok(()) => {
                shared.poke();
                sent + shared.config.beat()
            }
            Err(error) => {
                tracing::warn!(error = %error, "the worker cannot be registered; trying again");
                sent + lease / 10
            }
        };
    }
    // Nothing may run here any more once less than the margin is left.
    let last = sent + shared.lease.left().saturating_sub(shared.config.margin());
    let worker = shared.lease.worker();
    match tokio::time::timeout_at(last, shared.store.heartbeat(&worker, lease)).await {
        Ok(Ok(_)) => {
            shared.lease.renewed(sent + lease);
            sent + shared.config.beat()
        }
        Ok(Err(error)) if error.kind() == StoreErrorKind::NotFound => {
            tracing::error!(%worker, "the lease was taken for lost by others: letting everything go");
            lose(shared).await;
            Instant::now()
        }
        answer if Instant::now() >= last => {
            let why = answer.map_or_else(
                |_| "no answer".to_owned(),
                |a| a.err().map(|e| e.to_string()).unwrap_or_default(),
            );
            tracing::error!(%worker, why, "the lease could not be renewed in time: letting everything go");
            lose(shared).await;
            Instant::now()
        }
        Ok(Err(error)) => {
            tracing::warn!(%worker, error = %error, "the lease could not be renewed; trying again");
            last.min(sent + lease / 10)
        }
        Err(_) => last,
    }
}

/// Drops every body and forgets every run: somebody else drives them from now on.
async fn lose(shared: &Shared) {
    shared.lease.lose();
    for slot in shared.runs.all() {
        slot.lose();
    }
    // What cannot be dropped does not hold up those that can be driven again.
    let _ = tokio::time::timeout(shared.config.margin(), shared.runs.emptied()).await;
}
