//! Locks: when a run takes and gives them, and what every verb makes of one that waits or holds.

use crate::{
    LockStateKind::{Asked, Free, Held},
    Mover, Phase, Plan, StepStateKind, UndoStateKind,
    sim::{
        contest::{contest_of, whole_contest},
        driver::{Sim, at},
        for_seeds,
        plans::{self, StepExt, compile, for_each, id, name, plan, record, step},
        rng::Rng,
        script::{cancel, cancel_no_unwind, retry, run_of},
    },
};
use std::{collections::BTreeMap, sync::Arc};
use towpath_model::{
    Actor, Condition, Event, FailureKind, LocksReturned, Message, Operand, Order, Outcome, Section, Seq,
    StepRecord, StepStarted, Verb, Why, limits,
};

#[test]
fn runs_that_want_the_same_locks_never_act_at_once_and_all_of_them_end() {
    for_seeds(300, |seed| drop(whole_contest(seed)));
}

#[test]
fn runs_that_take_locks_crosswise_never_wait_in_a_circle() {
    let crosswise = |a: &str, b: &str| {
        plan([
            step("x").undoable().under(&[a]),
            step("y").after("x").undoable().under(&[b]),
            step("z").after("y").undoable().under(&[a]),
        ])
    };
    let in_turn = |a: &str, b: &str| {
        plan([
            step("x").undoable().under(&[a]),
            step("y").after("x").undoable().under(&[b]),
            step("z").after("y"),
        ])
    };
    for_seeds(300, |seed| {
        drop(contest_of(
            seed,
            vec![crosswise("eu", "us"), crosswise("us", "eu"), in_turn("us", "eu"), in_turn("eu", "us")],
        ));
    });
}

impl Sim {
    /// The store grants what was asked for last.
    fn granted(&mut self) -> &mut Self {
        while self.grant() {
            self.decide();
        }
        self
    }

    fn grant_of(&mut self, lock: &str, fence: u64, asked: u64) -> &mut Self {
        let entry =
            self.entry("engine", &Message::LockGranted { lock: name(lock), fence, asked: Seq(asked) });
        self.merge(vec![entry]);
        self.decide();
        self
    }

    /// The locks of each event about locks, in the order of the journal.
    fn lock_story(&self) -> Vec<String> {
        let names =
            |locks: &[towpath_model::Name]| locks.iter().map(|l| l.to_string()).collect::<Vec<_>>().join("+");
        let tell = |(_, event): &(_, Event)| match event {
            Event::LocksAsked(e) => Some(format!("ask {}", names(&e.locks))),
            Event::LocksReturned(e) => Some(format!("return {}", names(&e.locks))),
            Event::StepStarted(e) => Some(format!("begin {}", e.step)),
            Event::CompensationStarted(e) => Some(format!("undo {}", e.step)),
            _ => None,
        };
        self.journal.iter().filter_map(tell).collect()
    }
}

type Act = fn(&mut Sim) -> &mut Sim;

fn release(lock: &str) -> Verb {
    Verb::ReleaseLock { lock: name(lock) }
}

/// Two steps under one lock, between two without.
fn scoped() -> Sim {
    run_of([
        step("build"),
        step("deploy").after("build").undoable().under(&["production"]),
        step("smoke").after("deploy").under(&["production"]),
        step("tell").after("smoke"),
    ])
}

#[test]
fn a_lock_is_taken_before_the_first_intent_of_its_scope_and_given_back_with_its_last_step() {
    let mut sim = scoped();
    assert_eq!(sim.lock_kind(), Free);
    sim.done("build");
    assert_eq!((sim.lock_kind(), sim.kind("deploy")), (Asked, StepStateKind::Ready));
    assert_eq!(sim.state.status().to_string(), "waiting");
    assert_eq!(sim.state.listing().note, "the lock production");
    let explanation = sim.state.explain();
    assert_eq!(explanation.waits[0].mover, Mover::Locks(vec![name("production")]), "{explanation}");
    assert!(sim.state.is_idle(), "who waits for a lock needs no process");
    sim.granted();
    assert_eq!((sim.lock_kind(), sim.kind("deploy")), (Held, StepStateKind::Running));
    assert_eq!(sim.state.fencing(sim.ix("deploy")), BTreeMap::from([(name("production"), 1)]));
    assert_eq!(sim.state.fencing(sim.ix("tell")), BTreeMap::new());
    sim.done("deploy").done("smoke");
    let last = sim.journal.iter().rposition(|(_, e)| matches!(e, Event::StepDone(_))).unwrap();
    assert!(matches!(&sim.journal[last + 1].1, Event::LocksReturned(e) if e.locks == [name("production")]));
    sim.done("tell");
    assert!(matches!(sim.outcome(), Outcome::Succeeded { .. }));
    assert_eq!(
        sim.lock_story(),
        ["begin build", "ask production", "begin deploy", "begin smoke", "return production", "begin tell"]
    );
}

