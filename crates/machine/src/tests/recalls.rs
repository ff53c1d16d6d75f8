//! Runs that are told to undo what they did after they had succeeded, and what their parents make of it.

use crate::{
    ItemState, Phase, UndoStateKind,
    sim::{
        driver::Sim,
        family::item_of,
        plans::{self, StepExt, for_each, record, step},
        script::{cancel, cancel_no_unwind, retry, run_of},
    },
};
use towpath_model::{
    Actor, Aftermath, Event, FailureKind, Order, Outcome, RunSettled, Section, Seq, Verb, Why,
};

fn abandon() -> Order {
    Order::Abandon { by: Actor::new("user:ann").unwrap(), reason: "wrong".into() }
}

fn abandoned() -> Outcome {
    Outcome::Abandoned { by: Actor::new("user:ann").unwrap(), reason: "wrong".into() }
}

fn succeeded() -> Outcome {
    Outcome::Succeeded { output: None }
}

fn compensated() -> Outcome {
    Outcome::Compensated { why: Why::WithParent }
}

/// An item with an undoable step, that is done, and a last step under way.
fn at_its_last_step() -> Sim {
    let mut sim = item_of(plans::plan([step("a").undoable(), step("end").section(Section::Finally)]));
    sim.done("a");
    sim
}

/// A parent of which both items are under way.
fn parent() -> Sim {
    let each = record([step("apply").undoable()]);
    let mut sim = run_of([for_each(step("deploy"), each, 2), step("b").after("deploy")]);
    sim.lists("deploy", 2);
    sim
}

#[test]
fn an_item_that_was_paused_at_its_end_is_undone_all_the_same() {
    let mut sim = at_its_last_step();
    sim.does(Verb::Pause).ordered(Order::Unwind).done("end");
    assert_eq!(sim.undo_kind("a"), UndoStateKind::Running);
    let mut sim = at_its_last_step();
    sim.does(Verb::Pause).done("end");
    assert!(sim.state.is_paused() && sim.state.phase() == Phase::Settled);
    sim.ordered(Order::Unwind).restarts();
    assert_eq!(sim.undo_kind("a"), UndoStateKind::Running);
}

#[test]
fn a_recalled_item_follows_the_next_order_whenever_it_comes() {
    let orders = |orders: Vec<Order>| {
        let mut sim = at_its_last_step();
        sim.done("end");
        let entries: Vec<_> = orders
            .into_iter()
            .map(|order| {
                sim.entry("engine", &towpath_model::Message::Parent { order, fencing: Default::default() })
            })
            .collect();
        // In one reading, so that nothing is decided between them.
        sim.merge(entries);
        sim.decide();
        (sim.outcome().clone(), sim.aftermath())
    };
    let left = "kept [] left [\"a\"] in doubt [] failed []".to_owned();
    assert_eq!(
        orders(vec![Order::Unwind, Order::Cancel]),
        (Outcome::Cancelled { why: Why::WithParent }, left.clone())
    );
    assert_eq!(orders(vec![Order::Unwind, abandon()]), (abandoned(), left));
}

#[test]
fn a_parent_waits_for_an_item_that_undoes_whatever_it_was_told_since() {
    let mut sim = parent();
    sim.does(cancel()).does(cancel_no_unwind());
    assert_eq!(sim.gave().0, ["unwind", "unwind", "cancel", "cancel"]);
    // It had succeeded before it was told to undo, and does so now.
    sim.item_settles("deploy", 0, succeeded());
    assert_eq!(sim.node("deploy").items().unwrap().state(0), Some(ItemState::Unwinding));
    sim.item_settles("deploy", 1, compensated());
    assert_eq!(sim.state.phase(), Phase::Draining);
    sim.restarts().item_settles("deploy", 0, compensated());
    assert_eq!(sim.outcome().word(), "cancelled");
}

#[test]
fn what_an_item_leaves_in_place_is_in_the_outcome_of_its_parent() {
    let left = "kept [] left [\"deploy\"] in doubt [] failed []";
    let nothing = "kept [] left [] in doubt [] failed []";
    let both = |first: Outcome, undoable, leaves| {
        let mut sim = parent();
        sim.does(cancel());
        sim.item_settles("deploy", 1, compensated());
        sim.item_reports("deploy", 0, first, undoable, leaves);
        sim.aftermath()
    };
    assert_eq!(both(abandoned(), false, true), left, "given up on its way");
    assert_eq!(both(compensated(), false, true), left, "undoing a step of it was skipped");
    assert_eq!(both(succeeded(), false, true), left, "it went past its point of no return");
    assert_eq!(both(succeeded(), false, false), nothing, "it did nothing");
    assert_eq!(both(compensated(), false, false), nothing);
}

