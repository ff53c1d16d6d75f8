//! What deciding costs does not grow with the plan.

use crate::{
    Action, BodyEnd, Input, Phase, Plan, RunState,
    sim::{
        driver::{at, run_id},
        plans::{self, StepExt, compile, record, step},
        script::done,
    },
    work,
};
use std::sync::Arc;
use towpath_model::{
    Actor, Attempt, Entry, EntryId, Failure, FailureKind, ItemKey, Json, Message, Outcome, Section, Seq,
    StepRecord, Timestamp, Why,
};

/// The steps of a plan of a size.
type Shape = fn(usize) -> Vec<StepRecord>;

/// Drives a run to its end, everything at once, and gives what each transition cost.
fn costs(plan: &Arc<Plan>, fails: &str) -> Vec<usize> {
    let mut state = RunState::new(run_id(), plan.clone());
    state.apply(Seq(1), at(0), &plans::run_started(None)).unwrap();
    let mut actions = state.decide(at(0)).actions;
    work::take();
    let mut costs = Vec::new();
    while state.phase() != Phase::Settled {
        let input = match actions.pop().expect("something is under way") {
            Action::Enter(step, attempt) => {
                let failure = Failure::new(FailureKind::Permanent, "no");
                let failed = BodyEnd::Failed { failure, retry_after: None };
                let end = if step.as_str() == fails { failed } else { done("{\"n\":1}") };
                Input::Ended { step, attempt, end }
            }
            Action::Compensate(step, attempt) => Input::Undone { step, attempt, end: crate::UndoEnd::Done },
            other => panic!("{other:?}"),
        };
        state.take(input, at(1)).unwrap();
        actions.extend(state.decide(at(1)).actions);
        let _ = (state.wake(), state.listing(), state.is_idle());
        costs.push(work::take());
    }
    costs
}

fn chain(n: usize) -> Vec<StepRecord> {
    let link = |i: usize| {
        let s = step(&format!("s{i}")).undoable();
        if i == 0 { s } else { s.reads(&format!("s{}", i - 1)) }
    };
    (0..n).map(link).chain([step("end").section(Section::Finally)]).collect()
}

/// One step, many after it, and one after them.
fn fan(n: usize) -> Vec<StepRecord> {
    let mut steps = vec![step("root").undoable()];
    steps.extend((0..n - 2).map(|i| step(&format!("s{i}")).undoable().reads("root")));
    let join = step("join").edit(|s| s.after = steps.iter().map(|s| s.id.clone()).collect());
    steps.push(join);
    steps
}

#[test]
fn cost_of_apply_and_decide_does_not_grow_with_the_plan() {
    let shapes: [(&str, Shape); 2] = [("chain", chain), ("fan", fan)];
    for (shape, steps) in shapes {
        for fails in ["", "last"] {
            let cost = |n: usize| {
                let steps = steps(n - 1);
                let last = steps.iter().rfind(|s| s.section == Section::Main).unwrap().id.to_string();
                let mut record = record(steps);
                record.parallel = 8;
                let costs = costs(&compile(record), if fails.is_empty() { "" } else { &last });
                let mut sorted = costs.clone();
                sorted.sort_unstable();
                // Once each: the sections, the beginning of unwinding, the end; and the step on which all depend.
                let most = sorted[sorted.len() - 1 - 5];
                (most, costs.iter().sum::<usize>())
            };
            let ((most_small, all_small), (most_large, all_large)) = (cost(100), cost(2_000));
            assert!(most_large <= most_small, "{shape} {fails}: {most_small} then {most_large} at most");
            assert!(all_large <= 21 * all_small, "{shape} {fails}: {all_small} then {all_large} in all");
        }
    }
}

#[test]
fn cost_of_waking_does_not_grow_with_what_waits() {
    let cost = |n: usize| {
        let mut record = record((0..n).map(|i| step(&format!("s{i}"))));
        record.parallel = n as u32;
        let mut state = RunState::new(run_id(), compile(record));
        state.apply(Seq(1), at(0), &plans::run_started(None)).unwrap();
        state.decide(at(0));
        for i in 0..n {
            let (step, wait) = (plans::id(&format!("s{i}")), plans::name("w"));
            let (until, signal) = (Some(at(100 + i as u64)), (i % 2 == 0).then(|| plans::name("go")));
            state.take(Input::Wait { step, wait, until, signal, checkpoint: None }, at(1)).unwrap();
        }
        state.decide(at(2));
        work::take();
        let wake: Timestamp = state.wake().unwrap();
        state.decide(wake);
        work::take()
    };
    assert_eq!(cost(20), cost(1_000));
}

/// Drives a run of one `for_each` over `n` items to its end, and gives what each transition cost; the last item fails
/// when it has to.
fn costs_of_items(n: u64, fails: bool) -> Vec<usize> {
    let each = record([step("apply").undoable()]);
    let mut sim = crate::sim::driver::Sim::new(
        compile(record([plans::for_each(step("deploy"), each, 8)])),
        crate::sim::rng::Rng::new(1),
        None,
    );
    let state = &mut sim.state;
    let listed = crate::sim::driver::listed(n);
    state.take(Input::Listed { step: plans::id("deploy"), result: Ok(listed) }, at(1)).unwrap();
    let mut given = state.decide(at(1));
    let (mut open, mut costs, mut entries) = (std::collections::VecDeque::new(), Vec::new(), 0);
    work::take();
    while state.phase() != Phase::Settled {
        open.extend(given.starts.drain(..).map(|start| (start.index, false)));
        open.extend(given.orders.drain(..).map(|order| {
            let items = state.find(&plans::id("deploy")).unwrap().items().unwrap();
            let run = |i: &u64| items.run(run_id(), &plans::id("deploy"), *i) == Some(order.run);
            (items.open().find(run).unwrap(), true)
        }));
        work::take();
        let Some((index, ordered)) = open.pop_front() else {
            let end = done("[]");
            state.take(Input::Ended { step: plans::id("deploy"), attempt: Attempt(1), end }, at(1)).unwrap();
            given = state.decide(at(1));
            continue;
        };
        let why = Why::WithParent;
        let outcome = match ordered || (fails && index == n - 1) {
            true => Outcome::Compensated { why },
            false => Outcome::Succeeded { output: None },
        };
        let items = state.find(&plans::id("deploy")).unwrap().items().unwrap();
        let run = items.run(run_id(), &plans::id("deploy"), index).unwrap();
        let (step, item) = (plans::id("deploy"), ItemKey::new("k").unwrap());
        let undoable = !ordered;
        let message = Message::SubRunSettled { step, index, item, run, outcome, undoable, left: false };
        entries += 1;
        let entry = Entry {
            id: EntryId(entries),
            dedupe_id: plans::name(&format!("e{entries}")),
            actor: Actor::engine(),
            message: Json::of(&message).unwrap(),
            received_at: at(1),
        };
        state.merge(vec![entry], at(1));
        given = state.decide(at(1));
        let _ = (state.wake(), state.listing(), state.is_idle());
        costs.push(work::take());
    }
    costs
}

#[test]
fn cost_of_an_item_does_not_grow_with_the_list() {
    for fails in [false, true] {
        let (small, large) = (costs_of_items(100, fails), costs_of_items(10_000, fails));
        assert_eq!(small.iter().max(), large.iter().max(), "fails: {fails}");
        let (all_small, all_large): (usize, usize) = (small.iter().sum(), large.iter().sum());
        assert!(all_large <= 110 * all_small, "fails: {fails}: {all_small} then {all_large} in all");
    }
}
