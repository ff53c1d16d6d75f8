//! A router whose answers come late, so that a knife can hit the moment in which nobody knows whether it moved.

use async_trait::async_trait;
use std::{sync::Arc, time::Duration};
use towpath::{
    model::Key,
    provider::{ProviderError, RouteChange, Routes, RoutingCapability, TrafficRouter},
};

/// The router beneath, with its answers to moves held back: as over a long line. It moves at once.
pub(crate) struct Slow {
    router: Arc<dyn TrafficRouter>,
    late: Duration,
}

impl Slow {
    pub(crate) fn new(router: Arc<dyn TrafficRouter>, late: Duration) -> Self {
        Slow { router, late }
    }
}

#[async_trait]
impl TrafficRouter for Slow {
    fn capability(&self) -> RoutingCapability {
        self.router.capability()
    }

    async fn routes(&self, service: &str) -> Result<Option<Routes>, ProviderError> {
        self.router.routes(service).await
    }

    #[expect(clippy::disallowed_methods, reason = "a long line is long by the real clock")]
    async fn set_routes(
        &self,
        service: &str,
        change: &RouteChange,
        key: &Key,
    ) -> Result<Routes, ProviderError> {
        let answer = self.router.set_routes(service, change, key).await;
        tokio::time::sleep(self.late).await;
        answer
    }

    async fn heartbeat(&self, service: &str, revision: &str) -> Result<(), ProviderError> {
        self.router.heartbeat(service, revision).await
    }
}
