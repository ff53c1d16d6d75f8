//! The cluster as a router.

use super::FakeCluster;
use async_trait::async_trait;
use towpath_model::Key;
use towpath_provider::{
    Mover, ProviderError, ProviderErrorKind, RouteChange, Routes, RoutingCapability, TrafficRouter,
};

fn gone() -> ProviderError {
    ProviderError::new(ProviderErrorKind::ConditionFailed, "the revision is no longer there")
}

#[async_trait]
impl TrafficRouter for FakeCluster {
    fn capability(&self) -> RoutingCapability {
        let state = self.state();
        let mut capability = RoutingCapability::default().conditional().settles_within(state.settles_within);
        capability.weights = !state.no_weights;
        capability.dead_man = !state.no_switch;
        capability
    }

    async fn routes(&self, service: &str) -> Result<Option<Routes>, ProviderError> {
        self.call("routes", || {
            let now = self.now();
            Ok(self.state().service(service).routes_at(now))
        })
    }

    async fn set_routes(
        &self,
        service: &str,
        change: &RouteChange,
        key: &Key,
    ) -> Result<Routes, ProviderError> {
        self.call("set_routes", || {
            let now = self.now();
            let mut state = self.state();
            let invalid = |what: String| ProviderError::new(ProviderErrorKind::Invalid, what);
            if let Some(problem) = change.problem() {
                return Err(invalid(problem));
            }
            if state.no_weights && change.weights.len() > 1 {
                return Err(ProviderError::unsupported("the router sends all or nothing"));
            }
            if state.no_switch && change.hold.is_some() {
                return Err(ProviderError::unsupported("the router holds no moves"));
            }
            let service = state.service(service);
            let there = service.routes_at(now);
            if let Some(routes) = there.as_ref().filter(|routes| routes.moved_by == Mover::Key(key.clone())) {
                return Ok(routes.clone());
            }
            if there.as_ref().map(|routes| &routes.revision) != change.expected.as_ref() {
                return Err(gone());
            }
            // A router that remembers keys for longer would answer with the old move, and make none.
            let was_used = |routes: &Routes| matches!(&routes.moved_by, Mover::Key(used) if used == key);
            if service.moves.iter().any(was_used) {
                return Err(invalid(format!("the key {key} was used for another move")));
            }
            let has = |version: &str| there.as_ref().map_or(0, |routes| routes.weight(version));
            let lost =
                change.weights.iter().find(|(v, weight)| !service.is_healthy(v, now) && **weight > has(v));
            if let Some((version, _)) = lost {
                return Err(invalid(format!("no instance of {version} can take traffic")));
            }
            Ok(service.by_key(now, change, key))
        })
    }

    async fn heartbeat(&self, service: &str, revision: &str) -> Result<(), ProviderError> {
        self.call("heartbeat", || {
            let now = self.now();
            let mut state = self.state();
            let service = state.service(service);
            match service.routes_at(now) {
                Some(routes) if routes.revision == revision => {}
                _ => return Err(gone()),
            }
            if let (Some(hold), Some(last)) = (service.hold, service.moves.last_mut()) {
                last.held_until = Some(now.plus(hold));
            }
            Ok(())
        })
    }
}
