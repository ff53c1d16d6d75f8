//! What runs releases.

use crate::{Capability, ProviderError};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use towpath_model::{Key, Timestamp};

/// What runs releases of services: processes on a machine, containers in a cluster.
///
/// A release is known by its service and its *version*. Two releases of one service may run at once; who of them gets
/// traffic is the business of a [`TrafficRouter`](crate::TrafficRouter). Every method sets a state or reads one, so that a
/// repetition is harmless, and what became of a lost request is found by [`releases`](Self::releases).
#[async_trait]
pub trait Platform: Send + Sync {
    /// What this platform can do.
    fn capability(&self) -> PlatformCapability;

    /// Has this many instances of a release run, whatever there was of it before.
    ///
    /// # Contract
    /// - It returns when the platform has taken the order over, and does not wait for instances to be healthy.
    /// - A repetition with the same release changes nothing, with the same key or another.
    /// - Another number of instances scales the release: those that stay are not started again.
    /// - A version that is there with another digest, environment or probe is `AlreadyExists`, and nothing changes: what is
    ///   called the same is the same. Where its image is kept may differ.
    /// - `Unavailable` and `RateLimited` say that nothing was begun; what may have begun is `OutcomeUnknown`.
    /// - Other releases of the service are left alone.
    async fn deploy(&self, release: &ReleaseSpec, key: &Key) -> Result<(), ProviderError>;

    /// The releases of a service that are there, in the order of their versions as text.
    ///
    /// # Contract
    /// - It changes nothing.
    /// - A service that is not known has none; that is no error.
    /// - A release that was deployed is shown until it was removed, also while none of its instances run.
    /// - An instance that does not come up says why in `last_words`, as far as the platform knows.
    async fn releases(&self, service: &str) -> Result<Vec<ReleaseState>, ProviderError>;

    /// Removes a release: its instances get no new requests, finish those that they have for at most `drain`, and end.
    ///
    /// # Contract
    /// - It returns when nothing of the release runs any more, or `OutcomeUnknown` or `Unavailable` if that is not known.
    /// - A release that is not there is removed already: that is no error.
    /// - A platform that knows that a release still has traffic, or that a held move would return to it, may refuse with
    ///   `ConditionFailed`, and then nothing changes.
    /// - Other releases of the service are left alone.
    async fn remove(
        &self,
        service: &str,
        version: &str,
        drain: Duration,
        key: &Key,
    ) -> Result<(), ProviderError>;
}

/// A release as a platform is asked to run it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseSpec {
    /// Of which service.
    pub service: String,
    /// What people call it, such as `2.1.0`; unique within the service.
    pub version: String,
    /// The digest of the image that it runs, `sha256:…`.
    pub digest: String,
    /// Where the image is: a reference in a registry, or `oci:FOLDER` for a layout on this machine.
    pub image: String,
    /// How many instances.
    pub instances: u32,
    /// What its processes find in their environment. Not for secrets: this is stored and shown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// How it is found out that an instance can take traffic.
    pub health: HealthProbe,
}

/// How it is found out that an instance can take traffic: `GET path` answers with a status below 400.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthProbe {
    /// The path, with its leading slash.
    pub path: String,
    /// Between two questions, in milliseconds.
    pub every_ms: u64,
    /// How long one answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// How many good answers in a row make an instance healthy.
    pub successes: u32,
    /// How many bad ones in a row make it unhealthy.
    pub failures: u32,
}

impl HealthProbe {
    /// A probe of `path` twice a second: healthy after two good answers, unhealthy after three bad ones.
    pub fn at(path: impl Into<String>) -> Self {
        HealthProbe { path: path.into(), every_ms: 500, timeout_ms: 2_000, successes: 2, failures: 3 }
    }
}

/// A release as a platform shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReleaseState {
    /// What people call it.
    pub version: String,
    /// The digest of its image.
    pub digest: String,
    /// How many instances were asked for.
    pub wanted: u32,
    /// Those that are there.
    pub instances: Vec<InstanceState>,
    /// What was asked for when it was deployed last, where the platform keeps that: enough to deploy it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<ReleaseSpec>,
}

impl ReleaseState {
    /// How many of its instances can take traffic.
    pub fn healthy(&self) -> u32 {
        self.instances.iter().filter(|instance| instance.health == Health::Healthy).count() as u32
    }

    /// Whether it runs as it was asked for.
    pub fn is_ready(&self) -> bool {
        self.healthy() == self.wanted && self.instances.len() as u32 == self.wanted
    }
}

/// One instance of a release.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InstanceState {
    /// How the platform names it.
    pub id: String,
    /// `host:port`, where it has one that can be reached.
    pub address: Option<String>,
    /// Whether it can take traffic.
    pub health: Health,
    /// How often it was started again.
    pub restarts: u32,
    /// Since when it has been in this state.
    pub since: Timestamp,
    /// Why it is not healthy: the last lines that it wrote, the code with which it ended, what its probe answered.
    pub last_words: Option<String>,
}

/// Whether an instance can take traffic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Health {
    /// It was started and has not answered well yet.
    Starting,
    /// It can take traffic.
    Healthy,
    /// It was healthy, or had time to become so, and is not.
    Unhealthy,
    /// It has ended, and is started again or was given up.
    Exited,
}

/// What a platform can do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct PlatformCapability {
    /// Most instances of one release; `None` when there is no limit that it knows.
    pub instances_max: Option<u32>,
    /// Instances go on without the process that ordered them.
    pub outlives_caller: bool,
    /// Instances that end are started again.
    pub restarts: bool,
    /// Requests under way are finished before an instance that is removed ends.
    pub drains: bool,
    /// How long a request that was sent may still take effect after its sender has died.
    pub settles_within: Duration,
}

impl PlatformCapability {
    /// Most instances of one release.
    #[must_use]
    pub fn instances_max(mut self, most: u32) -> Self {
        self.instances_max = Some(most);
        self
    }

    /// Instances go on without the process that ordered them.
    #[must_use]
    pub fn outlives_caller(mut self) -> Self {
        self.outlives_caller = true;
        self
    }

    /// Instances that end are started again.
    #[must_use]
    pub fn restarts(mut self) -> Self {
        self.restarts = true;
        self
    }

    /// Requests under way are finished before an instance that is removed ends.
    #[must_use]
    pub fn drains(mut self) -> Self {
        self.drains = true;
        self
    }

    /// How long a request that was sent may still take effect after its sender has died.
    #[must_use]
    pub fn settles_within(mut self, bound: Duration) -> Self {
        self.settles_within = bound;
        self
    }
}

impl Capability for PlatformCapability {
    fn missing(&self, wanted: &Self) -> Vec<&'static str> {
        let enough = match (self.instances_max, wanted.instances_max) {
            (Some(most), Some(n)) => n <= most,
            _ => true,
        };
        [
            (enough, "instances_max"),
            (self.outlives_caller || !wanted.outlives_caller, "outlives_caller"),
            (self.restarts || !wanted.restarts, "restarts"),
            (self.drains || !wanted.drains, "drains"),
        ]
        .into_iter()
        .filter_map(|(offered, name)| (!offered).then_some(name))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::PlatformCapability;
    use crate::Capability;

    #[test]
    fn what_a_platform_lacks_is_named() {
        let local = PlatformCapability::default().instances_max(16).outlives_caller().drains();
        let wanted = PlatformCapability::default().instances_max(17).outlives_caller().restarts();
        assert_eq!(local.missing(&wanted), ["instances_max", "restarts"]);
        assert!(local.missing(&PlatformCapability::default().drains()).is_empty());
    }
}
