use super::{Problems, check};
use crate::{
    Plan,
    sim::plans::{StepExt, for_each, id, json, output_of, record, step},
};
use std::sync::Arc;
use towpath_model::{Condition, InDoubt, Operand, PlanRecord, ReadMode, Role, Section, UndoPolicy, limits};

fn told(record: &PlanRecord) -> Vec<String> {
    check(record).iter().map(ToString::to_string).collect()
}

/// What is said of a plan that is well but for one change.
fn of(change: impl FnOnce(&mut PlanRecord)) -> Vec<String> {
    let mut plan = record([step("a"), step("b").reads("a"), step("end").section(Section::Finally)]);
    assert_eq!(told(&plan), [""; 0]);
    change(&mut plan);
    told(&plan)
}

fn param(name: &str) -> Operand {
    Operand::Param { name: name.into(), path: String::new() }
}

#[test]
fn each_problem_of_a_plan_as_a_whole() {
    assert_eq!(of(|p| p.format = 9), ["the plan has format 9: this release drives format 1"]);
    assert_eq!(of(|p| p.steps.clear()), ["the plan has no step: place one with `step`"]);
    assert_eq!(of(|p| p.parallel = 0), ["no step may run: set `parallel` to at least 1"]);
    assert_eq!(of(|p| p.deadline_ms = Some(0)), ["the deadline is zero: give it more, or leave it out"]);
    assert_eq!(
        of(|p| p.output = Some(output_of("x", ""))),
        ["the output is that of x, which is not a step of this plan"]
    );
    assert_eq!(
        of(|p| p.output = Some(output_of("end", ""))),
        ["the output is that of end, which does not run on the way forward"]
    );
    assert_eq!(
        of(|p| p.output = Some(param("commit"))),
        ["the output is the parameter \"commit\", which is not declared"]
    );
}

#[test]
fn each_problem_of_a_step_by_itself() {
    let one = |change: fn(&mut towpath_model::StepRecord)| of(|p| change(&mut p.steps[0]));
    let run = Box::new(record([step("x")]));
    assert_eq!(
        of(|p| p.steps[0].role = Role::SubRun { plan: run }),
        ["step a: a plan that runs by itself cannot be driven by this release: use a newer one"]
    );
    assert_eq!(one(|s| s.retry.attempts_max = 0), ["step a: retry allows 0 attempts: give 1 to 1000"]);
    assert_eq!(
        one(|s| s.undo_retry.attempts_max = 1_001),
        ["step a: undo_retry allows 1001 attempts: give 1 to 1000"]
    );
    assert_eq!(
        one(|s| s.observe_retry.attempts_max = 0),
        ["step a: observe_retry allows 0 attempts: give 1 to 1000"]
    );
    assert_eq!(one(|s| s.retry.attempts_max = limits::ATTEMPTS), [""; 0]);
    assert_eq!(one(|s| s.timeout_ms = Some(0)), ["step a: timeout is zero: give it more, or leave it out"]);
    assert_eq!(one(|s| s.within_ms = Some(0)), ["step a: within is zero: give it more, or leave it out"]);
    assert_eq!(
        one(|s| s.in_doubt = InDoubt::Observe),
        ["step a: kind sim.step/v1 is to be observed when in doubt, but cannot observe"]
    );
    assert_eq!(
        one(|s| s.undo = UndoPolicy::Ask),
        ["step a: nothing can be asked about undoing it: kind sim.step/v1 cannot be undone"]
    );
    assert_eq!(
        of(|p| p.steps[2].point_of_no_return = true),
        ["step end: a finally step cannot be the point of no return"]
    );
    assert_eq!(
        of(|p| p.steps.push(step("tell").section(Section::OnFailure).undo(UndoPolicy::Ask))),
        ["step tell: an on_failure step is never undone, so nothing can be asked: use another policy"]
    );
    assert_eq!(of(|p| p.steps.push(step("a"))), ["step a: the id is given to two steps: give each its own"]);
}

