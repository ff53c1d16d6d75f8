//! The inbox: signals, approvals, verbs.

use crate::common::*;
use std::time::Duration;
use tokio::time::Instant;
use towpath_engine::{EngineErrorKind, Settled};
use towpath_model::{Actor, Event, EventKind, Message, Name, Status, StepId, Verb};
use towpath_step::{Pipeline, Plan};
use towpath_store::Store as _;

fn one() -> Plan<String> {
    let p = Pipeline::new("one");
    let a = p.step("a", Seen::new("a"));
    plan_of(p.output(&a).build())
}

fn two() -> Plan<String> {
    let p = Pipeline::new("two");
    let a = p.step("a", Idem::new("a"));
    let b = p.step("b", Idem::new("b").reading(&a));
    plan_of(p.output(&b).build())
}

#[tokio::test(start_paused = true)]
async fn inbox_verbs_are_answered_and_refusals_say_what_applies() {
    let scene = Scene::new();
    scene.world.run("a", |_, _| Box::pin(async { std::future::pending().await }));
    let engine = scene.engine().await;
    let run = engine.run(one(), "k").await.unwrap();
    let retry = Verb::Retry { step: None, new_key: false, from_scratch: false };
    let error = run.verb(retry, "").await.unwrap_err();
    assert_eq!(*error.kind(), EngineErrorKind::Refused);
    assert!(error.to_string().contains("what applies: pause, cancel"), "{error}");
    run.verb(Verb::Pause, "wait a moment").await.unwrap();
    run.verb(Verb::Pause, "it is true already").await.unwrap();
    let events = scene.events(&run).await;
    assert_eq!(count(&events, EventKind::VerbAnswered), 3);
}

#[tokio::test(start_paused = true)]
async fn inbox_headers_carry_who_sent() {
    let scene = Scene::new();
    let engine = scene.builder().actor(Actor::new("user:alice").unwrap()).start().await.unwrap();
    scene.world.run("a", |_, n| {
        Box::pin(async move {
            if n == 1 { Err(towpath_step::StepError::needs_operator("look at it")) } else { Ok("x".into()) }
        })
    });
    let run = engine.run(one(), "k").await.unwrap();
    assert!(matches!(run.settled().await.unwrap(), Settled::Stuck(_)));
    run.verb(Verb::Retry { step: None, new_key: false, from_scratch: false }, "looked").await.unwrap();
    run.settled().await.unwrap();
    let no = scene.row(&run).await.no;
    let actors: Vec<_> = stored(&*scene.memory, no)
        .await
        .iter()
        .map(|e| towpath_model::Header::decode(&e.header).unwrap())
        .map(|h| format!("{} {}", EventKind::from_code(h.kind).unwrap(), h.actor))
        .collect();
    assert_eq!(
        actors,
        [
            "run-started user:alice",
            "step-started engine",
            "step-failed engine",
            "verb-answered user:alice",
            "step-reset user:alice",
            "step-started engine",
            "step-done engine",
            "run-settled engine"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn inbox_pause_starts_nothing_new_and_resume_goes_on() {
    let scene = Scene::new();
    scene.world.run("a", |_, _| {
        Box::pin(async {
            tokio::time::sleep_until(Instant::now() + secs(10)).await;
            Ok("x".into())
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(two(), "k").await.unwrap();
    settle().await;
    run.verb(Verb::Pause, "").await.unwrap();
    until("it rests", async || scene.row(&run).await.owner.is_none()).await;
    assert_eq!(scene.world.said(), ["run a"]);
    assert_eq!(scene.row(&run).await.listing.status, Status::Paused);
    assert_eq!(engine.health().await.runs_in_memory, 0);
    run.verb(Verb::Resume, "").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("b done".into()));
}

#[tokio::test(start_paused = true)]
async fn inbox_an_approval_in_time_counts_though_the_engine_was_down() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            let said: Option<serde_json::Value> = cx.signal("approval").within(secs(60)).await?;
            Ok(if said.is_some() { "approved".into() } else { "expired".into() })
        })
    });
    let engine = scene.engine().await;
    let (in_time, late) =
        (engine.run(one(), "a").await.unwrap().id(), engine.run(one(), "b").await.unwrap().id());
    until("both wait", async || {
        scene.status(in_time).await == Status::Waiting && scene.status(late).await == Status::Waiting
    })
    .await;
    engine.shutdown().await.unwrap();
    // Somebody approves while no engine runs: one before its time is over, one after.
    let sender = scene.builder().background(false).start().await.unwrap();
    let approve =
        Message::Approval { step: StepId::new("a").unwrap(), approve: true, comment: String::new() };
    tokio::time::sleep_until(Instant::now() + secs(59)).await;
    sender.send(in_time, &approve, None).await.unwrap();
    tokio::time::sleep_until(Instant::now() + secs(2)).await;
    sender.send(late, &approve, None).await.unwrap();
    tokio::time::sleep_until(Instant::now() + secs(600)).await;
    let engine = scene.engine().await;
    let settled = async |run| engine.attach::<String>(run).await.unwrap().settled().await.unwrap();
    assert_eq!(settled(in_time).await, Settled::Succeeded("approved".into()));
    assert_eq!(settled(late).await, Settled::Succeeded("expired".into()));
}

#[tokio::test(start_paused = true)]
async fn inbox_signals_keep_their_order() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            let first: u32 = cx.signal("n").named("first").await?;
            let second: u32 = cx.signal("n").named("second").await?;
            Ok(format!("{first} {second}"))
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(one(), "k").await.unwrap();
    for n in 1..=2 {
        run.signal("n", &n).await.unwrap();
    }
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("1 2".into()));
}

