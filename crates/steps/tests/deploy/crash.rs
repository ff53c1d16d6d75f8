//! The process dies just behind each of its commits; another one goes on.

use crate::scene::*;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use towpath_engine::Settled;
use towpath_model::RunId;
use towpath_steps::deploy::Live;
use towpath_testkit::{Call, Fault, FaultStore, Side};

/// Starts a rollout in a process that dies behind its n-th commit; `None` when it makes fewer.
fn dies_behind(scene: &Scene, nth: u32) -> Option<RunId> {
    let store = FaultStore::new(scene.other_process());
    let seen = AtomicU32::new(0);
    store.hook(move |side, call| {
        let is_commit = side == Side::After && matches!(call, Call::Commit(_));
        (is_commit && seen.fetch_add(1, Ordering::SeqCst) + 1 >= nth).then_some(Fault::AWAY)
    });
    scene.process_on(store.clone(), async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.run(pipeline(canary()).plan().unwrap(), "once").await.unwrap();
        let over = tokio::time::Instant::now() + seconds(900);
        while store.fired() == 0 && tokio::time::Instant::now() < over {
            tokio::time::sleep_until(tokio::time::Instant::now() + seconds(1)).await;
        }
        (store.fired() > 0).then(|| run.id())
    })
}

fn goes_on(scene: &Scene, run: RunId) -> Settled<Live> {
    scene.process(async |builder| {
        let engine = builder.start().await.unwrap();
        engine.attach::<Live>(run).await.unwrap().settled().await.unwrap()
    })
}

#[test]
fn a_rollout_goes_on_from_each_of_its_commits() {
    for (script, is_good) in [(NEW, true), (WORSE, false)] {
        for away in [0, 3_600] {
            let mut nth = 0;
            loop {
                nth += 1;
                let scene = Scene::of(script);
                let Some(run) = dies_behind(&scene, nth) else { break };
                scene.away(seconds(away));
                let settled = goes_on(&scene, run);
                match settled {
                    Settled::Succeeded(_) if is_good => scene.is_out(),
                    Settled::Compensated(_) if !is_good => scene.is_as_before(),
                    other => panic!("commit {nth}, away for {away} s: {other:?}"),
                }
                let moves = scene.moves();
                let doubled = moves.windows(2).filter(|pair| pair[0] == pair[1]).count();
                // Ending the hold is a move to the same weights; nothing else is made twice.
                assert!(doubled <= usize::from(is_good), "commit {nth}: {moves:?}");
            }
            assert!(nth > 8, "it died behind {nth} commits");
        }
    }
}

#[test]
fn a_rollout_whose_calls_settle_late_is_not_hurried() {
    let scene = Scene::of(NEW);
    scene.cluster.settles_within(seconds(20));
    let store = FaultStore::new(scene.other_process());
    // It dies when the order was sent, and before that is known.
    let cluster = scene.cluster.clone();
    store.hook(move |_, _| cluster.calls().contains(&"set_routes").then_some(Fault::AWAY));
    let run = scene.process_on(store.clone(), async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.run(pipeline(canary()).plan().unwrap(), "once").await.unwrap();
        tokio::time::sleep_until(tokio::time::Instant::now() + seconds(10)).await;
        run.id()
    });
    assert!(store.fired() > 0);
    let since = scene.cluster.calls().len();
    scene.process(async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.attach::<Live>(run).await.unwrap();
        assert!(matches!(run.settled().await.unwrap(), Settled::Succeeded(_)));
    });
    let calls = scene.cluster.calls();
    assert_ne!(calls[since], "set_routes", "it is looked at before anything is sent again");
    scene.is_out();
    let _ = Arc::strong_count(&scene.cluster);
}
