//! Steps in doubt, and processes that die.

use crate::{
    BodyEnd, Observation, StepState,
    StepStateKind::{Backoff, Done, Failed, InDoubt as Asked, Resting, Running},
    sim::{
        driver::{What, at, failure},
        plans::{StepExt, json, step},
        script::{
            cancel, cancel_no_unwind, handback, resolve_done, resolve_not_done, retry, run_of, seen_done,
            skip, unknown,
        },
    },
};
use towpath_model::{
    Ended,
    FailureKind::{NeedsOperator, Permanent, Rejected, Transient, Unknown},
    InDoubt::{self, AskOperator, Idempotent, NoEffect, Observe},
    Outcome, Section, Verb,
};

#[test]
fn what_follows_each_kind_of_failure() {
    let after = |kind, change: fn(towpath_model::StepRecord) -> towpath_model::StepRecord| {
        run_of([change(step("a").in_doubt(Observe)), step("z")]).fails("a", kind).kind("a")
    };
    let plain = |s| s;
    assert_eq!(after(Transient, plain), Backoff);
    assert_eq!(after(Transient, |s| s.once()), Failed);
    assert_eq!(after(Rejected, plain), Failed);
    assert_eq!(after(Permanent, plain), Failed);
    assert_eq!(after(Unknown, plain), Asked);
    assert_eq!(after(NeedsOperator, plain), Resting);
    assert_eq!(after(NeedsOperator, |s| s.best_effort()), Failed);
}

#[test]
fn past_the_point_of_no_return_failures_rest() {
    let past = || {
        let mut sim = run_of([
            step("promote").no_return(),
            step("b").after("promote"),
            step("c").after("promote").best_effort(),
        ]);
        sim.done("promote");
        sim
    };
    assert_eq!(past().fails("b", Permanent).kind("b"), Resting);
    assert_eq!(past().fails("c", Permanent).kind("c"), Failed, "a best effort lets the run go on");
    let mut sim = past();
    for _ in 0..3 {
        sim.lost("b", Ended::TimedOut);
        if sim.kind("b") == Backoff {
            sim.wakes();
        }
    }
    assert_eq!(sim.kind("b"), Resting, "also what is in doubt and may not be tried again");
    assert!(sim.refused(cancel()).contains("past promote, its point of no return"));
    sim.does(cancel_no_unwind());
}

#[test]
fn what_follows_doubt_in_the_same_process() {
    let after = |kind, ended| run_of([step("a").in_doubt(kind), step("z")]).lost("a", ended).kind("a");
    for ended in [Ended::TimedOut, Ended::Dropped, Ended::Panicked, Ended::Unknown] {
        assert_eq!(after(NoEffect, ended), Backoff);
        assert_eq!(after(Idempotent, ended), Backoff);
        assert_eq!(after(Observe, ended), Asked);
        assert_eq!(after(AskOperator, ended), Resting);
    }
}

#[test]
fn what_a_takeover_decides_for_each_kind() {
    let taken_over = |kind| {
        let mut sim = run_of([step("a").in_doubt(kind)]);
        let before = sim.journal.len();
        sim.restarts();
        let events = sim.kinds()[before..].to_vec();
        (events, sim.kind("a"), sim.under_way(What::Run).len(), sim.under_way(What::Observe).len())
    };
    assert_eq!(taken_over(NoEffect), (vec![], Running, 1, 0));
    assert_eq!(taken_over(Idempotent), (vec![], Running, 1, 0));
    assert_eq!(taken_over(Observe), (vec![], Running, 0, 1));
    assert_eq!(taken_over(AskOperator), (vec!["step-in-doubt"], Resting, 0, 0));
    // While it comes to a stop nothing is entered again.
    let draining = |kind| {
        let mut sim = run_of([step("a").in_doubt(kind).undoable()]);
        sim.does(cancel()).restarts();
        assert!(sim.under_way(What::Run).is_empty());
        sim.under_way(What::Undo).len()
    };
    assert_eq!(draining(Idempotent), 1);
    assert_eq!(draining(AskOperator), 1);
    let mut sim = run_of([step("a").in_doubt(Observe).undoable()]);
    sim.does(cancel()).restarts();
    assert_eq!(sim.under_way(What::Observe), ["a"], "it is looked at before it is undone");
    assert_eq!(sim.observed("a", seen_done()).under_way(What::Undo), ["a"]);
}

#[test]
fn recover_is_idempotent() {
    for kind in [NoEffect, Idempotent, Observe, AskOperator] {
        let mut sim = run_of([
            step("a").in_doubt(kind).undoable(),
            step("p").in_doubt(kind),
            step("o").in_doubt(Observe),
            step("r"),
        ]);
        sim.waits("p", "w", Some(at(100)), None).lost("o", Ended::Panicked).fails("r", Transient).restarts();
        let (before, journal) = (sim.state.clone(), sim.journal.len());
        for _ in 0..3 {
            sim.restarts();
        }
        assert_eq!((sim.state == before, sim.journal.len()), (true, journal), "{kind:?}");
        // Recovering a state that is driven already comes to the same.
        let mut twice = sim.state.clone();
        twice.recover();
        let mut once = sim.fold(sim.journal.len());
        once.recover();
        assert_eq!((twice.decide(sim.now), twice.wake()), (once.decide(sim.now), once.wake()));
    }
}

