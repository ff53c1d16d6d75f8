use crate::fixture::{Driven, World, after, effect, json, step};
use towpath::{
    machine::Observation,
    model::{FailureKind, InDoubt, Methods, Status, StepRecord, UndoPolicy, Verb},
};

/// A run that rests, why, and what is said of it.
async fn explained(world: &World) -> String {
    world.ok("explain k").await
}

async fn one(step: StepRecord) -> (World, Driven) {
    let mut world = World::new().await;
    let run = world.start("checkout", "k", vec![step]).await;
    (world, run)
}

/// A run whose only effect is to be undone.
async fn unwinding(effect: StepRecord) -> (World, Driven) {
    let mut world = World::new().await;
    let mut run = world.start("checkout", "k", vec![effect, after("order", step("smoke"))]).await;
    run.done("order", "1").await;
    run.failed("smoke", FailureKind::Permanent, "no answer").await;
    (world, run)
}

#[tokio::test]
async fn running() {
    let (world, _run) = one(step("build")).await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k running: the run is running
  build runs, attempt 1
    since 2026-01-01T00:00:00Z (0 ms ago); a worker moves it on
  worker worker-1 drives it
  verbs that apply: pause, cancel
"
    );
}

#[tokio::test]
async fn sleeping() {
    let (world, mut run) = one(step("bake")).await;
    run.wait("bake", "bake-25", None, Some(600)).await;
    run.release().await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k waiting: the run is waiting
  bake sleeps (bake-25)
    since 2026-01-01T00:00:00Z (0 ms ago); it goes on at 2026-01-01T00:10:00Z (in 10 min)
  nobody drives it now: a worker takes it up at 2026-01-01T00:10:00Z (in 10 min), or a `towpath tick` after it
  verbs that apply: pause, cancel, abandon
"
    );
}

#[tokio::test]
async fn waiting_for_an_approval_with_an_end() {
    let (world, mut run) = one(step("approve")).await;
    run.wait("approve", "decision", Some("approval"), Some(3_600)).await;
    run.release().await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k waiting: the run is waiting
  approve waits for the signal approval
    since 2026-01-01T00:00:00Z (0 ms ago); it goes on at 2026-01-01T01:00:00Z (in 1 h), or with
      towpath approve 01111111-1111-1111-1111-111111111101 approve  to say yes
      towpath reject 01111111-1111-1111-1111-111111111101 approve   to say no
  nobody drives it now: a worker takes it up at 2026-01-01T01:00:00Z (in 1 h), or a `towpath tick` after it
  verbs that apply: pause, cancel, abandon
"
    );
}

#[tokio::test]
async fn waiting_for_a_signal_without_an_end() {
    let (world, mut run) = one(step("deploy")).await;
    run.wait("deploy", "go", Some("go ahead"), None).await;
    run.release().await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k waiting: the run is waiting
  deploy waits for the signal go ahead
    since 2026-01-01T00:00:00Z (0 ms ago); it goes on with
      towpath signal 01111111-1111-1111-1111-111111111101 'go ahead' JSON --step deploy
  nobody drives it now: nothing is due until something comes to its inbox
  verbs that apply: pause, cancel, abandon
"
    );
}

#[tokio::test]
async fn to_be_tried_again() {
    let (world, mut run) = one(step("build")).await;
    run.failed("build", FailureKind::Transient, "no answer").await;
    run.release().await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k running: the run is running
  build is to be tried again after: no answer
    since 2026-01-01T00:00:00Z (0 ms ago); it goes on at 2026-01-01T00:00:30Z (in 30 s)
  nobody drives it now: a worker takes it up at 2026-01-01T00:00:30Z (in 30 s), or a `towpath tick` after it
  verbs that apply: pause, cancel, abandon
"
    );
}

#[tokio::test]
async fn in_doubt_to_be_asked_again() {
    let (world, mut run) = one(effect("order")).await;
    run.lost("order").await;
    let failure = crate::fixture::failure(FailureKind::Transient, "no answer");
    run.observed("order", Observation::Unknown { failure, retry_after: None }).await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k running: the run is running
  order is in doubt, because its body was dropped, and is looked at again
    since 2026-01-01T00:00:00Z (0 ms ago); it goes on at 2026-01-01T00:00:30Z (in 30 s)
  worker worker-1 drives it
  verbs that apply: pause, cancel, abandon
"
    );
}

