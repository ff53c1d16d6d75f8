//! Rollouts of real processes behind a real proxy, under load: what is good goes out, what is worse goes back, and no request
//! fails because of it.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};
use towpath::{
    local::{Local, folder_digest},
    prelude::*,
    provider::{Mover, Routes},
    stock::{self, deploy::Live},
};
use towpath_tests::release::load::Load;

const SERVICE: &str = env!("CARGO_BIN_EXE_rollout-service");

/// Ends the supervisor and all instances, also when the test fails.
struct Stop(Local);

impl Drop for Stop {
    fn drop(&mut self) {
        let local = self.0.clone();
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(local.stop(Duration::from_secs(5))).map_err(|error| error.to_string())
        });
        let ended = ended.join().unwrap();
        assert!(std::thread::panicking() || ended.is_ok(), "{ended:?}");
    }
}

/// A release of which so many percent of the requests fail.
fn release(images: &Path, version: &str, errors: &str) -> Release {
    let folder = images.join(version);
    fs::create_dir_all(&folder).unwrap();
    fs::copy(SERVICE, folder.join("entrypoint")).unwrap();
    fs::set_permissions(folder.join("entrypoint"), PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(folder.join("version"), version).unwrap();
    Release {
        service: "orders".into(),
        version: version.into(),
        digest: folder_digest(&folder).unwrap(),
        image: format!("dir:{}", folder.display()),
        instances: 2,
        env: [("ERRORS".to_owned(), errors.to_owned())].into(),
        health: towpath::provider::HealthProbe {
            every_ms: 100,
            ..towpath::provider::HealthProbe::at("/health")
        }
        .into(),
    }
}

fn rollout(release: Release) -> Pipeline<Live> {
    let production = Environment::named("production");
    let p = Pipeline::new("orders");
    let canary = p.step(
        "canary",
        Canary::of(release)
            .to(&production)
            .weights([20, 50, 100])
            .bake(seconds(3))
            .judge(ErrorRate::not_worse_than_baseline().requests(20)),
    );
    let live = p.step("promote", Promote::of(&canary).to(&production));
    p.step("retire", Retire::before(&live).from(&production).keep(1));
    p.output(&live).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn releases_are_rolled_out_on_this_machine_and_no_request_fails_because_of_it() {
    let (folder, images) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let local = Local::at(folder.path()).supervisor(SERVICE, None::<&str>);
    let _stop = Stop(local.clone());
    let engine = Engine::open("memory:").steps(stock::steps()).bind("production", local.clone());
    let engine = engine.start().await.unwrap();
    let run = async |version: &str, errors: &str| {
        let plan = rollout(release(images.path(), version, errors)).plan().unwrap();
        engine.run(plan, version).await.unwrap().settled().await.unwrap()
    };

    let first = run("1.0.0", "0").await.succeeded().unwrap();
    assert_eq!((first.weight, first.is_stable, first.previous), (100, true, None));

    let load = Load::on(&local.address("orders").await.unwrap().unwrap());
    let second = run("2.0.0", "0").await.succeeded().unwrap();
    assert_eq!(second.previous.as_deref(), Some("1.0.0"));
    assert_eq!(second.verdicts.len(), 3, "{:?}", second.verdicts);
    let (requests, failed) = load.counts();
    assert!(requests > 500, "{requests}");
    assert_eq!(failed, [0_u16; 0], "of {requests} requests while 2.0.0 went out");

    let third = run("3.0.0", "40").await;
    match &third {
        Settled::Compensated(why) => {
            assert!(why.to_string().contains("orders 3.0.0 is not good enough at 20 %"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    let (requests, failed) = load.counts();
    assert!(failed.iter().all(|status| *status == 500), "only 3.0.0 itself failed: {failed:?}");
    assert!(!failed.is_empty() && failed.len() < requests / 5, "{} of {requests}", failed.len());
    let state = local.services().await.unwrap().into_iter().find(|state| state.service == "orders").unwrap();
    let versions: Vec<_> = state.releases.iter().map(|release| release.version.as_str()).collect();
    assert_eq!(versions, ["1.0.0", "2.0.0"], "nothing leaked");
    assert_eq!(state.routes.unwrap().weight("2.0.0"), 100);
    assert_eq!(state.proxy_failures, 0, "failed because of the release machinery");

    let production = Environment::named("production");
    let p = Pipeline::new("back");
    let back = p.step("back", Rollback::of("orders").to(&production));
    let plan = p.output(&back).build().unwrap().plan().unwrap();
    let back = engine.run(plan, "back").await.unwrap().settled().await.unwrap().succeeded().unwrap();
    assert_eq!((back.version.as_str(), back.is_stable), ("1.0.0", true));
    let (_, failed) = load.counts();
    assert_eq!(failed, [0_u16; 0], "while it went back");
    drop(load);
    engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_nobody_drives_a_rollout_the_proxy_goes_back_and_another_engine_goes_on() {
    let (folder, images) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let local = Local::at(folder.path()).supervisor(SERVICE, None::<&str>);
    let _stop = Stop(local.clone());
    let journal = format!("sqlite:{}", folder.path().join("journal.db").display());
    let open = async || {
        let engine = Engine::open(&journal).steps(stock::steps()).bind("production", local.clone());
        engine.start().await.unwrap()
    };
    let routes = async || local.service("orders").await.unwrap().unwrap().routes.unwrap();
    let reaches = async |what: &str, is: &dyn Fn(&Routes) -> bool| {
        let mut look = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..600 {
            if is(&routes().await) {
                return;
            }
            look.tick().await;
        }
        panic!("not within half a minute: {what}");
    };
    let production = Environment::named("production");
    let canary = |release: Release| {
        let p = Pipeline::new("orders");
        let canary = Canary::of(release).to(&production).weights([50, 100]).by_health_alone();
        let canary = canary.bake(seconds(4)).every(seconds(1)).hold(seconds(3));
        let live = p.step("canary", canary);
        p.output(&live).build().unwrap().plan().unwrap()
    };
    let engine = open().await;
    let first = canary(release(images.path(), "1.0.0", "0"));
    engine.run(first, "1.0.0").await.unwrap().settled().await.unwrap().succeeded().unwrap();

    let load = Load::on(&local.address("orders").await.unwrap().unwrap());
    let second = canary(release(images.path(), "2.0.0", "0"));
    engine.run(second.clone(), "2.0.0").await.unwrap();
    reaches("half of the traffic", &|routes| routes.weight("2.0.0") == 50).await;
    engine.shutdown().await.unwrap();
    reaches("the switch has acted", &|routes| matches!(routes.moved_by, Mover::Switch(_))).await;
    assert_eq!(routes().await.weight("1.0.0"), 100);

    let engine = open().await;
    let live = engine.run(second, "2.0.0").await.unwrap().settled().await.unwrap().succeeded().unwrap();
    assert_eq!((live.weight, live.verdicts.len()), (100, 2), "{live:?}");
    let routes = routes().await;
    assert_eq!((routes.weight("2.0.0"), routes.held_until), (100, None), "it stays without us");
    let (requests, failed) = load.counts();
    assert_eq!(failed, [0_u16; 0], "of {requests} requests");
    drop(load);
    engine.shutdown().await.unwrap();
}
