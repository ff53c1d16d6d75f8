use crate::fixture::{Driven, World, effect, step};
use towpath::model::{FailureKind, Status, Verb};

async fn resting() -> (World, Driven) {
    let mut world = World::new().await;
    let mut run = world.start("checkout", "k", vec![effect("order")]).await;
    run.failed("order", FailureKind::NeedsOperator, "the quota is used up").await;
    run.release().await;
    (world, run)
}

async fn parked() -> (World, Driven) {
    let mut world = World::new().await;
    let mut run = world.start("checkout", "k", vec![step("approve")]).await;
    run.wait("approve", "decision", Some("approval"), None).await;
    run.release().await;
    (world, run)
}

/// Sends something while a worker reads the inbox.
async fn answered(world: &World, run: &mut Driven, args: &str) -> (u8, String) {
    let (said, ()) = tokio::join!(world.run(args), run.answer());
    assert_eq!(said.2, "");
    (said.0, said.1)
}

#[tokio::test]
async fn a_verb_is_answered_by_the_journal() {
    let (world, mut run) = parked().await;
    assert_eq!(answered(&world, &mut run, "pause k").await, (0, "pause accepted\n".into()));
    assert_eq!(run.state.status(), Status::Paused);
    assert_eq!(answered(&world, &mut run, "resume k --reason enough").await, (0, "resume accepted\n".into()));
    let (code, said) = answered(&world, &mut run, "retry k").await;
    assert_eq!(code, 1);
    assert_eq!(
        said,
        "\
retry refused: no step waits for an operator: there is nothing to retry; what applies: pause, cancel, abandon
"
    );
}

#[tokio::test]
async fn verbs_say_what_the_command_line_said() {
    for (args, said) in [
        ("retry k --new-key --from-scratch", "retry --new-key --from-scratch accepted\n"),
        ("skip k --step order --output 7", "skip --output 7 accepted\n"),
        ("cancel k --no-unwind", "cancel --no-unwind accepted\n"),
        ("abandon k --reason over", "abandon accepted\n"),
    ] {
        let (world, mut run) = resting().await;
        assert_eq!(answered(&world, &mut run, args).await, (0, said.to_owned()), "{args}");
    }
}

#[tokio::test]
async fn a_step_in_doubt_is_resolved() {
    for (args, said) in
        [("resolve k --done 7", "resolve --done 7"), ("resolve k --not-done", "resolve --not-done")]
    {
        let mut world = World::new().await;
        let mut run = world.start("checkout", "k", vec![effect("order")]).await;
        run.lost("order").await;
        let seen = crate::fixture::json("1");
        run.observed("order", towpath::machine::Observation::TakenOver(seen)).await;
        assert_eq!(answered(&world, &mut run, args).await, (0, format!("{said} accepted\n")));
    }
    let mut world = World::new().await;
    let mut run = world.start("checkout", "k", vec![effect("order")]).await;
    run.lost("order").await;
    run.observed("order", towpath::machine::Observation::TakenOver(crate::fixture::json("1"))).await;
    assert_eq!(answered(&world, &mut run, "handback k").await, (0, "handback accepted\n".into()));
}

#[tokio::test]
async fn a_decision_moves_the_step_on() {
    let (world, mut run) = parked().await;
    let args = "approve k approve --comment fine --as user:alice";
    assert_eq!(
        answered(&world, &mut run, args).await,
        (0, "approve approve accepted: approve goes on\n".into())
    );
    let (world, mut run) = parked().await;
    assert_eq!(
        answered(&world, &mut run, "reject k approve").await.1,
        "reject approve accepted: approve goes on\n"
    );
    let (code, said) = answered(&world, &mut run, "approve k deploy").await;
    assert_eq!((code, said.as_str()), (1, "approve deploy refused: the plan has no step deploy\n"));
}

#[tokio::test]
async fn a_signal_that_nobody_waits_for_is_kept() {
    let (world, mut run) = parked().await;
    let said = "signal go kept: no step waits for it yet; the first that does gets it\n";
    assert_eq!(answered(&world, &mut run, "signal k go [1,2]").await, (0, said.into()));
}

#[tokio::test]
async fn what_nobody_answers_stays_in_the_inbox() {
    let (world, mut run) = parked().await;
    let said = "pause not answered yet: no worker drives the run; it is in its inbox, and a worker or `towpath tick` reads it\n";
    let (code, out, _) = world.run("pause k --id once --wait 1").await;
    assert_eq!((code, out.as_str()), (3, said));
    // Asked again with the same id it is not sent again, and the answer that came meanwhile is found.
    run.inbox().await;
    run.verb(Verb::Resume).await;
    assert_eq!(world.ok("pause k --id once --wait 0").await, "pause accepted\n");
    assert_eq!(run.state.status(), Status::Waiting);
}

#[tokio::test]
async fn a_run_that_is_over_refuses() {
    let mut world = World::new().await;
    let mut run = world.start("checkout", "k", vec![step("build")]).await;
    run.done("build", "null").await;
    let (code, out, _) = world.run("pause k --json --id one").await;
    assert_eq!(code, 1);
    let line: serde_json::Value = serde_json::from_str(&out).unwrap();
    let expected = serde_json::json!({
        "run": "01111111-1111-1111-1111-111111111101",
        "sent": "pause",
        "id": "one",
        "answer": "refused",
        "about": "the run has settled: succeeded",
    });
    assert_eq!(line, expected);
}
