//! Freezes: nothing begins, what goes on pauses, and all goes on when they are lifted.

use crate::common::*;
use std::sync::Arc;
use towpath_engine::{EngineErrorKind, Freeze, Settled};
use towpath_model::{Event, EventKind, PipelineName, Status, Verb};
use towpath_step::{Handle, Pipeline, Plan, StepError, params};
use towpath_store::{Clock, NoteVersion, Store};
use towpath_testkit::{Call, Fault, FaultStore, Side};

fn plan(pipeline: &str) -> Plan<String> {
    let p = Pipeline::new(pipeline);
    let first: Handle<String> = p.step("first", Idem::new("first"));
    let second = p.step("second", Idem::new("second").reading(&first));
    plan_of(p.output(&second).build())
}

/// The first step ends when it is told to.
fn first_waits(scene: &Scene) -> Arc<tokio::sync::Notify> {
    let go = Arc::new(tokio::sync::Notify::new());
    let told = go.clone();
    scene.world.run("first", move |_, _| {
        let told = told.clone();
        Box::pin(async move {
            told.notified().await;
            Ok("done".into())
        })
    });
    go
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_under_a_freeze_and_what_goes_on_pauses_until_it_is_lifted() {
    let scene = Scene::new();
    let go = first_waits(&scene);
    let engine = scene.engine().await;
    let run = engine.run(plan("shop"), "before").await.unwrap();
    until("the first step runs", async || scene.world.times("run first") == 1).await;

    let told = engine.freeze(Freeze::all("black-friday", "no changes").unwrap()).await.unwrap();
    assert_eq!(told, [run.id()]);
    let error = engine.run(plan("shop"), "during").await.unwrap_err();
    assert_eq!(*error.kind(), EngineErrorKind::Frozen);
    let said = error.to_string();
    for part in ["a freeze holds it", "black-friday", "no changes", "os-user:", "despite the freeze"] {
        assert!(said.contains(part), "{said} says nothing of {part}");
    }
    // The same start again is the run that is there.
    assert_eq!(engine.run(plan("shop"), "before").await.unwrap().id(), run.id());

    let answered = async || count(&scene.events(&run).await, EventKind::VerbAnswered) == 1;
    until("the run was told", answered).await;
    go.notify_one();
    until("the run is paused", async || scene.status(run.id()).await == Status::Paused).await;
    assert_eq!(scene.world.times("run second"), 0);
    let reasons: Vec<String> = (scene.events(&run).await.into_iter())
        .filter_map(|event| match event {
            Event::VerbAnswered(e) => Some(e.reason),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, ["freeze black-friday: no changes"]);

    let told = engine.thaw("black-friday", "it is Monday").await.unwrap();
    assert_eq!(told, [run.id()]);
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("second done".to_owned()));
    assert!(engine.freezes().await.unwrap().is_empty());
    engine.run(plan("shop"), "during").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_freeze_holds_what_it_covers_and_an_override_is_journaled() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    let shop = Freeze::all("stocktaking", "counting").unwrap().pipeline(PipelineName::new("shop").unwrap());
    engine.freeze(shop.clone().label("region", "eu")).await.unwrap();
    engine.run(plan("cart"), "k").label("region", "eu").await.unwrap();
    engine.run(plan("shop"), "us").label("region", "us").await.unwrap();
    let held = engine.run(plan("shop"), "eu").label("region", "eu");
    assert_eq!(*held.await.unwrap_err().kind(), EngineErrorKind::Frozen);
    let run =
        engine.run(plan("shop"), "eu").label("region", "eu").despite_freeze("the fire is out").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("second done".to_owned()));
    let started = scene.events(&run).await.into_iter().find_map(|event| match event {
        Event::RunStarted(e) => Some(e),
        _ => None,
    });
    assert_eq!(started.unwrap().labels["despite-freeze"], "the fire is out");

    let twice = engine.freeze(shop).await.unwrap_err();
    assert_eq!(*twice.kind(), EngineErrorKind::Taken);
    assert!(twice.to_string().contains("lift it first"), "{twice}");
    let unknown = engine.thaw("stocktakin", "").await.unwrap_err();
    assert_eq!(unknown.to_string(), "lift a freeze: nothing has that name, freeze: stocktakin");
}

