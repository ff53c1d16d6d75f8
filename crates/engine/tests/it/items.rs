//! Items of a `for_each`: runs of their own, driven by whoever claims them.

use crate::common::*;
use std::sync::{Arc, Mutex};
use towpath_engine::{EngineErrorKind, Settled};
use towpath_machine::Mover;
use towpath_model::{Actor, Event, EventKind, Message, Order, RunId, Status, Verb};
use towpath_step::{Draft, Handle, Pipeline, Plan, StepError, params};
use towpath_store::{Cursor, Filter, Level, Page, RunRow, Store};

/// `before`, then `apply` and `check` in each region, then `after`.
fn deploy(regions: &[&str]) -> Plan<Vec<String>> {
    let p = Pipeline::new("deploy");
    let regions_given: Vec<String> = regions.iter().map(ToString::to_string).collect();
    let list = p.param::<Vec<String>>("regions");
    let before = p.step("before", Idem::new("before"));
    let each = |p: &Draft, _: &Handle<String>| {
        let applied = p.step("apply", Idem::new("apply").reading(&before));
        p.step("check", Look::new("check").reading(&applied))
    };
    let live = p.for_each("regions", &list, |region| region, each).parallel(2).after(&before);
    p.step("after", Look::new("after")).after(&live);
    p.output(&live).build().unwrap().with(params! { regions: regions_given }).unwrap()
}

/// Has the steps of items say where they stand.
fn say_where(scene: &Scene) {
    for name in ["apply", "check"] {
        scene.world.run(name, move |cx, _| {
            let path = cx.step_id().to_string();
            Box::pin(async move { Ok(path) })
        });
    }
}

/// Every run, the oldest first.
async fn rows(store: &dyn Store, level: Level) -> Vec<RunRow> {
    let (mut rows, mut after): (Vec<RunRow>, _) = (Vec::new(), None);
    loop {
        let filter = Filter { level, ..Filter::default() };
        let page = store.list(&filter, Page { after, limit: 1_000 }).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(Cursor(last.no));
        rows.extend(page);
    }
    rows.reverse();
    rows
}

async fn item(scene: &Scene, parent: RunId, key: &str) -> RunId {
    for row in rows(&*scene.memory, Level::ItemsOf(parent)).await {
        if let Event::RunStarted(e) = &scene.events_of(row.run).await[0]
            && e.parent.as_ref().is_some_and(|below| below.item.as_str() == key)
        {
            return row.run;
        }
    }
    panic!("there is no item {key}")
}

async fn outcomes(scene: &Scene, parent: RunId) -> Vec<&'static str> {
    let rows = rows(&*scene.memory, Level::ItemsOf(parent)).await;
    rows.iter().map(|row| row.listing.outcome.as_ref().map_or("open", |outcome| outcome.word())).collect()
}

#[tokio::test(start_paused = true)]
async fn items_run_as_runs_of_their_own_and_give_a_list() {
    let scene = Scene::new();
    say_where(&scene);
    let engine = scene.engine().await;
    let run = engine.run(deploy(&["eu", "us", "ap"]), "k").await.unwrap();
    let expected = ["eu", "us", "ap"].map(|region| format!("regions[{region}]/check"));
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded(expected.to_vec()));
    assert_eq!(outcomes(&scene, run.id()).await, ["succeeded"; 3]);
    let items = rows(&*scene.memory, Level::ItemsOf(run.id())).await;
    assert!(items.iter().all(|row| row.key.is_of_sub_run() && row.parent == Some(run.id())));
    assert_eq!(rows(&*scene.memory, Level::Top).await.len(), 1);
    // One event for each item that is over, and its own journal names its own steps.
    let events = scene.events(&run).await;
    assert_eq!(count(&events, EventKind::SubRunSettled), 3);
    let journal: Vec<String> = scene.events_of(items[0].run).await.iter().map(line).collect();
    let own =
        ["run-started", "step-started apply", "step-done apply", "step-started check", "step-done check"];
    assert_eq!(journal[..5], own);
    assert_eq!(scene.world.said().last().map(String::as_str), Some("run after"));
}