#[tokio::test(start_paused = true)]
async fn inbox_a_message_with_a_known_id_is_ignored() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            let first: u32 = cx.signal("n").named("first").await?;
            let second: Option<u32> = cx.signal("n").named("second").within(secs(5)).await?;
            Ok(format!("{first} {second:?}"))
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(one(), "k").await.unwrap();
    let message = Message::Signal { name: Name::new("n").unwrap(), step: None, value: json("1") };
    for _ in 0..2 {
        engine.send(run.id(), &message, Some(Name::new("same").unwrap())).await.unwrap();
    }
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("1 None".into()));
}

#[tokio::test(start_paused = true)]
async fn inbox_of_a_run_in_memory_is_seen_when_another_process_writes() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            cx.cancelled().await;
            Ok("stopped".into())
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(one(), "k").await.unwrap();
    tokio::time::sleep_until(Instant::now() + secs(5)).await;
    let other = scene.builder_on(scene.other_process()).background(false).start().await.unwrap();
    let began = Instant::now();
    other.verb(run.id(), Verb::Cancel { unwind: true }, "").await.unwrap();
    assert!(matches!(run.settled().await.unwrap(), Settled::Cancelled(_)));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn inbox_of_a_run_that_is_over_says_so() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    let run = engine.run(one(), "k").await.unwrap();
    run.settled().await.unwrap();
    assert_eq!(*run.signal("n", &1).await.unwrap_err().kind(), EngineErrorKind::Settled);
    let error = engine.verb(towpath_model::RunId::from_bytes([9; 16]), Verb::Pause, "").await.unwrap_err();
    assert_eq!(*error.kind(), EngineErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn inbox_what_cannot_be_read_is_answered_and_harms_nobody() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move {
            cx.sleep("s", secs(10)).await?;
            Ok("x".into())
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(one(), "k").await.unwrap();
    let entry = towpath_model::NewEntry {
        dedupe_id: Name::new("odd").unwrap(),
        actor: Actor::new("user:bob").unwrap(),
        message: json("{\"from-the-future\":{}}"),
    };
    scene.memory.put_entry(run.id(), entry).await.unwrap();
    run.settled().await.unwrap();
    let events = scene.events(&run).await;
    assert!(events.iter().any(|e| matches!(e, Event::EntryRefused(e) if e.id.as_str() == "odd")));
}
