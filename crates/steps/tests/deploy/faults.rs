//! Each call of a rollout goes wrong once, in each way; and people act before each of them.

use crate::scene::*;
use towpath_engine::Settled;
use towpath_testkit::{CallFault, FakeCluster};

const FAULTS: [CallFault; 4] =
    [CallFault::Unavailable, CallFault::RateLimited, CallFault::LostAnswer, CallFault::Malformed];

/// Calls of a rollout in which nothing goes wrong.
fn calls(script: Script2) -> usize {
    let scene = Scene::of(script);
    scene.run(pipeline(canary()));
    scene.cluster.calls().len()
}

#[test]
fn a_call_that_goes_wrong_ends_in_a_legal_state() {
    for script in [NEW, WORSE] {
        let all = calls(script);
        assert!(all > 10, "{all}");
        for n in 1..=all {
            for fault in FAULTS {
                let scene = Scene::of(script);
                scene.cluster.fail_call(n, fault);
                let settled = scene.run(pipeline(canary()));
                assert_eq!(scene.cluster.hits(), 1, "call {n}: {fault:?}");
                match settled {
                    Settled::Succeeded(_) => scene.is_out(),
                    // An answer that is none fails the step for good, and everything is undone.
                    Settled::Compensated(_) => scene.is_as_before(),
                    Settled::Failed(_) => scene.is_as_before(),
                    other => panic!("call {n} of {all}, {fault:?}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn what_may_pass_does_not_stop_a_good_release() {
    for n in 1..=calls(NEW) {
        for fault in [CallFault::Unavailable, CallFault::RateLimited, CallFault::LostAnswer] {
            let scene = Scene::of(NEW);
            scene.cluster.fail_call(n, fault);
            let settled = scene.run(pipeline(canary()));
            assert!(matches!(settled, Settled::Succeeded(_)), "call {n}, {fault:?}: {settled:?}");
            scene.is_out();
            let mut moves = scene.moves();
            moves.dedup();
            assert_eq!(moves.len(), 4, "call {n}, {fault:?}: no move was made twice: {moves:?}");
        }
    }
}

/// Has people do something before the n-th call, and brings the run to its end.
fn meddled(n: usize, meddle: fn(&FakeCluster)) -> (Scene, bool) {
    let scene = Scene::of(NEW);
    scene.cluster.before_call(n, meddle);
    let stuck = scene.process(async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.run(pipeline(canary()).plan().unwrap(), "once").await.unwrap();
        let settled = run.settled().await.unwrap();
        if !matches!(settled, Settled::Stuck(_)) {
            return false;
        }
        gives_up(&run).await;
        true
    });
    assert_eq!(scene.cluster.hits(), 1, "call {n}");
    (scene, stuck)
}

#[test]
fn a_hand_before_any_call_is_never_overwritten() {
    let all = calls(NEW);
    let mut stuck = 0;
    for n in 1..=all {
        let (scene, was_stuck) = meddled(n, |cluster| cluster.move_by_hand("orders", &[("1.0.0", 100)]));
        let moves = scene.moves();
        let hand = scene.cluster.moves("orders").iter().rposition(
            |routes| matches!(&routes.moved_by, towpath_provider::Mover::Other(who) if who.contains("ann")),
        );
        if was_stuck {
            stuck += 1;
            assert_eq!(hand, Some(moves.len()), "call {n}: the hand was the last to move: {moves:?}");
            assert_eq!(scene.cluster.versions("orders"), ["1.0.0"], "call {n}: what it made is removed");
        } else {
            // Before the rollout looked at what was there, or after it was over, a hand is no take-over.
            assert!(n <= 2 || n + 1 >= all, "call {n} of {all}: {moves:?}");
        }
    }
    assert!(stuck >= all - 4, "{stuck} of {all}");
}

#[test]
fn a_release_that_is_removed_by_hand_at_any_call_leaves_a_legal_state() {
    let all = calls(NEW);
    for n in 1..=all {
        let (scene, _) = meddled(n, |cluster| cluster.remove_by_hand("orders", "2.0.0"));
        let routes = scene.cluster.routes_now("orders").unwrap();
        let is_there = scene.cluster.versions("orders").contains(&"2.0.0".to_owned());
        // Whoever removes what has all the traffic after it was found good has done so.
        assert!(
            is_there || routes.weight("2.0.0") == 0 || routes.weight("2.0.0") == 100,
            "call {n}: {routes:?}"
        );
        assert!(routes.weights.len() == 1, "call {n}: {routes:?}");
    }
}
