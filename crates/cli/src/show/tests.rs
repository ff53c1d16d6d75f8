use crate::fixture::{World, after, effect, record, step, within};
use towpath::{
    machine::Observation,
    model::{FailureKind, Section, Status, StepRecord, Verb},
};

#[tokio::test]
async fn a_run_on_its_way() {
    let mut world = World::new().await;
    let canary = StepRecord { best_effort: false, ..effect("eu/canary") };
    let steps = vec![
        step("build"),
        after("build", step("scan")),
        after("scan", canary),
        after("eu/canary", step("eu/smoke")),
        within(Section::OnFailure, step("page")),
        within(Section::Finally, step("tidy")),
    ];
    let mut run = world.start("checkout", "checkout@4f2c", steps).await;
    run.later(12).await;
    run.done("build", r#"{"digest":"sha256:4f2c"}"#).await;
    run.failed("scan", FailureKind::Transient, "ask the scanner: connection refused").await;
    run.later(30).await;
    run.later(4).await;
    run.done("scan", "null").await;
    run.wait("eu/canary", "bake-25", None, Some(600)).await;
    run.later(60).await;
    let shown = "\
checkout checkout@4f2c waiting: eu/canary: bake-25
  run        01111111-1111-1111-1111-111111111101
  plan       84d039ac57c3 of pipeline 153832b34864
  started    2026-01-01T00:00:00Z (1 min 46 s ago) by user:alice: nightly
  labels     owner=shop
  driven by  worker-1

├─ ✓ build      done     12 s
├─ ✓ scan       done     34 s, attempt 2
│       attempt 1 2026-01-01T00:00:12Z: ask the scanner: connection refused (transient)
└─ eu/
   ├─ ◦ canary  parked   1 min, at bake-25 until 2026-01-01T00:10:46Z (in 9 min)
   └─ · smoke   pending  after eu/canary
on failure
└─ · page  pending
finally
└─ · tidy  pending
";
    assert_eq!(world.ok("show checkout@4f2c").await, shown);
}

#[tokio::test]
async fn a_run_that_unwinds_and_is_stuck() {
    let mut world = World::new().await;
    let steps = vec![
        effect("reserve"),
        after("reserve", effect("order")),
        after("order", step("smoke")),
        after("smoke", step("announce")),
    ];
    let mut run = world.start("checkout", "k", steps).await;
    run.done("reserve", "1").await;
    run.done("order", "2").await;
    run.failed("smoke", FailureKind::Rejected, "3 of 5 checks failed").await;
    run.later(2).await;
    run.undone("order").await;
    run.not_undone("reserve", FailureKind::Permanent, "the reservation is closed").await;
    let shown = "\
checkout k stuck: an operator has to decide about reserve
  run        01111111-1111-1111-1111-111111111101
  plan       8c7d27a72b99 of pipeline 88290e86e523
  started    2026-01-01T00:00:00Z (2.0 s ago) by user:alice: nightly
  labels     owner=shop
  driven by  worker-1

├─ ✓ reserve   done     0 ms
│       undoing, attempt 1 2026-01-01T00:00:02Z: the reservation is closed (permanent)
│       could not be undone: an operator decides
├─ ↶ order     undone   0 ms
│       undone in 2.0 s
├─ ✗ smoke     failed   0 ms
│       attempt 1 2026-01-01T00:00:00Z: 3 of 5 checks failed (rejected)
└─ · announce  not run
";
    assert_eq!(world.ok("show k").await, shown);
}

#[tokio::test]
async fn a_run_that_is_over() {
    let mut world = World::new().await;
    let mut run =
        world.start("checkout", "k", vec![effect("reserve"), after("reserve", effect("order"))]).await;
    run.done("reserve", "1").await;
    run.lost("order").await;
    run.observed("order", Observation::TakenOver(crate::fixture::json(r#"{"by":"bob"}"#))).await;
    run.verb(Verb::Abandon).await;
    let shown = "\
checkout k abandoned
  run        01111111-1111-1111-1111-111111111101
  plan       dacc2eee1b31 of pipeline a78277d1b6b2
  started    2026-01-01T00:00:00Z (0 ms ago) by user:alice: nightly
  labels     owner=shop

├─ ✓ reserve  done     0 ms
└─ ! order    resting  0 ms
        somebody else changed what it owns; seen: {\"by\":\"bob\"}

abandoned by user:bob: for a test
  left in place: reserve, order
  not known whether they took effect: order
";
    assert_eq!(world.ok("show k").await, shown);
}

#[tokio::test]
async fn a_run_that_cannot_be_folded_is_shown_as_far_as_it_can_be_read() {
    let mut world = World::new().await;
    let mut run = world.start("checkout", "k", vec![step("build")]).await;
    run.raw(99, "{}").await;
    run.quarantine("event kind 99 is unknown to this release").await;
    let shown = "\
checkout k quarantined: event 3: event kind 99 is unknown to this release
  run        01111111-1111-1111-1111-111111111101
  plan       de56781e82db of pipeline 7fc8070d6f05
  started    2026-01-01T00:00:00Z (0 ms ago) by user:alice: nightly
  labels     owner=shop
  driven by  nobody; nothing is due

  its 3 events cannot be folded: event 3: event kind 99 is unknown to this release: a newer one wrote it; upgrade, then retry
  `journal` shows them one by one, and `verify` says whether they are whole
";
    assert_eq!(world.ok("show k").await, shown);
}

#[tokio::test]
async fn a_document_has_stable_names() {
    let mut world = World::new().await;
    let mut run =
        world.start_plan(record("checkout", vec![step("build"), after("build", step("scan"))]), "k").await;
    run.done("build", r#"{"digest":"sha256:4f2c"}"#).await;
    run.failed("scan", FailureKind::Transient, "no answer").await;
    let document: serde_json::Value = serde_json::from_str(&world.ok("show k --json").await).unwrap();
    assert_eq!(document["status"], serde_json::json!(Status::Running));
    assert_eq!(document["steps"][0]["output"], serde_json::json!({"inline": {"digest": "sha256:4f2c"}}));
    assert_eq!(document["steps"][1]["state"], "backoff");
    assert_eq!(document["steps"][1]["failures"][0]["failure"]["message"], "no answer");
}
