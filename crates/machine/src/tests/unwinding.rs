//! Unwinding.

use crate::{
    Observation, Phase,
    StepStateKind::{Failed, Parked, Running},
    UndoStateKind::{self, Asked, Kept, Left, No, Observing, Stuck, Waiting},
    sim::{
        driver::{Sim, What, at},
        plans::{StepExt, compile, json, record, step},
        script::{
            cancel, cancel_no_unwind, resolve_done, resolve_not_done, retry, run, run_of, seen_done, skip,
            unknown,
        },
    },
};
use towpath_model::{
    Ended,
    FailureKind::{NeedsOperator, Permanent, Rejected, Transient, Unknown},
    InDoubt::{AskOperator, NoEffect, Observe},
    Outcome, Section, UndoPolicy, Verb, Why,
};

fn undo_kinds(sim: &Sim, steps: &[&str]) -> Vec<UndoStateKind> {
    steps.iter().map(|s| sim.undo_kind(s)).collect()
}

/// `a`, `b` and `c` one after another, all undoable, and then `boom`.
fn chain() -> Sim {
    let mut sim = run_of([
        step("a").undoable(),
        step("b").undoable().after("a"),
        step("c").undoable().after("b"),
        step("boom").after("c"),
    ]);
    sim.done("a").done("b").done("c");
    sim
}

#[test]
fn a_chain_is_undone_backwards_one_after_another() {
    let mut sim = chain();
    sim.fails("boom", Rejected);
    for step in ["c", "b", "a"] {
        assert_eq!(sim.under_way(What::Undo), [step]);
        sim.undone(step);
    }
    assert_eq!(sim.outcome().to_string(), "compensated: step boom failed: a rejected failure");
}

#[test]
fn what_is_free_is_undone_latest_intent_first_as_the_plan_allows() {
    let begin = |parallel, strictly| {
        let steps = ["a", "b", "c", "d"].map(|s| step(s).undoable());
        let mut plan =
            record(steps.into_iter().chain([step("boom").after("a").after("b").after("c").after("d")]));
        (plan.parallel, plan.unwind_one_at_a_time) = (parallel, strictly);
        let mut sim = run(compile(plan));
        while let Some(step) = sim.under_way(What::Run).first().map(|s| s.to_string()).filter(|s| s != "boom")
        {
            sim.done(&step);
        }
        sim.fails("boom", Permanent);
        sim
    };
    assert_eq!(begin(4, false).under_way(What::Undo), ["d", "c", "b", "a"]);
    let mut sim = begin(2, false);
    assert_eq!(sim.under_way(What::Undo), ["d", "c"]);
    assert_eq!(sim.undone("c").under_way(What::Undo), ["d", "b"]);
    let mut sim = begin(4, true);
    for step in ["d", "c", "b", "a"] {
        assert_eq!(sim.under_way(What::Undo), [step]);
        sim.undone(step);
    }
    assert!(matches!(sim.outcome(), Outcome::Compensated { .. }));
}

#[test]
fn dependencies_count_also_through_steps_that_cannot_be_undone() {
    let mut sim = run_of([
        step("a").undoable(),
        step("between").after("a"),
        step("b").undoable().after("between"),
        step("boom").after("b"),
    ]);
    sim.done("a").done("between").done("b").fails("boom", Permanent);
    assert_eq!(undo_kinds(&sim, &["a", "between"]), [Waiting, No]);
    assert_eq!(sim.undone("b").under_way(What::Undo), ["a"]);
}