#[tokio::test(start_paused = true)]
async fn no_more_items_run_at_once_than_allowed() {
    let scene = Scene::new();
    let (now, most) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let seen = most.clone();
    scene.world.run("apply", move |_, _| {
        let (now, most) = (now.clone(), most.clone());
        Box::pin(async move {
            *now.lock().unwrap() += 1;
            let n = *now.lock().unwrap();
            let before = *most.lock().unwrap();
            *most.lock().unwrap() = before.max(n);
            tokio::time::sleep_until(tokio::time::Instant::now() + secs(5)).await;
            *now.lock().unwrap() -= 1;
            Ok("applied".into())
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(deploy(&["a", "b", "c", "d", "e"]), "k").await.unwrap();
    assert!(matches!(run.settled().await.unwrap(), Settled::Succeeded(_)));
    assert_eq!(*seen.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_fails_has_the_others_undone_and_the_run_with_them() {
    let scene = Scene::new();
    scene.world.run("check", |cx, _| {
        let fails = cx.step_id().as_str().contains("[c]");
        Box::pin(async move { if fails { Err(StepError::permanent("no")) } else { Ok("ok".into()) } })
    });
    let engine = scene.engine().await;
    let run = engine.run(deploy(&["a", "b", "c", "d", "e"]), "k").await.unwrap();
    let Settled::Compensated(why) = run.settled().await.unwrap() else { panic!("it was undone") };
    assert!(
        why.to_string().starts_with("step regions failed: item c did not succeed: compensated: "),
        "{why}"
    );
    let outcomes = outcomes(&scene, run.id()).await;
    assert!(outcomes.len() >= 3, "{outcomes:?}");
    assert!(outcomes.iter().all(|o| *o == "compensated" || *o == "cancelled"), "{outcomes:?}");
    let said = scene.world.said();
    let of = |what: &str| said.iter().filter(|line| *line == what).count();
    assert_eq!(of("run apply"), of("undo apply"));
    assert_eq!((of("run before"), of("undo before"), of("run after")), (1, 1, 0));
    assert_eq!(said.last().map(String::as_str), Some("undo before"), "what items read is undone after them");
}

#[tokio::test(start_paused = true)]
async fn a_list_with_two_items_of_one_name_fails_before_any_of_them() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    let run = engine.run(deploy(&["eu", "us", "eu"]), "k").await.unwrap();
    let Settled::Compensated(why) = run.settled().await.unwrap() else { panic!("it was undone") };
    assert_eq!(why.to_string(), "step regions failed: two items have the key \"eu\": give each its own");
    assert_eq!(rows(&*scene.memory, Level::All).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_gives_an_empty_list() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    let run = engine.run(deploy(&[]), "k").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded(vec![]));
}

#[tokio::test(start_paused = true)]
async fn an_explanation_names_the_item_that_is_stuck_and_what_moves_it() {
    let scene = Scene::new();
    scene.world.run("apply", |cx, n| {
        let stops = cx.step_id().as_str().contains("[b]") && n < 4;
        Box::pin(async move {
            if stops { Err(StepError::needs_operator("who owns b?")) } else { Ok("applied".into()) }
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(deploy(&["a", "b", "c"]), "k").await.unwrap();
    until("an item is stuck", async || {
        rows(&*scene.memory, Level::ItemsOf(run.id())).await.iter().any(|r| r.listing.status == Status::Stuck)
    })
    .await;
    let stuck = item(&scene, run.id(), "b").await;
    until("the others are over", async || {
        outcomes(&scene, run.id()).await == ["succeeded", "open", "succeeded"]
    })
    .await;
    let explanation = run.explain().await.unwrap();
    let wait = explanation.waits.iter().find(|w| matches!(w.mover, Mover::Operator(_))).unwrap();
    assert_eq!(wait.step.as_ref().map(ToString::to_string).as_deref(), Some("regions[b]/apply"));
    assert_eq!(wait.what, format!("(run {stuck}) rests: who owns b?"));
    let Mover::Operator(verbs) = &wait.mover else { panic!("an operator") };
    assert_eq!(verbs, &["retry", "skip"]);
    // The verbs of a run work on an item.
    engine
        .verb(stuck, Verb::Retry { step: None, new_key: false, from_scratch: false }, "asked")
        .await
        .unwrap();
    assert!(matches!(run.settled().await.unwrap(), Settled::Succeeded(_)));
}

#[tokio::test(start_paused = true)]
async fn cancelling_the_parent_stops_its_items_and_undoes_them() {
    let scene = Scene::new();
    scene.world.run("check", |_, _| Box::pin(std::future::pending()));
    let engine = scene.builder().grace(secs(1)).start().await.unwrap();
    let run = engine.run(deploy(&["a", "b", "c"]), "k").await.unwrap();
    until("two items check", async || scene.world.times("run check") == 2).await;
    run.verb(Verb::Cancel { unwind: true }, "wrong release").await.unwrap();
    assert!(matches!(run.settled().await.unwrap(), Settled::Cancelled(_)));
    assert_eq!(outcomes(&scene, run.id()).await, ["compensated"; 2]);
    assert_eq!(scene.world.times("undo apply"), 2);
}

#[tokio::test(start_paused = true)]
async fn cancelling_without_unwinding_leaves_what_the_items_did() {
    let scene = Scene::new();
    scene.world.run("check", |_, _| Box::pin(std::future::pending()));
    let engine = scene.builder().grace(secs(1)).start().await.unwrap();
    let run = engine.run(deploy(&["a", "b", "c"]), "k").await.unwrap();
    until("two items check", async || scene.world.times("run check") == 2).await;
    run.verb(Verb::Cancel { unwind: false }, "wrong release").await.unwrap();
    assert!(matches!(run.settled().await.unwrap(), Settled::Cancelled(_)));
    assert_eq!(
        (outcomes(&scene, run.id()).await, scene.world.times("undo apply")),
        (vec!["cancelled"; 2], 0)
    );
}

#[tokio::test(start_paused = true)]
async fn an_item_that_is_cancelled_alone_fails_its_step() {
    let scene = Scene::new();
    scene.world.run("check", |cx, _| {
        let waits = cx.step_id().as_str().contains("[a]");
        Box::pin(async move {
            if waits {
                std::future::pending::<()>().await;
            }
            Ok("ok".into())
        })
    });
    let engine = scene.builder().grace(secs(1)).start().await.unwrap();
    let run = engine.run(deploy(&["a", "b"]), "k").await.unwrap();
    until("both apply", async || scene.world.times("run check") == 2).await;
    let a = item(&scene, run.id(), "a").await;
    engine.verb(a, Verb::Cancel { unwind: true }, "not there").await.unwrap();
    assert!(matches!(run.settled().await.unwrap(), Settled::Compensated(_)));
    assert_eq!(outcomes(&scene, run.id()).await, ["cancelled", "compensated"]);
}

#[test]
fn items_go_on_in_the_next_process_and_none_begins_twice() {
    let scene = Scene::between_runtimes();
    scene.world.run("apply", |_, n| {
        Box::pin(async move {
            if n <= 2 {
                std::future::pending::<()>().await;
            }
            Ok("applied".into())
        })
    });
    let run = scene.process(async |b| {
        let engine = b.start().await.unwrap();
        let run = engine.run(deploy(&["a", "b", "c"]), "k").await.unwrap();
        until("two items apply", async || scene.world.times("run apply") == 2).await;
        run.id()
    });
    scene.process(async |b| {
        let engine = b.start().await.unwrap();
        let run = engine.attach::<Vec<String>>(run).await.unwrap();
        assert!(matches!(run.settled().await.unwrap(), Settled::Succeeded(_)));
    });
    assert_eq!((scene.world.times("run apply"), scene.world.times("run before")), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn keys_of_sub_runs_cannot_be_given_and_their_messages_not_be_sent() {
    let scene = Scene::new();
    scene.world.run("before", |_, _| Box::pin(std::future::pending()));
    let engine = scene.builder().actor(Actor::new("user:eve").unwrap()).start().await.unwrap();
    let refused = engine.run(deploy(&[]), "sub-run/1").await.unwrap_err();
    assert_eq!(refused.kind(), &EngineErrorKind::Unfit);
    let run = engine.run(deploy(&[]), "k").await.unwrap();
    engine
        .send(run.id(), &Message::Parent { order: Order::Unwind, fencing: Default::default() }, None)
        .await
        .unwrap();
    until("it is refused", async || count(&scene.events(&run).await, EventKind::EntryRefused) == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_only_items_need_is_missed_before_the_first_effect() {
    let scene = Scene::new();
    let p = Pipeline::new("rare");
    let list = p.param::<Vec<String>>("regions");
    p.for_each(
        "regions",
        &list,
        |region| region,
        |p: &Draft, _: &Handle<String>| {
            p.step("rare", Rare::new("rare"));
        },
    );
    let plan = p.build().unwrap().with(params! { regions: Vec::<String>::new() }).unwrap();
    let error = scene.engine().await.run(plan, "k").await.unwrap_err();
    assert!(error.problems()[0].starts_with("the items of regions: step rare: "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn large_outputs_of_items_are_put_together_from_where_they_are_stored() {
    let scene = Scene::new();
    let large = "x".repeat(3_000);
    let given = large.clone();
    scene.world.run("check", move |_, _| {
        let large = given.clone();
        Box::pin(async move { Ok(large) })
    });
    let regions: Vec<String> = (0..40).map(|i| format!("r{i}")).collect();
    let regions: Vec<&str> = regions.iter().map(String::as_str).collect();
    let engine = scene.engine().await;
    let run = engine.run(deploy(&regions), "k").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded(vec![large; 40]));
    // The journal of the parent holds none of them.
    let bytes: usize = scene.events(&run).await.iter().map(|e| e.encode().unwrap().len()).sum();
    assert!(bytes < 40 * 1_000, "{bytes}");
}

#[tokio::test(start_paused = true)]
async fn an_item_that_cannot_be_folded_is_given_up_by_itself_or_with_its_parent() {
    for by_parent in [false, true] {
        let scene = Scene::new();
        scene.world.run("apply", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
        let engine = scene.engine().await;
        let run = engine.run(deploy(&["a"]), "k").await.unwrap().id();
        until("the item waits", async || {
            rows(&*scene.memory, Level::ItemsOf(run))
                .await
                .iter()
                .any(|r| r.listing.status == Status::Waiting)
        })
        .await;
        engine.shutdown().await.unwrap();
        let item = item(&scene, run, "a").await;
        crate::quarantine::append(&scene, item, 999).await;
        let engine = scene.engine().await;
        until("it is set aside", async || scene.status(item).await == Status::Quarantined).await;
        let explanation = engine.explain(run).await.unwrap().to_string();
        assert!(explanation.contains(&format!("(run {item})")), "{explanation}");
        let run = engine.attach::<Vec<String>>(run).await.unwrap();
        if by_parent {
            run.verb(Verb::Cancel { unwind: true }, "stop").await.unwrap();
            run.verb(Verb::Abandon, "it does not stop").await.unwrap();
            assert!(matches!(run.settled().await.unwrap(), Settled::Abandoned { .. }));
        } else {
            engine.verb(item, Verb::Abandon, "nobody can read it").await.unwrap();
            assert!(matches!(run.settled().await.unwrap(), Settled::Compensated(_)));
        }
        assert_eq!(outcomes(&scene, run.id()).await, ["abandoned"]);
    }
}

/// An error answers one commit after the other, of the parent and of its items, before and after it was written.
#[tokio::test(start_paused = true)]
async fn items_begin_once_whichever_commit_is_answered_by_an_error() {
    for side in [Side::Before, Side::After] {
        let mut struck = 0;
        for n in 1..=40 {
            let scene = Scene::new();
            let store = FaultStore::new(scene.memory.clone());
            store.strike(side, n, is_commit, Fault::AWAY);
            let engine = scene.builder_on(store.clone()).start().await.unwrap();
            let run = engine.run(deploy(&["a", "b", "c"]), "k").await.unwrap();
            assert!(matches!(run.settled().await.unwrap(), Settled::Succeeded(_)), "{side:?} {n}");
            assert_eq!(rows(&*scene.memory, Level::All).await.len(), 4, "{side:?} {n}");
            assert_eq!(scene.world.times("run apply"), 3, "{side:?} {n}");
            struck += store.fired();
        }
        assert!(struck >= 12, "{side:?}: only {struck} commits were answered by an error");
    }
}

/// Items of one step, on SQLite, in real time. The parent stays in memory while they report, so that no report costs
/// a fold of its journal; what deciding costs is held by the machine's own tests.
#[cfg(feature = "sqlite")]
#[test]
fn many_items_on_sqlite_keep_their_parent_in_memory() {
    const ITEMS: u64 = 2_000;
    let folder = tempfile::tempdir().unwrap();
    let address = format!("sqlite:{}", folder.path().join("deploys.db").display());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(3).build().unwrap();
    runtime.block_on(async {
        let builder = towpath_engine::Engine::open(&address).steps(kinds()).bind("world", World::new());
        let engine = builder.start().await.unwrap();
        let p = Pipeline::new("many");
        let list = p.param::<Vec<u64>>("items");
        let each = |p: &Draft, _: &Handle<u64>| p.step("look", Look::new("look"));
        let many = p.for_each("many", &list, |item| item, each).parallel(64);
        let plan = p.output(&many).build().unwrap();
        let plan = plan.with(params! { items: (0..ITEMS).collect::<Vec<_>>() }).unwrap();
        let began = std::time::Instant::now();
        let run = engine.run(plan, "k").await.unwrap();
        let Settled::Succeeded(outputs) = run.settled().await.unwrap() else { panic!("it succeeds") };
        assert_eq!(outputs, vec!["look done".to_owned(); ITEMS as usize]);
        eprintln!("{ITEMS} items took {:?}", began.elapsed());
        let row = run.row().await.unwrap();
        let epoch = engine.store().head(row.no).await.unwrap().epoch;
        assert!(epoch.0 <= 4, "it was loaded again and again: {epoch}");
        let journal = events(&**engine.store(), row.no).await;
        assert!(journal.len() as u64 <= 2 * ITEMS + 10, "{}", journal.len());
        engine.shutdown().await.unwrap();
    });
}
