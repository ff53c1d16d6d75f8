//! Rolling, retiring and going back.

use crate::scene::*;
use towpath_engine::Settled;
use towpath_step::{Output, Pipeline, Step};
use towpath_steps::deploy::{Live, Promote, Release, Retire, Retired, Rollback, Rolling};
use towpath_testkit::{CallFault, FakeCluster, Script};

fn one<S: Step>(step: S) -> Pipeline<S::Output>
where
    S::Output: Output,
{
    let p = Pipeline::new("orders");
    let step = p.step("step", step);
    p.output(&step).build().unwrap()
}

fn rolling() -> Rolling {
    Rolling::of(release()).to(&production()).bake(seconds(20)).every(seconds(10))
}

fn back() -> Rollback {
    Rollback::of("orders").to(&production())
}

fn ran<T: Output>(scene: &Scene, pipeline: Pipeline<T>, key: &str) -> Settled<T> {
    scene.process(async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.run(pipeline.plan().unwrap(), key).await.unwrap();
        run.settled().await.unwrap()
    })
}

fn failed<T: std::fmt::Debug>(settled: Settled<T>) -> String {
    match settled {
        Settled::Compensated(why) | Settled::Failed(why) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn instances_are_replaced_a_few_at_a_time() {
    let scene = Scene::of(NEW);
    let live = scene.run(one(rolling())).succeeded().unwrap();
    assert_eq!(scene.moves(), ["1.0.0=50 2.0.0=50 of 1.0.0", "2.0.0=100 of 1.0.0"]);
    assert_eq!(scene.cluster.wanted("orders", "2.0.0"), Some(2));
    assert_eq!(scene.cluster.wanted("orders", "1.0.0"), Some(1), "one stays until it is retired");
    assert_eq!((live.weight, live.is_stable, live.previous.as_deref()), (100, false, Some("1.0.0")));
}

#[test]
fn a_rolling_that_fails_gives_the_release_before_its_instances_and_its_traffic_back() {
    let scene = Scene::with(Script::healthy().dies_after(seconds(35), "out of memory"));
    let why = failed(scene.run(one(rolling())));
    assert!(why.contains("no longer healthy at 100 %"), "{why}");
    scene.is_as_before();
    assert_eq!(scene.cluster.wanted("orders", "1.0.0"), Some(2));
}

#[test]
fn a_rolling_and_a_rollback_outlive_any_call_that_goes_wrong() {
    let faults = [CallFault::Unavailable, CallFault::RateLimited, CallFault::LostAnswer];
    let play = |goes_back: bool, n: usize, fault: Option<CallFault>| {
        let scene = Scene::of(NEW);
        if goes_back {
            scene.cluster.have("orders", "0.9.0", 2);
        }
        if let Some(fault) = fault {
            scene.cluster.fail_call(n, fault);
        }
        let pipeline = if goes_back { one(back()) } else { one(rolling()) };
        let settled = scene.run(pipeline);
        assert!(matches!(settled, Settled::Succeeded(_)), "call {n}, {fault:?}: {settled:?}");
        let version = if goes_back { "0.9.0" } else { "2.0.0" };
        assert_eq!(scene.weights(), [(version.to_owned(), 100)], "call {n}, {fault:?}");
        let moves = scene.moves();
        assert_eq!(moves.len(), if goes_back { 1 } else { 2 }, "call {n}, {fault:?}: {moves:?}");
        scene.cluster
    };
    for goes_back in [false, true] {
        let calls = play(goes_back, 0, None).calls().len();
        for n in 1..=calls {
            for fault in faults {
                assert_eq!(play(goes_back, n, Some(fault)).hits(), 1, "call {n}");
            }
        }
    }
}

fn retired(scene: &Scene, live: &Live, keep: u32, key: &str) -> Retired {
    let retire = Retire::before(live).from(&production()).keep(keep);
    ran(scene, one(retire), key).succeeded().unwrap()
}

#[test]
fn what_came_before_is_retired_and_some_of_it_is_kept() {
    let scene = Scene::of(NEW);
    let have = |cluster: &FakeCluster, version| cluster.have("orders", version, 1);
    for version in ["0.7.0", "0.8.0", "0.9.0"] {
        have(&scene.cluster, version);
        scene.away(seconds(60));
    }
    let live = scene.run(pipeline(canary())).succeeded().unwrap();
    scene.away(seconds(60));
    have(&scene.cluster, "3.0.0");
    let two = retired(&scene, &live, 2, "two");
    assert_eq!(
        two.removed,
        ["0.8.0", "0.7.0"],
        "1.0.0 was live before, and 0.9.0 is the newest of the others"
    );
    assert_eq!(two.kept, ["0.9.0", "1.0.0", "3.0.0"], "what came up after the promotion is not ours");
    let none = retired(&scene, &live, 0, "none");
    assert_eq!((none.removed.len(), &none.kept[..]), (2, &["3.0.0".to_owned()][..]));
    assert_eq!(scene.cluster.versions("orders"), ["2.0.0", "3.0.0"]);
}

#[test]
fn what_has_traffic_is_not_retired() {
    let scene = Scene::of(NEW);
    let live = scene.run(pipeline(canary())).succeeded().unwrap();
    scene.cluster.move_by_hand("orders", &[("1.0.0", 5), ("2.0.0", 95)]);
    assert_eq!(retired(&scene, &live, 0, "part").kept, ["1.0.0"]);
    scene.cluster.move_by_hand("orders", &[("1.0.0", 100)]);
    assert_eq!(retired(&scene, &live, 0, "gone back").removed, [""; 0]);
    assert_eq!(scene.cluster.versions("orders"), ["1.0.0", "2.0.0"]);
}

#[test]
fn a_retirement_goes_on_behind_a_call_that_went_wrong() {
    for n in 1..=4 {
        for fault in [CallFault::Unavailable, CallFault::LostAnswer, CallFault::RateLimited] {
            let scene = Scene::of(NEW);
            for version in ["0.8.0", "0.9.0"] {
                scene.cluster.have("orders", version, 1);
            }
            let live = scene.run(pipeline(canary())).succeeded().unwrap();
            scene.cluster.fail_call(scene.cluster.calls().len() + n, fault);
            retired(&scene, &live, 1, "retire");
            assert_eq!(scene.cluster.hits(), 1, "call {n}");
            assert_eq!(scene.cluster.versions("orders"), ["1.0.0", "2.0.0"], "call {n}, {fault:?}");
        }
    }
}

#[test]
fn going_back_finds_the_release_that_is_there_or_deploys_it_again() {
    let scene = Scene::of(NEW);
    let live = scene.run(pipeline(canary())).succeeded().unwrap();
    let gone_back = ran(&scene, one(back()), "back").succeeded().unwrap();
    assert_eq!((gone_back.version.as_str(), gone_back.previous.as_deref()), ("1.0.0", Some("2.0.0")));
    assert!(gone_back.is_stable);
    assert_eq!(scene.cluster.routes_now("orders").unwrap().stable, "1.0.0");

    // There again, and what was before is gone: the record of the promotion is enough to deploy it again.
    let forward = ran(&scene, one(back().version("2.0.0")), "forward").succeeded().unwrap();
    assert_eq!(forward.version, "2.0.0");
    retired(&scene, &Live { since: forward.since, ..live.clone() }, 0, "retire");
    let gone = failed(ran(&scene, one(back().version("1.0.0")), "gone"));
    assert!(gone.contains("orders 1.0.0 is not there any more"), "{gone}");
    let nothing = failed(ran(&scene, one(back()), "nothing"));
    assert!(nothing.contains("there is no other release of orders to go back to"), "{nothing}");
    let before: Release = live.replaced.unwrap().release.unwrap();
    let again = ran(&scene, one(back().release(before)), "again").succeeded().unwrap();
    assert_eq!(again.version, "1.0.0");
    assert_eq!(scene.weights(), [("1.0.0".to_owned(), 100)]);
}

#[test]
fn going_back_does_not_guess() {
    let scene = Scene::of(NEW);
    scene.cluster.have("orders", "0.8.0", 1);
    scene.cluster.have("orders", "0.9.0", 1);
    let which = failed(scene.run(one(back())));
    assert!(which.contains("say to which version of orders: 0.8.0, 0.9.0 are there"), "{which}");
    assert_eq!(scene.moves(), [""; 0]);
}

#[test]
fn going_back_overrides_a_canary_which_then_rests() {
    let scene = Scene::of(NEW);
    scene.cluster.have("orders", "0.9.0", 2);
    scene.process(async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.run(pipeline(canary()).plan().unwrap(), "canary").await.unwrap();
        tokio::time::sleep_until(tokio::time::Instant::now() + seconds(30)).await;
        let away = engine.run(one(back().version("0.9.0")).plan().unwrap(), "back").await.unwrap();
        assert!(matches!(away.settled().await.unwrap(), Settled::Succeeded(_)));
        assert!(matches!(run.settled().await.unwrap(), Settled::Stuck(_)));
    });
    assert_eq!(scene.weights(), [("0.9.0".to_owned(), 100)]);
}

#[test]
fn going_back_is_undone_when_what_comes_after_it_fails() {
    let scene = Scene::of(NEW);
    scene.cluster.have("orders", "0.9.0", 2);
    let p = Pipeline::new("orders");
    let live = p.step("back", back());
    p.step("smoke", towpath_steps::Wait::signal_within("never", seconds(60))).after(&live);
    failed(scene.run(p.output(&live).build().unwrap()));
    assert_eq!(scene.weights(), [("1.0.0".to_owned(), 100)]);
    assert_eq!(scene.cluster.versions("orders"), ["0.9.0", "1.0.0"]);
}

#[test]
fn a_promotion_in_another_environment_is_refused() {
    let scene = Scene::of(NEW);
    let live = scene.run(pipeline(canary())).succeeded().unwrap();
    let elsewhere = Live { environment: "staging".into(), ..live };
    let promote = failed(ran(&scene, one(Promote::of(&elsewhere).to(&production())), "promote"));
    assert!(promote.contains("is live in staging, and cannot be promoted in production"), "{promote}");
    let retire = failed(ran(&scene, one(Retire::before(&elsewhere).from(&production())), "retire"));
    assert!(retire.contains("is live in staging"), "{retire}");
}
