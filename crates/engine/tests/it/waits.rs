//! Durable waits.

use crate::common::*;
use std::time::Duration;
use towpath_engine::Settled;
use towpath_model::{Attempt, Event, EventKind, Status};
use towpath_step::{Pipeline, Plan, StepContext};

fn one() -> Plan<String> {
    let p = Pipeline::new("one");
    let a = p.step("a", Seen::new("a"));
    plan_of(p.output(&a).build())
}

/// An effect: said once for each key, as an idempotent provider would have it.
fn effect(cx: &StepContext, name: &str) {
    let world = cx.provider::<World>("world").unwrap();
    let key = cx.key(name).unwrap();
    world.say(format!("effect {name} {key}"));
}

async fn bakes(cx: &StepContext) -> Result<String, towpath_step::StepError> {
    let done: u32 = cx.last_checkpoint()?.unwrap_or(0);
    for i in 0..3 {
        if i >= done {
            effect(cx, &format!("weight-{i}"));
        }
        cx.sleep(&format!("bake-{i}"), secs(3_600)).saving(&(i + 1)).await?;
    }
    Ok("live".into())
}

#[tokio::test(start_paused = true)]
async fn durable_waits_park_the_run_and_enter_the_body_again_in_the_same_attempt() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            assert_eq!(cx.attempt(), Attempt(1));
            cx.sleep("bake", secs(3_600)).await?;
            Ok("done".into())
        })
    });
    let engine = scene.engine().await;
    let began = tokio::time::Instant::now();
    let run = engine.run(one(), "k").await.unwrap();
    until("it is parked", async || scene.row(&run).await.listing.status == Status::Waiting).await;
    let row = scene.row(&run).await;
    assert_eq!((row.owner, row.listing.note.as_str()), (None, "a: bake"));
    assert_eq!(engine.health().await.runs_in_memory, 0);
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("done".into()));
    assert!(began.elapsed() >= secs(3_600) && began.elapsed() < secs(3_602), "{:?}", began.elapsed());
    assert_eq!(scene.world.times("run a"), 2);
    let events = scene.events(&run).await;
    assert_eq!(count(&events, EventKind::StepStarted), 1);
}

#[tokio::test(start_paused = true)]
async fn durable_waits_are_written_with_what_lies_around_them() {
    let scene = Scene::new();
    let store = FaultStore::new(scene.memory.clone());
    let commits = commits(&store);
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            cx.sleep("bake", secs(60)).saving(&7).await?;
            Ok("done".into())
        })
    });
    let engine = scene.builder_on(store).start().await.unwrap();
    engine.run(one(), "k").await.unwrap().settled().await.unwrap();
    let commits = commits.lock().unwrap();
    // The wait, its checkpoint, its timer and giving the run back; then its end and the entry; then done and settled.
    assert_eq!(commits.len(), 3, "{commits:#?}");
    assert!(commits[0].release && commits[0].events.len() == 1);
    assert!(!commits[1].release && commits[1].events.len() == 1);
    assert!(commits[2].release && commits[2].events.len() == 2);
}

#[tokio::test(start_paused = true)]
async fn durable_waits_that_are_short_stay_in_memory() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            cx.sleep("nap", secs(5)).await?;
            cx.sleep("another", secs(4)).await?;
            Ok("done".into())
        })
    });
    let engine = scene.builder().park_after(secs(5)).start().await.unwrap();
    let run = engine.run(one(), "k").await.unwrap();
    run.settled().await.unwrap();
    assert_eq!(scene.world.times("run a"), 1);
    assert_eq!(count(&scene.events(&run).await, EventKind::WaitOver), 2);
}

#[tokio::test(start_paused = true)]
async fn durable_waits_in_memory_do_not_count_against_the_time_of_an_entry() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            cx.sleep("nap", secs(5)).await?;
            Ok("done".into())
        })
    });
    let p = Pipeline::new("one");
    p.step("a", Seen::new("a")).timeout(secs(2));
    let engine = scene.builder().park_after(secs(5)).start().await.unwrap();
    let run = engine.run(plan_of(p.build()), "k").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded(()));
}

