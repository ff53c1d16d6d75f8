//! How engines end, and engines that go only when they are asked.

use crate::common::*;
use std::time::Duration;
use tokio::time::Instant;
use towpath_engine::{EngineErrorKind, Settled, Until};
use towpath_model::{EventKind, Status, Verb};
use towpath_step::{Pipeline, Plan, StepError};
use towpath_store::Store as _;

fn two() -> Plan<String> {
    let p = Pipeline::new("two");
    let a = p.step("a", Seen::new("a"));
    let b = p.step("b", Idem::new("b").reading(&a));
    plan_of(p.output(&b).build())
}

fn slow(scene: &Scene, name: &'static str, n: u64) {
    scene.world.run(name, move |_, _| {
        Box::pin(async move {
            tokio::time::sleep_until(Instant::now() + secs(n)).await;
            Ok(format!("{name} done"))
        })
    });
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_bodies_finish_and_begins_nothing() {
    let scene = Scene::new();
    slow(&scene, "a", 10);
    let engine = scene.engine().await;
    let run = engine.run(two(), "k").await.unwrap();
    settle().await;
    let began = Instant::now();
    engine.shutdown().await.unwrap();
    assert!(began.elapsed() >= secs(10) && began.elapsed() < secs(11), "{:?}", began.elapsed());
    assert_eq!(scene.journal(&run).await, ["run-started", "step-started a", "step-done a"]);
    assert_eq!(scene.row(&run).await.owner, None);
    assert_eq!(*engine.run(two(), "other").await.unwrap_err().kind(), EngineErrorKind::Stopped);
    let next = scene.engine().await;
    let run = next.attach::<String>(run.id()).await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("b done".into()));
    assert_eq!(scene.world.said(), ["run a", "run b"]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_drops_what_remains_after_its_grace_and_journals_the_doubt() {
    let scene = Scene::new();
    scene.world.run("a", |cx, n| {
        Box::pin(async move {
            if n == 1 {
                cx.cancelled().await;
                std::future::pending::<()>().await;
            }
            Ok("x".into())
        })
    });
    let engine = scene.builder().grace(secs(30)).start().await.unwrap();
    let run = engine.run(two(), "k").await.unwrap();
    settle().await;
    let began = Instant::now();
    engine.shutdown().await.unwrap();
    assert!(began.elapsed() >= secs(30) && began.elapsed() < secs(31), "{:?}", began.elapsed());
    assert_eq!(scene.journal(&run).await.last().unwrap(), "step-in-doubt a");
    let next = scene.builder().settle_after(secs(10)).start().await.unwrap();
    let began = Instant::now();
    let run = next.attach::<String>(run.id()).await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("b done".into()));
    // A request of the body that was dropped may still have been under way.
    assert!(began.elapsed() >= secs(9), "{:?}", began.elapsed());
    assert_eq!(scene.world.said(), ["run a", "observe a", "run a", "run b"]);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_that_is_dropped_leaves_no_tasks_behind() {
    let scene = Scene::new();
    scene.world.run("a", |_, n| {
        Box::pin(async move {
            if n == 1 {
                std::future::pending::<()>().await;
            }
            Ok("x".into())
        })
    });
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let engine = scene.engine().await;
    let run = engine.run(two(), "k").await.unwrap();
    settle().await;
    let id = run.id();
    drop((engine, run));
    until("its tasks are gone", async || {
        tokio::runtime::Handle::current().metrics().num_alive_tasks() == before
    })
    .await;
    assert_eq!(scene.memory.find(id).await.unwrap().unwrap().owner, None);
    let next = scene.engine().await;
    let run = next.attach::<String>(id).await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("b done".into()));
    assert_eq!(count(&scene.events(&run).await, EventKind::StepInDoubt), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_held_keeps_its_engine() {
    let scene = Scene::new();
    slow(&scene, "a", 100);
    let engine = scene.engine().await;
    let run = engine.run(two(), "k").await.unwrap();
    drop(engine);
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("b done".into()));
}

#[tokio::test(start_paused = true)]
async fn drive_advances_what_is_due_and_returns() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            cx.sleep("bake", secs(3_600)).await?;
            Ok("x".into())
        })
    });
    let engine = scene.builder().background(false).start().await.unwrap();
    let run = engine.run(two(), "k").await.unwrap();
    tokio::time::sleep_until(Instant::now() + secs(60)).await;
    assert!(scene.world.said().is_empty(), "nobody asked");
    let began = Instant::now();
    let report = engine.drive(Until::Parked, None).await.unwrap();
    assert!(began.elapsed() < secs(2), "{:?}", began.elapsed());
    assert_eq!((report.settled, report.parked, report.going), (0, 1, 0));
    assert_eq!(report.next_wake, scene.row(&run).await.wake_at);
    tokio::time::sleep_until(Instant::now() + secs(7_200)).await;
    assert_eq!(scene.row(&run).await.listing.status, Status::Waiting);
    let report = engine.drive(Until::Parked, None).await.unwrap();
    assert_eq!((report.settled, report.succeeded, report.parked), (1, 1, 0));
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("b done".into()));
    let report = engine.drive(Until::Parked, None).await.unwrap();
    assert_eq!((report.settled, report.parked, report.next_wake), (0, 0, None));
}

