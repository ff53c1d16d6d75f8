//! Unwinding, cancelling, and what comes after.

use crate::common::*;
use std::sync::{Arc, Mutex};
use tokio::time::Instant;
use towpath_engine::Settled;
use towpath_model::{Ended, Event, EventKind, RetryPolicy, Status, Verb, Why};
use towpath_step::{Observed, Pipeline, Plan, StepError, UndoEnded};

/// a, then b, then c, which fails for good.
fn failing() -> Plan<String> {
    let p = Pipeline::new("failing");
    let a = p.step("a", Idem::new("a"));
    let b = p.step("b", Seen::new("b").reading(&a));
    let c = p.step("c", Idem::new("c").reading(&b));
    plan_of(p.output(&c).build())
}

fn fail(scene: &Scene) {
    scene.world.run("c", |_, _| Box::pin(async { Err(StepError::permanent("no such cluster")) }));
}

#[tokio::test(start_paused = true)]
async fn unwinding_goes_in_reverse_order_and_also_undoes_what_failed() {
    let scene = Scene::new();
    fail(&scene);
    let engine = scene.engine().await;
    let run = engine.run(failing(), "k").await.unwrap();
    let Settled::Compensated(why) = run.settled().await.unwrap() else { panic!("it was undone") };
    assert!(why.to_string().contains("no such cluster"), "{why}");
    assert_eq!(scene.world.said(), ["run a", "run b", "run c", "undo c", "undo b", "undo a"]);
    let with = scene.world.undone_with.lock().unwrap().clone();
    assert_eq!(with[0], ("c".into(), UndoEnded::Failed, None));
    assert_eq!(with[2], ("a".into(), UndoEnded::Done, Some("a done".into())));
}

#[tokio::test(start_paused = true)]
async fn unwinding_with_nothing_to_undo_is_failed() {
    let scene = Scene::new();
    scene.world.run("a", |_, _| Box::pin(async { Err(StepError::rejected("the gate said no")) }));
    let p = Pipeline::new("gate");
    p.step("a", Look::new("a"));
    let engine = scene.engine().await;
    let run = engine.run(plan_of(p.build()), "k").await.unwrap();
    assert!(matches!(run.settled().await.unwrap(), Settled::Failed(Why::StepFailed { .. })));
}

