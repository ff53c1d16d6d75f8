//! How long a plan may take, and what it may touch.

use crate::common::{checkout, id, plan, record, snapshot, step};
use proptest::{collection::vec, prelude::*};
use std::{collections::BTreeMap, time::Duration};
use towpath_model::{Section, StepRecord};
use towpath_view::{Look, PastRun, PlanView, Took, estimate};

fn took(work: u64, people: u64) -> Took {
    Took { work: Duration::from_secs(work), people: Duration::from_secs(people) }
}

fn past(steps: &[(&str, Took)]) -> PastRun {
    PastRun { steps: steps.iter().map(|(name, took)| (id(name), *took)).collect() }
}

fn after(name: &str, before: &[&str]) -> StepRecord {
    StepRecord { after: before.iter().map(|b| id(b)).collect(), ..step(name, "demo.step/v1") }
}

#[test]
fn the_plan_of_the_examples_is_estimated() {
    let record = checkout();
    let runs: Vec<PastRun> = (0..10)
        .map(|n| {
            past(&[
                ("build", took(180 + 6 * n, 0)),
                ("scan", took(40, 0)),
                ("sign", took(12 + n, 0)),
                ("approve", took(1, 600 * (n + 1))),
                ("migrate", took(20, 0)),
                ("canary", took(1_900 + n, 0)),
                ("smoke", took(9, 0)),
                ("promote", took(30, 0)),
            ])
        })
        .collect();
    let found = estimate(&PlanView::of(&record), &runs);
    snapshot("estimate.txt", &found.text(Look::default()));
    snapshot("estimate.json", &format!("{}\n", serde_json::to_string_pretty(&found).unwrap()));
}

#[test]
fn the_longest_way_decides_and_people_are_told_apart() {
    let record =
        record(vec![after("a", &[]), after("b", &["a"]), after("c", &["a"]), after("d", &["b", "c"])]);
    let run = past(&[("a", took(10, 0)), ("b", took(5, 100)), ("c", took(20, 0)), ("d", took(1, 0))]);
    let found = estimate(&PlanView::of(&record), &[run]);
    assert_eq!(
        (found.median.total_ms, found.median.work_ms, found.median.people_ms),
        (116_000, 31_000, 85_000)
    );
    let critical: Vec<_> = found.critical.iter().map(|leg| leg.step.as_str()).collect();
    assert_eq!(critical, ["a", "b", "d"]);
    assert!(found.unknown.is_empty());
}

#[test]
fn places_are_waited_for_and_people_hold_none() {
    let steps = |n: usize| (0..n).map(|i| after(&format!("s{i}"), &[])).collect::<Vec<_>>();
    let mut plan = record(steps(3));
    plan.parallel = 1;
    let run = past(&[("s0", took(10, 0)), ("s1", took(10, 0)), ("s2", took(10, 0))]);
    let found = estimate(&PlanView::of(&plan), &[run]);
    assert_eq!(found.median.total_ms, 30_000);
    assert_eq!(found.critical.len(), 3);
    let run = past(&[("s0", took(10, 100)), ("s1", took(10, 0)), ("s2", took(10, 0))]);
    assert_eq!(estimate(&PlanView::of(&plan), &[run]).median.total_ms, 110_000);
}

#[test]
fn finally_comes_behind_and_what_a_failure_would_do_does_not_count() {
    let (mut failure, mut last) = (after("page", &[]), after("notify", &[]));
    (failure.section, last.section) = (Section::OnFailure, Section::Finally);
    let record = record(vec![after("a", &[]), failure, last]);
    let run = past(&[("a", took(10, 0)), ("page", took(99, 0)), ("notify", took(5, 0))]);
    assert_eq!(estimate(&PlanView::of(&record), &[run]).median.total_ms, 15_000);
}

#[test]
fn without_a_past_nothing_is_said_of_time() {
    let record = checkout();
    let found = estimate(&PlanView::of(&record), &[]);
    assert_eq!((found.runs, found.unknown.len()), (0, record.steps.len()));
    assert!(found.text(Look::default()).starts_with("  time         unknown"));
    let ids = |steps: &[towpath_model::StepId]| steps.iter().map(|s| s.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&found.blast.kept), ["migrate"]);
    assert_eq!(ids(&found.blast.asked), ["promote"]);
    assert_eq!(ids(&found.blast.undone), ["canary"]);
    assert_eq!(ids(&found.blast.left), ["build", "sign", "page", "notify"]);
    assert_eq!(ids(&found.blast.no_return), ["promote"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever the plan: no shorter than its longest step and its work over its places, no longer than one after the other.
    #[test]
    fn an_estimate_lies_between_its_bounds(
        record in plan(0),
        parallel in 1_u32..4,
        lengths in vec((0_u64..100, 0_u64..100), 9),
        over in 0_u64..50,
    ) {
        let record = towpath_model::PlanRecord { parallel, ..record };
        let of = |more: u64| {
            let steps = record.steps.iter().zip(&lengths);
            PastRun { steps: steps.map(|(s, (work, people))| (s.id.clone(), took(work + more, *people))).collect::<BTreeMap<_, _>>() }
        };
        let found = estimate(&PlanView::of(&record), &[of(0), of(0), of(over)]);
        let counted = || record.steps.iter().zip(&lengths).filter(|(s, _)| s.section != Section::OnFailure);
        let (work, all): (u64, u64) = (counted().map(|(_, l)| l.0).sum(), counted().map(|(_, l)| l.0 + l.1).sum());
        let longest = counted().map(|(_, l)| l.0 + l.1).max().unwrap_or(0);
        let total = found.median.total_ms / 1_000;
        prop_assert!(total >= longest && total >= work / u64::from(parallel) && total <= all, "{found:?}");
        prop_assert_eq!(found.median.total_ms, found.median.work_ms + found.median.people_ms);
        // The steps of the critical path are one after the other.
        let path: u64 = found.critical.iter().map(|leg| leg.work_ms + leg.people_ms).sum();
        prop_assert!(path <= all * 1_000);
    }
}
