use crate::fixture::{World, step};

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
