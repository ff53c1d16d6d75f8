//! Locks, driven: one run at a time, in the order in which they ask, whatever happens to who holds them.

use crate::common::*;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};
use towpath_engine::Settled;
use towpath_machine::Mover;
use towpath_model::{Event, EventKind, Message, RunId, Status, Verb};
use towpath_step::{Draft, Handle, Pipeline, Plan, StepError, params};
use towpath_store::Store;

/// `build`, then `deploy` and `smoke` under a lock, then `tell`.
fn shop() -> Plan<String> {
    let p = Pipeline::new("shop");
    let build = p.step("build", Look::new("build"));
    let live = p.holding("production", |p| {
        let deploy = p.step("deploy", Idem::new("deploy")).after(&build);
        p.step("smoke", Look::new("smoke").reading(&deploy))
    });
    let told = p.step("tell", Look::new("tell").reading(&live));
    p.output(&told).build().unwrap().plan().unwrap()
}

/// Has `deploy` and `smoke` say who is inside: the fencing number of each, in order, and whether two ever were.
fn watched(scene: &Scene) -> Arc<Mutex<(Vec<u64>, BTreeSet<String>)>> {
    let seen: Arc<Mutex<(Vec<u64>, BTreeSet<String>)>> = Arc::default();
    let (enter, leave) = (seen.clone(), seen.clone());
    scene.world.run("deploy", move |cx, _| {
        let seen = enter.clone();
        Box::pin(async move {
            let fence = cx.fencing("production")?;
            {
                let mut seen = seen.lock().unwrap();
                // It is entered twice: before and after its wait.
                if seen.1.insert(cx.run_id().to_string()) {
                    seen.0.push(fence);
                }
                assert_eq!(seen.1.len(), 1, "two are inside");
            }
            cx.sleep("bake", Duration::from_secs(60)).await?;
            Ok(fence.to_string())
        })
    });
    scene.world.run("smoke", move |cx, _| {
        let seen = leave.clone();
        Box::pin(async move {
            assert!(seen.lock().unwrap().1.remove(&cx.run_id().to_string()), "who leaves was inside");
            Ok("well".into())
        })
    });
    seen
}

/// Returns when a run stands so.
async fn stands(scene: &Scene, run: RunId, status: Status) {
    until(&format!("it is {status}"), async || scene.status(run).await == status).await;
}

