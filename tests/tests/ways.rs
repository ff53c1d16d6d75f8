//! The other ways by which a release goes out, with real processes behind a real proxy, under load: rolling, and blue and green.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command, time::Duration};
use towpath::{
    local::{Local, folder_digest},
    prelude::*,
    provider::{HealthProbe, TrafficRouter},
    stock::{self, deploy::Live},
};
use towpath_tests::release::load::Load;

const SERVICE: &str = env!("CARGO_BIN_EXE_rollout-service");

/// A machine with one service, which is gone at the end, also when the test fails.
struct Site {
    local: Local,
    engine: Engine,
    folder: tempfile::TempDir,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = Local::at(folder.path().join("releases")).supervisor(SERVICE, None::<&str>);
        let engine = Engine::open("memory:").steps(stock::steps()).bind("production", local.clone());
        Site { local, engine: engine.start().await.unwrap(), folder }
    }

    /// A release of which so many percent of the requests fail.
    fn release(&self, version: &str, errors: &str) -> Release {
        let folder: PathBuf = self.folder.path().join("images").join(version);
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
            health: HealthProbe { every_ms: 100, ..HealthProbe::at("/health") }.into(),
        }
    }

    /// Has a pipeline of one such step run, and what follows it.
    async fn goes<S: towpath::Step<Output = Live>>(&self, version: &str, way: S) -> Settled<Live> {
        let production = Environment::named("production");
        let p = Pipeline::new("orders");
        let moved = p.step("move", way);
        let live = p.step("promote", Promote::of(&moved).to(&production));
        p.step("retire", Retire::before(&live).from(&production).keep(0));
        let plan = p.output(&live).build().unwrap().plan().unwrap();
        self.engine.run(plan, version).await.unwrap().settled().await.unwrap()
    }

    /// The releases that are there, with how many of their instances can take traffic.
    async fn there(&self) -> Vec<(String, u32)> {
        let state = self.local.service("orders").await.unwrap().unwrap();
        assert_eq!(state.proxy_failures, 0, "failed because of the release machinery");
        state.releases.iter().map(|release| (release.version.clone(), release.healthy())).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let local = self.local.clone();
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(local.stop(Duration::from_secs(5))).map_err(|error| error.to_string())
        });
        let ended = ended.join().unwrap();
        assert!(std::thread::panicking() || ended.is_ok(), "{ended:?}");
    }
}

fn two(version: &str) -> Vec<(String, u32)> {
    vec![(version.to_owned(), 2)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_of_this_machine_are_replaced_in_turn_and_no_request_fails() {
    let site = Site::new().await;
    let production = Environment::named("production");
    let rolling =
        |release: Release| Rolling::of(release).to(&production).bake(seconds(1)).healthy_within(seconds(5));
    let first = site.goes("1.0.0", rolling(site.release("1.0.0", "0"))).await;
    assert!(first.succeeded().is_some_and(|live| live.is_stable));
    let load = Load::on(&site.local.address("orders").await.unwrap().unwrap());

    let second = site.goes("2.0.0", rolling(site.release("2.0.0", "0"))).await;
    assert!(second.clone().succeeded().is_some_and(|live| live.version == "2.0.0"), "{second:?}");
    assert_eq!(site.there().await, two("2.0.0"));

    // One of which no instance comes up: those that made room for it are back.
    let broken = site.release("3.0.0", "0");
    let program = site.folder.path().join("images/3.0.0/entrypoint");
    fs::write(&program, "#!/bin/sh\nexec sleep 600\n").unwrap();
    let digest = folder_digest(program.parent().unwrap()).unwrap();
    let third = site.goes("3.0.0", rolling(Release { digest, ..broken })).await;
    assert!(
        matches!(&third, Settled::Compensated(why) if why.to_string().contains("did not become healthy")),
        "{third:?}"
    );
    assert_eq!(site.there().await, two("2.0.0"));
    let (requests, failed) = load.counts();
    assert!(requests > 200, "{requests}");
    assert_eq!(failed, [0_u16; 0], "of {requests} requests");
    drop(load);
    site.engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blue_and_green_change_places_on_this_machine_and_what_is_worse_goes_back() {
    let site = Site::new().await;
    let production = Environment::named("production");
    let green = |release: Release| {
        let rule = ErrorRate::not_worse_than_baseline().requests(20);
        BlueGreen::of(release).to(&production).bake(seconds(2)).judge(rule)
    };
    let first = site.goes("1.0.0", green(site.release("1.0.0", "0"))).await;
    assert!(first.succeeded().is_some_and(|live| live.is_stable));
    let load = Load::on(&site.local.address("orders").await.unwrap().unwrap());
    let second = site.goes("2.0.0", green(site.release("2.0.0", "0"))).await;
    assert!(second.clone().succeeded().is_some_and(|live| live.weight == 100), "{second:?}");
    let (requests, failed) = load.counts();
    assert!(requests > 100, "{requests}");
    assert_eq!(failed, [0_u16; 0], "of {requests} requests");

    let third = site.goes("3.0.0", green(site.release("3.0.0", "40"))).await;
    assert!(
        matches!(&third, Settled::Compensated(why) if why.to_string().contains("is not good enough at 100 %")),
        "{third:?}"
    );
    assert_eq!(site.there().await, two("2.0.0"));
    let (requests, failed) = load.counts();
    assert!(
        !failed.is_empty() && failed.iter().all(|status| *status == 500),
        "only 3.0.0 itself: {failed:?}"
    );
    assert!(failed.len() < requests, "{} of {requests}", failed.len());
    drop(load);
    site.engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_was_killed_leaves_no_canary_without_a_verdict() {
    let site = Site::new().await;
    let production = Environment::named("production");
    let canary = |release: Release| {
        let rule = ErrorRate::not_worse_than_baseline().requests(20);
        Canary::of(release).to(&production).weights([50]).bake(seconds(3)).judge(rule)
    };
    let first = site.goes("1.0.0", canary(site.release("1.0.0", "0"))).await;
    assert!(first.succeeded().is_some_and(|live| live.is_stable));
    let _load = Load::on(&site.local.address("orders").await.unwrap().unwrap());
    let second = site.goes("2.0.0", canary(site.release("2.0.0", "0")));
    let kills = async {
        let mut look = tokio::time::interval(Duration::from_millis(20));
        while site.local.routes("orders").await.unwrap().unwrap().weight("2.0.0") != 50 {
            look.tick().await;
        }
        let seat = fs::read(site.folder.path().join("releases/supervisor.json")).unwrap();
        let seat: serde_json::Value = serde_json::from_slice(&seat).unwrap();
        let killed = Command::new("kill").args(["-9", &seat["process"]["pid"].to_string()]).status();
        assert!(killed.unwrap().success(), "it was there to be killed");
    };
    // What it had counted is gone with it: the rest of the bake tells.
    let (second, ()) =
        tokio::time::timeout(seconds(90), async { tokio::join!(second, kills) }).await.unwrap();
    assert!(second.clone().succeeded().is_some_and(|live| live.version == "2.0.0"), "{second:?}");
    site.engine.shutdown().await.unwrap();
}