#[test]
fn unwinding_killed_inside_a_compensation_goes_on_with_it() {
    let scene = Scene::between_runtimes();
    fail(&scene);
    scene.world.undo("b", |_, n| {
        Box::pin(async move {
            if n <= 2 {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    });
    let run = scene.process(async |b| {
        let engine = b.start().await.unwrap();
        let run = engine.run(failing(), "k").await.unwrap();
        settle().await;
        run.id()
    });
    assert_eq!(scene.world.said().last().unwrap(), "undo b");
    scene.process(async |b| {
        let _engine = b.start().await.unwrap();
        settle().await;
    });
    scene.process(async |b| {
        let engine = b.start().await.unwrap();
        let run = engine.attach::<String>(run).await.unwrap();
        assert!(matches!(run.settled().await.unwrap(), Settled::Compensated(_)));
    });
    assert_eq!(scene.world.times("undo b"), 3);
    assert_eq!(scene.world.times("undo a"), 1);
    assert_eq!(scene.world.times("undo c"), 1);
}

#[tokio::test(start_paused = true)]
async fn unwinding_observes_a_step_in_doubt_first() {
    let scene = Scene::new();
    scene.world.run("b", |_, _| Box::pin(async { std::future::pending().await }));
    scene.world.observe("b", |_, _| Box::pin(async { Ok(Observed::Done("seen".into())) }));
    let engine = scene.builder().grace(secs(7)).start().await.unwrap();
    let run = engine.run(failing(), "k").await.unwrap();
    settle().await;
    let began = Instant::now();
    run.verb(Verb::Cancel { unwind: true }, "changed our minds").await.unwrap();
    assert!(matches!(run.settled().await.unwrap(), Settled::Cancelled(_)));
    assert!(began.elapsed() >= secs(7) && began.elapsed() < secs(8), "{:?}", began.elapsed());
    assert_eq!(scene.world.said(), ["run a", "run b", "observe b", "undo b", "undo a"]);
    let with = scene.world.undone_with.lock().unwrap().clone();
    assert_eq!(with[0], ("b".into(), UndoEnded::Done, Some("seen".into())));
}

#[tokio::test(start_paused = true)]
async fn unwinding_asks_bodies_to_stop_and_takes_what_they_say_within_their_grace() {
    let scene = Scene::new();
    scene.world.run("b", |cx, _| {
        Box::pin(async move {
            cx.cancelled().await;
            assert!(cx.is_cancelled());
            Ok("stopped half-way".into())
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(failing(), "k").await.unwrap();
    settle().await;
    let began = Instant::now();
    run.verb(Verb::Cancel { unwind: true }, "").await.unwrap();
    assert!(matches!(run.settled().await.unwrap(), Settled::Cancelled(_)));
    assert!(began.elapsed() < secs(1));
    assert_eq!(scene.world.said(), ["run a", "run b", "undo b", "undo a"]);
}

#[tokio::test(start_paused = true)]
async fn unwinding_that_fails_rests_at_that_compensation_and_is_retried() {
    let scene = Scene::new();
    fail(&scene);
    scene.world.undo("b", |_, n| {
        Box::pin(
            async move { if n == 1 { Err(StepError::permanent("the balancer refuses")) } else { Ok(()) } },
        )
    });
    let engine = scene.engine().await;
    let run = engine.run(failing(), "k").await.unwrap();
    let Settled::Stuck(why) = run.settled().await.unwrap() else { panic!("it is stuck") };
    assert!(why.to_string().contains("the balancer refuses"), "{why}");
    assert_eq!(scene.row(&run).await.listing.status, Status::Stuck);
    assert_eq!(scene.row(&run).await.owner, None);
    run.verb(Verb::Retry { step: None, new_key: false, from_scratch: false }, "fixed").await.unwrap();
    assert!(matches!(run.settled().await.unwrap(), Settled::Compensated(_)));
}

#[tokio::test(start_paused = true)]
async fn unwinding_keeps_its_keys_over_attempts_and_apart_from_those_of_the_work() {
    let scene = Scene::new();
    fail(&scene);
    let keys: Arc<Mutex<Vec<String>>> = Arc::default();
    let (work, undo) = (keys.clone(), keys.clone());
    scene.world.run("b", move |cx, _| {
        work.lock().unwrap().push(cx.key("e").unwrap().to_string());
        Box::pin(async { Ok("x".into()) })
    });
    scene.world.undo("b", move |cx, n| {
        undo.lock().unwrap().push(cx.key("e").unwrap().to_string());
        Box::pin(async move { if n == 1 { Err(StepError::transient("again")) } else { Ok(()) } })
    });
    let engine = scene.engine().await;
    engine.run(failing(), "k").await.unwrap().settled().await.unwrap();
    let keys = keys.lock().unwrap().clone();
    assert_eq!(keys.len(), 3);
    assert_ne!(keys[0], keys[1]);
    assert_eq!(keys[1], keys[2]);
}

#[tokio::test(start_paused = true)]
async fn unwinding_gives_compensations_their_time_limit() {
    let scene = Scene::new();
    scene.world.run("b", |_, _| Box::pin(async { Err(StepError::permanent("no")) }));
    scene.world.undo("a", |_, n| {
        Box::pin(async move {
            if n == 1 {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    });
    let p = Pipeline::new("limited");
    let a = p.step("a", Idem::new("a")).timeout(secs(4)).undo_retry(RetryPolicy::fixed(3, secs(1)));
    p.step("b", Look::new("b").reading(&a));
    let engine = scene.engine().await;
    let began = Instant::now();
    let run = engine.run(plan_of(p.build()), "k").await.unwrap();
    assert!(matches!(run.settled().await.unwrap(), Settled::Compensated(_)));
    assert!(began.elapsed() >= secs(5) && began.elapsed() < secs(6), "{:?}", began.elapsed());
    let events = scene.events(&run).await;
    let Some(Event::CompensationFailed(e)) =
        events.iter().find(|e| e.kind() == EventKind::CompensationFailed)
    else {
        panic!("it failed once")
    };
    assert!(e.failure.to_string().contains(&Ended::TimedOut.to_string()));
}

#[tokio::test(start_paused = true)]
async fn time_of_a_run_passes() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            cx.sleep("long", secs(86_400)).await?;
            Ok("x".into())
        })
    });
    let p = Pipeline::new("limited");
    p.step("a", Idem::new("a"));
    let p = p.deadline(secs(60));
    let engine = scene.engine().await;
    let began = Instant::now();
    let run = engine.run(plan_of(p.build()), "k").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Failed(Why::Deadline));
    assert!(began.elapsed() >= secs(60) && began.elapsed() < secs(61), "{:?}", began.elapsed());
}