#[tokio::test(start_paused = true)]
async fn one_run_at_a_time_holds_a_lock_in_the_order_in_which_they_ask() {
    let scene = Scene::new();
    let seen = watched(&scene);
    let engine = scene.engine().await;
    let mut runs = Vec::new();
    for n in 0..6 {
        runs.push(engine.run(shop(), format!("run-{n}").as_str()).await.unwrap());
    }
    for run in &runs {
        assert!(matches!(run.settled().await.unwrap(), Settled::Succeeded(_)));
    }
    assert_eq!(seen.lock().unwrap().0, [1, 2, 3, 4, 5, 6]);
    assert_eq!(scene.memory.locks().await.unwrap(), []);
    let kinds = scene.events_of(runs[1].id()).await;
    let kinds: Vec<_> = kinds.iter().map(Event::kind).collect();
    let place = |kind| kinds.iter().position(|k| *k == kind).unwrap();
    assert!(place(EventKind::LocksAsked) < place(EventKind::LocksTaken));
    engine.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_lock_needs_no_process_and_is_woken_by_its_return() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    scene.world.run("deploy", |cx, _| Box::pin(async { cx.signal::<String>("go").await }));
    let first = engine.run(shop(), "first").await.unwrap();
    stands(&scene, first.id(), Status::Waiting).await;
    let second = engine.run(shop(), "second").await.unwrap();
    stands(&scene, second.id(), Status::Waiting).await;
    let row = scene.memory.find(second.id()).await.unwrap().unwrap();
    assert_eq!((row.listing.note.as_str(), row.wake_at), ("the lock production", None));
    let explained = engine.explain(second.id()).await.unwrap();
    assert!(matches!(&explained.waits[0].mover, Mover::Locks(locks) if locks[0].as_str() == "production"));
    let held = format!("production is held by run {} of shop", first.id());
    assert!(explained.to_string().contains(&held), "{explained}");
    let locks = engine.locks().await.unwrap();
    assert_eq!((locks[0].holder.unwrap().0, locks[0].queue[0].0), (first.id(), second.id()));
    for run in [&first, &second] {
        run.signal("go", &"now").await.unwrap();
        assert!(matches!(run.settled().await.unwrap(), Settled::Succeeded(_)));
    }
    engine.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_run_that_unwinds_keeps_its_lock_until_what_it_did_is_undone() {
    let scene = Scene::new();
    let memory = scene.memory.clone();
    scene.world.run("smoke", |_, _| Box::pin(async { Err(StepError::permanent("not well")) }));
    scene.world.undo("deploy", move |cx, _| {
        let memory = memory.clone();
        Box::pin(async move {
            let row = memory.locks().await.unwrap().remove(0);
            assert_eq!((row.holder.unwrap().0, row.fence), (cx.run_id(), cx.fencing("production")?));
            Ok(())
        })
    });
    let engine = scene.engine().await;
    let (first, second) =
        (engine.run(shop(), "first").await.unwrap(), engine.run(shop(), "second").await.unwrap());
    for run in [&first, &second] {
        assert!(matches!(run.settled().await.unwrap(), Settled::Compensated(_)));
    }
    assert_eq!(scene.world.times("undo deploy"), 2);
    engine.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn items_act_under_the_lock_of_the_run_that_they_belong_to() {
    let scene = Scene::new();
    scene.world.run("apply", |cx, _| Box::pin(async { Ok(cx.fencing("production")?.to_string()) }));
    let p = Pipeline::new("regions");
    let list = p.param::<Vec<String>>("regions");
    let live = p.for_each(
        "regions",
        &list,
        |region| region,
        |p: &Draft, _: &Handle<String>| p.holding("production", |p| p.step("apply", Idem::new("apply"))),
    );
    let plan = p.output(&live).build().unwrap();
    let plan = plan.with(params! { regions: vec!["eu".to_owned(), "us".to_owned()] }).unwrap();
    let engine = scene.engine().await;
    let run = engine.run(plan, "k").await.unwrap();
    match run.settled().await.unwrap() {
        Settled::Succeeded(fences) => assert_eq!(fences, ["1", "1"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(scene.memory.locks().await.unwrap(), []);
    engine.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_released_by_force_goes_to_the_next_and_is_taken_again() {
    let scene = Scene::new();
    scene.world.run("deploy", |cx, n| {
        Box::pin(async move {
            if n == 1 {
                return Err(StepError::needs_operator("half of it is there"));
            }
            Ok(cx.fencing("production")?.to_string())
        })
    });
    let engine = scene.engine().await;
    let first = engine.run(shop(), "first").await.unwrap();
    stands(&scene, first.id(), Status::Stuck).await;
    let second = engine.run(shop(), "second").await.unwrap();
    stands(&scene, second.id(), Status::Waiting).await;
    let verb = |verb| Message::Verb { verb, reason: "looked at it".into() };
    let lock = towpath_model::Name::new("production").unwrap();
    engine.send(first.id(), &verb(Verb::ReleaseLock { lock }), None).await.unwrap();
    assert!(matches!(second.settled().await.unwrap(), Settled::Succeeded(_)));
    let retry = Verb::Retry { step: None, new_key: false, from_scratch: false };
    engine.send(first.id(), &verb(retry), None).await.unwrap();
    stands(&scene, first.id(), Status::Settled).await;
    let taken: Vec<u64> = scene
        .events_of(first.id())
        .await
        .iter()
        .filter_map(|event| match event {
            Event::LocksTaken(e) => Some(e.locks[0].1),
            _ => None,
        })
        .collect();
    assert_eq!(taken, [1, 3]);
    engine.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn giving_up_a_run_that_nobody_can_fold_frees_its_lock() {
    let scene = Scene::new();
    scene.world.run("deploy", |cx, n| {
        Box::pin(async move {
            if n > 1 {
                return Ok("done".into());
            }
            cx.signal::<String>("go").await
        })
    });
    let engine = scene.engine().await;
    let first = engine.run(shop(), "first").await.unwrap();
    stands(&scene, first.id(), Status::Waiting).await;
    let second = engine.run(shop(), "second").await.unwrap();
    stands(&scene, second.id(), Status::Waiting).await;
    engine.shutdown().await.unwrap();

    // Somebody else appends what this release does not know.
    crate::quarantine::append(&scene, first.id(), 999).await;
    let engine = scene.engine().await;
    stands(&scene, first.id(), Status::Quarantined).await;
    let explained = engine.explain(second.id()).await.unwrap().to_string();
    assert!(explained.contains("which is quarantined"), "{explained}");
    let abandon = Message::Verb { verb: Verb::Abandon, reason: "gone".into() };
    engine.send(first.id(), &abandon, None).await.unwrap();
    stands(&scene, second.id(), Status::Settled).await;
    engine.shutdown().await.unwrap();
}
