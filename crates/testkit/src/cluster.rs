//! A platform, a router and a source of metrics in memory.

mod faults;
mod metrics;
mod platform;
mod router;
mod state;

pub use faults::CallFault;
pub use state::Script;

use faults::Calls;
use state::State;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use towpath_model::Timestamp;
use towpath_provider::{MetricsSource, Platform, ReleaseSpec, Routes, TrafficRouter};
use towpath_step::{Offers, Provider};
use towpath_store::Clock;

/// A platform, a router and a source of metrics in memory, in the time of a clock: for tests of steps that roll releases out.
///
/// It keeps the contracts of the three traits, as the suites of `towpath-provider` say. How a release behaves is a
/// [`Script`]; what people do is done by [`move_by_hand`](Self::move_by_hand) and
/// [`remove_by_hand`](Self::remove_by_hand); and each call can [go wrong](Self::fail_call), or something can
/// [happen before it](Self::before_call).
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use towpath_testkit::{FakeCluster, Script, VirtualClock};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
/// let cluster = FakeCluster::new(Arc::new(VirtualClock::new()));
/// cluster.script("orders", "1.0.0", Script::healthy());
/// cluster.script("orders", "2.0.0", Script::healthy().errors(0.05));
/// cluster.have_live("orders", "1.0.0", 2);
/// cluster.traffic("orders", 100.0);
/// assert_eq!(cluster.weights("orders"), [("1.0.0".to_owned(), 100)].into());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct FakeCluster {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    calls: Mutex<Calls>,
}

impl FakeCluster {
    /// A cluster on which nothing runs.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(FakeCluster { clock, state: Mutex::default(), calls: Mutex::default() })
    }

    /// How a release will behave. One without a script is [healthy](Script::healthy).
    pub fn script(&self, service: &str, version: &str, script: Script) {
        let mut state = self.state();
        let service = state.service(service);
        service.scripts.insert(version.to_owned(), script);
    }

    /// The router sends as a whole or in parts; off only when said so here.
    pub fn without_weights(&self) {
        self.state().no_weights = true;
    }

    /// The router has no dead man's switch.
    pub fn without_switch(&self) {
        self.state().no_switch = true;
    }

    /// A request that was sent may still take effect for so long after its sender has died; the calls of this cluster say
    /// so, though none of them does.
    pub fn settles_within(&self, bound: Duration) {
        self.state().settles_within = bound;
    }

    /// This many requests a second come in for a service from now on.
    pub fn traffic(&self, service: &str, per_second: f64) {
        let now = self.clock.now();
        self.state().service(service).arrive(now, per_second);
    }

    /// A release that is there, is healthy and has all traffic, as somebody put it there.
    pub fn have_live(&self, service: &str, version: &str, instances: u32) {
        self.have(service, version, instances);
        let now = self.clock.now();
        self.state().service(service).by_hand(now, BTreeMap::from([(version.to_owned(), 100)]), "setup");
    }

    /// A release that is there and is healthy, without traffic.
    pub fn have(&self, service: &str, version: &str, instances: u32) {
        let now = self.clock.now();
        let spec = ReleaseSpec {
            service: service.to_owned(),
            version: version.to_owned(),
            digest: format!("sha256:{version}"),
            image: format!("oci:images:{version}"),
            instances,
            env: BTreeMap::new(),
            health: towpath_provider::HealthProbe::at("/health"),
        };
        self.state().service(service).put(now, spec, true);
    }

    /// Somebody moves the weights, behind the back of who believes to move them. The stable release stays what it is,
    /// unless it gets nothing any more.
    pub fn move_by_hand(&self, service: &str, weights: &[(&str, u8)]) {
        let now = self.clock.now();
        let weights = weights.iter().map(|(version, weight)| ((*version).to_owned(), *weight)).collect();
        self.state().service(service).by_hand(now, weights, "by hand (ann)");
    }

    /// Somebody removes a release, whether it has traffic or not.
    pub fn remove_by_hand(&self, service: &str, version: &str) {
        self.state().service(service).releases.remove(version);
    }

    /// Where the traffic of a service goes now; nowhere, when the router does not know it.
    pub fn weights(&self, service: &str) -> BTreeMap<String, u8> {
        self.routes_now(service).map(|routes| routes.weights).unwrap_or_default()
    }

    /// The routes of a service, as the router shows them.
    pub fn routes_now(&self, service: &str) -> Option<Routes> {
        let now = self.clock.now();
        let mut state = self.state();
        state.service(service).routes_at(now)
    }

    /// The versions of a service that are there.
    pub fn versions(&self, service: &str) -> Vec<String> {
        self.state().service(service).releases.keys().cloned().collect()
    }

    /// How many instances of a release are wanted; `None` when it is not there.
    pub fn wanted(&self, service: &str, version: &str) -> Option<u32> {
        self.state().service(service).releases.get(version).map(|release| release.spec.instances)
    }

    /// Moves of weights so far, the switch and people included: who, and to what.
    pub fn moves(&self, service: &str) -> Vec<Routes> {
        self.state().service(service).moves.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Provider for FakeCluster {
    fn offer(self: Arc<Self>, to: &mut Offers<'_>) {
        to.put::<dyn Platform>(self.clone()).put::<dyn TrafficRouter>(self.clone());
        to.put::<dyn MetricsSource>(self);
    }
}

impl fmt::Debug for FakeCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeCluster").finish_non_exhaustive()
    }
}