#[test]
fn what_an_earlier_try_of_an_item_leaves_is_not_forgotten() {
    let mut items = crate::items::Items::new(plans::json("[]").into(), plans::json("{}").into(), 1);
    let report = |outcome, left| towpath_model::SubRunSettled {
        step: plans::id("deploy"),
        index: 0,
        item: towpath_model::ItemKey::new("k0").unwrap(),
        run: crate::sim::driver::run_id(),
        outcome,
        undoable: false,
        left,
    };
    items.settle(&report(abandoned(), true));
    items.settle(&report(succeeded(), false));
    assert!(items.left);
}

#[test]
fn an_item_says_what_it_leaves() {
    let report = |sim: &Sim| {
        let Some(Event::RunSettled(settled)) =
            sim.journal.iter().rev().map(|(_, e)| e).find(|e| matches!(e, Event::RunSettled(_)))
        else {
            panic!("{}", sim.story())
        };
        let Some((_, towpath_model::Message::SubRunSettled { left, undoable, .. })) =
            sim.state.report(settled)
        else {
            panic!("it is an item")
        };
        (undoable, left)
    };
    let mut sim = at_its_last_step();
    assert_eq!(report(sim.done("end")), (true, false));
    assert_eq!(report(sim.ordered(Order::Unwind).undone("a")), (false, false));
    let mut sim = item_of(plans::plan([step("a").undoable(), step("b").after("a")]));
    sim.done("a").fails("b", FailureKind::Permanent).undo_fails("a", FailureKind::Permanent);
    sim.does(Verb::Skip { step: Some(plans::id("a")), output: None });
    assert_eq!((sim.outcome().word(), report(&sim)), ("compensated", (false, true)));
    let mut sim = item_of(plans::plan([step("a").undoable().no_return()]));
    assert_eq!(report(sim.done("a")), (false, true));
    let mut sim = item_of(plans::plan([step("a").no_return()]));
    assert_eq!(report(sim.done("a")), (false, false));
}

#[test]
fn a_recalled_item_that_was_given_up_by_its_number_alone_can_be_folded() {
    let mut sim = at_its_last_step();
    sim.done("end");
    let answered = |verb, refused| {
        let (id, by) = (plans::name("v"), Actor::new("user:ann").unwrap());
        Event::from(towpath_model::VerbAnswered { id, verb, by, reason: String::new(), refused })
    };
    let settled = |outcome| Event::from(RunSettled { outcome, aftermath: Aftermath::default() });
    let apply = |state: &mut crate::RunState, event: &Event| {
        let (seq, at) = (Seq(state.seq().0 + 1), state.time());
        state.apply(seq, at, event)
    };
    let mut state = sim.state.clone();
    apply(&mut state, &answered(retry("a"), Some("it is quarantined".into()))).unwrap();
    apply(&mut state, &answered(retry("a"), None)).unwrap();
    apply(&mut state, &answered(Verb::Pause, None)).unwrap();
    assert!(!state.is_paused());
    apply(&mut state, &answered(Verb::Abandon, None)).unwrap();
    apply(&mut state, &settled(abandoned())).unwrap();
    assert_eq!((state.phase(), state.outcome()), (Phase::Settled, Some(&abandoned())));
    assert!(apply(&mut state, &settled(succeeded())).is_err());
    let mut alone = run_of([step("a")]);
    alone.done("a");
    assert!(apply(&mut alone.state, &settled(abandoned())).is_err(), "only an item can be recalled");
}

#[test]
fn a_parent_whose_items_undo_is_idle() {
    let mut sim = parent();
    for index in [0, 1] {
        sim.item_settles("deploy", index, succeeded());
    }
    sim.succeed(0);
    sim.decide();
    sim.fails("b", FailureKind::Permanent);
    assert_eq!((sim.state.phase(), sim.undo_kind("deploy")), (Phase::Unwinding, UndoStateKind::Running));
    assert!(sim.state.is_idle() && sim.state.wake().is_none());
}
