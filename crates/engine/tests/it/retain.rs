//! Runs that are removed, and their archives.

use crate::common::*;
use std::{path::PathBuf, sync::Arc};
use towpath_engine::{Engine, Retention, Run, archive, verify};
use towpath_model::{RunId, RunNo, Status};
use towpath_step::{Draft, Handle, Pipeline, Plan, params};
use towpath_store::{Cursor, Filter, Level, Page, Store, StoreErrorKind};

/// `apply` in each region, whose output is too large to be held by a report.
fn deploy(regions: &[&str]) -> Plan<Vec<String>> {
    let p = Pipeline::new("deploy");
    let given: Vec<String> = regions.iter().map(ToString::to_string).collect();
    let list = p.param::<Vec<String>>("regions");
    let each = |p: &Draft, _: &Handle<String>| p.step("apply", Idem::new("apply"));
    let live = p.for_each("regions", &list, |region| region, each).parallel(2);
    p.output(&live).build().unwrap().with(params! { regions: given }).unwrap()
}

fn say_much(scene: &Scene) {
    scene.world.run("apply", |cx, _| {
        let path = cx.step_id().to_string();
        cx.log(format!("applying {path}"));
        Box::pin(async move { Ok(format!("{path}: {}", "x".repeat(2_000))) })
    });
}

async fn settled(engine: &Engine, regions: &[&str], key: &str) -> Run<Vec<String>> {
    let run = engine.run(deploy(regions), key).await.unwrap();
    run.settled().await.unwrap();
    run
}