#[test]
fn not_done_begins_a_new_attempt_with_the_checkpoint_and_the_keys_unchanged() {
    let mut sim = run_of([step("a").in_doubt(Observe).taking_before()]);
    sim.before_taken("a", "{\"was\":1}");
    let saved = crate::Input::Checkpoint {
        step: crate::sim::plans::id("a"),
        undoing: false,
        value: json("{\"at\":7}").into(),
    };
    sim.take(saved).unwrap();
    sim.decide();
    sim.restarts().observed("a", Observation::NotDone);
    let node = sim.node("a");
    assert_eq!((node.attempt().0, node.generation(), sim.under_way(What::Run)), (2, 0, vec!["a"]));
    assert_eq!(node.checkpoint().unwrap().inline(), Some(&json("{\"at\":7}")));
    assert_eq!(node.before().unwrap().inline(), Some(&json("{\"was\":1}")), "and it is not asked again");
}

#[test]
fn a_question_is_asked_again_no_sooner_than_the_other_side_says() {
    let later = |seconds| {
        let failure = failure(Transient);
        Observation::Unknown { failure, retry_after: Some(std::time::Duration::from_secs(seconds)) }
    };
    let mut sim = run_of([step("a").in_doubt(Observe).once()]);
    sim.lost("a", Ended::TimedOut).observed("a", later(100));
    assert_eq!((sim.kind("a"), sim.state.wake()), (Asked, Some(at(100))));
    let mut sim = run_of([step("a").in_doubt(Observe).once()]);
    sim.lost("a", Ended::TimedOut).observed("a", later(0));
    assert_eq!(sim.state.wake(), Some(at(1)), "and no sooner than the policy says");
}

#[test]
fn questions_have_their_own_policy_and_count_as_no_attempt() {
    let mut sim = run_of([step("a").in_doubt(Observe).once()]);
    sim.lost("a", Ended::TimedOut).observed("a", unknown());
    assert_eq!((sim.kind("a"), sim.state.wake()), (Asked, Some(at(1))));
    sim.restarts().wakes().observed("a", unknown()).wakes().observed("a", unknown());
    assert_eq!((sim.kind("a"), sim.node("a").attempt().0), (Resting, 1));
    assert_eq!(sim.does(resolve_done("a")).kind("a"), Done);
    // A process that died is no verdict on the step, though it may not be tried again.
    let mut sim = run_of([step("a").in_doubt(Observe).once()]);
    sim.restarts().observed("a", Observation::NotDone);
    assert_eq!(sim.kind("a"), Resting);
    assert_eq!(sim.does(retry("a")).node("a").attempt().0, 2);
    // Not done, and no attempt left.
    let mut sim = run_of([step("a").in_doubt(Observe).once()]);
    sim.lost("a", Ended::TimedOut).observed("a", Observation::NotDone);
    assert_eq!(
        sim.outcome().to_string(),
        "failed: step a failed: it did not take effect, and may not be tried again"
    );
}

