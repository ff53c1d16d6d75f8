//! Durable waits, signals and time.

use crate::{
    BodyEnd, Input, Phase,
    StepStateKind::{self, Backoff, Done, Failed, Parked, Resting, Running},
    sim::{
        driver::Sim,
        driver::{What, at, failure, secs},
        plans::{StepExt, compile, id, json, name, record, step},
        rng::Rng,
        script::{cancel, done, named, retry, run, run_of},
    },
};
use towpath_model::{Ended, Event, FailureKind, InDoubt, Message, Outcome, Section, Verb};

fn over(sim: &Sim, step: &str, wait: &str) -> Option<Option<String>> {
    let over = sim.node(step).waits()[&name(wait)].over.clone()?;
    Some(over.map(|json| json.as_str().to_owned()))
}

#[test]
fn a_body_with_three_waits_that_is_killed_at_each_goes_on_with_its_deadlines_unmoved() {
    let mut sim = run_of([step("a").in_doubt(InDoubt::Observe)]);
    for n in 1..=3 {
        let wait = format!("w{n}");
        sim.waits("a", &wait, Some(at(10 * n)), None).restarts().time(10 * n - 1).restarts();
        assert_eq!((sim.kind("a"), sim.state.wake()), (Parked, Some(at(10 * n))));
        sim.wakes();
        assert_eq!((sim.kind("a"), sim.under_way(What::Run)), (Running, vec!["a"]));
        assert_eq!(over(&sim, "a", &wait), Some(None));
    }
    sim.done("a");
    assert_eq!(sim.kinds().iter().filter(|k| **k == "step-started").count(), 1);
    assert!(!sim.kinds().contains(&"step-in-doubt"), "a parked step is not in doubt");
}

#[test]
fn a_wait_that_another_attempt_comes_to_keeps_its_first_deadline() {
    let mut sim = run_of([step("a").in_doubt(InDoubt::Idempotent).no_return(), step("b").no_return()]);
    sim.done("b");
    let asked = sim.wait_input("a", "w", Some(at(50)), None);
    sim.take(asked).unwrap();
    sim.run_body(0).unwrap().parked = true;
    sim.decide();
    // Instead of waiting it failed.
    sim.run_body(0).unwrap().parked = false;
    sim.fails("a", FailureKind::Permanent);
    assert_eq!(sim.kind("a"), Resting);
    sim.time(20).does(retry("a"));
    sim.waits("a", "w", Some(at(900)), named("go").map(|_| "go"));
    let wait = &sim.node("a").waits()[&name("w")];
    assert_eq!((wait.until, wait.signal.clone()), (Some(at(50)), None));
    assert_eq!(sim.state.wake(), Some(at(50)));
}

#[test]
fn a_wait_that_may_not_be_is_told_to_the_body() {
    let mut sim = run_of([step("a")]);
    let refused = |sim: &mut Sim, wait: &str, until| {
        let asked = sim.wait_input("a", wait, until, None);
        sim.take(asked).unwrap_err().message
    };
    assert_eq!(refused(&mut sim, "w", None), "the wait \"w\" would never end: give it a time or a signal");
    sim.waits("a", "w", Some(at(5)), None);
    assert_eq!(
        refused(&mut sim, "v", Some(at(6))),
        "wait \"v\" begins while \"w\" lasts: await one after the other"
    );
    sim.wakes();
    assert_eq!(refused(&mut sim, "w", Some(at(9))), "the wait \"w\" is over already");
    sim.done("a");
    assert_eq!(refused(&mut sim, "x", Some(at(9))), "the run has settled");
}

#[test]
fn signals_are_kept_in_order_for_whoever_waits_later() {
    let mut sim = run_of([step("a"), step("b")]);
    sim.gets("go", None, "1").gets("go", Some("b"), "2").gets("other", None, "0").gets("go", None, "3");
    sim.waits("a", "w1", None, Some("go"));
    assert_eq!(over(&sim, "a", "w1"), Some(Some("1".into())));
    sim.waits("a", "w2", None, Some("go"));
    assert_eq!(over(&sim, "a", "w2"), Some(Some("3".into())), "the second is for b alone");
    sim.waits("b", "w1", None, Some("go"));
    assert_eq!(over(&sim, "b", "w1"), Some(Some("2".into())));
    sim.waits("b", "w2", None, Some("go"));
    assert_eq!(sim.kind("b"), Parked);
}