#[test]
fn what_is_skipped_needs_no_lock() {
    let never = Condition::Is(Operand::Value(plans::json("1")), Operand::Value(plans::json("2")));
    let mut sim = run_of([step("build"), step("deploy").after("build").when(never).under(&["production"])]);
    sim.done("build");
    assert!(matches!(sim.outcome(), Outcome::Succeeded { .. }));
    assert_eq!(sim.lock_story(), ["begin build"]);
}

#[test]
fn a_stuck_run_keeps_its_lock() {
    let mut sim = scoped();
    sim.done("build").granted();
    sim.fails("deploy", FailureKind::NeedsOperator);
    assert!(sim.state.is_stuck());
    assert_eq!(sim.lock_kind(), Held);
    sim.does(retry("deploy")).done("deploy").done("smoke");
    assert_eq!(sim.lock_kind(), Free);
}

#[test]
fn undoing_keeps_the_lock_until_it_is_over() {
    let mut sim = scoped();
    sim.done("build").granted().done("deploy").fails("smoke", FailureKind::Permanent);
    assert_eq!((sim.state.phase(), sim.lock_kind()), (Phase::Unwinding, Held));
    sim.undone("deploy");
    assert!(matches!(sim.outcome(), Outcome::Compensated { .. }));
    assert_eq!(
        sim.lock_story(),
        ["begin build", "ask production", "begin deploy", "begin smoke", "undo deploy", "return production"]
    );
}

#[test]
fn a_lock_that_was_given_back_is_taken_again_before_its_steps_are_undone() {
    let mut sim = scoped();
    sim.done("build").granted().done("deploy").done("smoke");
    assert_eq!(sim.lock_kind(), Free);
    sim.fails("tell", FailureKind::Permanent);
    assert_eq!((sim.lock_kind(), sim.undo_kind("deploy")), (Asked, UndoStateKind::Ready));
    assert_eq!(sim.state.explain().waits.len(), 1, "{}", sim.state.explain());
    sim.restarts();
    assert_eq!(sim.undo_kind("deploy"), UndoStateKind::Ready);
    sim.granted();
    assert_eq!(sim.state.fencing(sim.ix("deploy")), BTreeMap::from([(name("production"), 2)]));
    sim.undone("deploy");
    assert_eq!(sim.lock_story()[5..], ["begin tell", "ask production", "undo deploy", "return production"]);
}

#[test]
fn pausing_keeps_the_place_in_the_queue() {
    let mut sim = scoped();
    sim.done("build").does(Verb::Pause);
    assert_eq!(sim.lock_kind(), Asked);
    sim.granted();
    assert_eq!((sim.lock_kind(), sim.kind("deploy")), (Held, StepStateKind::Ready));
    sim.does(Verb::Resume);
    assert_eq!(sim.kind("deploy"), StepStateKind::Running);
    let mut sim = scoped();
    sim.does(Verb::Pause).done("build");
    assert_eq!(sim.lock_kind(), Free, "nothing is begun, and so nothing is asked for");
}

#[test]
fn leaving_while_waiting_gives_the_place_in_the_queue_back_at_once() {
    let leave: [(&str, Act); 4] = [
        ("cancel", |sim| sim.does(cancel())),
        ("cancel --no-unwind", |sim| sim.does(cancel_no_unwind())),
        ("abandon", |sim| sim.does(Verb::Abandon)),
        ("deadline", |sim| sim.time(99)),
    ];
    for (word, leave) in leave {
        let steps = [step("build"), step("deploy").after("build").under(&["production"])];
        let mut sim = Sim::new(plan(steps), Rng::new(1), Some(at(60)));
        sim.done("build");
        assert_eq!(sim.lock_kind(), Asked);
        leave(&mut sim);
        sim.outcome();
        assert_eq!(sim.lock_story(), ["begin build", "ask production", "return production"], "{word}");
    }
}

