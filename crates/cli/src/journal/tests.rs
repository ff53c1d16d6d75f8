use crate::fixture::{World, after, effect, step};
use towpath::model::{FailureKind, Verb};

async fn world() -> World {
    let mut world = World::new().await;
    let mut run = world.start("checkout", "k", vec![effect("build"), after("build", step("approve"))]).await;
    run.done("build", r#"{"digest":"sha256:4f2c"}"#).await;
    run.wait("approve", "decision", Some("approval"), Some(3_600)).await;
    run.verb(Verb::Skip { step: None, output: None }).await;
    world.ok("approve k approve --as user:bob --wait 0 --comment fine").await;
    run.inbox().await;
    run.failed("approve", FailureKind::Permanent, "the ledger\nis closed").await;
    world
}

#[tokio::test]
async fn events_are_told_one_by_one() {
    assert_eq!(world().await.ok("journal k").await, "    1  2026-01-01T00:00:00.000Z  run-started           user:alice           checkout k plan 96315e30a358: nightly
    2  2026-01-01T00:00:00.000Z  step-started          engine      build    attempt 1
    3  2026-01-01T00:00:00.000Z  step-done             engine      build    {\"digest\":\"sha256:4f2c\"}
    4  2026-01-01T00:00:00.000Z  step-started          engine      approve  attempt 1
    5  2026-01-01T00:00:00.000Z  wait-started          engine      approve  decision for the signal approval until 2026-01-01T01:00:00.000Z
    6  2026-01-01T00:00:00.000Z  verb-answered         user:bob             skip by user:bob (for a test) refused: no step waits for an operator: there is nothing to skip; what applies: pause, cancel, abandon
    7  2026-01-01T00:00:00.000Z  wait-over             user:bob    approve  decision by user:bob: {\"approve\":true,\"at\":1767225600000000,\"by\":\"user:bob\",\"comment\":\"fine\"}
    8  2026-01-01T00:00:00.000Z  step-failed           engine      approve  attempt 1: the ledger is closed; not again
    9  2026-01-01T00:00:00.000Z  unwind-started        engine               step approve failed: the ledger is closed
   10  2026-01-01T00:00:00.000Z  compensation-started  engine      build    attempt 1
");
}

#[tokio::test]
async fn a_journal_is_read_from_a_number_with_payloads() {
    assert_eq!(
        world().await.ok("journal k --after 9 --payloads").await,
        "   10  2026-01-01T00:00:00.000Z  compensation-started  engine  build  attempt 1
       {\"step\":\"build\",\"attempt\":1}
"
    );
}

#[tokio::test]
async fn an_event_has_stable_names() {
    let out = world().await.ok("journal k --json").await;
    let line: serde_json::Value = serde_json::from_str(out.lines().nth(2).unwrap()).unwrap();
    let before: serde_json::Value = serde_json::from_str(out.lines().nth(1).unwrap()).unwrap();
    let expected = serde_json::json!({
        "seq": 3,
        "time": "2026-01-01T00:00:00.000000Z",
        "kind": "step-done",
        "code": 3,
        "actor": "engine",
        "step": "build",
        "summary": "{\"digest\":\"sha256:4f2c\"}",
        "epoch": 1,
        "format": 1,
        "hash": line["hash"],
        "prev_hash": before["hash"],
        "payload_digest": line["payload_digest"],
        "redacted": false,
        "payload": {"step": "build", "output": {"inline": {"digest": "sha256:4f2c"}}},
    });
    assert_eq!(line, expected);
}