#[test]
fn each_problem_of_what_a_step_names() {
    let b = |change: fn(towpath_model::StepRecord) -> towpath_model::StepRecord| {
        of(|p| p.steps[1] = change(p.steps[1].clone()))
    };
    assert_eq!(b(|s| s.reads("x")), ["step b: it reads x, which is not a step of this plan"]);
    assert_eq!(b(|s| s.after("x").after("x")), ["step b: it is after x, which is not a step of this plan"]);
    assert_eq!(
        b(|s| s.when(Condition::Is(output_of("x", "/a"), output_of("x", "/b")))),
        ["step b: it has a condition on x, which is not a step of this plan"]
    );
    assert_eq!(
        b(|s| s.when(Condition::Is(param("commit"), param("commit")))),
        ["step b: its condition names the parameter \"commit\", which is not declared"]
    );
    assert_eq!(b(|s| s.reads("end")), ["step b: it reads end, which runs later, as a finally step"]);
    assert_eq!(
        b(|s| s.reads_as("a", ReadMode::FirstOf(1))),
        ["step b: first_of has one branch: give it at least two"]
    );
    let nested = |depth| {
        let innermost = Condition::All(vec![]);
        (1..depth).fold(innermost, |c, _| Condition::Not(Box::new(c)))
    };
    let with = |when| of(|p| p.steps[1].when = Some(when));
    assert_eq!(with(nested(limits::NESTING)), [""; 0]);
    assert_eq!(with(nested(limits::NESTING + 1)), ["step b: its condition is nested deeper than 8"]);
}

#[test]
fn circles_are_named_step_by_step() {
    let circle = |edges: &[(&str, &str)]| {
        let steps = ["a", "b", "c", "d"].map(|s| {
            edges.iter().filter(|(from, _)| *from == s).fold(step(s), |step, (_, to)| step.after(to))
        });
        told(&record(steps))
    };
    assert_eq!(
        circle(&[("a", "a")]),
        ["steps wait for each other in a circle: a waits for a; take one `after` or one handle out"]
    );
    assert_eq!(
        circle(&[("a", "b"), ("b", "c"), ("c", "b"), ("d", "a")]),
        [
            "steps wait for each other in a circle: b waits for c waits for b; take one `after` or one handle out"
        ]
    );
    assert_eq!(circle(&[("d", "a"), ("c", "a"), ("d", "c")]), [""; 0]);
}

#[test]
fn everything_is_told_at_once() {
    let mut plan = record([
        step("a").reads("x").after("y"),
        step("b").after("c").in_doubt(InDoubt::Observe).edit(|s| s.methods.observe = false),
        step("c").after("b"),
    ]);
    plan.parallel = 0;
    let problems = Plan::compile(Arc::new(plan)).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "the plan has 5 problems\n  \
         no step may run: set `parallel` to at least 1\n  \
         step a: it reads x, which is not a step of this plan\n  \
         step a: it is after y, which is not a step of this plan\n  \
         step b: kind sim.step/v1 is to be observed when in doubt, but cannot observe\n  \
         steps wait for each other in a circle: b waits for c waits for b; take one `after` or one handle out"
    );
    let one = Problems(vec![problems.0[0].clone()]);
    assert!(one.to_string().starts_with("the plan has 1 problem\n"));
}

#[test]
fn steps_of_a_plan_at_the_limit_and_one_above() {
    let plan = |n| record((0..n).map(|i| step(&format!("s{i}"))));
    assert_eq!(told(&plan(limits::STEPS_PER_PLAN)), [""; 0]);
    assert_eq!(told(&plan(limits::STEPS_PER_PLAN + 1)), ["the plan has 2001 steps: the limit is 2000"]);
}