#[test]
fn leaving_while_holding_keeps_the_lock_until_everything_is_at_rest() {
    let leave: [(&str, Act, &[&str]); 3] = [
        ("cancel", |sim| sim.does(cancel()), &["undo deploy"]),
        ("cancel --no-unwind", |sim| sim.does(cancel_no_unwind()), &[]),
        ("deadline", |sim| sim.time(99), &["undo deploy"]),
    ];
    for (word, leave, undo) in leave {
        let steps = [step("deploy").undoable().under(&["production"])];
        let mut sim = Sim::new(plan(steps), Rng::new(1), Some(at(60)));
        sim.granted();
        leave(&mut sim);
        assert_eq!((sim.state.phase(), sim.lock_kind()), (Phase::Draining, Held), "{word}");
        sim.done("deploy");
        if !undo.is_empty() {
            sim.undone("deploy");
        }
        sim.outcome();
        let story = [&["ask production", "begin deploy"], undo, &["return production"]].concat();
        assert_eq!(sim.lock_story(), story, "{word}");
    }
    let mut sim = run_of([step("deploy").under(&["production"])]);
    sim.granted().fails("deploy", FailureKind::NeedsOperator).does(Verb::Abandon);
    sim.outcome();
    assert_eq!(sim.lock_kind(), Free, "giving a stuck run up frees its lock");
}

#[test]
fn a_lock_is_released_only_when_nothing_is_under_way_and_taken_again_before_anything_is() {
    let mut sim = scoped();
    let why = sim.refused(release("production"));
    assert!(why.starts_with("the run does not hold the lock production"), "{why}");
    sim.done("build").granted();
    let why = sim.refused(release("production"));
    assert!(why.starts_with("deploy is under way under the lock production: "), "{why}");
    sim.fails("deploy", FailureKind::NeedsOperator).does(release("production"));
    assert_eq!(sim.lock_kind(), Free);
    sim.does(retry("deploy"));
    assert_eq!((sim.lock_kind(), sim.kind("deploy")), (Asked, StepStateKind::Backoff));
    sim.restarts();
    assert_eq!((sim.lock_kind(), sim.kind("deploy")), (Asked, StepStateKind::Backoff));
    sim.granted().done("deploy").done("smoke").done("tell");
    assert!(matches!(sim.outcome(), Outcome::Succeeded { .. }));
}

#[test]
fn a_body_that_waits_goes_on_only_when_its_lock_is_there_again() {
    for by_time in [true, false] {
        let mut sim = run_of([step("deploy").under(&["production"])]);
        sim.granted().waits("deploy", "bake", by_time.then(|| at(60)), (!by_time).then_some("go"));
        sim.does(release("production"));
        if by_time {
            sim.time(61);
        } else {
            sim.gets("go", None, "1");
        }
        assert_eq!((sim.lock_kind(), sim.kind("deploy")), (Asked, StepStateKind::Parked), "{}", sim.story());
        sim.restarts().granted();
        assert_eq!((sim.lock_kind(), sim.kind("deploy")), (Held, StepStateKind::Running), "{}", sim.story());
    }
}

#[test]
fn a_grant_to_a_question_that_was_taken_back_is_none() {
    let mut sim = scoped();
    sim.done("build").granted().done("deploy").done("smoke").fails("tell", FailureKind::Permanent);
    assert_eq!(sim.lock_kind(), Asked);
    let first = sim.journal.iter().position(|(_, e)| matches!(e, Event::LocksAsked(_))).unwrap() as u64 + 1;
    sim.grant_of("production", 7, first);
    assert_eq!(sim.lock_kind(), Asked, "{}", sim.story());
    sim.granted();
    assert_eq!(sim.lock_kind(), Held);
}

#[test]
fn a_grant_is_believed_only_to_a_store() {
    let mut sim = scoped();
    sim.done("build");
    let asked = sim.state.seq();
    sim.send(&Message::LockGranted { lock: name("production"), fence: 1, asked });
    sim.decide();
    assert_eq!(sim.lock_kind(), Asked);
    assert_eq!(sim.kinds().last(), Some(&"entry-refused"));
}

