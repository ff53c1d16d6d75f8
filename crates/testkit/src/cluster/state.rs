//! What is on a cluster.

use std::{collections::BTreeMap, time::Duration};
use towpath_model::{Key, Timestamp};
use towpath_provider::{Mover, ReleaseSpec, RouteChange, Routes};

/// How a release behaves.
#[derive(Clone, PartialEq, Debug)]
pub struct Script {
    /// How long after its order its instances become healthy; `None` for never.
    pub(super) healthy_after: Option<Duration>,
    /// How long after its order they stop being so.
    pub(super) healthy_until: Option<Duration>,
    /// What an instance that is not healthy says last.
    pub(super) last_words: String,
    /// The part of its requests that fails.
    pub(super) errors: f64,
    /// How long an answer takes, in microseconds; and the part of them that takes ten times as long.
    pub(super) latency_us: u64,
    pub(super) slow: f64,
}

impl Script {
    /// Healthy at once, without errors, in 5 ms.
    pub fn healthy() -> Self {
        Script {
            healthy_after: Some(Duration::ZERO),
            healthy_until: None,
            last_words: "the probe got no answer".into(),
            errors: 0.0,
            latency_us: 5_000,
            slow: 0.0,
        }
    }

    /// Never healthy, with these last words.
    pub fn never_healthy(last_words: &str) -> Self {
        Script { healthy_after: None, last_words: last_words.to_owned(), ..Script::healthy() }
    }

    /// Becomes healthy so long after it was ordered.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.healthy_after = Some(time);
        self
    }

    /// Stops being healthy so long after it was ordered.
    #[must_use]
    pub fn dies_after(mut self, time: Duration, last_words: &str) -> Self {
        self.healthy_until = Some(time);
        self.last_words = last_words.to_owned();
        self
    }

    /// This part of its requests fails, between 0 and 1.
    #[must_use]
    pub fn errors(mut self, part: f64) -> Self {
        self.errors = part;
        self
    }

    /// This part of its answers takes ten times as long as the others, between 0 and 1.
    #[must_use]
    pub fn slow(mut self, part: f64) -> Self {
        self.slow = part;
        self
    }
}

/// A release that is there.
#[derive(Clone, Debug)]
pub(super) struct Release {
    pub(super) spec: ReleaseSpec,
    pub(super) since: Timestamp,
    /// Names of its instances.
    pub(super) instances: Vec<u64>,
    /// Healthy whatever its script says: it was there before the test.
    is_old: bool,
}

/// Requests that were answered at one point in time, as a test has them served.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) at: Timestamp,
    pub(super) version: String,
    pub(super) requests: u64,
    pub(super) errors: u64,
}

#[derive(Default)]
pub(super) struct Service {
    pub(super) releases: BTreeMap<String, Release>,
    pub(super) scripts: BTreeMap<String, Script>,
    pub(super) moves: Vec<Routes>,
    pub(super) hold: Option<Duration>,
    pub(super) served: Vec<Served>,
    /// Since when how many requests a second come in.
    pub(super) arrivals: Vec<(Timestamp, f64)>,
    started: u64,
}

#[derive(Default)]
pub(super) struct State {
    services: BTreeMap<String, Service>,
    pub(super) no_weights: bool,
    pub(super) no_switch: bool,
    pub(super) settles_within: Duration,
}

impl State {
    pub(super) fn service(&mut self, name: &str) -> &mut Service {
        self.services.entry(name.to_owned()).or_default()
    }
}

impl Service {
    pub(super) fn script_of(&self, version: &str) -> Script {
        self.scripts.get(version).cloned().unwrap_or_else(Script::healthy)
    }

    pub(super) fn put(&mut self, now: Timestamp, spec: ReleaseSpec, is_old: bool) {
        let wanted = spec.instances as usize;
        let mut release = self.releases.remove(&spec.version).unwrap_or_else(|| Release {
            spec: spec.clone(),
            since: now,
            instances: Vec::new(),
            is_old,
        });
        release.instances.truncate(wanted);
        while release.instances.len() < wanted {
            self.started += 1;
            release.instances.push(self.started);
        }
        release.spec = spec;
        self.releases.insert(release.spec.version.clone(), release);
    }

    pub(super) fn is_healthy(&self, version: &str, now: Timestamp) -> bool {
        let Some(release) = self.releases.get(version) else { return false };
        let script = self.script_of(version);
        let age = now.since(release.since);
        let is_up = release.is_old || script.healthy_after.is_some_and(|after| age >= after);
        is_up && script.healthy_until.is_none_or(|until| age < until)
    }

    /// The routes now; the switch acts first, if it is time.
    pub(super) fn routes_at(&mut self, now: Timestamp) -> Option<Routes> {
        let last = self.moves.last()?;
        if let (Some(until), Mover::Key(key)) = (last.held_until, last.moved_by.clone())
            && until <= now
        {
            let stable = last.stable.clone();
            let weights = BTreeMap::from([(stable.clone(), 100)]);
            self.push(until, stable, weights, Mover::Switch(key), None);
        }
        self.moves.last().cloned()
    }

    pub(super) fn by_hand(&mut self, now: Timestamp, weights: BTreeMap<String, u8>, who: &str) {
        let stable = match self.routes_at(now) {
            Some(routes) if weights.contains_key(&routes.stable) => routes.stable,
            _ => weights.keys().next().cloned().expect("somebody moves to something"),
        };
        self.push(now, stable, weights, Mover::Other(who.to_owned()), None);
    }

    pub(super) fn by_key(&mut self, now: Timestamp, change: &RouteChange, key: &Key) -> Routes {
        let mover = Mover::Key(key.clone());
        self.push(now, change.stable.clone(), change.weights.clone(), mover, change.hold)
    }

    fn push(
        &mut self,
        at: Timestamp,
        stable: String,
        weights: BTreeMap<String, u8>,
        moved_by: Mover,
        hold: Option<Duration>,
    ) -> Routes {
        self.hold = hold;
        let revision = format!("r{}", self.moves.len() + 1);
        let held_until = hold.map(|hold| at.plus(hold));
        let routes = Routes { stable, weights, revision, moved_by, at, held_until };
        self.moves.push(routes.clone());
        routes
    }

    pub(super) fn arrive(&mut self, now: Timestamp, per_second: f64) {
        self.arrivals.push((now, per_second));
    }
}