#[tokio::test(start_paused = true)]
async fn a_freeze_that_another_process_declared_holds_at_once_and_what_it_lifted_holds_no_more() {
    let scene = Scene::new();
    let (here, there) =
        (scene.engine().await, scene.builder_on(scene.other_process()).start().await.unwrap());
    there.freeze(Freeze::all("stop", "everything burns").unwrap()).await.unwrap();
    // No time has passed in which this engine could have looked.
    let held = here.run(plan("shop"), "k").await.unwrap_err();
    assert_eq!(*held.kind(), EngineErrorKind::Frozen);
    there.thaw("stop", "it is out").await.unwrap();
    here.run(plan("shop"), "k").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_freeze_that_comes_while_a_run_starts_holds_it_or_pauses_it() {
    for side in [Side::Before, Side::After] {
        let scene = Scene::new();
        first_waits(&scene);
        let store = FaultStore::new(scene.other_process());
        let engine = scene.builder_on(store.clone()).start().await.unwrap();
        let other = scene.engine().await;
        store.strike(side, 1, |call| matches!(call, Call::Start(_)), Fault::Late(secs(2)));
        let starting = tokio::spawn(async move { engine.run(plan("shop"), "k").await.map(|run| run.id()) });
        until("the start is under way", async || store.fired() == 1).await;
        let told = other.freeze(Freeze::all("stop", "").unwrap()).await.unwrap();
        match (side, starting.await.unwrap()) {
            // The store was not given it yet.
            (Side::Before, Err(error)) => {
                assert_eq!((error.kind(), told), (&EngineErrorKind::Frozen, vec![]));
            }
            // It was there before the freeze.
            (Side::After, Ok(run)) => assert_eq!(told, [run]),
            (side, started) => panic!("{side}: {started:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_over_older_freezes_is_made_again() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    // Somebody declares and lifts one that never held anything here.
    let other = scene.other_process();
    for version in 0..2 {
        let name = |word| towpath_model::Name::new(word).unwrap();
        let over = NoteVersion { kind: name("freeze"), name: name("all"), version };
        assert!(other.write_note(&over, "{\"format\":1,\"freezes\":[],\"acts\":[]}").await.unwrap());
    }
    let run = engine.run(plan("shop"), "k").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("second done".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_freeze_ends_by_itself_and_what_it_paused_goes_on() {
    let scene = Scene::new();
    let go = first_waits(&scene);
    let engine = scene.engine().await;
    let run = engine.run(plan("shop"), "k").await.unwrap();
    until("the first step runs", async || scene.world.times("run first") == 1).await;
    let end = scene.clock.now().plus(secs(3_600));
    engine.freeze(Freeze::all("lunch", "eating").unwrap().until(end)).await.unwrap();
    let answered = async || count(&scene.events(&run).await, EventKind::VerbAnswered) == 1;
    until("the run was told", answered).await;
    go.notify_one();
    until("the run is paused", async || scene.status(run.id()).await == Status::Paused).await;
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("second done".to_owned()));
    assert!(scene.clock.now() >= end);
    assert!(engine.freezes().await.unwrap().is_empty());
    let past = engine.freeze(Freeze::all("lunch", "").unwrap().until(end)).await.unwrap_err();
    assert!(past.to_string().contains("over already"), "{past}");
}

#[tokio::test(start_paused = true)]
async fn items_pause_with_their_run_and_a_run_that_was_paused_before_stays_paused() {
    let scene = Scene::new();
    let go = first_waits(&scene);
    let engine = scene.engine().await;
    let p = Pipeline::new("regions");
    let regions = p.param::<Vec<String>>("regions");
    p.for_each("deploy", &regions, |region| region, |p, _| p.step("first", Idem::new("first")));
    let deploy = p.build().unwrap().with(params! { regions: ["eu"] }).unwrap();
    let run = engine.run(deploy, "k").await.unwrap();
    until("the item runs", async || scene.world.times("run first") == 1).await;
    let other = engine.run(plan("shop"), "paused").await.unwrap();
    other.verb(Verb::Pause, "by hand").await.unwrap();
    until("the other is paused", async || scene.status(other.id()).await == Status::Paused).await;
    let told = engine.freeze(Freeze::all("stop", "").unwrap()).await.unwrap();
    assert_eq!((told.len(), told[0], told.contains(&other.id())), (2, run.id(), false));
    engine.thaw("stop", "").await.unwrap();
    go.notify_waiters();
    settle().await;
    assert_eq!(scene.status(other.id()).await, Status::Paused);
}

#[tokio::test(start_paused = true)]
async fn what_is_being_undone_is_undone_under_a_freeze() {
    let scene = Scene::new();
    scene.world.run("second", |_, _| Box::pin(async { Err(StepError::permanent("no")) }));
    let go = Arc::new(tokio::sync::Notify::new());
    let told = go.clone();
    scene.world.undo("first", move |_, _| {
        let told = told.clone();
        Box::pin(async move {
            told.notified().await;
            Ok(())
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(plan("shop"), "k").await.unwrap();
    until("it unwinds", async || scene.world.times("undo first") == 1).await;
    until("the list says so", async || scene.status(run.id()).await == Status::Unwinding).await;
    assert_eq!(engine.freeze(Freeze::all("stop", "").unwrap()).await.unwrap(), []);
    go.notify_one();
    assert!(matches!(run.settled().await.unwrap(), Settled::Compensated(_)));
}
