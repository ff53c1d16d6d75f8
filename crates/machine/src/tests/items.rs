//! Items of a `for_each`, and the runs that they are.

use crate::{
    ItemState, Phase, StepStateKind, UndoStateKind, list_items, read_items,
    sim::{
        driver::Sim,
        family::{item_of, whole_family},
        for_seeds,
        plans::{self, StepExt, compile, for_each, json, record, step},
        script::{cancel, cancel_no_unwind, retry, run_of},
    },
};
use std::collections::BTreeMap;
use towpath_model::{
    Actor, Aftermath, FailureKind, InDoubt, Json, Message, Operand, Order, Outcome, Role, Section,
    StepRecord, UndoPolicy, Verb, Why, limits,
};

#[test]
fn families_end_whole_whatever_comes_between() {
    for_seeds(300, |seed| drop(whole_family(seed)));
}

fn deploy(parallel: u32) -> StepRecord {
    for_each(step("deploy"), record([step("apply").undoable()]), parallel)
}

fn succeeded() -> Outcome {
    Outcome::Succeeded { output: Some(json("1").into()) }
}

fn compensated() -> Outcome {
    Outcome::Compensated { why: Why::WithParent }
}

fn abandon() -> Order {
    Order::Abandon { by: Actor::new("user:ann").unwrap(), reason: "wrong".into() }
}

/// What is wrong with a list, or its keys.
fn keys_of(list: &str, pointer: &str) -> Result<Vec<String>, String> {
    let mut step = deploy(1);
    if let Role::ForEach { list: of, key, .. } = &mut step.role {
        (*of, *key) = (Operand::Value(json(list)), pointer.into());
    }
    let plan = compile(record([step.clone()]));
    let listed = list_items(&plan, &step, &BTreeMap::new(), &|_| None).map_err(|f| f.to_string())?;
    let read = read_items(&listed.items_json(), &listed.given_json()).unwrap();
    assert_eq!(read, listed);
    Ok(listed.items.iter().map(|(key, _)| key.to_string()).collect())
}