#[tokio::test(start_paused = true)]
async fn drive_until_settled_waits_for_timers() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            cx.sleep("bake", secs(3_600)).await?;
            Ok("x".into())
        })
    });
    scene.world.run("b", |_, _| Box::pin(async { Err(StepError::permanent("no")) }));
    let engine = scene.builder().background(false).start().await.unwrap();
    engine.run(two(), "k").await.unwrap();
    let began = Instant::now();
    let report = engine.drive(Until::Settled, None).await.unwrap();
    assert!(began.elapsed() >= secs(3_600) && began.elapsed() < secs(3_603), "{:?}", began.elapsed());
    assert_eq!((report.settled, report.failed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn drive_returns_at_its_limit() {
    let scene = Scene::new();
    slow(&scene, "a", 100);
    let engine = scene.builder().background(false).start().await.unwrap();
    engine.run(two(), "k").await.unwrap();
    let began = Instant::now();
    let report = engine.drive(Until::Settled, Some(secs(5))).await.unwrap();
    assert!(began.elapsed() >= secs(5) && began.elapsed() < secs(6), "{:?}", began.elapsed());
    assert_eq!(report.going, 1);
    engine.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_kept_and_what_waits_has_its_turn() {
    let scene = Scene::new();
    slow(&scene, "a", 10);
    let engine = scene.builder().concurrency(2).start().await.unwrap();
    let mut runs = Vec::new();
    for n in 0..6 {
        runs.push(engine.run(two(), format!("k{n}")).await.unwrap());
    }
    let began = Instant::now();
    let mut most = 0;
    for run in &runs {
        loop {
            most = most.max(engine.health().await.runs_in_memory);
            if tokio::time::timeout(Duration::from_millis(500), run.settled()).await.is_ok() {
                break;
            }
        }
    }
    assert_eq!(most, 2);
    assert!(began.elapsed() >= secs(30) && began.elapsed() < secs(32), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_told_that_the_engine_stopped() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
    let engine = scene.engine().await;
    let run = engine.run(two(), "k").await.unwrap();
    let waiting = tokio::spawn({
        let run = run.clone();
        async move { run.settled().await }
    });
    until("it is parked", async || scene.row(&run).await.listing.status == Status::Waiting).await;
    engine.shutdown().await.unwrap();
    assert_eq!(*waiting.await.unwrap().unwrap_err().kind(), EngineErrorKind::Stopped);
    engine.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn last_steps_are_told_why_the_run_left_its_way_and_what_it_left() {
    let scene = Scene::new();
    scene.world.run("bad", |_, _| Box::pin(async { Err(StepError::permanent("no such cluster")) }));
    for name in ["good", "note", "tidy"] {
        let told = scene.world.clone();
        scene.world.run(name, move |cx, _| {
            let failure = cx.failure().map(|f| format!("{}; left {:?}", f.why, f.aftermath.left));
            told.say(format!("{name} is told {failure:?}"));
            Box::pin(async { Ok("ok".into()) })
        });
    }
    scene.world.undo("good", |_, _| Box::pin(async { Err(StepError::permanent("it sticks")) }));
    let p = Pipeline::new("told");
    let good = p.step("good", Idem::new("good"));
    p.step("bad", Look::new("bad").reading(&good));
    p.on_failure("note", Look::new("note"));
    p.finally("tidy", Look::new("tidy"));
    let engine = scene.engine().await;
    let run = engine.run(plan_of(p.build()), "k").await.unwrap();
    assert!(matches!(run.settled().await.unwrap(), Settled::Stuck(_)));
    run.verb(Verb::Skip { step: None, output: None }, "it stays").await.unwrap();
    assert!(matches!(run.settled().await.unwrap(), Settled::Compensated(_)));
    let said = scene.world.said();
    let told = |name: &str| said.iter().find(|line| line.starts_with(&format!("{name} is told"))).cloned();
    let because = "Some(\"step bad failed: no such cluster; left [\\\"good\\\"]\")";
    assert_eq!(told("good").as_deref(), Some("good is told None"));
    assert_eq!(told("note"), Some(format!("note is told {because}")));
    assert_eq!(told("tidy"), Some(format!("tidy is told {because}")));
}
