//! The fake keeps the contracts that the real ones keep.

use async_trait::async_trait;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use towpath_model::Timestamp;
use towpath_provider::{
    HealthProbe, MetricsSource, Platform, ReleaseSpec, TrafficRouter,
    contract::{Fault, World, metrics, platform, routing},
};
use towpath_store::Clock;
use towpath_testkit::{CallFault, FakeCluster, Script, VirtualClock};

struct Around {
    cluster: Arc<FakeCluster>,
    clock: Arc<VirtualClock>,
}

impl Around {
    fn new() -> Self {
        let clock = Arc::new(VirtualClock::new());
        Around { cluster: FakeCluster::new(clock.clone()), clock }
    }
}

#[async_trait]
impl World for Around {
    async fn arm(&self, fault: Fault) -> bool {
        self.cluster.fail_next(match fault {
            Fault::LostAnswer => CallFault::LostAnswer,
            Fault::Unavailable => CallFault::Unavailable,
        });
        true
    }

    async fn hits(&self) -> u64 {
        self.cluster.hits()
    }

    async fn pass(&self, time: Duration) {
        tokio::time::advance(time).await;
    }
}

fn spec(service: &str, version: &str, digest: &str) -> ReleaseSpec {
    ReleaseSpec {
        service: service.into(),
        version: version.into(),
        digest: digest.into(),
        image: format!("oci:images:{version}"),
        instances: 1,
        env: BTreeMap::new(),
        health: HealthProbe::at("/health"),
    }
}

#[async_trait]
impl platform::PlatformWorld for Around {
    fn platform(&self) -> &dyn Platform {
        &*self.cluster
    }

    async fn good(&self, service: &str, version: &str) -> ReleaseSpec {
        self.cluster.script(service, version, Script::healthy().after(Duration::from_secs(2)));
        spec(service, version, "sha256:good")
    }

    async fn other_image(&self, service: &str, version: &str) -> ReleaseSpec {
        spec(service, version, "sha256:other")
    }

    async fn broken(&self, service: &str, version: &str) -> ReleaseSpec {
        self.cluster.script(service, version, Script::never_healthy("no such file"));
        spec(service, version, "sha256:broken")
    }
}

#[async_trait]
impl routing::RoutingWorld for Around {
    fn router(&self) -> &dyn TrafficRouter {
        &*self.cluster
    }

    async fn have(&self, service: &str, version: &str) {
        self.cluster.have(service, version, 1);
    }

    async fn by_hand(&self, service: &str, weights: &BTreeMap<String, u8>) -> bool {
        let weights: Vec<_> = weights.iter().map(|(version, weight)| (version.as_str(), *weight)).collect();
        self.cluster.move_by_hand(service, &weights);
        true
    }
}

#[async_trait]
impl metrics::MetricsWorld for Around {
    fn source(&self) -> &dyn MetricsSource {
        &*self.cluster
    }

    async fn serve(&self, service: &str, version: &str, requests: u64, errors: u64) {
        self.cluster.serve(service, version, requests, errors);
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

#[tokio::test(start_paused = true)]
async fn the_fake_keeps_the_contract_of_a_platform() {
    platform::all(&Around::new()).await;
}

#[tokio::test(start_paused = true)]
async fn the_fake_keeps_the_contract_of_a_router() {
    routing::all(&Around::new()).await;
}

#[tokio::test(start_paused = true)]
async fn the_fake_keeps_the_contract_of_a_source_of_metrics() {
    metrics::all(&Around::new()).await;
}

#[tokio::test(start_paused = true)]
async fn traffic_is_counted_by_weight_and_by_script() {
    let around = Around::new();
    let cluster = &around.cluster;
    cluster.script("orders", "2.0.0", Script::healthy().errors(0.1).slow(0.5));
    cluster.have_live("orders", "1.0.0", 1);
    cluster.have("orders", "2.0.0", 1);
    cluster.traffic("orders", 100.0);
    let from = around.clock.now();
    tokio::time::advance(Duration::from_secs(10)).await;
    cluster.move_by_hand("orders", &[("1.0.0", 80), ("2.0.0", 20)]);
    tokio::time::advance(Duration::from_secs(10)).await;
    let window = towpath_provider::Window { from, to: around.clock.now() };
    let old = cluster.counts("orders", "1.0.0", window).await.expect("counts");
    let new = cluster.counts("orders", "2.0.0", window).await.expect("counts");
    assert_eq!((old.requests, old.errors), (1_800, 0));
    assert_eq!((new.requests, new.errors), (200, 20));
    assert_eq!(new.latency.at_most, [(5_000, 100), (10_000, 100), (50_000, 200)]);
}
