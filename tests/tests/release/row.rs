//! Good releases, one after the other, while customers ask all the time.

use crate::site::{Expected, Site, block_on, version};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use towpath::{Engine, prelude::*, store_sqlite::SqliteStore};
use towpath_tests::release::pipeline::{Version, What};

/// How many are released in a row when nobody asks for more.
const RELEASES: usize = 12;

#[test]
fn good_releases_in_a_row_fail_no_request() {
    let releases = crate::lives::number("TOWPATH_RELEASES").unwrap_or(RELEASES);
    let site = Site::new("good_releases_in_a_row_fail_no_request", releases + 1);
    let began = Instant::now();
    let requests = block_on(async {
        let store = Arc::new(SqliteStore::open(site.place.journal(), Default::default()).unwrap());
        let engine = Engine::builder(store).park_after(Duration::from_millis(50));
        let engine = site.place.bind(engine).unwrap().start().await.unwrap();
        release(&engine, &site, 0, 1).await;
        let load = site.customers_here().await;
        let mut requests = 0;
        for n in 1..=releases {
            // Every other one keeps the one before it, and the next one removes both.
            let keep = u32::from(n % 2 == 1 && n < releases);
            release(&engine, &site, n, keep).await;
            let (asked, failed) = load.counts();
            assert_eq!(failed, [0_u16; 0], "of {asked} requests while release {n} of {releases} went out");
            requests += asked;
        }
        engine.shutdown().await.unwrap();
        requests
    });
    let last = named(releases);
    let running = &[(last.as_str(), releases + 1)];
    let (moves, schema) = (1 + 4 * releases, releases + 1);
    site.check("releases in a row", &Expected { live: &last, releases: running, moves, schema });
    let took = began.elapsed().as_secs_f32();
    assert!(requests > 50 * releases, "{requests} requests in {took:.1} s are none too many");
    eprintln!("{releases} releases in a row: {requests} requests, 0 failed, {took:.1} s");
}

fn named(n: usize) -> String {
    format!("1.0.{n}")
}

/// Releases one version, which keeps so many of those before it.
async fn release(engine: &Engine, site: &Site, n: usize, keep: u32) {
    let what = What::Release(Version { keep, ..version(&named(n), n + 1) });
    let plan = site.place.pipeline(&what).unwrap().plan().unwrap();
    let settled = engine.run(plan, what.key()).await.unwrap().settled().await.unwrap();
    let Settled::Succeeded(live) = settled else { panic!("{}: {settled:?}", what.key()) };
    assert_eq!((live.version.as_str(), live.weight, live.is_stable), (what.key(), 100, true));
}
