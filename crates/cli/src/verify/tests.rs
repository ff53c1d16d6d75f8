use crate::fixture::{World, after, step};
use std::sync::Arc;
use towpath::{
    store::{ManualClock, Store},
    store_sqlite::{Options, SqliteStore},
};

#[tokio::test]
async fn a_journal_that_is_whole_is_verified() {
    let mut world = World::new().await;
    let mut run = world.start("checkout", "k", vec![step("build")]).await;
    run.done("build", "null").await;
    world.start("checkout", "other", vec![step("build")]).await;
    let head = world.store_head(run.no).await;
    assert_eq!(world.ok("verify k").await, format!("verified 4 events, head {head}\n"));
    let all = world.ok("verify --all").await;
    assert!(all.ends_with("verified 2 runs\n"), "{all}");
    let line: serde_json::Value = serde_json::from_str(&world.ok("verify k --json").await).unwrap();
    let expected = serde_json::json!({
        "run": "01111111-1111-1111-1111-111111111101",
        "key": "k",
        "intact": true,
        "events": 4,
        "head": head,
        "redacted": 0,
        "at": null,
        "fault": null,
    });
    assert_eq!(line, expected);
}

#[tokio::test]
async fn an_event_of_a_newer_release_is_whole_all_the_same() {
    let mut world = World::new().await;
    let mut run = world.start("checkout", "k", vec![step("build")]).await;
    run.raw(99, "{}").await;
    assert!(world.ok("verify k").await.starts_with("verified 3 events"));
}

#[tokio::test]
async fn a_payload_that_was_redacted_leaves_the_journal_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deploys.db");
    let clock = Arc::new(ManualClock::default());
    let options = Options { clock: clock.clone(), ..Options::default() };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&file, options).unwrap());
    let mut world = World::on(store, clock).await;
    let mut run = world.start("checkout", "k", vec![step("build"), after("build", step("scan"))]).await;
    run.done("build", "\"hunter2\"").await;
    run.raw(26, r#"{"at":3,"by":"user:bob","reason":"it named a password"}"#).await;
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("UPDATE events SET payload = NULL WHERE seq = 3").unwrap();
    let head = world.store_head(run.no).await;
    assert_eq!(world.ok("verify k").await, format!("verified 5 events, head {head}, 1 redacted\n"));
    let journal = world.ok("journal k").await;
    assert!(journal.contains("step-done     engine             redacted\n"), "{journal}");
    assert!(world.ok("show k").await.contains("cannot be folded: event 3: its payload was redacted"));
    other.execute_batch("UPDATE events SET payload = NULL WHERE seq = 2").unwrap();
    let (code, said, _) = world.run("verify k").await;
    assert_eq!(code, 1);
    assert!(said.starts_with("not intact: event 2: its payload is missing"), "{said}");
}
