//! What sends traffic to releases.

use crate::{Capability, ProviderError};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use towpath_model::{Key, Timestamp};

/// What sends the traffic of a service to its releases, by weight.
///
/// A move is conditional on the revision that the caller has seen: who moves the weights in between is never overwritten. A
/// repetition is known by its key.
///
/// **The dead man's switch.** A move may be held only for a time: when nobody says by [`heartbeat`](Self::heartbeat) that
/// the caller still lives, the router itself sends all traffic to the stable release again. That costs no caller, which is
/// the point.
#[async_trait]
pub trait TrafficRouter: Send + Sync {
    /// What this router can do.
    fn capability(&self) -> RoutingCapability;

    /// Where the traffic of a service goes; `None` when the router does not know the service.
    ///
    /// # Contract
    /// - It changes nothing.
    /// - What it shows is what the next request meets: a move that was answered is shown by every later call.
    async fn routes(&self, service: &str) -> Result<Option<Routes>, ProviderError>;

    /// Moves the traffic of a service.
    ///
    /// # Contract
    /// - All of it or nothing: no request meets a mixture of the old weights and the new ones.
    /// - A revision that is no longer there is `ConditionFailed`, and nothing changes; `None` expects that the router does
    ///   not know the service.
    /// - A repetition with the key of the move that is there answers with what is there, whatever revision it expects, and
    ///   changes nothing; it does not prolong the hold. After the switch has acted, the move is no longer there.
    /// - Weights that do not add up to 100, and a weight for a release of which no instance can take traffic, are `Invalid`,
    ///   and nothing changes. A release that has that much traffic already, or more, may keep it or give it away.
    /// - Requests that are under way go on to where they were sent.
    /// - `Unavailable` and `RateLimited` say that nothing was moved; what may have moved is `OutcomeUnknown`.
    async fn set_routes(
        &self,
        service: &str,
        change: &RouteChange,
        key: &Key,
    ) -> Result<Routes, ProviderError>;

    /// Says that the caller lives, so that a held move stays for another `hold`.
    ///
    /// # Contract
    /// - A revision that is no longer there, and a service that is not known, is `ConditionFailed`.
    /// - A move that is not held is left as it is; that is no error.
    /// - It changes no weight and no revision.
    async fn heartbeat(&self, service: &str, revision: &str) -> Result<(), ProviderError>;
}

/// Where the traffic of a service goes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Routes {
    /// The release that gets everything when the switch of a held move acts.
    pub stable: String,
    /// Percent of the traffic by version; they add up to 100, and none is 0.
    pub weights: BTreeMap<String, u8>,
    /// What a move has to name. Opaque; another one after every move.
    pub revision: String,
    /// Who moved it there.
    pub moved_by: Mover,
    /// When.
    pub at: Timestamp,
    /// When the switch acts, unless there is a heartbeat before.
    pub held_until: Option<Timestamp>,
}

impl Routes {
    /// Percent of the traffic that a version gets.
    pub fn weight(&self, version: &str) -> u8 {
        self.weights.get(version).copied().unwrap_or(0)
    }
}

/// Who moved the traffic of a service to where it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mover {
    /// A call with this key.
    Key(Key),
    /// The dead man's switch, after the move with this key.
    Switch(Key),
    /// Somebody else; in words, as far as the router knows.
    Other(String),
}

/// A move of the traffic of a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteChange {
    /// The revision that the caller has seen; `None` when the router did not know the service.
    pub expected: Option<String>,
    /// The release to which the switch returns.
    pub stable: String,
    /// Percent of the traffic by version; they must add up to 100. A version that is not named gets none.
    pub weights: BTreeMap<String, u8>,
    /// For how long the move stays without a heartbeat; `None` for good.
    pub hold: Option<Duration>,
}

impl RouteChange {
    /// All traffic to one release, which is the stable one, for good.
    pub fn all_to(version: impl Into<String>, expected: Option<String>) -> Self {
        let stable = version.into();
        RouteChange { expected, weights: BTreeMap::from([(stable.clone(), 100)]), stable, hold: None }
    }

