//! Steps in doubt, dead processes, lost leases.

use crate::common::*;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use towpath_engine::Settled;
use towpath_model::{Ended, Event, EventKind, ResolveAs, Status, Verb};
use towpath_step::{Observed, Pipeline, Plan, StepError};
use towpath_store::Store as _;

fn plan(kind: &str) -> Plan<String> {
    let p = Pipeline::new("doubt");
    let a = match kind {
        "idem" => p.step("a", Idem::new("a")),
        "seen" => p.step("a", Seen::new("a")),
        "local" => p.step("a", Local::new("a")),
        "asks" => p.step("a", Asks::new("a")),
        _ => p.step("a", Image::new("a")),
    };
    plan_of(p.output(&a).build())
}

async fn long() {
    tokio::time::sleep_until(Instant::now() + secs(30)).await;
}

/// Starts a run of which the only step is under way when its process is killed.
fn killed_while_running(scene: &Scene, kind: &str) -> towpath_model::RunId {
    scene.world.run("a", |_, n| {
        Box::pin(async move {
            if n == 1 {
                std::future::pending::<()>().await;
            }
            Ok("done".into())
        })
    });
    scene.process(async |b| {
        let engine = b.start().await.unwrap();
        let run = engine.run(plan(kind), "k").await.unwrap();
        settle().await;
        assert_eq!(scene.world.said().last().map(String::as_str), Some("run a"));
        run.id()
    })
}

#[test]
fn in_doubt_after_a_death_the_world_is_asked_before_anything_else() {
    let scene = Scene::between_runtimes();
    scene.world.observe("a", |_, _| Box::pin(async { Ok(Observed::Done("seen".into())) }));
    let run = killed_while_running(&scene, "seen");
    let settled = scene.process(async |b| {
        let engine = b.start().await.unwrap();
        engine.attach::<String>(run).await.unwrap().settled().await.unwrap()
    });
    assert_eq!(settled, Settled::Succeeded("seen".into()));
    assert_eq!(scene.world.said(), ["run a", "observe a"]);
}

#[test]
fn in_doubt_not_done_begins_another_attempt_with_the_same_keys() {
    let scene = Scene::between_runtimes();
    let run = killed_while_running(&scene, "seen");
    scene.process(async |b| {
        let engine = b.start().await.unwrap();
        let run = engine.attach::<String>(run).await.unwrap();
        assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("done".into()));
        let events = scene.events(&run).await;
        assert_eq!(count(&events, EventKind::StepStarted), 2);
    });
    assert_eq!(scene.world.said(), ["run a", "observe a", "run a"]);
}

#[test]
fn in_doubt_an_idempotent_step_is_entered_again_at_once_in_the_same_attempt() {
    let scene = Scene::between_runtimes();
    let run = killed_while_running(&scene, "idem");
    scene.process(async |b| {
        let engine = b.start().await.unwrap();
        let run = engine.attach::<String>(run).await.unwrap();
        let began = Instant::now();
        run.settled().await.unwrap();
        assert!(began.elapsed() < Duration::from_millis(100));
        assert_eq!(count(&scene.events(&run).await, EventKind::StepStarted), 1);
    });
    assert_eq!(scene.world.said(), ["run a", "run a"]);
}

#[test]
fn in_doubt_an_operator_says_what_happened() {
    let scene = Scene::between_runtimes();
    let run = killed_while_running(&scene, "asks");
    scene.process(async |b| {
        let engine = b.start().await.unwrap();
        let run = engine.attach::<String>(run).await.unwrap();
        let Settled::Stuck(why) = run.settled().await.unwrap() else { panic!("it rests") };
        assert!(why.to_string().contains("its process died"), "{why}");
        let to = ResolveAs::Done(json("\"by hand\""));
        run.verb(Verb::Resolve { step: None, to }, "looked at the console").await.unwrap();
        assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("by hand".into()));
    });
    assert_eq!(scene.world.said(), ["run a"]);
}

