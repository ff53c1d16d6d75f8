//! Items that are told to undo what they did after they had succeeded, and parents that nobody can fold.

use crate::{common::*, quarantine::append};
use towpath_engine::{Engine, Settled, Until};
use towpath_model::{
    Actor, Event, EventKind, Message, Name, NewEntry, Order, RunId, Seq, Status, Verb, WorkerId,
};
use towpath_step::{Draft, Handle, Pipeline, Plan, StepError, params, steps};
use towpath_store::{Claim, Filter, Level, Page, Store, Transition, Wake};

/// `apply` in each region, then `after`.
fn deploy(regions: &[&str]) -> Plan<Vec<String>> {
    let p = Pipeline::new("deploy");
    let given: Vec<String> = regions.iter().map(ToString::to_string).collect();
    let list = p.param::<Vec<String>>("regions");
    let each = |p: &Draft, _: &Handle<String>| p.step("apply", Idem::new("apply"));
    let live = p.for_each("regions", &list, |region| region, each).parallel(2);
    p.step("after", Look::new("after")).after(&live);
    p.output(&live).build().unwrap().with(params! { regions: given }).unwrap()
}

/// The items, the oldest first.
async fn items(scene: &Scene, parent: RunId) -> Vec<RunId> {
    let filter = Filter { level: Level::ItemsOf(parent), ..Filter::default() };
    let rows = scene.memory.list(&filter, Page { after: None, limit: 1_000 }).await.unwrap();
    rows.iter().rev().map(|row| row.run).collect()
}

async fn outcome(scene: &Scene, run: RunId) -> &'static str {
    let row = scene.memory.find(run).await.unwrap().unwrap();
    row.listing.outcome.map_or("open", |outcome| outcome.word())
}

fn entry(dedupe_id: &str, message: &Message) -> NewEntry {
    NewEntry {
        dedupe_id: Name::new(dedupe_id).unwrap(),
        actor: Actor::engine(),
        message: towpath_model::Json::of(message).unwrap(),
    }
}

/// A run of whose single item `apply` is done, and whose `after` waits.
async fn item_is_over(scene: &Scene, engine: &Engine) -> (towpath_engine::Run<Vec<String>>, RunId) {
    scene.world.run("after", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
    let run = engine.run(deploy(&["eu"]), "k").await.unwrap();
    until("it waits", async || scene.status(run.id()).await == Status::Waiting).await;
    let item = items(scene, run.id()).await[0];
    assert_eq!(outcome(scene, item).await, "succeeded");
    (run, item)
}

/// Writes an item's orders as its parent would, under a lease of its own.
async fn recall(scene: &Scene, by: RunId, entries: Vec<(RunId, NewEntry)>) {
    let worker = WorkerId::new("parents").unwrap();
    let no = scene.memory.find(by).await.unwrap().unwrap().no;
    scene.memory.register(&worker, secs(10)).await.unwrap();
    scene
        .memory
        .put_entry(
            by,
            entry("wake up", &Message::Parent { order: Order::Cancel, fencing: Default::default() }),
        )
        .await
        .unwrap();
    let claim = Claim { worker: worker.clone(), limit: 1, only: Some(by) };
    let claimed = scene.memory.claim(claim).await.unwrap().remove(0);
    let head = scene.memory.head(no).await.unwrap();
    let transition = Transition {
        recall: entries,
        wake: Wake::Never,
        release: true,
        ..Transition::new(no, claimed.epoch, head.seq, head.hash)
    };
    scene.memory.commit(vec![transition]).await.unwrap().remove(0).unwrap();
    scene.memory.retire(&worker).await.unwrap();
}

/// More unread signals than are read at once stand before the order, and the item's process ends with each reading.
#[tokio::test(start_paused = true)]
async fn an_order_behind_many_signals_reaches_an_item_that_is_over() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    let (run, item) = item_is_over(&scene, &engine).await;
    engine.shutdown().await.unwrap();
    let signal = |i: usize| {
        let (name, value) = (Name::new("noise").unwrap(), json("1"));
        entry(&format!("noise/{i}"), &Message::Signal { name, step: None, value })
    };
    let mut entries: Vec<_> = (0..700).map(|i| (item, signal(i))).collect();
    entries.push((
        item,
        entry("the order", &Message::Parent { order: Order::Unwind, fencing: Default::default() }),
    ));
    recall(&scene, run.id(), entries).await;
    let _engine = scene.engine().await;
    until("it is undone", async || outcome(&scene, item).await == "compensated").await;
    assert_eq!(scene.world.times("undo apply"), 1);
}

