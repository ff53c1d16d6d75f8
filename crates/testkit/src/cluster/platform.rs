//! The cluster as a platform.

use super::{FakeCluster, state::Service};
use async_trait::async_trait;
use std::time::Duration;
use towpath_model::{Key, Timestamp};
use towpath_provider::{
    Health, InstanceState, Platform, PlatformCapability, ProviderError, ProviderErrorKind, ReleaseSpec,
    ReleaseState,
};

#[async_trait]
impl Platform for FakeCluster {
    fn capability(&self) -> PlatformCapability {
        let bound = self.state().settles_within;
        PlatformCapability::default().outlives_caller().restarts().drains().settles_within(bound)
    }

    async fn deploy(&self, release: &ReleaseSpec, _key: &Key) -> Result<(), ProviderError> {
        self.call("deploy", || {
            let now = self.now();
            let mut state = self.state();
            let service = state.service(&release.service);
            if let Some(there) = service.releases.get(&release.version) {
                let is_same = (&there.spec.digest, &there.spec.env, &there.spec.health)
                    == (&release.digest, &release.env, &release.health);
                if !is_same {
                    let error = "this version is there as another release";
                    return Err(ProviderError::new(ProviderErrorKind::AlreadyExists, error)
                        .with("version", &release.version));
                }
            }
            service.put(now, release.clone(), false);
            Ok(())
        })
    }

    async fn releases(&self, service: &str) -> Result<Vec<ReleaseState>, ProviderError> {
        self.call("releases", || {
            let now = self.now();
            let mut state = self.state();
            let service = state.service(service);
            Ok(service.releases.keys().map(|version| shown(service, version, now)).collect())
        })
    }

    async fn remove(
        &self,
        service: &str,
        version: &str,
        _drain: Duration,
        _key: &Key,
    ) -> Result<(), ProviderError> {
        self.call("remove", || {
            let now = self.now();
            let mut state = self.state();
            let service = state.service(service);
            let is_used = service.routes_at(now).is_some_and(|routes| {
                routes.weight(version) > 0 || (routes.held_until.is_some() && routes.stable == version)
            });
            if is_used && service.releases.contains_key(version) {
                let error = "the release has traffic, or would get it back";
                return Err(
                    ProviderError::new(ProviderErrorKind::ConditionFailed, error).with("version", version)
                );
            }
            service.releases.remove(version);
            Ok(())
        })
    }
}

fn shown(service: &Service, version: &str, now: Timestamp) -> ReleaseState {
    let release = &service.releases[version];
    let script = service.script_of(version);
    let is_healthy = service.is_healthy(version, now);
    let health = match (is_healthy, script.healthy_until) {
        (true, _) => Health::Healthy,
        (false, Some(_)) => Health::Exited,
        (false, None) => Health::Starting,
    };
    let instances = release.instances.iter().map(|id| InstanceState {
        id: format!("{version}-{id}"),
        address: None,
        health,
        restarts: 0,
        since: release.since,
        last_words: (!is_healthy).then(|| script.last_words.clone()),
    });
    ReleaseState {
        version: version.to_owned(),
        digest: release.spec.digest.clone(),
        wanted: release.spec.instances,
        instances: instances.collect(),
        spec: Some(release.spec.clone()),
    }
}
