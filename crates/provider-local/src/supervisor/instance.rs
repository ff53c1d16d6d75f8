//! One instance of a release, as requests and callers see it.

use super::upstream::Pool;
use crate::time::now;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, watch};
use towpath_model::Timestamp;
use towpath_provider::{Health, InstanceState};

/// One instance: its process may end and another take its place, on another port.
pub(super) struct Instance {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) version: String,
    /// Connections that wait for the next request.
    pub(super) pool: Pool,
    now: Mutex<Now>,
    under_way: AtomicUsize,
    /// Told when the last request that was under way has ended.
    idle: Notify,
    /// How long requests have, once it has to go.
    leave: watch::Sender<Option<Duration>>,
}

#[derive(Clone)]
struct Now {
    health: Health,
    port: u16,
    restarts: u32,
    since: Timestamp,
    last_words: Option<String>,
}

impl Instance {
    pub(super) fn new(service: &str, version: &str, id: u64, restarts: u32) -> Self {
        let now = Now { health: Health::Starting, port: 0, restarts, since: now(), last_words: None };
        Instance {
            id,
            name: format!("{service}-{version}-{id}"),
            version: version.to_owned(),
            pool: Pool::default(),
            now: Mutex::new(now),
            under_way: AtomicUsize::new(0),
            idle: Notify::new(),
            leave: watch::Sender::new(None),
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Now) -> T) -> T {
        f(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn health(&self) -> Health {
        self.with(|now| now.health)
    }

    pub(super) fn takes_traffic(&self) -> bool {
        self.health() == Health::Healthy
    }

    pub(super) fn set_health(&self, health: Health) {
        self.with(|state| {
            if state.health != health {
                (state.health, state.since) = (health, now());
            }
            if health == Health::Healthy {
                state.last_words = None;
            }
        });
    }

    /// Why it is not healthy.
    pub(super) fn say(&self, words: String) {
        self.with(|now| now.last_words = Some(words));
    }

    /// A process has been started for it, the first or the next one.
    pub(super) fn began(&self, port: u16, restarts: u32) {
        self.pool.clear();
        self.with(|state| {
            *state = Now { health: Health::Starting, port, restarts, since: now(), ..state.clone() };
        });
    }

    /// Where its process listens.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.with(|now| now.port)))
    }

    pub(super) fn restarts(&self) -> u32 {
        self.with(|now| now.restarts)
    }

    pub(super) fn state(&self) -> InstanceState {
        let (now, address) = (self.with(|now| now.clone()), self.address());
        InstanceState {
            id: self.name.clone(),
            address: (now.port != 0).then(|| address.to_string()),
            health: now.health,
            restarts: now.restarts,
            since: now.since,
            last_words: now.last_words.filter(|_| now.health != Health::Healthy),
        }
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Acquire)
    }

    /// It has to go: its requests have this long.
    pub(super) fn send_away(&self, drain: Duration) {
        self.leave.send_if_modified(|leave| leave.is_none().then(|| *leave = Some(drain)).is_some());
    }

    /// Resolves when it has to go, with how long its requests have.
    pub(super) async fn sent_away(&self) -> Duration {
        let mut leave = self.leave.subscribe();
        match leave.wait_for(Option::is_some).await.map(|drain| *drain) {
            Ok(Some(drain)) => drain,
            // The sender is this very instance.
            _ => std::future::pending().await,
        }
    }

    /// Resolves when no request is under way.
    pub(super) async fn drained(&self) {
        loop {
            let told = self.idle.notified();
            let mut told = std::pin::pin!(told);
            told.as_mut().enable();
            if self.under_way() == 0 {
                return;
            }
            told.await;
        }
    }
}

/// A request that was sent to an instance, until its answer has been passed on.
pub(super) struct Ticket(Arc<Instance>);

impl Ticket {
    /// Counts a request as under way. It is made while the choice is locked, so that an instance that was left out gets none
    /// that it does not know of.
    pub(super) fn new(instance: Arc<Instance>) -> Self {
        instance.under_way.fetch_add(1, Ordering::AcqRel);
        Ticket(instance)
    }

    pub(super) fn instance(&self) -> &Arc<Instance> {
        &self.0
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}