#[test]
fn somebody_who_took_over_is_left_alone() {
    for by_body in [false, true] {
        let begin = || {
            let mut sim = run_of([step("a").in_doubt(Observe).undoable().taking_before()]);
            sim.before_taken("a", "1");
            if by_body {
                sim.ends("a", BodyEnd::TakenOver(json("{\"by\":\"bob\"}")));
            } else {
                sim.lost("a", Ended::Dropped).observed("a", Observation::TakenOver(json("{\"by\":\"bob\"}")));
            }
            assert_eq!((sim.kind("a"), sim.state.wake()), (Resting, None));
            sim
        };
        // It goes on from what is there.
        let mut sim = begin();
        sim.does(handback("a")).before_taken("a", "2");
        assert_eq!(sim.node("a").before().unwrap().inline(), Some(&json("2")));
        // It is never undone by itself.
        let mut sim = begin();
        sim.does(cancel());
        assert_eq!(sim.under_way(What::Undo), [""; 0]);
        assert!(sim.refused(handback("a")).contains("what is there can only be left, by skip"));
        assert_eq!(sim.does(skip("a")).aftermath(), r#"kept [] left ["a"] in doubt ["a"] failed []"#);
        let mut sim = begin();
        sim.does(Verb::Abandon);
        assert_eq!(sim.aftermath(), r#"kept [] left ["a"] in doubt ["a"] failed []"#);
    }
}

#[test]
fn the_last_steps_and_best_efforts_never_wait_for_an_operator_when_they_fail() {
    for section in [Section::OnFailure, Section::Finally] {
        for kind in [Idempotent, Observe, AskOperator] {
            let begin = || {
                let mut sim = run_of([step("a"), step("last").in_doubt(kind).section(section).once()]);
                sim.fails("a", Permanent);
                sim
            };
            for mut sim in [
                begin().fails("last", NeedsOperator).clone(),
                begin().ends("last", BodyEnd::TakenOver(json("1"))).clone(),
                begin().lost("last", Ended::Panicked).clone(),
                begin().restarts().clone(),
            ] {
                while sim.under_way(What::Observe) == ["last"] {
                    sim.observed("last", unknown());
                    if sim.state.wake().is_some() {
                        sim.wakes();
                    }
                }
                if sim.kind("last") == Running {
                    sim.fails("last", Permanent);
                }
                assert_eq!(sim.kind("last"), Failed, "{section:?} {kind:?}");
                assert!(sim.aftermath().ends_with(r#"failed ["last"]"#));
                assert!(matches!(sim.outcome(), Outcome::Failed { .. }));
            }
        }
    }
}

#[test]
fn a_before_image_that_cannot_be_taken_is_tried_again_and_starts_nothing() {
    let mut sim = run_of([step("a").taking_before().undoable()]);
    sim.before_fails("a", Transient);
    assert_eq!((sim.kind("a"), sim.node("a").attempt().0), (Backoff, 0));
    sim.wakes().before_fails("a", Unknown).wakes().before_fails("a", Transient);
    assert_eq!((sim.kind("a"), sim.kinds().contains(&"step-started")), (Failed, false));
    assert_eq!(sim.aftermath(), "kept [] left [] in doubt [] failed []");
    let mut sim = run_of([step("a").taking_before()]);
    assert_eq!(sim.before_fails("a", NeedsOperator).kind("a"), Resting);
    assert_eq!(sim.does(retry("a")).under_way(What::Before), ["a"]);
}

#[test]
fn a_before_image_that_comes_too_late_is_taken_anew() {
    let mut sim = run_of([step("a").taking_before()]);
    sim.does(Verb::Pause).before_taken("a", "1");
    assert_eq!(sim.node("a").attempt().0, 0);
    sim.does(Verb::Resume).before_taken("a", "2");
    assert_eq!(sim.node("a").before().unwrap().inline(), Some(&json("2")));
}

#[test]
fn doubt_is_told_to_a_compensation_and_listed_also_after_another_attempt_was_due() {
    let begin = || {
        let mut sim = run_of([step("a").in_doubt(Idempotent).undoable()]);
        sim.lost("a", Ended::Panicked);
        sim
    };
    let mut sim = begin();
    sim.does(cancel());
    assert_eq!((sim.kind("a"), sim.node("a").doubt()), (Backoff, Some(Ended::Panicked)));
    assert_eq!(
        begin().does(cancel_no_unwind()).aftermath(),
        r#"kept [] left ["a"] in doubt ["a"] failed []"#
    );
    let mut sim = run_of([step("a").in_doubt(Idempotent).undoable()]);
    sim.fails("a", Transient).does(cancel());
    assert_eq!(sim.node("a").doubt(), None, "its author says that it did not take effect");
}

#[test]
fn an_operator_settles_doubt() {
    let begin = || {
        let mut sim = run_of([step("a").in_doubt(InDoubt::AskOperator), step("b").reads("a")]);
        sim.lost("a", Ended::Died);
        sim
    };
    assert_eq!(begin().does(resolve_done("a")).under_way(What::Run), ["b"]);
    assert_eq!(begin().does(resolve_not_done("a")).node("a").attempt().0, 2);
    let mut sim = begin();
    sim.does(Verb::Retry { step: None, new_key: true, from_scratch: true });
    assert_eq!((sim.node("a").generation(), sim.kind("a")), (1, Running));
    assert_eq!(begin().does(skip("a")).aftermath(), r#"kept [] left [] in doubt ["a"] failed []"#);
}

#[test]
fn a_step_that_is_paused_when_its_process_dies_is_entered_when_the_run_goes_on() {
    let mut sim = run_of([step("a").in_doubt(Idempotent)]);
    sim.does(Verb::Pause).restarts();
    assert_eq!((sim.kind("a"), sim.under_way(What::Run)), (Running, vec![]));
    assert!(!sim.state.is_idle());
    assert_eq!(sim.does(Verb::Resume).under_way(What::Run), ["a"]);
    // A cancel finds it in doubt, and asks nobody to stop.
    let mut sim = run_of([step("a").in_doubt(Idempotent)]);
    sim.does(Verb::Pause).restarts().does(cancel());
    assert_eq!(sim.aftermath(), r#"kept [] left [] in doubt ["a"] failed []"#);
    let StepState::InDoubt { ended: Ended::Dropped, .. } = sim.node("a").state() else { panic!() };
}

#[test]
fn a_step_about_which_the_world_is_asked_is_not_stopped_but_in_doubt() {
    let mut sim = run_of([step("a").in_doubt(Observe).undoable()]);
    sim.restarts().does(cancel());
    assert_eq!(sim.kind("a"), Asked);
    // The answer that is under way is enough.
    assert_eq!(sim.observed("a", seen_done()).under_way(What::Undo), ["a"]);
    let mut sim = run_of([step("a").in_doubt(Observe)]);
    sim.lost("a", Ended::Panicked).does(Verb::Abandon);
    assert_eq!(sim.aftermath(), r#"kept [] left [] in doubt ["a"] failed []"#);
}