#[test]
fn several_locks_are_asked_for_at_once_and_the_scope_begins_with_the_last() {
    let mut sim = run_of([step("deploy").under(&["database", "production"])]);
    assert_eq!(sim.lock_story(), ["ask database+production"]);
    sim.grant_of("production", 4, 2);
    assert_eq!((sim.lock_kind(), sim.kind("deploy")), (Asked, StepStateKind::Ready));
    assert_eq!(sim.state.explain().waits[0].what, "waits for the lock database");
    sim.restarts().grant_of("database", 9, 2);
    assert_eq!((sim.lock_kind(), sim.kind("deploy")), (Held, StepStateKind::Running));
    let fences = BTreeMap::from([(name("database"), 9), (name("production"), 4)]);
    assert_eq!(sim.state.fencing(0), fences);
}

/// The locks that are taken together, in the plan's steps.
fn together(steps: impl IntoIterator<Item = StepRecord>) -> Vec<String> {
    let plan: Arc<Plan> = plan(steps);
    let names = |scope: &crate::locks::Scope| {
        scope.locks.iter().map(|lock| lock.to_string()).collect::<Vec<_>>().join("+")
    };
    plan.scopes().iter().map(names).collect()
}

#[test]
fn locks_are_taken_together_when_their_scopes_overlap() {
    let both = [step("x").under(&["a"]), step("y").after("x").under(&["b"])];
    assert_eq!(together(both), ["a", "b"], "one after the other");
    let beside = [step("x").under(&["a"]), step("y").under(&["b"])];
    assert_eq!(together(beside), ["a", "b"], "side by side");
    let within = [step("x").under(&["a"]), step("y").after("x").under(&["a", "b"])];
    assert_eq!(together(within), ["a+b"], "one within the other");
    let across =
        [step("x").under(&["a"]), step("y").after("x").under(&["b"]), step("z").after("y").under(&["a"])];
    assert_eq!(together(across), ["a+b"], "one between the steps of the other");
    let half = [step("x").under(&["a"]), step("y").after("x").under(&["b"]), step("z").under(&["b"])];
    assert_eq!(together(half), ["a+b"], "some of one after the other");
    let last =
        [step("x").under(&["a"]), step("f").section(Section::Finally).under(&["a"]), step("y").under(&["b"])];
    assert_eq!(together(last), ["a+b"], "one that is held to the end of the run");
}

#[test]
fn a_scope_with_last_steps_is_held_until_they_are_over() {
    let mut sim =
        run_of([step("deploy").under(&["all"]), step("tell").section(Section::Finally).under(&["all"])]);
    sim.granted().done("deploy");
    assert_eq!(sim.lock_kind(), Held);
    sim.done("tell");
    assert_eq!(sim.lock_story(), ["ask all", "begin deploy", "begin tell", "return all"]);
}

#[test]
fn items_act_under_the_lock_of_their_root_run() {
    let each = record([step("apply").undoable().under(&["production"])]);
    let steps = [for_each(step("deploy"), each, 2), step("tell").after("deploy")];
    let mut sim = run_of(steps);
    assert_eq!(sim.lock_story(), ["ask production"]);
    sim.granted().lists("deploy", 2);
    assert_eq!(sim.gave().1, 2);
    let why = sim.refused(release("production"));
    assert!(why.starts_with("deploy is under way"), "{why}");
    let succeeded = || Outcome::Succeeded { output: Some(plans::json("1").into()) };
    sim.item_settles("deploy", 0, succeeded()).item_settles("deploy", 1, succeeded());
    assert_eq!(sim.lock_kind(), Held);
    let gather = sim.bodies.iter().position(|b| !b.parked).unwrap();
    sim.succeed(gather);
    sim.decide();
    assert_eq!(sim.lock_kind(), Free);
    sim.fails("tell", FailureKind::Permanent);
    assert_eq!((sim.lock_kind(), sim.gave().0.len()), (Asked, 0));
    sim.granted();
    assert_eq!(sim.gave().0, ["unwind", "unwind"], "they are told when the lock is there");
}