#[tokio::test]
async fn an_operator_decides_about_a_failure() {
    let (world, mut run) = one(step("build")).await;
    run.failed("build", FailureKind::NeedsOperator, "the quota is used up").await;
    run.release().await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k stuck: the run is stuck
  build rests: the quota is used up
    since 2026-01-01T00:00:00Z (0 ms ago); an operator moves it on, with
      towpath retry 01111111-1111-1111-1111-111111111101 --step build  to try again
      towpath skip 01111111-1111-1111-1111-111111111101 --step build   to go on without it
  nobody drives it now: nothing is due until something comes to its inbox
  verbs that apply: retry, skip, cancel, abandon
"
    );
}

#[tokio::test]
async fn an_operator_decides_about_doubt() {
    let (world, mut run) = one(StepRecord { in_doubt: InDoubt::AskOperator, ..step("order") }).await;
    run.lost("order").await;
    assert_eq!(explained(&world).await, "\
checkout k stuck: the run is stuck
  order rests: it is not known whether it took effect: its body was dropped
    since 2026-01-01T00:00:00Z (0 ms ago); an operator moves it on, with
      towpath retry 01111111-1111-1111-1111-111111111101 --step order                to try again
      towpath skip 01111111-1111-1111-1111-111111111101 --step order                 to go on without it
      towpath resolve 01111111-1111-1111-1111-111111111101 --step order --done JSON  it took effect, with this output
      towpath resolve 01111111-1111-1111-1111-111111111101 --step order --not-done   it did not take effect
  worker worker-1 drives it
  verbs that apply: retry, skip, resolve, cancel, abandon
");
}

#[tokio::test]
async fn an_operator_decides_when_the_world_cannot_tell() {
    let (world, mut run) = one(effect("order")).await;
    run.lost("order").await;
    let failure = || crate::fixture::failure(FailureKind::Transient, "no answer");
    run.observed("order", Observation::Unknown { failure: failure(), retry_after: None }).await;
    run.later(60).await;
    run.observed("order", Observation::Unknown { failure: failure(), retry_after: None }).await;
    assert_eq!(explained(&world).await, "\
checkout k stuck: the run is stuck
  order rests: it cannot be told whether it took effect: no answer
    since 2026-01-01T00:01:00Z (0 ms ago); an operator moves it on, with
      towpath retry 01111111-1111-1111-1111-111111111101 --step order                to try again
      towpath skip 01111111-1111-1111-1111-111111111101 --step order                 to go on without it
      towpath resolve 01111111-1111-1111-1111-111111111101 --step order --done JSON  it took effect, with this output
      towpath resolve 01111111-1111-1111-1111-111111111101 --step order --not-done   it did not take effect
  worker worker-1 drives it
  verbs that apply: retry, skip, resolve, cancel, abandon
");
}

#[tokio::test]
async fn somebody_took_over() {
    let (world, mut run) = one(effect("order")).await;
    run.lost("order").await;
    run.observed("order", Observation::TakenOver(json(r#"{"by":"bob"}"#))).await;
    assert_eq!(explained(&world).await, "\
checkout k stuck: the run is stuck
  order rests: somebody else changed what it owns; seen: {\"by\":\"bob\"}
    since 2026-01-01T00:00:00Z (0 ms ago); an operator moves it on, with
      towpath retry 01111111-1111-1111-1111-111111111101 --step order                to try again
      towpath skip 01111111-1111-1111-1111-111111111101 --step order                 to go on without it
      towpath resolve 01111111-1111-1111-1111-111111111101 --step order --done JSON  it took effect, with this output
      towpath resolve 01111111-1111-1111-1111-111111111101 --step order --not-done   it did not take effect
      towpath handback 01111111-1111-1111-1111-111111111101 --step order             to go on from what is there
  worker worker-1 drives it
  verbs that apply: retry, skip, resolve, handback, cancel, abandon
");
}

#[tokio::test]
async fn paused() {
    let (world, mut run) = one(step("bake")).await;
    run.wait("bake", "bake-25", None, Some(600)).await;
    run.verb(Verb::Pause).await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k paused: the run is paused
  bake sleeps (bake-25)
    since 2026-01-01T00:00:00Z (0 ms ago); its time comes at 2026-01-01T00:10:00Z (in 10 min)
  user:bob has paused the run (for a test)
    since 2026-01-01T00:00:00Z (0 ms ago); an operator moves it on, with
      towpath resume 01111111-1111-1111-1111-111111111101
  worker worker-1 drives it
  verbs that apply: resume, cancel, abandon
"
    );
}

#[tokio::test]
async fn undoing_to_be_tried_again() {
    let (world, mut run) = unwinding(effect("order")).await;
    run.not_undone("order", FailureKind::Transient, "no answer").await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k unwinding: the run undoes what it did
  order could not be undone yet
    since 2026-01-01T00:00:00Z (0 ms ago); it goes on at 2026-01-01T00:00:30Z (in 30 s)
  worker worker-1 drives it
  verbs that apply: pause, cancel --no-unwind, abandon
"
    );
}

#[tokio::test]
async fn undoing_that_is_stuck() {
    let (world, mut run) = unwinding(effect("order")).await;
    run.not_undone("order", FailureKind::Permanent, "it was shipped").await;
    assert_eq!(explained(&world).await, "\
checkout k stuck: the run undoes what it did
  order could not be undone: it was shipped
    since 2026-01-01T00:00:00Z (0 ms ago); an operator moves it on, with
      towpath retry 01111111-1111-1111-1111-111111111101 --step order                to try again to undo it
      towpath skip 01111111-1111-1111-1111-111111111101 --step order                 to leave in place what it did
      towpath resolve 01111111-1111-1111-1111-111111111101 --step order --done null  it is undone
      towpath resolve 01111111-1111-1111-1111-111111111101 --step order --not-done   it is not undone
  worker worker-1 drives it
  verbs that apply: retry, skip, resolve, cancel --no-unwind, abandon
");
}

#[tokio::test]
async fn undoing_that_is_asked_about() {
    let methods = Methods { compensate: true, ..Methods::default() };
    let order = StepRecord { undo: UndoPolicy::Ask, methods, ..step("order") };
    let (world, _run) = unwinding(order).await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k stuck: the run undoes what it did
  order asks whether to be undone
    since 2026-01-01T00:00:00Z (0 ms ago); an operator moves it on, with
      towpath retry 01111111-1111-1111-1111-111111111101 --step order                to undo it
      towpath skip 01111111-1111-1111-1111-111111111101 --step order                 to leave in place what it did
      towpath resolve 01111111-1111-1111-1111-111111111101 --step order --done null  it is undone
      towpath resolve 01111111-1111-1111-1111-111111111101 --step order --not-done   it is not undone
  worker worker-1 drives it
  verbs that apply: retry, skip, resolve, cancel --no-unwind, abandon
"
    );
}

#[tokio::test]
async fn settled() {
    let (world, mut run) = one(step("build")).await;
    run.done("build", "null").await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k succeeded: the run has settled: succeeded
"
    );
}

#[tokio::test]
async fn blocked() {
    let (world, mut run) = one(step("build")).await;
    run.release_as(Status::Blocked, "no worker knows the kind demo.step/v1").await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k blocked: the run waits for a worker that knows its kinds: no worker knows the kind demo.step/v1
  build runs, attempt 1
    since 2026-01-01T00:00:00Z (0 ms ago); a worker moves it on
  nobody drives it now: start a worker that knows its kinds, or `tick` with the command that holds them
  verbs that apply: pause, cancel
"
    );
}

#[tokio::test]
async fn quarantined() {
    let (world, mut run) = one(step("build")).await;
    run.raw(99, "{}").await;
    run.quarantine("event kind 99 is unknown to this release").await;
    assert_eq!(explained(&world).await, "\
checkout k quarantined: the run is quarantined: event 3: event kind 99 is unknown to this release
  its journal cannot be folded: event 3: event kind 99 is unknown to this release: a newer one wrote it; upgrade, then retry
  no worker touches it
    since 2026-01-01T00:00:00Z (0 ms ago); an operator moves it on, with
      towpath retry 01111111-1111-1111-1111-111111111101                  to try again
      towpath abandon 01111111-1111-1111-1111-111111111101 --reason TEXT  to give it up; what it did stays
  nobody drives it now: nothing is due until something comes to its inbox
  verbs that apply: retry, abandon
");
}

#[tokio::test]
async fn with_something_unread_in_its_inbox() {
    let (world, mut run) = one(step("approve")).await;
    run.wait("approve", "decision", Some("approval"), None).await;
    run.release().await;
    world.ok("pause k --wait 0").await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k waiting: the run is waiting
  approve waits for the signal approval
    since 2026-01-01T00:00:00Z (0 ms ago); it goes on with
      towpath approve 01111111-1111-1111-1111-111111111101 approve  to say yes
      towpath reject 01111111-1111-1111-1111-111111111101 approve   to say no
  nobody drives it now: the next worker does, or `towpath tick`; one entry of its inbox is not read yet
  verbs that apply: pause, cancel, abandon
"
    );
}

#[tokio::test]
async fn a_document_has_stable_names() {
    let (world, mut run) = one(step("approve")).await;
    run.wait("approve", "decision", Some("approval"), Some(60)).await;
    run.release().await;
    let document: serde_json::Value = serde_json::from_str(&world.ok("explain k --json").await).unwrap();
    let run = "01111111-1111-1111-1111-111111111101";
    let expected = serde_json::json!({
        "run": run,
        "pipeline": "checkout",
        "key": "k",
        "status": "waiting",
        "summary": "the run is waiting",
        "waits": [{
            "step": "approve",
            "what": "waits for the signal approval",
            "since": "2026-01-01T00:00:00.000000Z",
            "mover": "signal",
            "at": "2026-01-01T00:01:00.000000Z",
            "commands": [
                {"command": format!("towpath approve {run} approve"), "does": "to say yes"},
                {"command": format!("towpath reject {run} approve"), "does": "to say no"},
            ],
        }],
        "verbs": ["pause", "cancel", "abandon"],
        "owner": null,
        "wake_at": "2026-01-01T00:01:00.000000Z",
        "driving": document["driving"],
        "unread": 0,
        "unfolded": null,
    });
    assert_eq!(document, expected);
}

#[tokio::test]
async fn full() {
    let (world, mut run) = one(step("build")).await;
    run.saved("build", 49_998).await;
    run.failed("build", FailureKind::Transient, "no answer").await;
    run.release().await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k stuck: the run is stuck
  build is to be tried again after: no answer
    since 2026-01-01T00:00:00Z (0 ms ago); its time comes at 2026-01-01T00:00:30Z (in 30 s)
  the journal is full
    since 2026-01-01T00:00:00Z (0 ms ago); an operator moves it on, with
      towpath cancel 01111111-1111-1111-1111-111111111101                 to stop, and undo what it did
      towpath abandon 01111111-1111-1111-1111-111111111101 --reason TEXT  to give it up; what it did stays
  nobody drives it now: nothing is due until something comes to its inbox
  verbs that apply: cancel, abandon
"
    );
}

#[tokio::test]
async fn cancelled_while_something_runs() {
    let (world, mut run) = one(effect("order")).await;
    run.verb(Verb::Cancel { unwind: true }).await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k unwinding: the run comes to a stop: what still runs is asked to end
  order is asked to stop, attempt 1
    since 2026-01-01T00:00:00Z (0 ms ago); a worker moves it on
  worker worker-1 drives it
  verbs that apply: pause, cancel --no-unwind, abandon
"
    );
}

#[tokio::test]
async fn waiting_for_two_things() {
    let mut world = World::new().await;
    let mut run = world.start("checkout", "k", vec![step("bake"), step("order")]).await;
    run.wait("bake", "bake-25", None, Some(600)).await;
    run.failed("order", FailureKind::NeedsOperator, "the quota is used up").await;
    run.release().await;
    assert_eq!(
        explained(&world).await,
        "\
checkout k stuck: the run is stuck
  bake sleeps (bake-25)
    since 2026-01-01T00:00:00Z (0 ms ago); it goes on at 2026-01-01T00:10:00Z (in 10 min)
  order rests: the quota is used up
    since 2026-01-01T00:00:00Z (0 ms ago); an operator moves it on, with
      towpath retry 01111111-1111-1111-1111-111111111101 --step order  to try again
      towpath skip 01111111-1111-1111-1111-111111111101 --step order   to go on without it
  nobody drives it now: a worker takes it up at 2026-01-01T00:10:00Z (in 10 min), or a `towpath tick` after it
  verbs that apply: retry, skip, cancel, abandon
"
    );
}
