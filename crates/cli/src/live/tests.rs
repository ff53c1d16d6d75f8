use crate::fixture::{World, effect, failure, step};
use towpath::model::{FailureKind, Kind, StepRecord};

fn promote(id: &str) -> StepRecord {
    StepRecord { kind: Kind::new("towpath.promote/v1").unwrap(), ..effect(id) }
}

/// A run that makes a release live.
async fn promoted(world: &mut World, service: &str, environment: &str, version: &str, previous: &str) {
    let mut run =
        world.start("shop", &format!("{service}@{version} {environment}"), vec![promote("go")]).await;
    run.later(60).await;
    let output = format!(
        r#"{{"service":"{service}","environment":"{environment}","version":"{version}","digest":"sha256:{version}","previous":{previous},"weight":100}}"#
    );
    run.done("go", &output).await;
}

#[tokio::test]
async fn the_newest_release_of_each_service_in_each_environment_is_live() {
    let mut world = World::new().await;
    promoted(&mut world, "orders", "staging", "1.1.0", "null").await;
    promoted(&mut world, "orders", "production", "1.0.0", "null").await;
    promoted(&mut world, "orders", "production", "1.1.0", r#""1.0.0""#).await;
    promoted(&mut world, "web", "production", "7", "null").await;
    let text = world.ok("live").await;
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().take(4).collect()).collect();
    assert_eq!(
        rows,
        [
            ["SERVICE", "ENVIRONMENT", "VERSION", "BEFORE"],
            ["orders", "production", "1.1.0", "1.0.0"],
            ["orders", "staging", "1.1.0", "-"],
            ["web", "production", "7", "-"],
        ],
        "{text}"
    );
    assert!(text.contains("2026-01-01T00:03:00Z (1 min ago)"), "{text}");
    let one = world.ok("live orders --environment production --history").await;
    let versions: Vec<&str> = one.lines().skip(1).filter_map(|l| l.split_whitespace().nth(2)).collect();
    assert_eq!(versions, ["1.1.0", "1.0.0"], "newest first");
}

#[tokio::test]
async fn what_is_live_is_written_as_json() {
    let mut world = World::new().await;
    promoted(&mut world, "orders", "production", "1.1.0", r#""1.0.0""#).await;
    assert_eq!(
        world.ok("live --json").await,
        "{\"service\":\"orders\",\"environment\":\"production\",\"version\":\"1.1.0\",\"digest\":\"sha256:1.1.0\",\
         \"previous\":\"1.0.0\",\"since\":\"2026-01-01T00:01:00.000000Z\",\
         \"run\":\"01111111-1111-1111-1111-111111111101\",\"step\":\"go\",\"by\":\"user:alice\"}\n"
    );
}

#[tokio::test]
async fn a_promotion_that_was_undone_or_never_happened_is_not_live() {
    let mut world = World::new().await;
    promoted(&mut world, "orders", "production", "1.0.0", "null").await;
    let mut run =
        world.start("shop", "undone", vec![promote("go"), crate::fixture::after("go", step("smoke"))]).await;
    run.done("go", r#"{"service":"orders","environment":"production","version":"2.0.0"}"#).await;
    let before = world.ok("live").await;
    assert!(before.contains("2.0.0"), "{before}");
    run.failed("smoke", FailureKind::Permanent, &failure(FailureKind::Permanent, "no answer").to_string())
        .await;
    run.undone("go").await;
    let after = world.ok("live").await;
    assert!(after.contains("1.0.0") && !after.contains("2.0.0"), "{after}");
}

#[tokio::test]
async fn a_journal_without_promotions_says_what_makes_a_release_live() {
    let mut world = World::new().await;
    world.start("shop", "a", vec![step("build")]).await;
    let text = world.ok("live").await;
    assert!(text.contains("a release becomes live by a promotion or a rollback"), "{text}");
}