#[test]
fn an_item_asks_for_nothing_and_knows_the_fencing_numbers() {
    let mut begins = plans::run_started(None);
    if let Event::RunStarted(e) = &mut begins {
        let item = towpath_model::ItemKey::new("eu").unwrap();
        let (step, run) = (id("deploy"), towpath_model::RunId::from_bytes([8; 16]));
        let path = step.item(&item);
        e.parent = Some(towpath_model::Below { run, step, item, index: 0, path });
        e.fencing = BTreeMap::from([(name("production"), 7)]);
    }
    let plan = plan([step("apply").undoable().under(&["production"])]);
    let mut sim = Sim::begin(crate::sim::driver::run_id(), plan, Rng::new(1), begins, at(0));
    assert_eq!(sim.kind("apply"), StepStateKind::Running);
    assert_eq!(sim.state.fencing(0), BTreeMap::from([(name("production"), 7)]));
    sim.done("apply");
    let fencing = BTreeMap::from([(name("production"), 9)]);
    let entry = sim.entry("engine", &Message::Parent { order: Order::Unwind, fencing });
    sim.merge(vec![entry]);
    sim.decide();
    assert_eq!(sim.state.fencing(0), BTreeMap::from([(name("production"), 9)]));
    assert!(sim.state.locks().next().is_none());
}

#[test]
fn a_journal_in_which_a_step_acts_without_its_lock_is_not_folded() {
    let mut sim = scoped();
    sim.done("build");
    let mut state = sim.state.clone();
    let begins = StepStarted { step: id("deploy"), attempt: towpath_model::Attempt(1), before: None };
    let refused = state.apply(state.seq().next(), at(1), &begins.into()).unwrap_err().to_string();
    assert!(refused.ends_with("the run does not hold the step's locks"), "{refused}");
    sim.granted();
    let mut state = sim.state.clone();
    let returned = LocksReturned { locks: vec![name("production")] };
    let refused = state.apply(state.seq().next(), at(1), &returned.into()).unwrap_err().to_string();
    assert!(refused.ends_with("a step is under way under the lock"), "{refused}");
}

/// A run that nobody could fold is given up where it stands, and the store takes its locks back.
#[test]
pub(super) fn a_run_that_was_given_up_by_its_header_holds_nothing() {
    for waits in [true, false] {
        let mut sim = run_of([step("deploy").under(&["production"])]);
        if !waits {
            sim.granted();
        }
        let outcome = Outcome::Abandoned { by: Actor::new("user:ann").unwrap(), reason: "gone".into() };
        let settled = towpath_model::RunSettled { outcome, aftermath: Default::default() };
        sim.state.apply(sim.state.seq().next(), at(1), &settled.into()).unwrap();
        assert_eq!(sim.lock_kind(), Free);
    }
}

#[test]
fn limit_of_locks_holds_at_the_limit_and_one_above() {
    let with = |n: usize| {
        let names: Vec<String> = (0..n).map(|i| format!("lock-{i:03}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        crate::check(&record([step("a").under(&names)]))
    };
    assert!(with(limits::LOCKS_PER_PLAN).is_empty());
    let problems = with(limits::LOCKS_PER_PLAN + 1);
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["the plan has 65 locks: the limit is 64"]
    );
}

#[test]
fn a_plan_says_what_is_wrong_with_its_locks() {
    let found = |steps: Vec<StepRecord>| -> Vec<String> {
        crate::check(&record(steps)).iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        found(vec![step("a").under(&["b", "a"])]),
        ["step a: its locks are not in the order of their names, each once: build the plan anew"]
    );
    let mut node = for_each(step("each"), record([step("a").under(&["x"])]), 1);
    node.locks.clear();
    assert_eq!(
        found(vec![node]),
        ["step each: its items act under the lock x, and it does not hold it: build the plan anew"]
    );
}

#[test]
fn an_item_that_is_told_to_come_along_leaves_the_lock_to_its_root() {
    let mut sim =
        crate::sim::family::item_of(compile(record([step("apply").undoable().under(&["production"])])));
    sim.ordered(Order::Unwind);
    assert_eq!(sim.lock_story(), ["begin apply"]);
    assert!(matches!(sim.state.leaving(), Some(crate::Leaving::For { why: Why::WithParent, .. })));
}