#[test]
fn a_list_is_read_with_its_keys_or_says_which_item_is_at_fault() {
    let keys = |list: &str, pointer: &str| keys_of(list, pointer).unwrap();
    assert_eq!(keys("[]", "/name"), [""; 0]);
    assert_eq!(keys(r#"["eu","us"]"#, ""), ["eu", "us"]);
    assert_eq!(keys(r#"[{"n":{"id":7}},{"n":{"id":"b"}}]"#, "/n/id"), ["7", "b"]);
    let wrong = |list: &str, pointer: &str| keys_of(list, pointer).unwrap_err();
    assert!(wrong("{}", "").starts_with("what it goes through is no list: "));
    assert_eq!(wrong(r#"["eu","eu"]"#, ""), "two items have the key \"eu\": give each its own");
    assert_eq!(wrong(r#"[{"a":1},{}]"#, "/a"), "item 1 of the list has no key at \"/a\"");
    assert_eq!(wrong("[true]", ""), "the key of item 0 of the list, itself, is no text and no number");
    for bad in ["".to_owned(), "k".repeat(limits::ITEM_KEY_BYTES + 1), "a]b".into()] {
        let list = Json::of(&[bad]).unwrap();
        assert!(wrong(list.as_str(), "").starts_with("the key of item 0 of the list, itself: "));
    }
    let longest = Json::of(&["k".repeat(limits::ITEM_KEY_BYTES)]).unwrap();
    assert_eq!(keys(longest.as_str(), "").len(), 1);
}

#[test]
fn limit_of_items_holds_at_the_limit_and_one_above() {
    let list = |n: usize| Json::of(&(0..n).collect::<Vec<_>>()).unwrap();
    assert_eq!(keys_of(list(limits::ITEMS_PER_FOR_EACH).as_str(), "").unwrap().len(), 100_000);
    assert_eq!(
        keys_of(list(limits::ITEMS_PER_FOR_EACH + 1).as_str(), "").unwrap_err(),
        "the list has 100001 items: the limit is 100000"
    );
}

#[test]
fn what_items_are_given_is_read_once_with_the_list() {
    let mut step = deploy(1);
    step.with = json(
        r#"{"given":{"v":{"value":[1]},"f":{"from":{"step":"a","path":"/x"}},"p":{"param":{"name":"yes"}},
            "n":{"or-none":{"step":"gone"}},"o":{"first-of":[{"step":"gone"},{"step":"a"}]},
            "t":{"text":[{"value":"x-"},{"from":{"step":"a","path":"/x"}},{"value":true}]}}}"#,
    );
    let mut record = record([plans::step("a"), deploy(1)]);
    record.params.insert("yes".into(), json("{}"));
    let output = |id: &towpath_model::StepId| (id.as_str() == "a").then(|| json(r#"{"x":5}"#));
    let values = BTreeMap::from([("yes".to_owned(), json("true"))]);
    let given = list_items(&compile(record), &step, &values, &output).unwrap().given;
    let shown: Vec<_> = given.iter().map(|(name, value)| format!("{name}={}", value.as_str())).collect();
    assert_eq!(shown, ["f=5", "n=null", "o={\"x\":5}", "p=true", "t=\"x-5true\"", "v=[1]"]);
}

#[test]
fn a_list_that_is_no_list_fails_the_step_before_its_first_intent() {
    let mut sim = run_of([deploy(2)]);
    let failure = crate::sim::driver::failure(FailureKind::Permanent);
    let result = Err(failure);
    sim.bodies.clear();
    sim.take(crate::Input::Listed { step: plans::id("deploy"), result }).unwrap();
    sim.decide();
    assert_eq!(sim.outcome().word(), "failed");
    assert_eq!(sim.node("deploy").intent(), None);
}

#[test]
fn an_empty_list_is_done_with_an_empty_list() {
    let mut sim = run_of([deploy(2), step("b").reads("deploy")]);
    sim.lists("deploy", 0);
    assert_eq!((sim.kind("deploy"), sim.gave().1), (StepStateKind::Done, 0));
    assert_eq!(sim.kind("b"), StepStateKind::Running);
}

#[test]
fn items_begin_as_far_as_there_is_place_and_none_while_the_run_is_paused() {
    let mut sim = run_of([deploy(2)]);
    sim.lists("deploy", 4);
    assert_eq!(sim.gave().1, 2);
    sim.does(Verb::Pause).item_settles("deploy", 0, succeeded());
    assert_eq!(sim.gave().1, 0);
    sim.does(Verb::Resume);
    assert_eq!(sim.gave().1, 1);
    sim.item_settles("deploy", 1, succeeded()).item_settles("deploy", 2, succeeded());
    assert_eq!(sim.gave().1, 1);
    sim.item_settles("deploy", 3, succeeded());
    // Dying while the outputs are put together does it again.
    sim.restarts();
    sim.succeed(0);
    sim.decide();
    assert_eq!((sim.kind("deploy"), sim.outcome().word()), (StepStateKind::Done, "succeeded"));
}

#[test]
fn an_item_that_fails_stops_the_others_and_has_those_undone_that_succeeded() {
    let mut sim = run_of([deploy(2)]);
    sim.lists("deploy", 4).item_settles("deploy", 0, succeeded());
    sim.gave();
    sim.item_settles("deploy", 1, compensated());
    assert_eq!(sim.state.phase(), Phase::Draining);
    assert_eq!(sim.gave(), (vec!["unwind"], 0));
    // The other one had just succeeded: told to undo that, it reports again.
    sim.item_settles("deploy", 2, succeeded());
    assert_eq!(sim.state.phase(), Phase::Draining);
    sim.item_settles("deploy", 2, compensated());
    assert_eq!((sim.state.phase(), sim.undo_kind("deploy")), (Phase::Unwinding, UndoStateKind::Running));
    assert_eq!(sim.gave(), (vec!["unwind"], 0));
    sim.restarts().item_settles("deploy", 0, compensated());
    assert_eq!(sim.outcome().word(), "compensated");
    assert_eq!(sim.node("deploy").items().unwrap().state(3), Some(ItemState::Waiting));
}

#[test]
fn an_item_that_is_given_up_while_it_undoes_is_listed_as_left() {
    let mut sim = run_of([deploy(2), step("b").after("deploy")]);
    sim.lists("deploy", 1).item_settles("deploy", 0, succeeded());
    sim.succeed(0);
    sim.decide();
    sim.fails("b", FailureKind::Permanent);
    let Order::Abandon { by, reason } = abandon() else { unreachable!() };
    sim.item_settles("deploy", 0, Outcome::Abandoned { by, reason });
    assert_eq!(sim.aftermath(), "kept [] left [\"deploy\"] in doubt [] failed []");
}

#[test]
fn cancel_and_abandon_reach_the_items_by_their_policy() {
    let word = |policy, verb| {
        let mut sim = run_of([deploy(2).edit(|s| s.undo = policy)]);
        sim.lists("deploy", 1);
        sim.gave();
        sim.does(verb);
        sim.gave().0
    };
    assert_eq!(word(UndoPolicy::Undo, cancel()), ["unwind"]);
    assert_eq!(word(UndoPolicy::Undo, cancel_no_unwind()), ["cancel"]);
    assert_eq!(word(UndoPolicy::Keep, cancel()), ["cancel"]);
    let mut sim = run_of([deploy(2)]);
    sim.lists("deploy", 1);
    assert!(sim.refused(Verb::Abandon).contains("cancel it first"));
    sim.gave();
    sim.does(cancel()).does(Verb::Abandon);
    assert_eq!(sim.gave().0, ["unwind", "abandon"]);
    assert_eq!(sim.state.phase(), Phase::Draining);
    let Order::Abandon { by, reason } = abandon() else { unreachable!() };
    sim.item_settles("deploy", 0, Outcome::Abandoned { by, reason });
    assert_eq!(sim.outcome().word(), "abandoned");
}

#[test]
fn unwinding_that_is_stopped_asks_no_more_items() {
    let mut sim = run_of([deploy(1), step("b").after("deploy")]);
    sim.lists("deploy", 2).item_settles("deploy", 0, succeeded()).item_settles("deploy", 1, succeeded());
    sim.succeed(0);
    sim.decide();
    sim.fails("b", FailureKind::Permanent);
    sim.gave();
    sim.does(cancel_no_unwind());
    assert_eq!(sim.gave().0, ["cancel"]);
    sim.item_settles("deploy", 1, compensated());
    assert_eq!(sim.aftermath(), "kept [] left [\"deploy\"] in doubt [] failed []");
}

/// A plan that is past its point of no return when its items begin.
fn forward_only() -> Sim {
    let mut sim = run_of([step("a").no_return(), deploy(2).after("a")]);
    sim.done("a").lists("deploy", 3);
    sim
}

#[test]
pub(super) fn a_step_that_rests_begins_only_the_items_again_that_failed() {
    let mut sim = forward_only();
    let first = sim.item_run("deploy", 1);
    sim.item_settles("deploy", 1, compensated());
    assert_eq!(sim.kind("deploy"), StepStateKind::Items);
    sim.gave();
    sim.item_settles("deploy", 0, succeeded());
    assert_eq!((sim.kind("deploy"), sim.gave().1), (StepStateKind::Resting, 0));
    sim.does(retry("deploy"));
    assert_eq!((sim.kind("deploy"), sim.gave().1), (StepStateKind::Items, 2));
    let again = sim.restarts().item_run("deploy", 1);
    assert_ne!(first, again);
    sim.item_settles("deploy", 1, succeeded()).item_settles("deploy", 2, succeeded());
    sim.succeed(0);
    sim.decide();
    assert_eq!(sim.outcome().word(), "succeeded");
}

#[test]
fn a_best_effort_fails_when_its_last_item_is_over_and_the_run_goes_on() {
    let mut sim = run_of([deploy(2).best_effort(), step("b").after("deploy")]);
    sim.lists("deploy", 3).item_settles("deploy", 0, compensated());
    assert_eq!((sim.kind("deploy"), sim.gave()), (StepStateKind::Items, (vec![], 2)));
    sim.item_settles("deploy", 1, succeeded());
    assert_eq!(sim.kind("deploy"), StepStateKind::Failed);
    sim.done("b");
    assert_eq!(sim.outcome().word(), "succeeded");
}

#[test]
fn a_report_that_is_told_twice_or_of_another_run_makes_nothing() {
    let mut sim = forward_only();
    let old = sim.item_run("deploy", 0);
    sim.item_settles("deploy", 0, succeeded());
    let seq = sim.state.seq();
    sim.item_settles("deploy", 0, succeeded());
    assert_eq!(sim.state.seq(), seq);
    assert_eq!(sim.item_run("deploy", 0), old);
    let message = Message::Parent { order: Order::Unwind, fencing: Default::default() };
    let entry = sim.entry("user:ann", &message);
    sim.merge(vec![entry]);
    sim.decide();
    assert_eq!(sim.kinds().last(), Some(&"entry-refused"));
}

#[test]
fn an_item_that_has_succeeded_is_undone_when_its_parent_says_so() {
    let mut sim = item_of(plans::plan([step("a").undoable(), step("end").section(Section::Finally)]));
    sim.done("a").done("end");
    assert_eq!(sim.outcome().word(), "succeeded");
    sim.ordered(Order::Cancel).ordered(abandon());
    assert_eq!(sim.kinds().last(), Some(&"run-settled"));
    sim.ordered(Order::Unwind).restarts();
    assert_eq!((sim.state.phase(), sim.state.outcome()), (Phase::Unwinding, None));
    sim.undone("a").ordered(Order::Unwind);
    // Its last steps had their turn, and have no other.
    let end = ["compensation-started", "compensation-done", "unwound", "run-settled"];
    assert_eq!(sim.kinds()[sim.kinds().len() - 4..], end);
    assert_eq!(sim.outcome(), &Outcome::Compensated { why: Why::WithParent });
}

#[test]
fn an_item_among_its_last_steps_comes_to_its_end_and_is_undone_then() {
    let mut sim = item_of(plans::plan([step("a").undoable(), step("end").section(Section::Finally)]));
    sim.done("a").ordered(Order::Unwind).done("end");
    assert_eq!(sim.state.phase(), Phase::Unwinding);
    sim.undone("a");
    assert_eq!(sim.outcome(), &Outcome::Compensated { why: Why::WithParent });
}

#[test]
fn an_item_with_nothing_to_undo_stays_over() {
    let mut sim = item_of(plans::plan([step("a")]));
    sim.done("a").ordered(Order::Unwind);
    assert_eq!(sim.kinds().last(), Some(&"run-settled"));
    let mut sim = item_of(plans::plan([step("a").undoable().no_return(), step("b").after("a")]));
    sim.done("a").ordered(Order::Unwind);
    assert_eq!(sim.state.phase(), Phase::Forward);
    sim.done("b").ordered(Order::Unwind);
    assert_eq!(sim.outcome().word(), "succeeded");
}

#[test]
pub(super) fn an_order_to_stop_leaves_what_is_not_being_undone_yet() {
    let looked_at = step("c").undoable().in_doubt(InDoubt::Observe);
    let first = step("first").undoable();
    let steps = [first, step("a").undoable().after("first"), step("b").undoable().after("first"), looked_at];
    let mut sim = item_of(plans::plan(steps));
    sim.done("first").done("a").done("b").lost("c", towpath_model::Ended::TimedOut);
    sim.ordered(Order::Unwind).undo_fails("b", FailureKind::Transient);
    assert_eq!(sim.undo_kind("c"), UndoStateKind::Observing);
    assert_eq!(sim.undo_kind("b"), UndoStateKind::Backoff);
    assert_eq!(sim.undo_kind("first"), UndoStateKind::Waiting);
    sim.ordered(Order::Cancel).undone("a");
    assert_eq!(sim.outcome(), &Outcome::Cancelled { why: Why::WithParent });
}

#[test]
pub(super) fn giving_the_parent_up_ends_an_item_among_its_last_steps() {
    let last = [step("f").section(Section::OnFailure), step("end").section(Section::Finally)];
    let mut sim = item_of(plans::plan([step("a")].into_iter().chain(last)));
    sim.fails("a", FailureKind::Permanent).waits("f", "w", None, Some("go")).ordered(abandon());
    assert_eq!(sim.kind("end"), StepStateKind::Running);
    sim.waits("end", "w", None, Some("go")).ordered(abandon());
    assert_eq!(sim.state.phase(), Phase::Finally);
    sim.does(Verb::Abandon);
    assert_eq!(sim.outcome().word(), "abandoned");
}

#[test]
fn an_item_that_is_cancelled_alone_has_failed() {
    let mut sim = run_of([deploy(2)]);
    sim.lists("deploy", 1);
    let why = Why::Cancelled { by: Actor::new("user:ann").unwrap(), reason: "no".into() };
    sim.item_settles("deploy", 0, Outcome::Cancelled { why });
    let Outcome::Compensated { why } = sim.outcome() else { panic!("{}", sim.story()) };
    assert_eq!(
        why.to_string(),
        "step deploy failed: item k0 did not succeed: cancelled: cancelled by user:ann: no"
    );
}

#[test]
fn every_listed_item_raises_the_limit_of_the_journal() {
    let mut sim = run_of([deploy(2)]);
    assert_eq!(sim.state.events_of_items(), 0);
    sim.lists("deploy", 5);
    assert_eq!(sim.state.events_of_items(), 5 * limits::EVENTS_PER_ITEM);
}

#[test]
fn an_item_reports_how_it_ended() {
    let mut sim = item_of(plans::plan([step("a").undoable()]));
    sim.done("a");
    let outcome = sim.outcome().clone();
    let settled = towpath_model::RunSettled { outcome, aftermath: Aftermath::default() };
    let (to, message) = sim.state.report(&settled).unwrap();
    assert_eq!(to, sim.state.below().unwrap().run);
    let Message::SubRunSettled { index: 3, undoable: true, .. } = message else { panic!("{message:?}") };
}

#[test]
fn an_item_that_ends_though_nothing_was_wrong_ends_its_parent_in_the_same_way() {
    let mut sim =
        run_of([step("a").undoable(), for_each(step("deploy"), record([step("ask")]), 2).after("a")]);
    sim.done("a").lists("deploy", 2);
    sim.gave();
    let failure = crate::sim::driver::failure(FailureKind::Cancelled);
    let why = Why::StepCancelled { step: plans::id("ask"), failure };
    sim.item_settles("deploy", 0, Outcome::Cancelled { why });
    assert_eq!(sim.gave().0, ["cancel"], "the other is not undone either");
    sim.item_settles("deploy", 1, Outcome::Cancelled { why: Why::WithParent });
    assert!(matches!(sim.outcome(), Outcome::Cancelled { why: Why::StepCancelled { .. } }));
}

#[test]
fn limit_of_items_per_transition_holds_at_the_limit_and_one_above() {
    for (count, decisions) in [(64, vec![64]), (65, vec![64, 1]), (150, vec![64, 64, 22])] {
        let mut sim = run_of([deploy(1_000)]);
        sim.bodies.clear();
        let listed =
            crate::Input::Listed { step: plans::id("deploy"), result: Ok(crate::sim::driver::listed(count)) };
        sim.state.take(listed, sim.now).unwrap();
        let mut begun = Vec::new();
        loop {
            let decision = sim.state.decide(sim.now);
            begun.push(decision.starts.len());
            if !decision.more {
                break;
            }
        }
        assert_eq!(begun, decisions);
        assert!(sim.state.decide(sim.now).starts.is_empty());
    }
}