#[test]
fn in_doubt_a_before_image_is_taken_once() {
    let scene = Scene::between_runtimes();
    let run = killed_while_running(&scene, "image");
    scene.process(async |b| {
        let engine = b.start().await.unwrap();
        let run = engine.attach::<String>(run).await.unwrap();
        run.settled().await.unwrap();
        let events = scene.events(&run).await;
        let Some(Event::StepStarted(first)) = events.iter().find(|e| e.kind() == EventKind::StepStarted)
        else {
            panic!("there is an intent")
        };
        assert_eq!(first.before.as_ref().unwrap().inline().unwrap().as_str(), "\"image 1\"");
    });
    assert_eq!(scene.world.said(), ["before a", "run a", "observe a", "run a"]);
}

#[test]
fn proof_of_death_lets_a_local_step_go_on_at_once() {
    let scene = Scene::between_runtimes();
    let run = killed_while_running(&scene, "local");
    scene.process(async |b| {
        let engine = b.settle_after(secs(10)).start().await.unwrap();
        let began = Instant::now();
        engine.attach::<String>(run).await.unwrap().settled().await.unwrap();
        assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
    });
}

#[test]
fn proof_of_death_does_not_call_back_a_request_that_was_sent() {
    let scene = Scene::between_runtimes();
    let run = killed_while_running(&scene, "seen");
    scene.process(async |b| {
        let engine = b.settle_after(secs(10)).start().await.unwrap();
        let began = Instant::now();
        engine.attach::<String>(run).await.unwrap().settled().await.unwrap();
        // The heartbeat was at the beginning, and the process died at once.
        assert!(began.elapsed() >= secs(9) && began.elapsed() <= secs(11), "{:?}", began.elapsed());
    });
}

/// A process that may still live: also what cannot outlive it is asked about only when it has been silent for long.
#[test]
fn proof_of_death_missing_the_lease_expires_and_the_world_settles_first() {
    ["seen", "local"].into_iter().for_each(silent_for_long);
}

