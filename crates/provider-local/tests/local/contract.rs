//! The contracts of the three traits.

use super::world::World;
use towpath_provider::contract::{metrics, platform, routing};

#[tokio::test(flavor = "multi_thread")]
async fn releases_on_one_machine_keep_the_contract_of_a_platform() {
    platform::all(&World::with_relay().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_on_one_machine_keep_the_contract_of_a_router() {
    routing::all(&World::with_relay().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_on_one_machine_keep_the_contract_of_a_source_of_metrics() {
    metrics::all(&World::with_relay().await).await;
}
