//! The limits: each at the limit and one above.

use crate::{
    BodyEnd, Input, Phase, RunState,
    StepStateKind::{Failed, Resting, Running},
    sim::{
        driver::{Sim, What, at, failure, run_id},
        plans::{self, StepExt, id, json, name, plan, step},
        script::{cancel, cancel_no_unwind, retry, run_of, skip},
    },
};
use towpath_model::{
    Attempt, Ended, Event, FailureKind, InDoubt, Json, Seq, SignalKept, Status, StepRecord, Verb, limits,
};

fn eager(step: StepRecord) -> StepRecord {
    step.edit(|s| {
        for policy in [&mut s.retry, &mut s.undo_retry] {
            (policy.attempts_max, policy.initial_ms) = (limits::ATTEMPTS, 0);
        }
    })
}

#[test]
fn attempts_at_the_limit_rest_whatever_the_policy_says() {
    for kind in [InDoubt::Idempotent, InDoubt::Observe] {
        let mut sim = run_of([eager(step("a").in_doubt(kind))]);
        for n in 1..=limits::ATTEMPTS {
            assert_eq!((sim.kind("a"), sim.node("a").attempt()), (Running, Attempt(n)));
            match kind {
                InDoubt::Observe => sim.lost("a", Ended::Panicked).observed("a", crate::Observation::NotDone),
                _ if n == limits::ATTEMPTS => sim.lost("a", Ended::Panicked),
                _ => sim.fails("a", FailureKind::Transient),
            };
        }
        assert_eq!((sim.kind("a"), sim.state.is_stuck()), (Resting, true));
        // An operator may have it tried once more; by itself it is not.
        sim.does(retry("a"));
        assert_eq!(sim.node("a").attempt(), Attempt(limits::ATTEMPTS + 1));
        assert_eq!(sim.fails("a", FailureKind::Transient).kind("a"), Resting);
    }
    let mut sim = run_of([eager(step("a").best_effort())]);
    for _ in 0..limits::ATTEMPTS {
        sim.fails("a", FailureKind::Transient);
    }
    assert_eq!(sim.kind("a"), Failed, "a best effort never waits for an operator");
}

#[test]
fn attempts_of_undoing_at_the_limit_rest() {
    let mut sim = run_of([eager(step("a").undoable())]);
    sim.fails("a", FailureKind::Permanent);
    for n in 1..=limits::ATTEMPTS {
        assert_eq!(sim.node("a").undo_attempt(), Attempt(n));
        sim.undo_fails("a", FailureKind::Unknown);
    }
    assert!(sim.state.is_stuck());
}

#[test]
fn waits_at_the_limit_and_one_above() {
    let mut state = RunState::new(run_id(), plan([step("a")]));
    state.apply(Seq(1), at(0), &plans::run_started(None)).unwrap();
    state.decide(at(0));
    let ask = |state: &mut RunState, n: usize| {
        let (wait, until) = (name(&format!("w{n}")), Some(at(0)));
        state.take(Input::Wait { step: id("a"), wait, until, signal: None, checkpoint: None }, at(0))
    };
    for n in 1..=limits::WAITS_PER_STEP {
        ask(&mut state, n).unwrap();
        state.decide(at(0));
    }
    let refused = ask(&mut state, limits::WAITS_PER_STEP + 1).unwrap_err();
    assert_eq!(refused.message, "a step may have 10000 waits, and this one has as many");
    assert_eq!(refused.kind, FailureKind::Permanent);
}

/// Signals that nobody waits for, until the journal holds `n` events.
fn fill(sim: &mut Sim, n: u64) {
    let kept = SignalKept {
        signal: name("noise"),
        step: None,
        value: Json::null(),
        from: towpath_model::Actor::engine(),
        received_at: at(0),
    };
    let event = Event::from(kept);
    while sim.state.seq() < Seq(n) {
        sim.state.apply(sim.state.seq().next(), sim.now, &event).unwrap();
        sim.journal.push((sim.now, event.clone()));
    }
    sim.state.signals.clear();
}

#[test]
fn a_journal_at_its_limit_rests_and_one_below_does_not() {
    let begin = |n| {
        let mut sim = run_of([step("a").undoable(), step("b").undoable().after("a"), step("p").undoable()]);
        sim.waits("p", "w", Some(at(5)), Some("go"));
        // The last two are those of the body that ends, and of the one that would start.
        fill(&mut sim, n);
        let attempt = sim.node("a").attempt();
        sim.bodies.clear();
        sim.take(Input::Ended { step: id("a"), attempt, end: crate::sim::script::done("1") }).unwrap();
        sim.decide();
        sim
    };
    let below = begin(limits::EVENTS_PER_JOURNAL - 2);
    assert_eq!((below.under_way(What::Run), below.state.is_full()), (vec!["b"], true));
    let mut full = begin(limits::EVENTS_PER_JOURNAL - 1);
    full.time(9);
    assert_eq!((full.under_way(What::Run), full.state.wake()), (vec![], None));
    assert_eq!(
        (full.state.status(), full.state.listing().note),
        (Status::Stuck, "the journal is full".into())
    );
    assert_eq!(full.state.verbs(), ["cancel", "abandon"]);
    for verb in [Verb::Pause, retry("a"), skip("b")] {
        let why = full.refused(verb);
        assert_eq!(
            why,
            "the journal is full: the run can only come to its end; what applies: cancel, abandon"
        );
    }
    assert!(full.state.explain().to_string().ends_with("an operator moves it on: cancel, abandon"));
    // A run that leaves its way is undone and settled, however long that takes.
    let mut undone = full.clone();
    undone.does(cancel()).undone("p").undone("a");
    assert_eq!(undone.outcome().word(), "cancelled");
    assert_eq!(full.clone().does(cancel_no_unwind()).outcome().word(), "cancelled");
    assert_eq!(full.does(Verb::Abandon).outcome().word(), "abandoned");
}

#[test]
fn a_body_that_runs_while_the_journal_is_full() {
    let mut sim = run_of([step("a").in_doubt(InDoubt::Idempotent)]);
    fill(&mut sim, limits::EVENTS_PER_JOURNAL);
    let saved = Input::Checkpoint { step: id("a"), undoing: false, value: json("1").into() };
    let refused = sim.take(saved).unwrap_err();
    assert_eq!(refused.kind, FailureKind::NeedsOperator);
    assert!(refused.message.starts_with("the journal holds 50000 events, as many as it may"));
    assert_eq!((sim.state.status(), sim.state.verbs()), (Status::Running, vec!["cancel"]));
    sim.restarts();
    assert_eq!(sim.under_way(What::Run), ["a"], "what has begun comes to its end");
    sim.ends("a", BodyEnd::Failed { failure: failure(FailureKind::NeedsOperator), retry_after: None });
    assert_eq!(sim.state.status(), Status::Stuck);
    sim.does(Verb::Abandon);
    assert_eq!(sim.state.phase(), Phase::Settled);
}