fn silent_for_long(kind: &str) {
    let scene = Scene::between_runtimes();
    scene.world.run("a", |_, n| {
        Box::pin(async move {
            if n == 1 {
                std::future::pending::<()>().await;
            }
            Ok("done".into())
        })
    });
    let run = scene.process_that_vanishes(async |b| {
        let engine = b.start().await.unwrap();
        let run = engine.run(plan(kind), "k").await.unwrap();
        settle().await;
        run.id()
    });
    scene.process(async |b| {
        let engine = b.settle_after(secs(14)).start().await.unwrap();
        let began = Instant::now();
        let run = engine.attach::<String>(run).await.unwrap();
        until("it is asked", async || scene.world.times("observe a") == 1).await;
        // 10 s of lease, and 14 s since the process was last known alive.
        assert!(began.elapsed() >= secs(14) && began.elapsed() <= secs(15), "{:?}", began.elapsed());
        run.settled().await.unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn in_doubt_by_timeout_is_asked_in_the_same_process_once_the_body_is_gone() {
    struct Gone(Arc<World>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.say("gone");
        }
    }
    let scene = Scene::new();
    scene.world.run("a", |cx, n| {
        Box::pin(async move {
            let _gone = Gone(cx.provider::<World>("world")?);
            if n == 1 {
                long().await;
            }
            Ok("done".into())
        })
    });
    let p = Pipeline::new("doubt");
    let a = p.step("a", Seen::new("a")).timeout(secs(3));
    let engine = scene.engine().await;
    let run = engine.run(plan_of(p.output(&a).build()), "k").await.unwrap();
    let began = Instant::now();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("done".into()));
    assert!(began.elapsed() >= secs(3) && began.elapsed() < secs(4), "{:?}", began.elapsed());
    assert_eq!(scene.world.said(), ["run a", "gone", "observe a", "run a", "gone"]);
}

#[tokio::test(start_paused = true)]
async fn in_doubt_by_a_panic_keeps_its_message_and_the_engine_lives() {
    let scene = Scene::new();
    scene.world.run("a", |_, n| {
        Box::pin(async move {
            assert!(n > 1, "the first try panics");
            Ok("done".into())
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(plan("idem"), "k").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("done".into()));
    let events = scene.events(&run).await;
    let Some(Event::StepInDoubt(doubt)) = events.iter().find(|e| e.kind() == EventKind::StepInDoubt) else {
        panic!("it was in doubt")
    };
    assert_eq!(doubt.ended, Ended::Panicked);
    assert!(doubt.failure.as_ref().unwrap().to_string().contains("the first try panics"));
}

#[tokio::test(start_paused = true)]
async fn in_doubt_by_an_unknown_answer_is_asked_until_it_is_known() {
    let scene = Scene::new();
    scene.world.run("a", |_, _| Box::pin(async { Err(StepError::unknown("the answer was lost")) }));
    scene.world.observe("a", |_, n| {
        Box::pin(async move {
            match n {
                1 => Ok(Observed::Unknown("not yet".into())),
                2 => Err(StepError::transient("unreachable")),
                3 => panic!("an observation that panics"),
                _ => Ok(Observed::Done("seen".into())),
            }
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(plan("seen"), "k").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("seen".into()));
    assert_eq!(scene.world.times("run a"), 1);
    assert_eq!(scene.world.times("observe a"), 4);
}

#[tokio::test(start_paused = true)]
async fn in_doubt_and_taken_over_rests_and_is_handed_back() {
    let scene = Scene::new();
    scene.world.run("a", |_, n| {
        Box::pin(async move { if n == 1 { Err(StepError::unknown("lost")) } else { Ok("done".into()) } })
    });
    scene.world.observe("a", |_, _| Box::pin(async { Ok(Observed::TakenOver(json("{\"by\":\"alice\"}"))) }));
    let engine = scene.engine().await;
    let run = engine.run(plan("image"), "k").await.unwrap();
    let Settled::Stuck(why) = run.settled().await.unwrap() else { panic!("it rests") };
    assert!(why.to_string().contains("alice") && why.verbs.contains(&"handback"), "{why}");
    run.verb(Verb::Handback { step: None }, "go on from there").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("done".into()));
    assert_eq!(scene.world.times("before a"), 2);
}

#[tokio::test(start_paused = true)]
async fn taken_over_may_be_said_by_the_body_itself() {
    let scene = Scene::new();
    scene.world.run("a", |_, n| {
        Box::pin(async move { if n == 1 { Err(StepError::taken_over("alice")) } else { Ok("done".into()) } })
    });
    let engine = scene.engine().await;
    let run = engine.run(plan("image"), "k").await.unwrap();
    let Settled::Stuck(why) = run.settled().await.unwrap() else { panic!("it rests") };
    assert!(why.to_string().contains("alice") && why.verbs.contains(&"handback"), "{why}");
    assert_eq!(scene.world.times("observe a"), 0, "its author has said what is there");
    run.verb(Verb::Handback { step: None }, "go on from there").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("done".into()));
    assert_eq!(scene.world.times("before a"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_renewed_is_let_go_before_it_ends() {
    struct Gone(Arc<World>, Instant);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.say(format!("gone after {}", self.1.elapsed().as_secs()));
        }
    }
    let scene = Scene::new();
    let began = Instant::now();
    scene.world.run("a", move |cx, n| {
        Box::pin(async move {
            let _gone = Gone(cx.provider::<World>("world")?, began);
            if n == 1 {
                std::future::pending::<()>().await;
            }
            Ok("done".into())
        })
    });
    let store = FaultStore::new(scene.other_process());
    let cut_off = Arc::new(AtomicBool::new(false));
    let is_cut_off = cut_off.clone();
    store.hook(move |_, _| is_cut_off.load(Ordering::SeqCst).then_some(Fault::AWAY));
    let engine = scene.builder_on(store.clone()).start().await.unwrap();
    let first = engine.worker();
    let run = engine.run(plan("seen"), "k").await.unwrap();
    settle().await;
    let other = scene.engine().await;
    tokio::time::sleep_until(Instant::now() + secs(1)).await;
    cut_off.store(true, Ordering::SeqCst);
    // The other engine takes the run over when the lease has ended; by then the body is gone for two seconds.
    let seen = other.attach::<String>(run.id()).await.unwrap();
    assert_eq!(seen.settled().await.unwrap(), Settled::Succeeded("done".into()));
    let (said, took) = (scene.world.said(), began.elapsed());
    assert_eq!(said[..2], ["run a", "gone after 8"]);
    assert_eq!(said[2], "observe a");
    assert!(took >= secs(10) && took < secs(12), "{took:?}");
    assert!(store.fired() > 0);
    // What was cut off registers again, under another name, and drives what is there.
    cut_off.store(false, Ordering::SeqCst);
    let again = engine.run(plan("idem"), "after").await.unwrap();
    assert_eq!(again.settled().await.unwrap(), Settled::Succeeded("done".into()));
    assert_ne!(engine.worker(), first);
    assert_eq!(scene.status(run.id()).await, Status::Settled);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_taken_over_cannot_write() {
    let scene = Scene::new();
    let (release, released) = tokio::sync::watch::channel(false);
    scene.world.run("a", move |_, n| {
        let mut released = released.clone();
        Box::pin(async move {
            if n == 1 {
                released.wait_for(|r| *r).await.unwrap();
                return Ok("too late".into());
            }
            Ok("in time".into())
        })
    });
    let store = FaultStore::new(scene.other_process());
    let engine = scene.builder_on(store.clone()).start().await.unwrap();
    let run = engine.run(plan("idem"), "k").await.unwrap();
    settle().await;
    // Somebody claims it, as when this worker's deadline had passed.
    let row = scene.row(&run).await;
    scene.memory.retire(row.owner.as_ref().unwrap()).await.unwrap();
    let other = scene.engine().await;
    let seen = other.attach::<String>(run.id()).await.unwrap();
    assert_eq!(seen.settled().await.unwrap(), Settled::Succeeded("in time".into()));
    release.send(true).unwrap();
    settle().await;
    assert_eq!(count(&scene.events(&run).await, EventKind::StepDone), 1);
    // The handle of the worker that lost it sees the end all the same.
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("in time".into()));
    assert_eq!(engine.health().await.runs_in_memory, 0);
}

#[tokio::test(start_paused = true)]
async fn an_operators_output_has_the_shape_of_the_kinds_output() {
    let scene = Scene::new();
    scene
        .world
        .run("a", |_, _| Box::pin(async { Err(towpath_step::StepError::needs_operator("who knows")) }));
    let p = towpath_step::Pipeline::new("reads");
    let a = p.step("a", Idem::new("a"));
    let b = p.step("b", Look::new("b").reading(&a));
    let plan = p.output(&b).build().unwrap().plan().unwrap();
    let engine = scene.engine().await;
    let run = engine.run(plan, "k").await.unwrap();
    let stands = async |status| {
        until("it stands so", async || scene.status(run.id()).await == status).await;
    };
    stands(towpath_model::Status::Stuck).await;
    for step in [None, Some(towpath_model::StepId::new("a").unwrap())] {
        let wrong = towpath_model::Verb::Skip { step, output: Some(json("{\"no\":1}")) };
        let why = run.verb(wrong, "by hand").await.unwrap_err().to_string();
        assert!(
            why.contains("it is no output of a, a test.idem/v1: invalid type: map, expected a string"),
            "{why}"
        );
    }
    let right = towpath_model::Verb::Skip { step: None, output: Some(json("\"by hand\"")) };
    run.verb(right, "by hand").await.unwrap();
    stands(towpath_model::Status::Settled).await;
    engine.shutdown().await.unwrap();
}
