use crate::fixture::{World, effect, step};
use towpath::model::{FailureKind, Status};

async fn world() -> World {
    let mut world = World::new().await;
    let mut one = world.start("checkout", "checkout@4f2c", vec![step("build")]).await;
    one.done("build", "null").await;
    let mut two = world.start("checkout", "checkout@9a1b", vec![step("build")]).await;
    two.failed("build", FailureKind::Permanent, "no such commit\nnor any like it").await;
    let mut three = world.start("search", "search@4f2c", vec![effect("approve")]).await;
    three.wait("approve", "decision", Some("approval"), None).await;
    three.release().await;
    world.clock.advance(std::time::Duration::from_secs(300));
    let mut four = world.start("search", "search@9a1b", vec![step("build")]).await;
    four.release_as(Status::Blocked, "no worker knows the kind demo.step/v1").await;
    world
}

#[tokio::test]
async fn runs_are_listed_newest_first() {
    let list = "\
RUN            PIPELINE  KEY            STATUS     SINCE  NOTE
04111111-1111  search    search@9a1b    blocked    0s     no worker knows the kind demo.step/v1
03111111-1111  search    search@4f2c    waiting    5m     approve: decision
02111111-1111  checkout  checkout@9a1b  failed     5m     step build failed: no such commit
01111111-1111  checkout  checkout@4f2c  succeeded  5m
";
    assert_eq!(world().await.ok("runs").await, list);
}

#[tokio::test]
async fn a_list_holds_what_was_asked_for() {
    let world = world().await;
    for (args, keys) in [
        ("--status waiting --status blocked", &["search@9a1b", "search@4f2c"][..]),
        ("--status failed", &["checkout@9a1b"]),
        ("--status settled", &["checkout@9a1b", "checkout@4f2c"]),
        ("--status failed --status waiting --limit 1", &["search@4f2c"]),
        ("--pipeline checkout --label owner=shop", &["checkout@9a1b", "checkout@4f2c"]),
        ("--label owner=nobody", &[]),
        ("--limit 1", &["search@9a1b"]),
    ] {
        let out = world.ok(&format!("runs --json {args}")).await;
        let key = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["key"].clone();
        assert_eq!(out.lines().map(key).collect::<Vec<_>>(), keys, "{args}");
    }
    assert_eq!(world.ok("runs --label owner=nobody").await, "no such runs\n");
}

#[tokio::test]
async fn a_line_has_stable_names() {
    let out = world().await.ok("runs --json --pipeline checkout --status succeeded").await;
    let line: serde_json::Value = serde_json::from_str(&out).unwrap();
    let expected = serde_json::json!({
        "run": "01111111-1111-1111-1111-111111111101",
        "pipeline": "checkout",
        "key": "checkout@4f2c",
        "status": "settled",
        "note": "",
        "outcome": "succeeded",
        "labels": {"owner": "shop"},
        "plan_hash": line["plan_hash"],
        "started_at": "2026-01-01T00:00:00.000000Z",
        "changed_at": "2026-01-01T00:00:00.000000Z",
        "wake_at": null,
        "owner": null,
    });
    assert_eq!(line, expected);
}

#[tokio::test]
async fn a_run_is_found_by_a_prefix_or_its_key_and_nothing_else() {
    let world = world().await;
    for run in ["03", "03111111-11", "0311111111", "search@4f2c", "03111111-1111-1111-1111-111111111103"] {
        assert!(world.ok(&format!("show {run}")).await.starts_with("search search@4f2c"), "{run}");
    }
    let (code, _, err) = world.run("show 0").await;
    let several = "\
error: 4 runs are meant by \"0\": give more of the id
  04111111-1111-1111-1111-111111111104  search  search@9a1b  blocked
  03111111-1111-1111-1111-111111111103  search  search@4f2c  waiting
  02111111-1111-1111-1111-111111111102  checkout  checkout@9a1b  settled
  01111111-1111-1111-1111-111111111101  checkout  checkout@4f2c  settled
";
    assert_eq!((code, err.as_str()), (1, several));
    let (code, _, err) = world.run("show saerch@4f2c").await;
    let near = "\
error: there is no run \"saerch@4f2c\"; near it are
  03111111-1111-1111-1111-111111111103  search  search@4f2c  waiting
";
    assert_eq!((code, err.as_str()), (1, near));
    let (code, _, err) = world.run("show nothing-like-it").await;
    assert_eq!(
        (code, err.as_str()),
        (1, "error: there is no run \"nothing-like-it\": `runs` lists those that there are\n")
    );
    assert_eq!(
        World::new().await.run("show k").await.2,
        "error: there is no run \"k\": the store holds no runs\n"
    );
}

#[tokio::test]
async fn errors_are_json_when_the_output_is() {
    let (code, out, err) = World::new().await.run("show k --json").await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(err, "{\"error\":\"there is no run \\\"k\\\": the store holds no runs\"}\n");
    let (code, _, err) = World::new().await.run("runs --status hung --json").await;
    assert_eq!(code, 2);
    assert!(err.starts_with("{\"error\":\"invalid value 'hung'"), "{err}");
}
