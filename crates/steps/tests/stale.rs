//! An approval of a preview: what was shown has to be true when enough have said yes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

extern crate towpath_step as towpath;

use std::{
    sync::atomic::{AtomicU8, Ordering::SeqCst},
    time::Duration,
};
use towpath_engine::{Engine, Run, Settled, Until};
use towpath_model::{Actor, Change, Json, Message, Name, NewEntry, StepId};
use towpath_step::{Approved, Environment, Pipeline, StepContext, StepError, step, steps};
use towpath_steps::Approval;

/// The weight, which people may move by hand.
static WEIGHT: AtomicU8 = AtomicU8::new(10);

async fn would_move(
    _cx: &StepContext,
    _to: Environment,
    release: Approved<String>,
) -> Result<Vec<Change>, StepError> {
    let now = WEIGHT.load(SeqCst);
    Ok(vec![Change::update("the weight").from(&now).to(&50).because(&release.value)])
}

#[step("stale.move/v1", idempotent, preview = would_move)]
async fn shift(_cx: &StepContext, _to: Environment, release: Approved<String>) -> Result<String, StepError> {
    WEIGHT.store(50, SeqCst);
    Ok(format!("{} by {}", release.value, release.by[0].who))
}

fn gated() -> Pipeline<String> {
    let production = Environment::named("production").accepts::<Approved<String>>();
    let p = Pipeline::new("gated");
    let release = p.param::<String>("release");
    let shown = p.preview_of("shown", &production);
    let ok = p.step("ok", Approval::of(&release).showing(&shown).expires(Duration::from_secs(3_600)));
    let live = p.step("shift", shift::of(&production, &ok));
    p.output(&live).build().unwrap()
}

async fn yes(run: &Run<String>, by: &str) {
    let message =
        Message::Approval { step: StepId::new("ok").unwrap(), approve: true, comment: String::new() };
    let (dedupe_id, actor) = (Name::new(by).unwrap(), Actor::new(by).unwrap());
    let entry = NewEntry { dedupe_id, actor, message: Json::of(&message).unwrap() };
    run.engine().store().put_entry(run.id(), entry).await.unwrap();
}

/// The lines of the step's log so far.
async fn logged(run: &Run<String>) -> Vec<String> {
    let no = run.row().await.unwrap().no;
    let lines = run.engine().store().logs(no, &StepId::new("ok").unwrap(), 0, 100).await.unwrap();
    lines.into_iter().map(|line| line.text).collect()
}

#[tokio::test]
async fn what_was_shown_and_has_moved_since_is_asked_about_again() {
    let steps = towpath_steps::steps().and(steps![shift]);
    let engine = Engine::open("memory:").steps(steps).background(false);
    let engine = engine.park_after(Duration::ZERO).start().await.unwrap();
    let run = engine.run(gated().with(towpath::params! { release: "v2" }).unwrap(), "once").await.unwrap();
    let says = async |part: &str| {
        engine.drive(Until::Parked, None).await.unwrap();
        let logged = logged(&run).await;
        assert!(logged.iter().any(|line| line.contains(part)), "{logged:#?}");
    };
    says("to be approved by anybody").await;
    WEIGHT.store(25, SeqCst);
    yes(&run, "user:ann").await;
    // When the second yes comes, the second preview has not been shown to anybody.
    yes(&run, "user:mallory").await;
    says("what was shown is not true any more").await;
    says("the answer of user:mallory does not count: user:mallory answered before this was shown").await;
    assert_eq!(WEIGHT.load(SeqCst), 25, "nothing has happened");
    yes(&run, "user:bob").await;
    engine.drive(Until::Parked, None).await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("v2 by user:bob".to_owned()));
    assert_eq!(WEIGHT.load(SeqCst), 50);
    engine.shutdown().await.unwrap();
}
