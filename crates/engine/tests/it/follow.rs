//! Following runs: events, logs, progress, health, explanations.

use crate::common::*;
use std::time::Duration;
use tokio::time::Instant;
use towpath_engine::{Settled, Update};
use towpath_model::{Event, EventKind, Seq, StepId, Verb};
use towpath_step::{Pipeline, Plan};
use towpath_store::Store as _;

fn one() -> Plan<String> {
    let p = Pipeline::new("one");
    let a = p.step("a", Seen::new("a"));
    plan_of(p.output(&a).build())
}

fn chain(n: usize) -> Plan {
    let p = Pipeline::new("chain");
    let mut last = p.step("s0", Idem::new("s0"));
    for i in 1..n {
        last = p.step(&format!("s{i}"), Idem::new("s").reading(&last));
    }
    plan_of(p.build())
}

#[tokio::test(start_paused = true)]
async fn events_come_in_order_from_the_first_to_the_end() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    let run = engine.run(chain(3), "k").await.unwrap();
    let mut events = run.events();
    let mut seen = Vec::new();
    while let Some(update) = events.next().await {
        if let Update::Event { seq, event, .. } = update.unwrap() {
            seen.push((seq.0, event.kind()));
        }
    }
    assert_eq!(seen.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    assert_eq!(seen.last().unwrap().1, EventKind::RunSettled);
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn events_of_a_run_that_another_process_drives() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            cx.sleep("bake", secs(10)).await?;
            Ok("x".into())
        })
    });
    let engine = scene.engine().await;
    let other = scene.builder_on(scene.other_process()).background(false).start().await.unwrap();
    let run = engine.run(one(), "k").await.unwrap();
    let seen = other.attach::<String>(run.id()).await.unwrap();
    let mut events = seen.events();
    let mut kinds = Vec::new();
    while let Some(update) = events.next().await {
        if let Update::Event { event, .. } = update.unwrap() {
            kinds.push(event.kind());
        }
    }
    assert_eq!(kinds.len(), 6);
    assert_eq!(seen.settled().await.unwrap(), Settled::Succeeded("x".into()));
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_is_told_that_it_lags_and_holds_nothing_up() {
    let scene = Scene::new();
    let (go, gone) = tokio::sync::watch::channel(false);
    scene.world.run("s0", move |_, _| {
        let mut gone = gone.clone();
        Box::pin(async move {
            gone.wait_for(|g| *g).await.unwrap();
            Ok("x".into())
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(chain(1_000), "k").await.unwrap();
    let mut events = run.events();
    for _ in 0..2 {
        events.next().await.unwrap().unwrap();
    }
    assert!(tokio::time::timeout(Duration::from_secs(1), events.next()).await.is_err());
    go.send(true).unwrap();
    run.settled().await.unwrap();
    let Update::Lagged(missed) = events.next().await.unwrap().unwrap() else { panic!("it lags") };
    let (mut first, mut last) = (None, Seq(0));
    while let Some(update) = events.next().await {
        if let Update::Event { seq, .. } = update.unwrap() {
            first.get_or_insert(seq);
            last = seq;
        }
    }
    assert_eq!(last, Seq(2_002));
    assert_eq!(first, Some(Seq(2 + missed + 1)));
}

/// Whoever waits for the answer to a verb reads slowly, while the run goes on for more events than a follower is shown.
#[tokio::test(start_paused = true)]
async fn an_answer_to_a_verb_is_found_however_far_its_reader_is_behind() {
    let scene = Scene::new();
    let (go, gone) = tokio::sync::watch::channel(false);
    scene.world.run("s0", move |_, _| {
        let mut gone = gone.clone();
        Box::pin(async move {
            gone.wait_for(|g| *g).await.unwrap();
            Ok("x".into())
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(chain(1_000), "k").await.unwrap();
    let store = FaultStore::new(scene.other_process());
    let slow = scene.builder_on(store.clone()).background(false).start().await.unwrap();
    // It reads that there is nothing yet, and is told so much later.
    store.strike(Side::After, 1, |call| matches!(call, Call::Events(_)), Fault::Late(secs(60)));
    let id = run.id();
    let answer = tokio::spawn(async move { slow.verb(id, Verb::Resume, "it is not paused").await });
    until("it is answered", async || {
        count(&scene.events(&run).await, EventKind::VerbAnswered) == 1 && store.fired() == 1
    })
    .await;
    assert!(!answer.is_finished());
    go.send(true).unwrap();
    run.settled().await.unwrap();
    assert!(!answer.is_finished());
    assert!(scene.events(&run).await.len() > 1_024 + 3);
    answer.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn logs_and_progress_are_written_with_other_commits_and_soon_at_any_rate() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            for n in 0..50 {
                cx.log(format!("line {n}"));
                cx.progress(n, "pushing");
                tokio::time::sleep_until(Instant::now() + Duration::from_millis(100)).await;
            }
            Ok("x".into())
        })
    });
    let store = FaultStore::new(scene.memory.clone());
    let commits = commits(&store);
    let engine = scene.builder_on(store).start().await.unwrap();
    let run = engine.run(one(), "k").await.unwrap();
    let (no, a) = (scene.row(&run).await.no, StepId::new("a").unwrap());
    tokio::time::sleep_until(Instant::now() + Duration::from_millis(400)).await;
    assert!(!scene.memory.logs(no, &a, 0, 100).await.unwrap().is_empty(), "logs do not wait for the end");
    run.settled().await.unwrap();
    let logs = scene.memory.logs(no, &a, 0, 100).await.unwrap();
    assert_eq!(logs.len(), 50);
    assert_eq!(logs[49].text, "line 49");
    let progress = scene.memory.progress(no).await.unwrap();
    assert_eq!(progress[0].percent, 49);
    let commits = commits.lock().unwrap();
    let own = commits.iter().filter(|t| t.events.is_empty()).count();
    assert!((10..=20).contains(&own), "5 s of logs are {own} commits");
    let progress = commits.iter().filter(|t| !t.progress.is_empty()).count();
    assert!((5..=7).contains(&progress), "5 s of progress are {progress} writes");
}

#[tokio::test(start_paused = true)]
async fn progress_is_followed() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            cx.progress(40, "pulling");
            tokio::time::sleep_until(Instant::now() + secs(10)).await;
            Ok("x".into())
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(one(), "k").await.unwrap();
    let mut events = run.events();
    let mut percent = None;
    while let Some(update) = events.next().await {
        if let Update::Progress(progress) = update.unwrap() {
            percent.get_or_insert(progress.percent);
        }
    }
    assert_eq!(percent, Some(40));
}

#[tokio::test(start_paused = true)]
async fn explanations_say_what_is_waited_for() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
    let engine = scene.engine().await;
    let run = engine.run(one(), "k").await.unwrap();
    until("it is parked", async || scene.row(&run).await.owner.is_none()).await;
    let why = run.explain().await.unwrap().to_string();
    assert!(why.contains(&format!("towpath signal {} go --step a", run.id())), "{why}");
}

#[tokio::test(start_paused = true)]
async fn health_tells_of_the_store_and_the_lease() {
    let scene = Scene::new();
    let engine = scene.builder().lease(secs(10)).start().await.unwrap();
    let health = engine.health().await;
    assert!(health.is_well());
    assert!(health.lease_left > secs(6) && health.lease_left <= secs(10));
    tokio::time::sleep_until(Instant::now() + secs(60)).await;
    assert!(engine.health().await.lease_left > secs(6), "it is renewed");
    engine.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn checkpoints_are_durable_when_they_return_and_keep_their_limit() {
    let scene = Scene::new();
    let memory = scene.memory.clone();
    scene.world.run("a", move |cx, _| {
        let memory = memory.clone();
        Box::pin(async move {
            cx.checkpoint("half").await?;
            let no = memory.find(cx.run_id()).await.unwrap().unwrap().no;
            let events = events(&*memory, no).await;
            assert!(matches!(events.last(), Some(Event::Checkpointed(_))));
            assert_eq!(cx.last_checkpoint::<String>()?.as_deref(), Some("half"));
            let huge = "x".repeat(towpath_model::limits::BLOB_BYTES);
            let error = cx.checkpoint(&huge).await.unwrap_err();
            Ok(error.to_string())
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(one(), "k").await.unwrap();
    let said = run.settled().await.unwrap().succeeded().unwrap();
    assert!(said.contains("the checkpoint has 16777218 bytes and the limit is 16777216"), "{said}");
}
