//! Runs of an engine whose calls of the database go wrong, and entries that are dropped in the middle.

use super::{ADD, CREATE, DROP, INDEX, Place, Point, applied, database::Happens};
use std::{sync::Arc, time::Duration};
use towpath_engine::{Engine, Settled};
use towpath_step::{Observed, Pipeline, Step};
use towpath_steps::deploy::Migrated;

const WHOLE: (&[&str], &str) = (&["0001", "0002", "0003", "0004"], "0004");

fn place() -> Place {
    let place = Place::with(&[CREATE, ADD, DROP, INDEX]);
    place.cluster.have("orders", "2.0.0", 1);
    place
}

fn whole(place: &Place, migrated: &Migrated, at: &str) {
    let (ids, schema) = applied(migrated);
    assert_eq!((&ids[..], schema), WHOLE, "{at}");
    assert_eq!(place.schema(), ["id", "note", "by_note"], "{at}");
}

async fn settled(place: &Place) -> Settled<Migrated> {
    let engine = Engine::open("memory:").steps(towpath_steps::steps());
    let engine = engine.bind("orders-db", place.database.clone()).bind("production", place.cluster.clone());
    let engine = engine.start().await.unwrap();
    let p = Pipeline::new("checkout");
    let schema = p.step("migrate", place.contract());
    let plan = p.output(&schema).build().unwrap().plan().unwrap();
    let settled = engine.run(plan, "once").await.unwrap().settled().await.unwrap();
    engine.shutdown().await.unwrap();
    settled
}

#[tokio::test]
async fn a_run_migrates_and_every_fault_at_every_call_ends_the_same() {
    let undisturbed = place();
    whole(&undisturbed, &settled(&undisturbed).await.succeeded().unwrap(), "undisturbed");
    let calls = undisturbed.database.calls();
    assert!(calls >= 4, "the before-image, the history, and two parts: {calls}");
    for call in 1..=calls {
        for after in [false, true] {
            let (place, point) = (place(), Point { call, after });
            place.database.aim(point, Happens::Fault);
            match settled(&place).await {
                Settled::Succeeded(migrated) => whole(&place, &migrated, &format!("{point:?}")),
                other => panic!("{point:?}: {other:?}"),
            }
            assert_eq!(place.database.hits(), 1, "{point:?}");
        }
    }
}

#[tokio::test]
async fn a_run_that_unwinds_keeps_the_schema_and_says_so() {
    use towpath_step::{StepContext, StepError, step};
    #[step("test.fail/v1", no_effect, crate = towpath_step)]
    async fn fail(_cx: &StepContext) -> Result<(), StepError> {
        Err(StepError::permanent("the smoke test is red"))
    }
    let place = place();
    let engine = Engine::open("memory:").steps(towpath_steps::steps()).steps(towpath_step::steps![fail]);
    let engine = engine.bind("orders-db", place.database.clone()).start().await.unwrap();
    let p = Pipeline::new("checkout");
    let schema = p.step("migrate", place.expand().up_to("0002"));
    p.step("smoke", fail::of()).after(&schema);
    let run = engine.run(p.build().unwrap().plan().unwrap(), "once").await.unwrap();
    let settled = run.settled().await.unwrap();
    let said = format!("{settled:?}");
    assert!(!matches!(settled, Settled::Succeeded(()) | Settled::Stuck(_)), "{said}");
    assert_eq!(place.schema(), ["id", "old", "note"], "what was expanded stays");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn dropped_at_every_await_it_is_found_again_and_goes_on() {
    let undisturbed = place();
    undisturbed.run(&undisturbed.contract(), "one").await.unwrap();
    let calls = undisturbed.database.calls();
    for call in 1..=calls {
        for after in [false, true] {
            let (place, point) = (place(), Point { call, after });
            let there = Arc::new(tokio::sync::Notify::new());
            place.database.aim(point, Happens::Stays(there.clone()));
            let (step, cx) = (place.contract(), place.cx("one"));
            tokio::select! {
                done = step.run(&cx) => panic!("{point:?}: {done:?}"),
                () = there.notified() => {}
            }
            let migrated = match step.observe(&place.cx("one")).await.unwrap() {
                Observed::Done(migrated) => migrated,
                Observed::NotDone => place.run(&step, "one").await.unwrap(),
                other => panic!("{point:?}: {other:?}"),
            };
            whole(&place, &migrated, &format!("{point:?}"));
            assert_eq!(place.database.hits(), 1);
        }
    }
}

#[tokio::test]
async fn dropped_while_the_database_works_it_ends_at_a_border_of_a_migration() {
    let fill = (
        "0002_fill.sql",
        "UPDATE orders SET old = old; CREATE TABLE big AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL \
         SELECT i + 1 FROM n WHERE i < coalesce((SELECT max(id) FROM orders), 9000000000000)) SELECT i FROM n;",
    );
    let place = Place::with(&[CREATE, fill]);
    let file = place.folder.path().join("orders.db");
    let (step, cx) = (place.expand(), place.cx("one"));
    let growing = async {
        let mut look = tokio::time::interval(Duration::from_millis(1));
        while std::fs::metadata(&file).map_or(0, |about| about.len()) < 8 << 20 {
            look.tick().await;
        }
    };
    tokio::select! {
        done = step.run(&cx) => panic!("{done:?}"),
        () = growing => {}
    }
    assert_eq!(step.observe(&place.cx("one")).await.unwrap(), Observed::NotDone);
    let connection = rusqlite::Connection::open(&file).unwrap();
    assert!(!connection.table_exists(None, "big").unwrap(), "nothing of 0002 is there");
    connection.execute_batch("INSERT INTO orders (id) VALUES (5)").unwrap();
    let migrated = place.run(&step, "one").await.unwrap();
    assert_eq!(applied(&migrated), (vec!["0001", "0002"], "0002"));
}