#[test]
fn a_plan_knows_its_graph() {
    let on = Condition::Less(output_of("a", "/n"), output_of("a", "/m"));
    let mut record = record([
        step("a"),
        step("b").reads("a").after("a").when(on.clone()),
        step("c").when(on).after("b").section(Section::Finally),
    ]);
    record.output = Some(output_of("a", "/out"));
    let plan = Plan::compile(Arc::new(record)).unwrap();
    assert_eq!(
        (plan.len(), plan.is_empty(), plan.find(&id("b")), plan.find(&id("x"))),
        (3, false, Some(1), None)
    );
    assert_eq!(
        (plan.predecessors(1), plan.dependents(0), plan.predecessors(2)),
        (&[0][..], &[1, 2][..], &[0, 1][..])
    );
    assert_eq!(plan.facts(0), ["/n", "/m", "/out"]);
    assert_eq!(plan.section(Section::Main).collect::<Vec<_>>(), [0, 1]);
}

/// A plan with a step that goes through a list, and what is wrong with it after a change of that step.
fn of_items(change: impl Fn(&mut towpath_model::StepRecord)) -> Vec<String> {
    let mut step = for_each(step("deploy"), record([step("apply").undoable()]), 4);
    change(&mut step);
    check(&record([step])).iter().map(ToString::to_string).collect()
}

fn each(step: &mut towpath_model::StepRecord, change: impl FnOnce(&mut PlanRecord)) {
    let Role::ForEach { each, .. } = &mut step.role else { panic!("a for_each") };
    change(each);
}

#[test]
fn each_problem_of_a_step_that_goes_through_a_list() {
    assert_eq!(of_items(|_| {}), [""; 0]);
    let parallel = |n| {
        of_items(move |s| {
            let Role::ForEach { parallel, .. } = &mut s.role else { panic!("a for_each") };
            *parallel = n;
        })
    };
    assert_eq!(parallel(limits::ITEMS_AT_ONCE), [""; 0]);
    assert_eq!(parallel(0), ["step deploy: 0 of its items run at once: give 1 to 1000"]);
    assert_eq!(parallel(1_001), ["step deploy: 1001 of its items run at once: give 1 to 1000"]);
    assert_eq!(
        of_items(|s| s.methods.compensate = false),
        ["step deploy: its items can be undone, and its record says otherwise: build the plan anew"]
    );
    assert_eq!(
        of_items(|s| s.within_ms = Some(1)),
        ["step deploy: a for_each has no time limit of its own: give its items' steps one"]
    );
    assert_eq!(
        of_items(|s| s.section = Section::Finally),
        ["step deploy: a for_each has its turn on the way forward: place it there"]
    );
    assert_eq!(
        of_items(|s| s.with = json("{\"given\":{\"yes\":{\"from\":{\"step\":\"a\"}}}}")),
        ["step deploy: it takes something from a without reading it: build the plan anew"]
    );
    assert_eq!(
        of_items(|s| s.with = json("{\"given\":{\"yes\":{\"param\":{\"name\":\"x\"}}}}")),
        ["step deploy: it takes the parameter \"x\", which is not declared"]
    );
    assert_eq!(
        of_items(|s| s.with = json("{}")),
        ["step deploy: its items' plan has the parameters {\"item\", \"yes\"} and is given {\"item\"}"]
    );
    assert_eq!(
        of_items(|s| each(s, |p| p.steps[0].retry.attempts_max = 0)),
        ["step deploy: the plan of its items: step apply: retry allows 0 attempts: give 1 to 1000"]
    );
    assert_eq!(
        of_items(|s| {
            let Role::ForEach { key, .. } = &mut s.role else { panic!("a for_each") };
            *key = "name".into();
        }),
        ["step deploy: \"name\" is no place of a key: write a pointer, as in \"/name\""]
    );
}

#[test]
fn limit_of_nesting_holds_for_items_at_the_limit_and_one_above() {
    let nested = |depth: usize| {
        let inner =
            (1..depth).fold(record([step("apply")]), |each, _| record([for_each(step("in"), each, 1)]));
        check(&record([for_each(step("deploy"), inner, 1)]))
    };
    assert_eq!(nested(limits::NESTING), []);
    let problems = nested(limits::NESTING + 1);
    assert_eq!(problems[0].to_string(), "step deploy: its items' steps are nested deeper than 8");
}
