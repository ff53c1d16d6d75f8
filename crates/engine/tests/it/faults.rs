//! Stores that answer with errors: what was written is found out, and nothing is done twice or lost.

use crate::common::*;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};
use tokio::time::Instant;
use towpath_engine::{EngineErrorKind, Settled};
use towpath_model::{EventKind, Status, Verb};
use towpath_step::{Pipeline, Plan, StepError};
use towpath_store::StoreErrorKind;

fn is_start(call: Call<'_>) -> bool {
    matches!(call, Call::Start(_))
}

fn plan() -> Plan<String> {
    let p = Pipeline::new("three");
    let a = p.step("a", Seen::new("a"));
    let b = p.step("b", Idem::new("b").reading(&a));
    let c = p.step("c", Image::new("c").reading(&b));
    plan_of(p.output(&c).build())
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_is_lost_is_found_in_the_journal() {
    for side in [Side::Before, Side::After] {
        for nth in 1..=3 {
            for fails in [false, true] {
                let scene = Scene::new();
                if fails {
                    scene.world.run("c", |_, _| Box::pin(async { Err(StepError::permanent("no")) }));
                }
                let store = FaultStore::new(scene.memory.clone());
                store.strike(side, nth, is_commit, Fault::AWAY);
                let engine = scene.builder_on(store.clone()).start().await.unwrap();
                let run = engine.run(plan(), "k").await.unwrap();
                let settled = run.settled().await.unwrap();
                assert_eq!(store.fired(), 1, "{side:?} {nth}");
                let mut want = vec!["run a", "run b", "before c", "run c"];
                if fails {
                    assert!(matches!(settled, Settled::Compensated(_)));
                    want.extend(["undo c", "undo b", "undo a"]);
                } else {
                    assert_eq!(settled, Settled::Succeeded("c done".into()));
                }
                assert_eq!(scene.world.said(), want, "{side:?} {nth}");
                assert_eq!(count(&scene.events(&run).await, EventKind::RunSettled), 1);
                until("it has left", async || engine.health().await.runs_in_memory == 0).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_holds_bodies_and_ends_nothing() {
    let scene = Scene::new();
    let store = FaultStore::new(scene.memory.clone());
    let engine = scene.builder_on(store.clone()).start().await.unwrap();
    let back = Instant::now() + secs(120);
    store.hook(move |side, call| {
        (side == Side::Before && is_commit(call) && Instant::now() < back).then_some(Fault::AWAY)
    });
    let run = engine.run(plan(), "k").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("c done".into()));
    assert!(Instant::now() >= back);
    assert!(store.fired() > 1);
    assert_eq!(scene.world.said(), ["run a", "run b", "before c", "run c"]);
    assert_eq!(count(&scene.events(&run).await, EventKind::StepInDoubt), 0);
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_answer_is_lost_is_one_run_that_is_driven() {
    for side in [Side::Before, Side::After] {
        let scene = Scene::new();
        let store = FaultStore::new(scene.memory.clone());
        store.strike(side, 1, is_start, Fault::AWAY);
        let engine = scene.builder_on(store.clone()).start().await.unwrap();
        let run = engine.run(plan(), "k").await.unwrap();
        assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("c done".into()));
        assert_eq!(store.fired(), 1);
        assert_eq!(scene.world.times("run a"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_the_caller_is_told_has_failed_is_driven_all_the_same_when_it_was_written() {
    let scene = Scene::new();
    let store = FaultStore::new(scene.memory.clone());
    store.hook(|side, call| (side == Side::After && is_start(call)).then_some(Fault::AWAY));
    let engine = scene.builder_on(store.clone()).start().await.unwrap();
    let error = engine.run(plan(), "k").await.unwrap_err();
    assert_eq!(*error.kind(), EngineErrorKind::Store);
    assert!(error.is_transient());
    assert!(store.fired() > 0);
    store.hook(|_, _| None);
    let run = engine.run(plan(), "k").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("c done".into()));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_dropped_half_way_is_driven_all_the_same() {
    let scene = Scene::new();
    let store = FaultStore::new(scene.memory.clone());
    let back = Instant::now() + std::time::Duration::from_millis(100);
    store.hook(move |side, call| {
        (side == Side::After && is_start(call) && Instant::now() < back).then_some(Fault::AWAY)
    });
    let engine = scene.builder_on(store.clone()).start().await.unwrap();
    let start = IntoFuture::into_future(engine.run(plan(), "k"));
    assert!(tokio::time::timeout(std::time::Duration::from_millis(30), start).await.is_err());
    assert!(store.fired() > 0);
    let run = engine.run(plan(), "k").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("c done".into()));
    assert_eq!(scene.world.times("run a"), 1);
}

#[test]
fn a_claim_whose_answer_is_lost_is_found_by_a_sweep() {
    let scene = Scene::between_runtimes();
    scene.world.run("a", |_, n| {
        Box::pin(async move {
            if n == 1 {
                std::future::pending::<()>().await;
            }
            Ok("x".into())
        })
    });
    let run = scene.process(async |b| {
        let engine = b.start().await.unwrap();
        let run = engine.run(plan(), "k").await.unwrap().id();
        settle().await;
        run
    });
    scene.process(async |_| {
        let store = FaultStore::new(scene.other_process());
        store.strike(Side::After, 1, |call| matches!(call, Call::Claim), Fault::AWAY);
        let engine = scene.builder_on(store.clone()).start().await.unwrap();
        let run = engine.attach::<String>(run).await.unwrap();
        assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("c done".into()));
        assert_eq!(store.fired(), 1);
    });
}

#[tokio::test(start_paused = true)]
async fn an_inbox_that_cannot_be_read_is_read_later() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
    let store = FaultStore::new(scene.memory.clone());
    let engine = scene.builder_on(store.clone()).start().await.unwrap();
    let run = engine.run(plan(), "k").await.unwrap();
    store.strike(Side::Before, 1, |call| matches!(call, Call::Entries(_)), Fault::AWAY);
    run.signal("go", "x").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("c done".into()));
    assert_eq!(store.fired(), 1);
}

#[test]
fn crash_at_every_commit_forward_and_unwinding() {
    for fails in [false, true] {
        let mut nth = 0;
        loop {
            nth += 1;
            let scene = Scene::between_runtimes();
            if fails {
                scene.world.run("c", |_, _| Box::pin(async { Err(StepError::permanent("no")) }));
            }
            scene
                .world
                .observe("a", |_, _| Box::pin(async { Ok(towpath_step::Observed::Done("seen".into())) }));
            let (run, struck) = scene.process(async |_| {
                // The process stops just behind its n-th commit: what follows is never done.
                let store = FaultStore::new(scene.other_process());
                let seen = AtomicU32::new(0);
                store.hook(move |side, call| {
                    let hit = side == Side::After
                        && is_commit(call)
                        && seen.fetch_add(1, Ordering::SeqCst) + 1 >= nth;
                    hit.then_some(Fault::AWAY)
                });
                let engine = scene.builder_on(store.clone()).start().await.unwrap();
                let run = engine.run(plan(), "k").await.unwrap().id();
                settle().await;
                (run, store.fired() > 0)
            });
            if !struck {
                break;
            }
            scene.process(async |b| {
                let engine = b.start().await.unwrap();
                let run = engine.attach::<String>(run).await.unwrap();
                let settled = run.settled().await.unwrap();
                assert_eq!(matches!(settled, Settled::Compensated(_)), fails, "{nth}: {settled:?}");
                let events = scene.events(&run).await;
                assert_eq!(count(&events, EventKind::RunSettled), 1);
                if fails {
                    assert_eq!(count(&events, EventKind::CompensationDone), 3, "{nth}");
                } else {
                    assert_eq!(count(&events, EventKind::StepDone), 3, "{nth}");
                }
            });
        }
        assert!(nth > 3, "faults were aimed at {nth} commits");
    }
}

#[tokio::test(start_paused = true)]
async fn a_defect_in_driving_one_run_sets_it_aside_and_others_go_on() {
    let scene = Scene::new();
    let store = FaultStore::new(scene.memory.clone());
    let engine = scene.builder_on(store.clone()).start().await.unwrap();
    let defect = Fault::Call(Arc::new(|| panic!("a defect")));
    store.strike(Side::Before, 1, is_commit, defect);
    let run = engine.run(plan(), "k").await.unwrap();
    let Settled::Stuck(why) = run.settled().await.unwrap() else { panic!("it is set aside") };
    assert!(why.to_string().contains("driving it panicked"), "{why}");
    assert_eq!(store.fired(), 1);
    let other = engine.run(plan(), "other").await.unwrap();
    assert_eq!(other.settled().await.unwrap(), Settled::Succeeded("c done".into()));
    // What it had under way is in doubt, and somebody may try again.
    let retry = Verb::Retry { step: None, new_key: false, from_scratch: false };
    run.verb(retry, "with another release").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("c done".into()));
}

#[tokio::test(start_paused = true)]
async fn a_transition_that_is_refused_for_good_is_not_tried_again_until_somebody_says_so() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
    let store = FaultStore::new(scene.memory.clone());
    let engine = scene.builder_on(store.clone()).start().await.unwrap();
    let run = engine.run(plan(), "k").await.unwrap();
    until("it is parked", async || scene.row(&run).await.owner.is_none()).await;
    let (no, claims) = (scene.row(&run).await.no, Arc::new(AtomicU32::new(0)));
    let is_mended = Arc::new(AtomicBool::new(false));
    let (counted, mended) = (claims.clone(), is_mended.clone());
    store.hook(move |side, call| match (side, call) {
        (Side::After, Call::Claim) => {
            counted.fetch_add(1, Ordering::SeqCst);
            None
        }
        (Side::Before, Call::Commit(all)) if !mended.load(Ordering::SeqCst) => {
            let is_its = all.iter().any(|transition| transition.run == no && !transition.consumed.is_empty());
            is_its.then_some(Fault::Error(StoreErrorKind::Invalid))
        }
        _ => None,
    });
    run.signal("go", "a done").await.unwrap();
    until("it is set aside", async || scene.status(run.id()).await == Status::Quarantined).await;
    assert!(store.fired() > 0);
    let before = claims.load(Ordering::SeqCst);
    tokio::time::sleep_until(Instant::now() + secs(60)).await;
    assert_eq!(claims.load(Ordering::SeqCst), before, "it is left alone");
    is_mended.store(true, Ordering::SeqCst);
    let retry = Verb::Retry { step: None, new_key: false, from_scratch: false };
    run.verb(retry, "the disk is mended").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("c done".into()));
}

#[tokio::test(start_paused = true)]
async fn a_defect_in_loading_one_run_sets_it_aside_and_others_go_on() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
    let store = FaultStore::new(scene.memory.clone());
    let engine = scene.builder_on(store.clone()).start().await.unwrap();
    let run = engine.run(plan(), "k").await.unwrap();
    until("it is parked", async || scene.row(&run).await.owner.is_none()).await;
    let no = scene.row(&run).await.no;
    let reads_it = move |call: Call<'_>| matches!(call, Call::Events(of) if of == no);
    store.strike(Side::Before, 1, reads_it, Fault::Call(Arc::new(|| panic!("a defect"))));
    run.signal("go", "x").await.unwrap();
    until("it is set aside", async || scene.status(run.id()).await == Status::Quarantined).await;
    assert_eq!(store.fired(), 1);
    let note = scene.row(&run).await.listing.note;
    assert!(note.contains("loading it panicked"), "{note}");
    assert_eq!(engine.health().await.runs_in_memory, 0);
    // The reconciler goes on: it takes up what others start, and this run when somebody tries again.
    let starter = scene.builder_on(scene.other_process()).background(false).start().await.unwrap();
    let other = starter.run(plan(), "other").await.unwrap();
    other.signal("go", "x").await.unwrap();
    assert_eq!(other.settled().await.unwrap(), Settled::Succeeded("c done".into()));
    let retry = Verb::Retry { step: None, new_key: false, from_scratch: false };
    run.verb(retry, "with another release").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("c done".into()));
}