async fn runs(store: &dyn Store, level: Level) -> Vec<RunId> {
    let filter = Filter { level, ..Filter::default() };
    let rows = store.list(&filter, Page { after: None::<Cursor>, limit: 1_000 }).await.unwrap();
    rows.iter().map(|row| row.run).collect()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn now() -> Retention {
    Retention::older_than(secs(0))
}

#[tokio::test(start_paused = true)]
async fn a_run_goes_with_its_items_and_what_they_left_and_the_key_is_free() {
    let scene = Scene::new();
    say_much(&scene);
    let engine = scene.engine().await;
    let run = settled(&engine, &["eu", "us"], "k").await;
    tokio::time::sleep_until(tokio::time::Instant::now() + secs(1)).await;
    // As long as it is there, the key is its own.
    assert_eq!(engine.run(deploy(&["eu", "us"]), "k").await.unwrap().id(), run.id());
    let report = engine.retain(&now()).await.unwrap();
    assert_eq!((report.removed.len(), report.removed[0].items, report.kept.len()), (1, 2, 0));
    assert_eq!(runs(&*scene.memory, Level::All).await, []);
    let removed = scene.memory.removed(RunNo(0), 10).await.unwrap();
    assert_eq!(removed.len(), 3);
    assert_eq!(removed[0].run, run.id());

    let again = settled(&engine, &["eu", "us"], "k").await;
    assert_ne!(again.id(), run.id(), "the key was used again");
    assert!(verify::run(&*scene.memory, &scene.row(&again).await).await.unwrap().is_intact());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_goes_on_stays_with_its_settled_items() {
    let scene = Scene::new();
    scene.world.run("apply", |cx, _| {
        let waits = cx.step_id().as_str().contains("[us]");
        Box::pin(async move {
            match waits {
                true => std::future::pending().await,
                false => Ok("done".into()),
            }
        })
    });
    let engine = scene.engine().await;
    let run = engine.run(deploy(&["eu", "us"]), "k").await.unwrap();
    until("one item is over", async || {
        let settled = Filter { status: vec![Status::Settled], ..Filter::default() };
        !scene.memory.list(&settled, Page { after: None, limit: 9 }).await.unwrap().is_empty()
    })
    .await;
    tokio::time::sleep_until(tokio::time::Instant::now() + secs(60)).await;
    let report = engine.retain(&now()).await.unwrap();
    assert_eq!((report.removed, report.kept), (vec![], vec![]));
    assert_eq!(runs(&*scene.memory, Level::ItemsOf(run.id())).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_fails_half_way_goes_on_the_next_time() {
    let scene = Scene::new();
    say_much(&scene);
    let engine = scene.engine().await;
    let regions: Vec<String> = (0..70).map(|n| format!("r{n}")).collect();
    let regions: Vec<&str> = regions.iter().map(String::as_str).collect();
    let run = settled(&engine, &regions, "k").await;
    tokio::time::sleep_until(tokio::time::Instant::now() + secs(1)).await;
    for side in [Side::Before, Side::After] {
        let store = FaultStore::new(scene.memory.clone());
        let nth = if side == Side::Before { 2 } else { 1 };
        store.strike(side, nth, |call| matches!(call, Call::Remove(_)), Fault::AWAY);
        assert!(now().apply(&*store).await.is_err());
        assert_eq!(store.fired(), 1);
        // The run is there as long as anything of it is, so that it is found again.
        assert_eq!(runs(&*scene.memory, Level::Top).await, [run.id()]);
    }
    let left = runs(&*scene.memory, Level::All).await.len();
    assert_eq!(left, 71 - 2 * 32, "two batches of 32 are gone");
    let store = FaultStore::new(scene.memory.clone());
    store.strike(Side::After, 1, |call| matches!(call, Call::Sweep), Fault::AWAY);
    assert!(now().apply(&*store).await.is_err());
    assert_eq!(store.fired(), 1);
    now().apply(&*scene.memory).await.unwrap();
    assert_eq!(runs(&*scene.memory, Level::All).await, []);
    assert!(!scene.memory.sweep(1).await.unwrap());
}

/// A run with items, settled and archived.
async fn archived(scene: &Scene) -> (Run<Vec<String>>, tempfile::TempDir, PathBuf) {
    say_much(scene);
    let engine = scene.engine().await;
    let run = settled(&engine, &["eu", "us"], "k").await;
    let folder = folder();
    let file = folder.path().join("k.towpath");
    let written = archive::write(&*scene.memory, &scene.row(&run).await, &file).await.unwrap();
    assert_eq!(written.len(), 3);
    assert_eq!(written.last().map(|w| w.run), Some(run.id()), "items come first");
    (run, folder, file)
}

#[tokio::test(start_paused = true)]
async fn an_archive_holds_the_run_its_items_and_all_that_they_refer_to() {
    let scene = Scene::new();
    let (run, _folder, file) = archived(&scene).await;
    let verdict = archive::verify(&file).unwrap();
    assert!(verdict.is_intact(), "{:?}", verdict.first_fault());
    assert_eq!((verdict.run, verdict.runs.len()), (run.id(), 3));
    let opened = archive::open(&file).await.unwrap();
    assert_eq!(opened.run, run.id());
    for id in runs(&*scene.memory, Level::All).await {
        let (here, there) = (&*scene.memory, &*opened.store);
        let (row, copy) = (here.find(id).await.unwrap().unwrap(), there.find(id).await.unwrap().unwrap());
        assert_eq!(stored(there, copy.no).await, stored(here, row.no).await);
        assert_eq!((&copy.listing, &copy.labels, copy.parent), (&row.listing, &row.labels, row.parent));
        assert_eq!((copy.started_at, copy.changed_at), (row.started_at, row.changed_at));
        assert!(verify::run(there, &copy).await.unwrap().is_intact());
        if row.parent.is_some() {
            let step = towpath_model::StepId::new("apply").unwrap();
            assert_eq!(there.logs(copy.no, &step, 0, 9).await.unwrap().len(), 1);
        }
    }
    // What it says of a run that goes on is what is written by then.
    assert!(opened.store.find(RunId::from_bytes([9; 16])).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn every_line_of_an_archive_that_is_deleted_repeated_moved_or_cut_is_found() {
    let scene = Scene::new();
    let (_, folder, file) = archived(&scene).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let changed = folder.path().join("changed.towpath");
    let fault = |lines: &[&str]| -> Option<String> {
        std::fs::write(&changed, lines.iter().map(|l| format!("{l}\n")).collect::<String>()).unwrap();
        match archive::verify(&changed) {
            Ok(verdict) => verdict.first_fault(),
            Err(error) => Some(error.to_string()),
        }
    };
    assert_eq!(fault(&lines), None);
    let is_event = |line: &str| line.starts_with("{\"event\"");
    let mut named = 0;
    for n in 0..lines.len() {
        let without: Vec<&str> = [&lines[..n], &lines[n + 1..]].concat();
        let found = fault(&without).unwrap_or_else(|| panic!("line {n} was deleted: {}", lines[n]));
        if is_event(lines[n]) {
            assert!(found.contains("event "), "{found}");
            named += 1;
        }
        let twice: Vec<&str> = [&lines[..=n], &lines[n..]].concat();
        assert!(fault(&twice).is_some(), "line {n} was repeated: {}", lines[n]);
        // A log may stand among the events of its run, and blobs in any order.
        let has_place = |line: &str| !line.starts_with("{\"blob\"") && !line.starts_with("{\"log\"");
        if n + 1 < lines.len() && has_place(lines[n]) && has_place(lines[n + 1]) {
            let mut swapped = lines.clone();
            swapped.swap(n, n + 1);
            assert!(fault(&swapped).is_some(), "line {n} was moved: {}", lines[n]);
        }
        assert!(fault(&lines[..n]).is_some(), "cut before line {n}");
    }
    assert!(named > 10, "only {named} events");
}

#[tokio::test(start_paused = true)]
async fn every_byte_of_an_event_that_is_changed_in_an_archive_is_found_at_its_event() {
    let scene = Scene::new();
    let (_, folder, file) = archived(&scene).await;
    let text = std::fs::read(&file).unwrap();
    let changed = folder.path().join("changed.towpath");
    let (mut at, mut tried) = (0, 0);
    for line in text.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b"{\"event\"") {
            // A few places of each event, others each time.
            for place in (10 + at % 17..line.len() - 2).step_by(97) {
                let mut bytes = text.clone();
                let byte = &mut bytes[at + place];
                *byte = if byte.is_ascii_digit() { b'0' + (*byte - b'0' + 1) % 10 } else { *byte ^ 1 };
                std::fs::write(&changed, &bytes).unwrap();
                let verdict = archive::verify(&changed).unwrap();
                let fault = verdict.first_fault().unwrap_or_else(|| panic!("byte {place} of {at}"));
                assert!(fault.contains("event ") || fault.contains("line: "), "{fault}");
                tried += 1;
            }
        }
        at += line.len();
    }
    assert!(tried > 50, "only {tried} bytes were changed");
}

#[tokio::test(start_paused = true)]
async fn an_archive_is_there_whole_or_not_at_all() {
    let scene = Scene::new();
    let (run, folder, file) = archived(&scene).await;
    let before = std::fs::read(&file).unwrap();
    let row = scene.row(&run).await;
    let store = FaultStore::new(scene.memory.clone());
    for (nth, kind) in [(1, StoreErrorKind::Unavailable), (2, StoreErrorKind::Corrupt)] {
        store.strike(Side::Before, nth, |call| matches!(call, Call::Events(_)), Fault::Error(kind));
        assert!(archive::write(&*store, &row, &file).await.is_err());
        assert_eq!(store.fired(), 1);
        assert_eq!(std::fs::read(&file).unwrap(), before, "what was there was lost");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a part was left behind");
    }
}

#[tokio::test(start_paused = true)]
async fn the_archive_of_a_removal_that_failed_is_made_anew() {
    let scene = Scene::new();
    say_much(&scene);
    let engine = scene.engine().await;
    let run = settled(&engine, &["eu"], "k").await;
    tokio::time::sleep_until(tokio::time::Instant::now() + secs(1)).await;
    let folder = folder();
    let store: Arc<dyn Store> = scene.memory.clone();
    let faulty = FaultStore::new(store);
    faulty.strike(Side::Before, 1, |call| matches!(call, Call::Remove(_)), Fault::AWAY);
    let policy = now().archive(folder.path());
    assert!(policy.apply(&*faulty).await.is_err());
    assert_eq!(faulty.fired(), 1);
    assert_eq!(runs(&*scene.memory, Level::Top).await, [run.id()]);
    // The archive of the first try is replaced by that of the second.
    let report = policy.apply(&*scene.memory).await.unwrap();
    assert_eq!(report.removed.len(), 1);
    let kept = report.removed[0].archive.clone().unwrap();
    assert!(archive::verify(&kept).unwrap().is_intact());
    let note = &scene.memory.removed(RunNo(0), 1).await.unwrap()[0].note;
    assert_eq!(*note, format!("archived in {}", kept.display()));
}