#[tokio::test(start_paused = true)]
async fn every_order_goes_to_items_one_way_and_is_followed_in_turn() {
    let scene = Scene::new();
    scene.world.run("apply", |cx, n| {
        Box::pin(async move {
            if n == 1 {
                return Ok("quick".into());
            }
            cx.cancelled().await;
            Err(StepError::transient("stopped"))
        })
    });
    let store = FaultStore::new(scene.memory.clone());
    let written = commits(&store);
    let engine = scene.builder_on(store.clone()).start().await.unwrap();
    let run = engine.run(deploy(&["eu", "us"]), "k").await.unwrap();
    until("they run", async || scene.world.times("run apply") == 2).await;
    run.verb(Verb::Cancel { unwind: true }, "no").await.unwrap();
    run.settled().await.unwrap();
    let parents = |entries: &[(RunId, NewEntry)]| {
        entries.iter().filter(|(_, e)| e.dedupe_id.as_str().starts_with("parent/")).count()
    };
    let commits = written.lock().unwrap();
    assert_eq!(commits.iter().map(|t| parents(&t.recall)).sum::<usize>(), 2);
    assert_eq!(commits.iter().map(|t| parents(&t.send)).sum::<usize>(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_recalled_item_waits_for_a_worker_that_knows_what_undoes_it() {
    let scene = Scene::new();
    let p = Pipeline::new("rare");
    let list = p.param::<Vec<String>>("regions");
    let each = |p: &Draft, _: &Handle<String>| p.step("apply", Rare::new("apply"));
    let live = p.for_each("regions", &list, |region| region, each);
    p.step("after", Look::new("after")).after(&live);
    let plan = p.output(&live).build().unwrap().with(params! { regions: vec!["eu".to_owned()] }).unwrap();
    scene.world.run("after", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
    let knows = scene.builder().steps(steps![Rare]).start().await.unwrap();
    let run = knows.run(plan, "k").await.unwrap();
    until("it waits", async || scene.status(run.id()).await == Status::Waiting).await;
    let item = items(&scene, run.id()).await[0];
    knows.shutdown().await.unwrap();
    let order = entry("the order", &Message::Parent { order: Order::Unwind, fencing: Default::default() });
    recall(&scene, run.id(), vec![(item, order)]).await;
    let lacks = scene.engine().await;
    until("it is blocked", async || scene.status(item).await == Status::Blocked).await;
    let note = scene.memory.find(item).await.unwrap().unwrap().listing.note;
    assert!(note.contains("step apply: the kind test.rare/v1 is not known here"), "{note}");
    lacks.shutdown().await.unwrap();
    let _knows = scene.builder().steps(steps![Rare]).start().await.unwrap();
    until("it is undone", async || outcome(&scene, item).await == "compensated").await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_a_recalled_item_whose_answer_is_lost_is_found_by_a_sweep() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    let (run, item) = item_is_over(&scene, &engine).await;
    engine.shutdown().await.unwrap();
    let order = entry("the order", &Message::Parent { order: Order::Unwind, fencing: Default::default() });
    recall(&scene, run.id(), vec![(item, order)]).await;
    let store = FaultStore::new(scene.memory.clone());
    store.strike(Side::After, 1, |call| matches!(call, Call::Claim), Fault::AWAY);
    let _engine = scene.builder_on(store.clone()).start().await.unwrap();
    until("it is undone", async || outcome(&scene, item).await == "compensated").await;
    assert_eq!(store.fired(), 1);
}

/// Sets a run aside as a driver does that cannot fold it, with its inbox unread.
async fn quarantine(scene: &Scene, run: RunId) {
    let worker = WorkerId::new("cannot").unwrap();
    scene.memory.register(&worker, secs(10)).await.unwrap();
    let claim = Claim { worker: worker.clone(), limit: 1, only: Some(run) };
    let claimed = scene.memory.claim(claim).await.unwrap().remove(0);
    scene.memory.quarantine(claimed.no, claimed.epoch, Seq(0), "a test", None).await.unwrap();
    scene.memory.retire(&worker).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_recalled_item_that_was_quarantined_is_retried_and_undone() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    let (run, item) = item_is_over(&scene, &engine).await;
    engine.shutdown().await.unwrap();
    let order = entry("the order", &Message::Parent { order: Order::Unwind, fencing: Default::default() });
    recall(&scene, run.id(), vec![(item, order)]).await;
    quarantine(&scene, item).await;
    let engine = scene.engine().await;
    let retry = Verb::Retry { step: None, new_key: false, from_scratch: false };
    engine.verb(item, retry, "upgraded").await.unwrap();
    until("it is undone", async || outcome(&scene, item).await == "compensated").await;
    let kinds: Vec<_> = scene.events_of(item).await.iter().map(Event::kind).collect();
    let again = [EventKind::RunSettled, EventKind::ParentOrdered, EventKind::UnwindStarted];
    assert!(kinds.windows(3).any(|w| w == again), "{kinds:?}");
    assert!(kinds.contains(&EventKind::VerbAnswered));
}

#[tokio::test(start_paused = true)]
async fn giving_up_a_quarantined_parent_ends_its_items() {
    let scene = Scene::new();
    scene.world.run("apply", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
    let engine = scene.engine().await;
    let run = engine.run(deploy(&["eu", "us"]), "k").await.unwrap();
    until("its items wait", async || {
        let items = items(&scene, run.id()).await;
        let mut waiting = 0;
        for item in &items {
            waiting += usize::from(scene.status(*item).await == Status::Waiting);
        }
        waiting == 2
    })
    .await;
    engine.shutdown().await.unwrap();
    append(&scene, run.id(), 999).await;
    let engine = scene.engine().await;
    until("it is set aside", async || scene.status(run.id()).await == Status::Quarantined).await;
    engine.verb(run.id(), Verb::Abandon, "not worth it").await.unwrap();
    for item in items(&scene, run.id()).await {
        until("the item is given up", async || outcome(&scene, item).await == "abandoned").await;
        // Told once more, it stays what it is.
        assert_eq!(scene.status(item).await, Status::Settled);
    }
    // So does the parent, which nobody can fold, whatever reaches it.
    let order = entry("late", &Message::Parent { order: Order::Unwind, fencing: Default::default() });
    recall_by_any(&scene, &engine, run.id(), order).await;
    assert_eq!(scene.status(run.id()).await, Status::Settled);
}

/// Has another run recall one.
async fn recall_by_any(scene: &Scene, engine: &Engine, run: RunId, order: NewEntry) {
    let p = Pipeline::new("other");
    p.step("a", Idem::new("a"));
    let other = engine.run(plan_of(p.build()), "other").await.unwrap();
    other.settled().await.unwrap();
    let no = scene.memory.find(run).await.unwrap().unwrap().no;
    let worker = WorkerId::new("any").unwrap();
    scene.memory.register(&worker, secs(10)).await.unwrap();
    let p = Pipeline::new("yet-another");
    p.step("b", Look::new("b"));
    scene.world.run("b", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
    let by = engine.run(plan_of(p.build()), "by").await.unwrap();
    until("it waits", async || scene.status(by.id()).await == Status::Waiting).await;
    let head = scene.memory.head(scene.memory.find(by.id()).await.unwrap().unwrap().no).await.unwrap();
    let by_no = scene.memory.find(by.id()).await.unwrap().unwrap().no;
    let transition =
        Transition { recall: vec![(run, order)], ..Transition::new(by_no, head.epoch, head.seq, head.hash) };
    scene.memory.commit(vec![transition]).await.unwrap().remove(0).unwrap();
    until("it is read", async || scene.memory.entries(no, 9).await.unwrap().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_parent_whose_items_undo_rests() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    scene.world.undo("apply", |_, _| Box::pin(async { Err(StepError::permanent("cannot")) }));
    scene.world.run("after", |_, _| Box::pin(async { Err(StepError::permanent("no")) }));
    let run = engine.run(deploy(&["eu", "us"]), "k").await.unwrap();
    until("its items are stuck", async || {
        let mut stuck = 0;
        for item in items(&scene, run.id()).await {
            stuck += usize::from(scene.status(item).await == Status::Stuck);
        }
        stuck == 2
    })
    .await;
    let row = scene.row(&run).await;
    assert_eq!((row.listing.status, row.wake_at, row.owner), (Status::Unwinding, None, None));
    let before = scene.memory.head(row.no).await.unwrap().epoch;
    tokio::time::sleep_until(tokio::time::Instant::now() + secs(60)).await;
    assert_eq!(scene.memory.head(row.no).await.unwrap().epoch, before, "resting burns nothing");
    for item in items(&scene, run.id()).await {
        engine.verb(item, Verb::Skip { step: None, output: None }, "gone").await.unwrap();
    }
    let Settled::Compensated(why) = run.settled().await.unwrap() else { panic!("it was undone") };
    assert!(why.to_string().contains("step after failed"), "{why}");
    let Some(Event::RunSettled(settled)) = scene.events(&run).await.pop() else { panic!("it is over") };
    assert_eq!(settled.aftermath.left.iter().map(ToString::to_string).collect::<Vec<_>>(), ["regions"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_items_all_rest_is_stuck_for_those_who_wait() {
    let scene = Scene::new();
    scene.world.run("apply", |_, _| Box::pin(async { Err(StepError::needs_operator("look at it")) }));
    let engine = scene.builder().background(false).start().await.unwrap();
    let run = engine.run(deploy(&["eu", "us"]), "k").await.unwrap();
    let report = tokio::time::timeout(secs(600), engine.drive(Until::Settled, None)).await;
    assert_eq!(report.expect("it does not wait for what cannot move").unwrap().stuck, 2);
    let Settled::Stuck(why) = tokio::time::timeout(secs(600), run.settled()).await.unwrap().unwrap() else {
        panic!("an operator has to decide")
    };
    assert!(why.to_string().contains("regions[eu]/apply"), "{why}");
    // One of them moves again: the run is waited for.
    scene.world.run("apply", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
    let item = items(&scene, run.id()).await[0];
    let _driven = tokio::time::timeout(secs(60), async {
        let retry = Verb::Retry { step: None, new_key: false, from_scratch: false };
        tokio::join!(engine.verb(item, retry, "again"), engine.drive(Until::Settled, None))
    })
    .await;
    assert_eq!(scene.status(item).await, Status::Waiting);
    assert!(tokio::time::timeout(secs(60), run.settled()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_item_that_is_given_too_much_fails_its_step_before_any_begins() {
    for (bytes, fits) in [(60_000, true), (70_000, false)] {
        let scene = Scene::new();
        scene.world.run("before", move |_, _| Box::pin(async move { Ok("x".repeat(bytes)) }));
        let engine = scene.engine().await;
        let p = Pipeline::new("large");
        let list = p.param::<Vec<String>>("regions");
        let before = p.step("before", Look::new("before"));
        let each = |p: &Draft, _: &Handle<String>| p.step("apply", Idem::new("apply").reading(&before));
        let live = p.for_each("regions", &list, |region| region, each);
        let plan = p.output(&live).build().unwrap().with(params! { regions: vec!["eu".to_owned()] }).unwrap();
        let run = engine.run(plan, "k").await.unwrap();
        match run.settled().await.unwrap() {
            Settled::Succeeded(_) => assert!(fits),
            Settled::Failed(why) => {
                assert!(!fits);
                assert!(why.to_string().contains("what item eu is given has 700"), "{why}");
                assert!(why.to_string().contains("the limit is 65536: store it elsewhere"), "{why}");
                assert_eq!(items(&scene, run.id()).await, []);
            }
            other => panic!("{other:?}"),
        }
    }
}