#[test]
fn every_way_in_which_a_step_with_an_intent_can_stand_is_undone() {
    let mut sim = run_of(
        [
            step("done").undoable(),
            step("failed").undoable().once().best_effort(),
            step("asked").undoable().in_doubt(AskOperator),
            step("parked").undoable(),
            step("backoff").undoable(),
            step("looked-at").undoable().in_doubt(Observe),
            step("skipped").undoable().in_doubt(AskOperator),
            step("not-begun").undoable().after("parked"),
            step("boom"),
        ]
        .map(|s| s.edit(|s| s.retry.initial_ms = 60_000)),
    );
    sim.done("done").fails("failed", Permanent).lost("asked", Ended::Panicked);
    sim.waits("parked", "w", None, Some("go")).fails("backoff", Transient);
    sim.lost("looked-at", Ended::TimedOut);
    sim.lost("skipped", Ended::Unknown).does(skip("skipped"));
    sim.fails("boom", Permanent);
    assert_eq!(sim.under_way(What::Observe), ["looked-at"]);
    sim.observed("looked-at", Observation::NotDone);
    let mut undone = Vec::new();
    while let Some(step) = sim.under_way(What::Undo).first().map(|s| s.to_string()) {
        sim.undone(&step);
        undone.push(step);
    }
    undone.sort();
    assert_eq!(undone, ["asked", "backoff", "done", "failed", "looked-at", "parked", "skipped"]);
    assert!(matches!(sim.outcome(), Outcome::Compensated { .. }));
    assert_eq!(sim.aftermath(), r#"kept [] left [] in doubt [] failed ["failed"]"#);
}

#[test]
fn nothing_is_undone_before_everything_that_runs_has_ended() {
    let mut sim = run_of([step("a").undoable(), step("b").undoable(), step("boom")]);
    sim.done("a").fails("boom", Permanent);
    assert_eq!((sim.state.phase(), sim.under_way(What::Undo)), (Phase::Draining, vec![]));
    // A body that is asked to stop may still come to an end, a failure or a wait of its own.
    for mut sim in [
        sim.clone().done("b").clone(),
        sim.clone().fails("b", Transient).clone(),
        sim.clone().lost("b", Ended::Dropped).clone(),
        sim.clone().waits("b", "w", Some(at(99)), None).clone(),
        sim.clone().restarts().clone(),
    ] {
        assert_eq!(sim.under_way(What::Undo), ["b", "a"], "{}", sim.story());
        sim.undone("a").undone("b");
        assert!(matches!(sim.outcome(), Outcome::Compensated { .. }));
    }
    // Nothing is tried again on the way.
    assert_eq!(sim.fails("b", Transient).kind("b"), Failed);
}

#[test]
fn a_body_that_parks_while_it_is_asked_to_stop_is_forgotten() {
    let mut sim = run_of([step("b").undoable(), step("boom")]);
    sim.fails("boom", Permanent);
    let asked = sim.wait_input("b", "w", None, Some("go"));
    sim.take(asked).unwrap();
    sim.run_body(0).unwrap().parked = true;
    sim.decide();
    assert_eq!((sim.kind("b"), sim.run_body(0).is_none()), (Parked, true));
    assert_eq!(sim.under_way(What::Undo), ["b"]);
}

#[test]
fn what_is_in_doubt_is_looked_at_once_before_it_is_undone() {
    for (answer, doubt) in [
        (seen_done(), None),
        (Observation::NotDone, Some(Ended::Panicked)),
        (unknown(), Some(Ended::Panicked)),
    ] {
        let mut sim = run_of([step("a").undoable().in_doubt(Observe), step("boom")]);
        sim.lost("a", Ended::Panicked).fails("boom", Permanent);
        assert_eq!((sim.undo_kind("a"), sim.under_way(What::Observe)), (Observing, vec!["a"]));
        sim.restarts().observed("a", answer);
        assert_eq!((sim.under_way(What::Undo), sim.node("a").doubt()), (vec!["a"], doubt));
    }
    let mut sim = run_of([step("a").undoable().in_doubt(Observe), step("boom")]);
    sim.lost("a", Ended::Panicked).fails("boom", Permanent).observed("a", Observation::TakenOver(json("7")));
    assert_eq!(sim.undo_kind("a"), Stuck);
}

#[test]
fn a_step_in_doubt_that_was_skipped_is_undone_after_what_came_later() {
    for policy in [UndoPolicy::Undo, UndoPolicy::Ask] {
        let mut sim = run_of([
            step("a").in_doubt(AskOperator).undoable(),
            step("b").undo(policy).after("a"),
            step("boom").after("b"),
        ]);
        sim.lost("a", Ended::Panicked).does(skip("a")).done("b").fails("boom", Permanent);
        assert_eq!(sim.undo_kind("a"), Waiting);
        match policy {
            UndoPolicy::Ask => sim.does(skip("b")),
            _ => sim.undone("b"),
        };
        assert_eq!(sim.under_way(What::Undo), ["a"]);
    }
}

#[test]
fn undo_policies_keep_and_ask() {
    let mut sim = run_of([
        step("kept").undo(UndoPolicy::Keep),
        step("asked").undo(UndoPolicy::Ask).after("under-asked"),
        step("free").undoable(),
        step("under-asked").undoable(),
        step("pure").undo(UndoPolicy::Keep).in_doubt(NoEffect),
        step("boom"),
    ]);
    sim.done("kept").done("free").done("under-asked").done("asked").done("pure").fails("boom", Permanent);
    assert_eq!(undo_kinds(&sim, &["kept", "asked", "under-asked", "pure"]), [Kept, Asked, Waiting, No]);
    assert_eq!(sim.under_way(What::Undo), ["free"], "independent compensations go on");
    assert!(!sim.state.is_stuck());
    sim.undone("free");
    assert!(sim.state.is_stuck());
    let mut left = sim.clone();
    assert_eq!(left.does(skip("asked")).under_way(What::Undo), ["under-asked"]);
    left.undone("under-asked");
    assert_eq!(left.aftermath(), r#"kept ["kept"] left ["asked"] in doubt [] failed []"#);
    let mut by_hand = sim.clone();
    by_hand.does(resolve_done("asked")).undone("under-asked");
    assert_eq!(by_hand.aftermath(), r#"kept ["kept"] left [] in doubt [] failed []"#);
    for verb in [retry("asked"), resolve_not_done("asked")] {
        let mut yes = sim.clone();
        assert_eq!(yes.does(verb).under_way(What::Undo), ["asked"], "and it is not asked again");
    }
}

#[test]
fn a_compensation_is_retried_by_its_own_policy_and_then_rests() {
    for kind in [Transient, Unknown] {
        let mut sim = chain();
        sim.fails("boom", Permanent).undo_fails("c", kind);
        assert_eq!((sim.undo_kind("c"), sim.state.wake()), (UndoStateKind::Backoff, Some(at(1))));
        sim.restarts().wakes().undo_fails("c", kind).wakes().undo_fails("c", kind);
        assert_eq!((sim.undo_kind("c"), sim.state.is_stuck()), (Stuck, true));
        sim.does(Verb::Retry { step: None, new_key: true, from_scratch: false });
        assert_eq!((sim.under_way(What::Undo), sim.node("c").generation()), (vec!["c"], 1));
        sim.undone("c").undone("b").undone("a");
        assert!(matches!(sim.outcome(), Outcome::Compensated { .. }));
    }
    for kind in [Permanent, Rejected, NeedsOperator] {
        assert_eq!(chain().fails("boom", Permanent).undo_fails("c", kind).undo_kind("c"), Stuck);
    }
}

#[test]
fn a_stuck_compensation_lets_independent_ones_go_on_and_holds_those_before_it() {
    let mut sim =
        run_of([step("a").undoable(), step("b").undoable().after("a"), step("x").undoable(), step("boom")]);
    sim.done("a").done("b").done("x").fails("boom", Permanent).undo_fails("b", Permanent);
    assert_eq!(
        (sim.under_way(What::Undo), sim.undo_kind("a"), sim.state.is_stuck()),
        (vec!["x"], Waiting, false)
    );
    sim.undone("x");
    assert!(sim.state.is_stuck());
    assert_eq!(sim.does(skip("b")).under_way(What::Undo), ["a"]);
    assert_eq!(sim.undone("a").aftermath(), r#"kept [] left ["b"] in doubt [] failed []"#);
}

#[test]
fn a_step_in_backoff_does_not_hide_that_unwinding_is_stuck() {
    let mut sim =
        run_of([step("a").undoable(), step("again").edit(|s| s.retry.initial_ms = 60_000), step("boom")]);
    sim.done("a").fails("again", Transient).fails("boom", Permanent).undo_fails("a", Permanent);
    assert_eq!(sim.state.status(), towpath_model::Status::Stuck);
}

#[test]
fn a_compensation_in_flight_when_its_process_dies_is_entered_again() {
    let mut sim = chain();
    sim.fails("boom", Permanent);
    let before = sim.journal.len();
    sim.restarts().restarts();
    assert_eq!((sim.under_way(What::Undo), sim.journal.len()), (vec!["c"], before));
}

#[test]
pub(super) fn unwinding_that_is_stopped_lets_the_compensation_in_flight_end_and_leaves_the_rest() {
    for verb in [cancel_no_unwind(), Verb::Abandon] {
        let begin = || {
            let mut sim = run_of([
                step("a").undoable(),
                step("in-doubt").undoable().in_doubt(Observe),
                step("asked").undo(UndoPolicy::Ask),
                step("stuck").undoable(),
                step("again").undoable(),
                step("b").undoable().after("a"),
                step("boom"),
            ]);
            for step in ["a", "asked", "stuck", "again", "b"] {
                if sim.kind(step) != Running {
                    sim.now = sim.now.plus(crate::sim::driver::secs(1));
                }
                sim.done(step);
            }
            sim.lost("in-doubt", Ended::Panicked).fails("boom", Permanent);
            sim.undo_fails("stuck", Permanent).undo_fails("again", Transient);
            sim.does(verb.clone());
            assert_eq!(
                undo_kinds(&sim, &["a", "in-doubt", "asked", "stuck", "again"]),
                [Left, Left, Left, Left, Left]
            );
            assert_eq!(sim.under_way(What::Undo), ["b"], "{}", sim.story());
            sim
        };
        let mut sim = begin();
        sim.undone("b");
        let left = r#"left ["a", "in-doubt", "asked", "stuck", "again"]"#;
        assert_eq!(sim.aftermath(), format!(r#"kept [] {left} in doubt ["in-doubt"] failed []"#));
        // It is not tried again when it fails: its effect is left as well.
        let mut sim = begin();
        sim.undo_fails("b", Transient);
        let left = r#"left ["a", "in-doubt", "asked", "stuck", "again", "b"]"#;
        assert_eq!(sim.aftermath(), format!(r#"kept [] {left} in doubt ["in-doubt"] failed []"#));
        let mut sim = begin();
        sim.restarts().undone("b");
        let expected = if verb == Verb::Abandon { "abandoned" } else { "cancelled" };
        assert_eq!(sim.outcome().word(), expected);
    }
}

#[test]
fn last_steps_run_after_unwinding_and_their_failures_are_recorded() {
    let mut sim = run_of([
        step("a").undoable(),
        step("boom").after("a"),
        step("tell").section(Section::OnFailure).undoable().once(),
        step("clean").section(Section::Finally).undoable().once(),
        step("clean-more").section(Section::Finally).after("clean"),
    ]);
    sim.done("a").fails("boom", Permanent);
    assert_eq!(sim.undone("a").under_way(What::Run), ["tell"]);
    assert_eq!(sim.fails("tell", Permanent).under_way(What::Run), ["clean"]);
    sim.fails("clean", Permanent).done("clean-more");
    assert!(matches!(sim.outcome(), Outcome::Compensated { .. }));
    assert_eq!(sim.aftermath(), r#"kept [] left [] in doubt [] failed ["tell", "clean"]"#);
    assert_eq!(undo_kinds(&sim, &["tell", "clean"]), [No, No], "they are never undone");
}

#[test]
fn on_failure_steps_run_after_a_failure_or_a_deadline_and_finally_steps_always() {
    let steps =
        || [step("a"), step("tell").section(Section::OnFailure), step("clean").section(Section::Finally)];
    let last = |sim: &mut Sim| {
        let mut ran = Vec::new();
        while let Some(step) = sim.under_way(What::Run).first().map(|s| s.to_string()) {
            sim.done(&step);
            ran.push(step);
        }
        (ran.join(" "), sim.outcome().word())
    };
    assert_eq!(last(&mut run_of(steps())), ("a clean".into(), "succeeded"));
    assert_eq!(last(run_of(steps()).fails("a", Permanent)), ("tell clean".into(), "failed"));
    assert_eq!(last(run_of(steps()).does(cancel()).lost("a", Ended::Dropped)), ("clean".into(), "cancelled"));
    let mut parked = run_of(steps());
    parked.waits("a", "w", None, Some("go"));
    assert_eq!(last(parked.clone().does(Verb::Abandon)), ("clean".into(), "abandoned"));
    let mut late = Sim::new(crate::sim::plans::plan(steps()), crate::sim::rng::Rng::new(1), Some(at(9)));
    late.wakes().lost("a", Ended::Dropped);
    assert_eq!(last(&mut late), ("tell clean".into(), "failed"));
}

#[test]
pub(super) fn giving_up_among_the_last_steps() {
    let begin = || {
        let mut sim = run_of([
            step("a"),
            step("tell").section(Section::OnFailure),
            step("clean").section(Section::Finally),
        ]);
        sim.fails("a", Permanent);
        sim
    };
    let mut sim = begin();
    assert!(sim.refused(Verb::Abandon).starts_with("its last steps are under way"));
    sim.waits("tell", "w", None, Some("go")).does(Verb::Abandon);
    assert_eq!(sim.under_way(What::Run), ["clean"], "finally steps run also after a run was given up");
    sim.waits("clean", "w", None, Some("go")).does(Verb::Abandon);
    assert_eq!(sim.outcome().word(), "abandoned");
    let mut sim = begin();
    sim.done("tell").fails("clean", Transient).does(Verb::Pause).does(Verb::Abandon);
    assert_eq!(sim.outcome().word(), "abandoned", "nothing starts any more");
}

#[test]
fn outcomes() {
    let plan = |undoable: bool| {
        let a = if undoable { step("a").undoable() } else { step("a") };
        run_of([a, step("b").after("a")])
    };
    assert_eq!(plan(true).done("a").done("b").outcome().word(), "succeeded");
    assert_eq!(plan(true).done("a").fails("b", Permanent).undone("a").outcome().word(), "compensated");
    assert_eq!(plan(false).done("a").fails("b", Permanent).outcome().word(), "failed");
    let mut sim = plan(true);
    sim.done("a").does(cancel()).lost("b", Ended::Dropped).undone("a");
    let Outcome::Cancelled { why: Why::Cancelled { by, reason } } = sim.outcome() else { panic!() };
    assert_eq!((by.as_str(), reason.as_str()), ("user:ann", "because"));
    let mut sim = plan(true);
    sim.done("a").does(cancel_no_unwind()).lost("b", Ended::Dropped);
    assert_eq!(sim.outcome().word(), "cancelled");
    assert_eq!(sim.aftermath(), r#"kept [] left ["a"] in doubt ["b"] failed []"#);
}

#[test]
fn the_output_of_a_run() {
    let with = |output: Option<towpath_model::Operand>| {
        let mut plan = record([step("a"), step("b").best_effort()]);
        plan.output = output;
        let mut sim = run(compile(plan));
        sim.done("a").fails("b", Permanent);
        match sim.outcome() {
            Outcome::Succeeded { output } => output.as_ref().map(|o| o.inline().unwrap().as_str().to_owned()),
            other => panic!("{other}"),
        }
    };
    let of = |step: &str, path: &str| Some(crate::sim::plans::output_of(step, path));
    assert_eq!(with(None), None);
    assert_eq!(with(of("a", "/n")).as_deref(), Some("1"));
    assert_eq!(with(of("a", "/nothing")).as_deref(), Some("null"));
    assert_eq!(with(of("b", "")), None);
    assert_eq!(with(Some(towpath_model::Operand::Value(json("[1]")))).as_deref(), Some("[1]"));
}

#[test]
pub(super) fn a_run_that_nobody_could_fold_was_given_up_where_it_stood() {
    let by = towpath_model::Actor::engine();
    let abandoned = Outcome::Abandoned { by, reason: "unreadable".into() };
    let settled = |outcome| towpath_model::RunSettled { outcome, aftermath: Default::default() }.into();
    let last = [step("tell").section(Section::OnFailure), step("boom"), step("b").undoable()];
    type Bring = fn(&mut Sim);
    let stands: [(Phase, Bring); 4] = [
        (Phase::Forward, |_| {}),
        (Phase::Draining, |sim| _ = sim.fails("boom", Permanent)),
        (Phase::Unwinding, |sim| _ = sim.fails("boom", Permanent).done("b")),
        (Phase::OnFailure, |sim| _ = sim.fails("boom", Permanent).done("b").undone("b")),
    ];
    for (phase, bring) in stands {
        let mut sim = run_of(last.clone());
        bring(&mut sim);
        assert_eq!(sim.state.phase(), phase);
        let next = sim.state.seq().next();
        let why = sim.state.clone().apply(next, sim.now, &settled(Outcome::Succeeded { output: None }));
        assert!(why.unwrap_err().to_string().ends_with("the run is not at its end"));
        sim.state.apply(next, sim.now, &settled(abandoned.clone())).unwrap();
        sim.state.recover();
        assert_eq!((sim.state.phase(), sim.state.wake()), (Phase::Settled, None));
        crate::sim::checks::sets_are_those_of_the_states(&sim.state);
    }
}

#[test]
fn a_step_that_ends_the_run_though_nothing_was_wrong_undoes_nothing() {
    let last = [step("f").section(Section::OnFailure), step("end").section(Section::Finally)];
    let steps = [step("a").undoable(), step("b").after("a"), step("c").undoable().after("a")];
    let mut sim = run_of(steps.into_iter().chain(last));
    sim.done("a").fails("b", towpath_model::FailureKind::Cancelled).done("c");
    assert_eq!(sim.kind("f"), crate::StepStateKind::Pending, "nothing has failed");
    sim.done("end");
    let Outcome::Cancelled { why: why @ Why::StepCancelled { .. } } = sim.outcome() else {
        panic!("{:?}", sim.outcome())
    };
    assert_eq!(why.to_string(), "step b ended it: a cancelled failure");
    assert_eq!(sim.aftermath(), "kept [] left [\"a\", \"c\"] in doubt [] failed []");
    assert!(!sim.kinds().contains(&"unwind-started"));
}

#[test]
fn a_step_cannot_end_the_run_past_its_point_of_no_return_nor_as_a_best_effort() {
    let mut sim = run_of([step("a").no_return(), step("b").after("a")]);
    sim.done("a").fails("b", towpath_model::FailureKind::Cancelled);
    assert!(sim.state.is_stuck());
    let mut sim = run_of([step("a"), step("b").best_effort()]);
    sim.fails("b", towpath_model::FailureKind::Cancelled).done("a");
    assert!(matches!(sim.outcome(), Outcome::Succeeded { .. }));
}
