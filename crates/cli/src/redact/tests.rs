use crate::fixture::{World, step};
use std::{path::Path, sync::Arc};
use towpath::{
    store::{ManualClock, Store},
    store_sqlite::{Options, SqliteStore},
};

const REDACT: &str = "redact k 3 --reason it-named-a-password --as user:bob";

#[tokio::test]
async fn a_payload_is_removed_with_a_reason_and_the_journal_verifies() {
    let mut world = World::new().await;
    let mut run = world.start("checkout", "k", vec![step("build")]).await;
    let (code, _, error) = world.run("redact k 1 --reason x").await;
    assert!(code == 1 && error.contains("it is not over"), "{error}");
    run.done("build", "\"hunter2\"").await;
    let (code, said, _) = world.run(REDACT).await;
    assert_eq!((code, said.as_str()), (0, "event 3 has no payload any more; its header stays\n"));
    let head = world.store_head(run.no).await;
    assert_eq!(world.ok("verify k").await, format!("verified 5 events, head {head}, 1 redacted\n"));
    let journal = world.ok("journal k --payloads").await;
    assert!(!journal.contains("hunter2"), "{journal}");
    assert!(journal.contains("user:bob") && journal.contains("it-named-a-password"), "{journal}");
    // Once more is no further event.
    let (code, said, _) = world.run(REDACT).await;
    assert_eq!((code, said.as_str()), (0, "event 3 had no payload any more\n"));
    assert_eq!(world.store_head(run.no).await, head);
    for (seq, why) in [
        ("5", "it says itself that something was redacted"),
        ("9", "the journal ends at 5"),
        ("0", "there is no event 0"),
    ] {
        let (code, _, error) = world.run(&format!("redact k {seq} --reason x")).await;
        assert!(code == 1 && error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn what_was_redacted_is_not_in_the_file_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deploys.db");
    let clock = Arc::new(ManualClock::default());
    let options = Options { clock: clock.clone(), ..Options::default() };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&file, options).unwrap());
    let mut world = World::on(store, clock).await;
    let mut run = world.start("checkout", "k", vec![step("build")]).await;
    run.done("build", "\"hunter2-hunter2\"").await;
    let holds = |file: &Path| {
        let log = file.with_extension("db-wal");
        // As it is when the log has been written back.
        rusqlite::Connection::open(file)
            .unwrap()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
        let bytes = [std::fs::read(file).unwrap(), std::fs::read(log).unwrap_or_default()].concat();
        bytes.windows(15).any(|window| window == b"hunter2-hunter2")
    };
    assert!(holds(&file), "the test looks for the wrong thing");
    assert_eq!(world.run(REDACT).await.0, 0);
    assert!(!holds(&file));
}
