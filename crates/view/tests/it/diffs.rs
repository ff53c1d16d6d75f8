//! What differs between two plans.

use crate::common::{checkout, id, json, plan, record, snapshot, step};
use proptest::prelude::*;
use std::collections::BTreeMap;
use towpath_model::{Condition, Kind, Operand, Read, ReadMode, Role, UndoPolicy};
use towpath_view::{Look, PlanView, What, diff};
use unicode_width::UnicodeWidthStr;

#[test]
fn what_was_added_changed_and_removed_is_told() {
    let old = checkout();
    let mut new = old.clone();
    new.params.insert("region".into(), json(r#"{"type":"string"}"#));
    new.deadline_ms = Some(7_200_000);
    new.steps.retain(|s| s.id != id("sign"));
    new.steps[2].after = vec![id("scan"), id("lint")];
    new.steps[2].when = Some(Condition::AtMost(
        Operand::From { step: id("scan"), path: "/critical".into() },
        Operand::Value(json("3")),
    ));
    let canary = new.steps.iter_mut().find(|s| s.id == id("canary")).unwrap();
    canary.kind = Kind::new("shop.canary/v2").unwrap();
    canary.undo = UndoPolicy::Ask;
    canary.retry.attempts_max = 2;
    canary.with = json(r#"{"image":{"from":{"step":"build","path":"/signed"}},"weights":{"value":[10,50]}}"#);
    let mut lint = step("lint", "shop.lint/v1");
    lint.with = json(r#"{"url":{"text":["https://",{"from":{"step":"build","path":"/host"}},"/x"]}}"#);
    lint.reads = vec![Read { step: id("build"), mode: ReadMode::OrNone }];
    new.steps.push(lint);
    let (before, after) = (
        BTreeMap::from([("commit".to_owned(), json("\"4f2c\""))]),
        BTreeMap::from([("commit".to_owned(), json("\"91ab\""))]),
    );
    let found = diff(&PlanView::of(&old).with_values(&before), &PlanView::of(&new).with_values(&after));
    assert_eq!(found.counts(), [1, 2, 1]);
    snapshot("diff.txt", &found.text(Look::default()));
    snapshot("diff.json", &format!("{}\n", serde_json::to_string_pretty(&found).unwrap()));
}

#[test]
fn a_plan_below_is_compared_step_by_step() {
    let outer = |limit| {
        let mut inner = step("apply", "demo.apply/v1");
        inner.timeout_ms = limit;
        let mut outer = step("deploy", "demo.each/v1");
        outer.role = Role::SubRun { plan: Box::new(record(vec![inner, step("b", "demo.step/v1")])) };
        record(vec![outer])
    };
    let (old, new) = (outer(Some(1_000)), outer(Some(2_000)));
    let found = diff(&PlanView::of(&old), &PlanView::of(&new));
    let [change] = &found.steps[0].changes[..] else { panic!("{found:?}") };
    assert_eq!(change.path, "role.sub-run.plan.steps.apply.timeout_ms");
    assert!(found.text(Look::default()).contains("1 s -> 2 s"));
}

#[test]
fn another_order_is_no_difference_and_is_said() {
    let (a, b) = (step("a", "demo.step/v1"), step("b", "demo.step/v1"));
    let (old, new) = (record(vec![a.clone(), b.clone()]), record(vec![b, a]));
    let found = diff(&PlanView::of(&old), &PlanView::of(&new));
    assert!(found.is_empty() && found.reordered);
    assert_ne!(found.from.pipeline_hash, found.to.pipeline_hash);
    assert!(found.text(Look::default()).contains("another order"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_differs_from_another_and_never_from_itself(old in plan(1), new in plan(1)) {
        let (a, b) = (PlanView::of(&old), PlanView::of(&new));
        let (same, there, back) = (diff(&a, &a), diff(&a, &b), diff(&b, &a));
        prop_assert!(same.is_empty() && !same.reordered);
        prop_assert_eq!(there.is_empty() && !there.reordered, old == new || a.pipeline_hash() == b.pipeline_hash());
        let [added, changed, removed] = there.counts();
        prop_assert_eq!(back.counts(), [removed, changed, added]);
        for step in &there.steps {
            prop_assert_eq!(step.what == What::Added, old.steps.iter().all(|s| s.id != step.id));
        }
        for line in there.text(Look::default()).lines() {
            prop_assert!(line.width() <= 80, "{}", line);
        }
    }
}