#[test]
fn signals_that_came_while_the_run_was_paused_keep_their_order() {
    let mut sim = run_of([step("a")]);
    sim.waits("a", "w1", None, Some("go")).does(Verb::Pause).gets("go", None, "1");
    assert_eq!(sim.kind("a"), Parked);
    // The resume and a later signal are read together.
    let resume = sim.entry("user:ann", &Message::Verb { verb: Verb::Resume, reason: String::new() });
    let signal = sim.entry("user:ann", &Message::Signal { name: name("go"), step: None, value: json("2") });
    sim.merge(vec![resume, signal]);
    sim.decide();
    assert_eq!(over(&sim, "a", "w1"), Some(Some("1".into())));
    sim.waits("a", "w2", None, Some("go"));
    assert_eq!(over(&sim, "a", "w2"), Some(Some("2".into())));
}

#[test]
fn a_signal_that_came_while_the_process_drained_is_not_forgotten_when_it_goes_on() {
    let mut sim = run_of([step("a")]);
    sim.waits("a", "w", None, Some("go"));
    (sim.held, _) = (true, sim.state.hold(true));
    sim.gets("go", None, "1");
    assert_eq!(sim.kind("a"), Parked);
    (sim.held, _) = (false, sim.state.hold(false));
    sim.decide();
    assert_eq!(over(&sim, "a", "w"), Some(Some("1".into())));
}

#[test]
fn time_merges_inbox_and_timers_inbox_first_on_a_tie() {
    for (received, wins) in [(29, true), (30, true), (31, false)] {
        let mut sim = run_of([step("approve")]);
        sim.waits("approve", "w", Some(at(30)), Some("approval"));
        let mut entry = sim
            .entry("user:ann", &Message::Approval { step: id("approve"), approve: true, comment: "".into() });
        entry.received_at = at(received);
        // The engine was down when both happened.
        sim.now = at(500);
        sim.merge(vec![entry]);
        sim.decide();
        let value = over(&sim, "approve", "w").unwrap();
        assert_eq!(value.is_some(), wins, "received at {received}");
        assert!(value.is_none_or(|v| v.contains("\"approve\":true") && v.contains("\"by\":\"user:ann\"")));
    }
}