#[test]
fn durable_waits_killed_at_every_await_end_with_each_effect_once_and_no_deadline_moved() {
    let scene = Scene::between_runtimes();
    scene.world.run("a", |cx, _| Box::pin(bakes(cx)));
    scene.world.observe("a", |_, _| Box::pin(async { Ok(towpath_step::Observed::NotDone) }));
    let run = scene.process(async |b| b.start().await.unwrap().run(one(), "k").await.unwrap().id());
    // Each process lives for 20 minutes of which some are within an hour's wait.
    for _ in 0..16 {
        scene.process(async |b| {
            let _engine = b.start().await.unwrap();
            tokio::time::sleep_until(tokio::time::Instant::now() + secs(1_200)).await;
        });
    }
    let events = scene.process(async |_| scene.events_of(run).await);
    assert_eq!(count(&events, EventKind::RunSettled), 1, "{events:#?}");
    let said = scene.world.said();
    let effects: Vec<_> = said.iter().filter(|l| l.starts_with("effect")).collect();
    let mut once = effects.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), 3);
    assert_eq!(effects.len(), 3, "{said:#?}");
    let untils: Vec<_> =
        events.iter().filter_map(|e| if let Event::WaitStarted(w) = e { w.until } else { None }).collect();
    assert_eq!(untils.len(), 3);
    for pair in untils.windows(2) {
        let apart = pair[1].since(pair[0]);
        assert!(apart >= secs(3_600) && apart <= secs(3_601), "{apart:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn durable_waits_end_with_a_signal_at_once() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
    let engine = scene.engine().await;
    let run = engine.run(one(), "k").await.unwrap();
    until("it is parked", async || scene.row(&run).await.listing.status == Status::Waiting).await;
    let began = tokio::time::Instant::now();
    run.signal("go", "now").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("now".into()));
    assert!(began.elapsed() < Duration::from_millis(20), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn durable_waits_take_a_signal_that_came_before() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            let world = cx.provider::<World>("world")?;
            while world.times("sent") == 0 {
                tokio::time::sleep_until(tokio::time::Instant::now() + secs(1)).await;
            }
            cx.signal::<String>("go").await
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(one(), "k").await.unwrap();
    run.signal("go", "early").await.unwrap();
    until("it is kept", async || count(&scene.events(&run).await, EventKind::SignalKept) == 1).await;
    scene.world.say("sent");
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("early".into()));
}

#[tokio::test(start_paused = true)]
async fn durable_waits_end_by_time_when_no_signal_comes() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            let came: Option<String> = cx.signal("go").within(secs(600)).await?;
            Ok(came.unwrap_or("nobody".into()))
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(one(), "k").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("nobody".into()));
}

#[tokio::test(start_paused = true)]
async fn durable_waits_signal_from_another_process_wakes_a_parked_run() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
    let engine = scene.engine().await;
    let other = scene.builder_on(scene.other_process()).background(false).start().await.unwrap();
    let run = engine.run(one(), "k").await.unwrap();
    until("it is parked", async || scene.row(&run).await.listing.status == Status::Waiting).await;
    let began = tokio::time::Instant::now();
    other.attach::<String>(run.id()).await.unwrap().signal("go", "from afar").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("from afar".into()));
    assert!(began.elapsed() < Duration::from_millis(150), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn durable_waits_time_out_while_the_engine_was_down() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            cx.sleep("bake", secs(60)).await?;
            Ok("done".into())
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(one(), "k").await.unwrap().id();
    until("it is parked", async || scene.status(run).await == Status::Waiting).await;
    engine.shutdown().await.unwrap();
    tokio::time::sleep_until(tokio::time::Instant::now() + secs(3_600)).await;
    let engine = scene.engine().await;
    let run = engine.attach::<String>(run).await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("done".into()));
}

#[tokio::test(start_paused = true)]
async fn time_that_jumps_forward_fires_early_and_within_the_clock_step() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            cx.sleep("bake", secs(86_400)).await?;
            Ok("done".into())
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(one(), "k").await.unwrap();
    until("it is parked", async || scene.row(&run).await.listing.status == Status::Waiting).await;
    // The machine was suspended for a day: the monotonic clock stood still.
    scene.clock.step(secs(86_400));
    let began = tokio::time::Instant::now();
    run.settled().await.unwrap();
    assert!(began.elapsed() <= secs(11), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn time_of_events_never_goes_back() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    let p = Pipeline::new("two");
    let a = p.step("a", Idem::new("a"));
    p.step("b", Idem::new("b").reading(&a));
    let clock = scene.clock.clone();
    scene.world.run("a", move |_, _| {
        clock.step_back(secs(3_600));
        Box::pin(async { Ok("x".into()) })
    });
    let run = engine.run(plan_of(p.build()), "k").await.unwrap();
    run.settled().await.unwrap();
    let no = scene.row(&run).await.no;
    let times: Vec<_> = stored(&*scene.memory, no)
        .await
        .iter()
        .map(|e| towpath_model::Header::decode(&e.header).unwrap().time)
        .collect();
    assert!(times.is_sorted(), "{times:?}");
}