    /// `percent` of the traffic to `canary`, the rest to `stable`.
    ///
    /// # Panics
    /// Never: a percentage above 100 is taken as 100.
    pub fn split(
        stable: impl Into<String>,
        canary: impl Into<String>,
        percent: u8,
        expected: Option<String>,
    ) -> Self {
        let (stable, canary, percent) = (stable.into(), canary.into(), percent.min(100));
        let weights = [(stable.clone(), 100 - percent), (canary, percent)];
        let weights = weights.into_iter().filter(|(_, weight)| *weight > 0).collect();
        RouteChange { expected, stable, weights, hold: None }
    }

    /// Stays only so long without a heartbeat.
    #[must_use]
    pub fn held_for(mut self, hold: Duration) -> Self {
        self.hold = Some(hold);
        self
    }

    /// What is wrong with it, in words; the first thing that is found.
    pub fn problem(&self) -> Option<String> {
        let sum: u32 = self.weights.values().map(|weight| u32::from(*weight)).sum();
        if let Some((version, _)) = self.weights.iter().find(|(_, weight)| **weight == 0) {
            return Some(format!("the weight of {version} is 0; leave it out"));
        }
        (sum != 100).then(|| format!("the weights add up to {sum}, and not to 100"))
    }
}

/// What a router can do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct RoutingCapability {
    /// It sends a part of the traffic to a release; without it, all or nothing.
    pub weights: bool,
    /// A move can be held for a time, after which the router itself goes back.
    pub dead_man: bool,
    /// A move is refused by the router itself when somebody else was faster.
    pub conditional: bool,
    /// How long a request that was sent may still take effect after its sender has died.
    pub settles_within: Duration,
}

impl RoutingCapability {
    /// It sends a part of the traffic to a release.
    #[must_use]
    pub fn weights(mut self) -> Self {
        self.weights = true;
        self
    }

    /// A move can be held for a time.
    #[must_use]
    pub fn dead_man(mut self) -> Self {
        self.dead_man = true;
        self
    }

    /// A move is refused by the router itself when somebody else was faster.
    #[must_use]
    pub fn conditional(mut self) -> Self {
        self.conditional = true;
        self
    }

    /// How long a request that was sent may still take effect after its sender has died.
    #[must_use]
    pub fn settles_within(mut self, bound: Duration) -> Self {
        self.settles_within = bound;
        self
    }
}

impl Capability for RoutingCapability {
    fn missing(&self, wanted: &Self) -> Vec<&'static str> {
        [
            (self.weights || !wanted.weights, "weights"),
            (self.dead_man || !wanted.dead_man, "dead_man"),
            (self.conditional || !wanted.conditional, "conditional"),
        ]
        .into_iter()
        .filter_map(|(offered, name)| (!offered).then_some(name))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::RouteChange;

    #[test]
    fn a_split_adds_up_and_names_no_empty_side() {
        for percent in 0..=u8::MAX {
            let change = RouteChange::split("1.0.0", "2.0.0", percent, None);
            assert_eq!(change.problem(), None, "{percent}");
        }
        assert_eq!(RouteChange::split("1.0.0", "2.0.0", 0, None), RouteChange::all_to("1.0.0", None));
        let all = RouteChange::split("1.0.0", "2.0.0", 100, None);
        assert_eq!(all.weights.into_iter().collect::<Vec<_>>(), [("2.0.0".to_owned(), 100)]);
    }

    #[test]
    fn weights_that_do_not_add_up_are_named() {
        let mut change = RouteChange::all_to("1.0.0", None);
        change.weights.insert("2.0.0".into(), 10);
        assert_eq!(change.problem().as_deref(), Some("the weights add up to 110, and not to 100"));
        change.weights.insert("3.0.0".into(), 0);
        assert_eq!(change.problem().as_deref(), Some("the weight of 3.0.0 is 0; leave it out"));
    }
}