#[test]
fn an_answer_cannot_be_forged_by_a_signal() {
    let mut sim = run_of([step("approve")]);
    sim.waits("approve", "w", None, Some("approval"));
    for step in [None, Some("approve")] {
        sim.signal("approval", step, r#"{"approve":true,"by":"user:bob","comment":"","at":0}"#);
        sim.decide();
        assert_eq!(over(&sim, "approve", "w"), None, "it waits as before");
    }
    let refused: Vec<_> = sim
        .journal
        .iter()
        .filter_map(|(_, event)| match event {
            Event::EntryRefused(e) => Some(e.why.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(refused, ["the signal approval is sent by `approve` and `reject` alone"; 2]);
}

#[test]
fn timers_that_came_due_before_an_entry_count_before_it() {
    let mut sim = run_of([step("a").within(secs(10)).once()]);
    sim.waits("a", "w", None, Some("go"));
    let mut entry =
        sim.entry("user:ann", &Message::Signal { name: name("go"), step: None, value: json("1") });
    entry.received_at = at(11);
    sim.now = at(60);
    sim.merge(vec![entry]);
    sim.decide();
    assert_eq!(sim.kind("a"), Failed, "its time was over before the signal came");
}

#[test]
fn a_wait_is_over_when_there_is_a_place_to_run_in() {
    let mut plan = record([step("a"), step("b")]);
    plan.parallel = 1;
    let mut sim = run(compile(plan));
    sim.waits("a", "w", Some(at(5)), Some("go"));
    assert_eq!(sim.under_way(What::Run), ["b"]);
    sim.gets("go", None, "1").gets("go", None, "2").time(60);
    assert_eq!((sim.kind("a"), sim.state.wake()), (Parked, None));
    sim.done("b");
    assert_eq!((sim.kind("a"), over(&sim, "a", "w")), (Running, Some(Some("1".into()))));
}

#[test]
fn entering_again_is_not_an_attempt_and_burns_no_retry() {
    let mut sim = run_of([step("a").once()]);
    for n in 1..=5 {
        sim.waits("a", &format!("w{n}"), Some(at(n)), None).wakes();
    }
    assert_eq!(sim.node("a").attempt().0, 1);
    assert!(matches!(sim.done("a").outcome(), Outcome::Succeeded { .. }));
}

#[test]
fn a_retry_waits_for_its_time_and_for_what_the_other_side_asked() {
    let mut sim = run_of([step("a")]);
    sim.fails("a", FailureKind::Transient);
    assert_eq!((sim.kind("a"), sim.state.wake()), (Backoff, Some(at(1))));
    sim.wakes();
    sim.ends("a", BodyEnd::Failed { failure: failure(FailureKind::Transient), retry_after: Some(secs(100)) });
    assert_eq!(sim.state.wake(), Some(at(101)));
    sim.restarts().wakes().fails("a", FailureKind::Transient);
    assert!(matches!(sim.outcome(), Outcome::Failed { .. }), "three attempts in all");
}

#[test]
fn the_limit_over_all_attempts_and_waits_ends_each_state_in_its_way() {
    let limited = || run_of([step("a").within(secs(10)).edit(|s| s.retry.attempts_max = 1_000)]);
    // Running: the body is dropped, and is in doubt.
    let mut sim = limited();
    sim.time(10);
    sim.lost("a", Ended::TimedOut);
    assert!(matches!(sim.outcome(), Outcome::Failed { .. }));
    // Parked.
    assert_eq!(limited().waits("a", "w", Some(at(99)), None).wakes().kind("a"), Failed);
    // In backoff, when the next attempt would come too late: there is none.
    let mut sim = limited();
    sim.time(9).fails("a", FailureKind::Transient);
    assert_eq!(sim.kind("a"), Failed);
    // In doubt: the answer decides.
    let mut sim = run_of([step("a").within(secs(10)).in_doubt(InDoubt::Observe)]);
    sim.lost("a", Ended::Panicked).time(20).observed("a", crate::Observation::NotDone);
    assert_eq!(sim.kind("a"), Failed);
    // An operator's retry begins it anew.
    let mut sim = run_of([step("a").within(secs(10)).in_doubt(InDoubt::AskOperator)]);
    sim.time(10).lost("a", Ended::TimedOut);
    assert_eq!((sim.kind("a"), sim.state.wake()), (Resting, None));
    sim.time(100).does(retry("a"));
    assert_eq!(sim.state.wake(), Some(at(110)));
}

#[test]
fn a_body_that_has_no_time_left_is_not_entered_again() {
    let mut sim = run_of([step("a").within(secs(10)).in_doubt(InDoubt::Idempotent).undoable()]);
    // The process died, and the next one takes the run over too late.
    sim.now = at(30);
    sim.restarts();
    assert_eq!((sim.under_way(What::Run), sim.kind("a")), (vec![], StepStateKind::InDoubt));
    assert_eq!(sim.node("a").doubt(), Some(Ended::TimedOut));
    assert_eq!(sim.under_way(What::Undo), ["a"]);
}

#[test]
fn a_body_over_its_time_that_comes_to_a_wait_fails_there() {
    let mut sim = run_of([step("a").within(secs(10))]);
    sim.time(10);
    sim.waits("a", "w", Some(at(99)), None);
    assert_eq!(sim.kind("a"), Failed);
}

#[test]
fn a_run_that_waits_at_its_deadline_leaves_its_way() {
    let begin = || Sim::new(crate::sim::plans::plan([step("a").undoable()]), Rng::new(1), Some(at(30)));
    let mut sim = begin();
    sim.waits("a", "w", None, Some("go")).wakes();
    assert_eq!((sim.state.phase(), sim.under_way(What::Undo)), (Phase::Unwinding, vec!["a"]));
    assert!(matches!(sim.undone("a").outcome(), Outcome::Failed { why: towpath_model::Why::Deadline }));
    // The wait was over before, but the run has no time for what comes after it.
    let mut sim = begin();
    sim.waits("a", "w", Some(at(20)), None).time(40);
    assert_eq!((sim.kind("a"), sim.state.phase()), (Parked, Phase::Unwinding));
}

#[test]
fn a_deadline_that_passes_while_the_run_is_stuck_or_past_its_return_or_paused() {
    let plan = || crate::sim::plans::plan([step("a").no_return(), step("b").undoable().after("a")]);
    let begin = || Sim::new(plan(), Rng::new(1), Some(at(30)));
    let mut sim = begin();
    sim.fails("a", FailureKind::NeedsOperator).wakes();
    assert_eq!((sim.state.phase(), sim.state.wake()), (Phase::Forward, None));
    assert!(sim.kinds().contains(&"deadline-passed"), "it is ignored, and not in silence");
    sim.does(retry("a")).done("a").done("b");
    assert!(matches!(sim.outcome(), Outcome::Succeeded { .. }), "who retries knows how late it is");
    let mut sim = begin();
    sim.done("a").wakes();
    assert_eq!((sim.state.phase(), sim.state.wake()), (Phase::Forward, None));
    let mut sim = begin();
    sim.does(Verb::Pause).time(40);
    assert_eq!((sim.state.phase(), sim.state.wake()), (Phase::Forward, None));
    assert_eq!(sim.does(Verb::Resume).state.phase(), Phase::Draining);
}

#[test]
pub(super) fn a_body_that_ends_while_parked_counts_unless_it_was_only_dropped() {
    let parked = |end: BodyEnd| -> StepStateKind {
        let mut sim = run_of([step("a").in_doubt(InDoubt::AskOperator), step("z")]);
        let asked = sim.wait_input("a", "w", Some(at(50)), None);
        sim.take(asked).unwrap();
        sim.decide();
        sim.ends("a", end).kind("a")
    };
    let lost = |ended| BodyEnd::Lost { ended, failure: None };
    assert_eq!(parked(done("1")), Done);
    assert_eq!(parked(lost(Ended::Panicked)), Resting);
    assert_eq!(parked(lost(Ended::Dropped)), Parked);
    assert_eq!(parked(lost(Ended::TimedOut)), Parked);
    assert_eq!(
        parked(BodyEnd::Failed { failure: failure(FailureKind::Transient), retry_after: None }),
        Backoff
    );
}

#[test]
fn a_body_in_memory_whose_entry_is_not_given_any_more_is_forgotten() {
    let mut sim = run_of([step("a").undoable()]);
    let asked = sim.wait_input("a", "w", None, Some("go"));
    sim.take(asked).unwrap();
    sim.run_body(0).unwrap().parked = true;
    sim.decide();
    // The signal and a cancel are read together.
    sim.signal("go", None, "1");
    sim.verb(cancel()).unwrap();
    sim.decide();
    assert!(sim.run_body(0).is_none());
    assert_eq!(sim.under_way(What::Undo), ["a"]);
}

#[test]
fn what_comes_from_a_body_of_another_attempt_makes_nothing() {
    let mut sim = run_of([step("a"), step("clean").section(Section::Finally)]);
    sim.fails("a", FailureKind::Transient).wakes();
    let late = Input::Ended { step: id("a"), attempt: towpath_model::Attempt(1), end: done("1") };
    assert_eq!(sim.state.take(late, sim.now), Ok(vec![]));
    let nobody = Input::Observed { step: id("a"), answer: crate::Observation::NotDone };
    assert_eq!(sim.state.take(nobody, sim.now), Ok(vec![]));
    let no_step = Input::Ended { step: id("no"), attempt: towpath_model::Attempt(1), end: done("1") };
    assert_eq!(sim.state.take(no_step, sim.now), Ok(vec![]));
}

#[test]
fn messages_that_cannot_be_followed_are_answered() {
    let mut sim = run_of([step("a")]);
    sim.send(&Message::Approval { step: id("nobody"), approve: true, comment: String::new() });
    sim.signal("go", Some("nobody"), "1");
    let mut entry = sim.entry("user:ann", &Message::Verb { verb: Verb::Pause, reason: String::new() });
    entry.message = json("{\"dance\":{}}");
    sim.merge(vec![entry]);
    sim.decide();
    let refused: Vec<String> = sim
        .journal
        .iter()
        .filter_map(|(_, e)| match e {
            Event::EntryRefused(e) => Some(e.why.chars().take(46).collect()),
            _ => None,
        })
        .collect();
    assert_eq!(
        refused,
        [
            "the plan has no step nobody",
            "the plan has no step nobody",
            "the message cannot be read by this release: un"
        ]
    );
}
