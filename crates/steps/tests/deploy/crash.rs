//! The process dies at each of its commits, before it or just behind it; another one goes on.

use crate::scene::*;
use std::sync::atomic::{AtomicU32, Ordering};
use towpath_engine::Settled;
use towpath_model::{Actor, Json, Message, Name, NewEntry, RunId, Verb};
use towpath_step::Pipeline;
use towpath_steps::deploy::{Live, Promote, Rollback, Rolling};
use towpath_store::{Clock as _, Store as _};
use towpath_testkit::{Call, Fault, FaultStore, Side};

/// Starts a rollout in a process that dies at its n-th commit; `None` when it makes fewer. Before it, what was done since the
/// commit before is not journaled; behind it, what would follow is not done.
fn dies_at(scene: &Scene, pipeline: Pipeline<Live>, nth: u32, side: Side) -> Option<RunId> {
    let store = FaultStore::new(scene.other_process());
    let seen = AtomicU32::new(0);
    store.hook(move |at, call| {
        let is_commit = at == side && matches!(call, Call::Commit(_));
        (is_commit && seen.fetch_add(1, Ordering::SeqCst) + 1 >= nth).then_some(Fault::AWAY)
    });
    scene.process_on(store.clone(), async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.run(pipeline.plan().unwrap(), "once").await.unwrap();
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
        for (away, side) in [(0, Side::Before), (0, Side::After), (3_600, Side::Before)] {
            let mut nth = 0;
            loop {
                nth += 1;
                let scene = Scene::of(script);
                let Some(run) = dies_at(&scene, pipeline(canary()), nth, side) else { break };
                scene.away(seconds(away));
                let settled = goes_on(&scene, run);
                match settled {
                    Settled::Succeeded(_) if is_good => scene.is_out(),
                    Settled::Compensated(_) if !is_good => scene.is_as_before(),
                    other => panic!("{side} commit {nth}, away for {away} s: {other:?}"),
                }
                let moves = scene.moves();
                let doubled = moves.windows(2).filter(|pair| pair[0] == pair[1]).count();
                // Ending the hold is a move to the same weights; nothing else is made twice.
                assert!(doubled <= usize::from(is_good), "{side} commit {nth}: {moves:?}");
            }
            assert!(nth > 8, "it died behind {nth} commits");
        }
    }
}

#[test]
fn a_rollout_that_died_anywhere_can_be_cancelled_and_leaves_nothing() {
    for side in [Side::Before, Side::After] {
        cancelled_everywhere(side);
    }
}

/// Puts a cancellation where whoever goes on finds it first.
fn cancel(scene: &Scene, run: RunId) {
    scene.process(async |_| {
        let message = Message::Verb { verb: Verb::Cancel { unwind: true }, reason: "enough".into() };
        let entry = NewEntry {
            dedupe_id: Name::new("cancel").unwrap(),
            actor: Actor::new("user:ann").unwrap(),
            message: Json::of(&message).unwrap(),
        };
        scene.other_process().put_entry(run, entry).await.unwrap();
    });
}

fn cancelled_everywhere(side: Side) {
    let (mut nth, mut cancelled) = (0, 0);
    loop {
        nth += 1;
        let scene = Scene::of(NEW);
        let Some(run) = dies_at(&scene, pipeline(canary()), nth, side) else { break };
        cancel(&scene, run);
        match goes_on(&scene, run) {
            Settled::Cancelled(_) => {
                cancelled += 1;
                scene.is_as_before();
            }
            // It was promoted: there is no way back but a rollback.
            Settled::Succeeded(_) => scene.is_out(),
            other => panic!("{side} commit {nth}: {other:?}"),
        }
    }
    assert!(cancelled > 8, "{cancelled} of {nth}");
}

/// What the other ways of rolling out end in, when they are cut off at each commit.
#[test]
fn rolling_and_going_back_go_on_from_each_of_their_commits() {
    let rolling = || {
        let p = Pipeline::new("orders");
        let roll =
            p.step("roll", Rolling::of(release()).to(&production()).bake(seconds(20)).every(seconds(10)));
        let live = p.step("promote", Promote::of(&roll).to(&production()));
        p.output(&live).build().unwrap()
    };
    let back = || {
        let p = Pipeline::new("orders");
        let live = p.step("back", Rollback::of("orders").to(&production()).version("0.9.0"));
        p.output(&live).build().unwrap()
    };
    for (version, pipeline) in [("2.0.0", &rolling as &dyn Fn() -> Pipeline<Live>), ("0.9.0", &back)] {
        for side in [Side::Before, Side::After] {
            let mut nth = 0;
            loop {
                nth += 1;
                let scene = Scene::of(NEW);
                scene.cluster.have("orders", "0.9.0", 2);
                let Some(run) = dies_at(&scene, pipeline(), nth, side) else { break };
                let settled = goes_on(&scene, run);
                assert!(matches!(settled, Settled::Succeeded(_)), "{side} commit {nth}: {settled:?}");
                let routes = scene.cluster.routes_now("orders").unwrap();
                assert_eq!((&*routes.stable, routes.weight(version)), (version, 100), "{side} commit {nth}");
                let moves = scene.moves();
                let once = moves.windows(2).all(|pair| pair[0] != pair[1]);
                assert!(once, "{side} commit {nth}: {moves:?}");
            }
            assert!(nth > 4, "{version}: it died at {nth} commits");
        }
    }
}

#[test]
fn a_rolling_that_died_anywhere_can_be_cancelled() {
    let mut nth = 0;
    loop {
        nth += 1;
        let scene = Scene::of(NEW);
        let p = Pipeline::new("orders");
        let live =
            p.step("roll", Rolling::of(release()).to(&production()).bake(seconds(20)).every(seconds(10)));
        let pipeline = p.output(&live).build().unwrap();
        let Some(run) = dies_at(&scene, pipeline, nth, Side::Before) else { break };
        cancel(&scene, run);
        if let Settled::Cancelled(_) = goes_on(&scene, run) {
            scene.is_as_before();
            assert_eq!(scene.cluster.wanted("orders", "1.0.0"), Some(2), "commit {nth}");
        }
    }
    assert!(nth > 4, "it died at {nth} commits");
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
        let began = tokio::time::Instant::now();
        while scene.cluster.calls().len() == since && began.elapsed() < seconds(60) {
            tokio::time::sleep_until(tokio::time::Instant::now() + seconds(1) / 10).await;
        }
        let sent = scene.cluster.routes_now("orders").unwrap().at;
        let waited = scene.clock.now().since(sent).as_secs_f32();
        assert!((19.9..20.3).contains(&waited), "and no longer than it has to be: {waited}");
        assert!(matches!(run.settled().await.unwrap(), Settled::Succeeded(_)));
    });
    let calls = scene.cluster.calls();
    assert_ne!(calls[since], "set_routes", "it is looked at before anything is sent again");
    scene.is_out();
}
