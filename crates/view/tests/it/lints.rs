//! Each rule finds what it is there for, and nothing in a plan that is as it should be.

use crate::common::{checkout, id, json, plan, record, step};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use towpath_model::{InDoubt, Json, Name, Operand, PlanRecord, Read, ReadMode, Role, Section, StepRecord};
use towpath_view::{Allow, PlanView, RULES, Severity, lint};

/// Rules that find something in a plan, each with the step.
fn found(record: &PlanRecord) -> BTreeSet<(String, Option<String>)> {
    let found = lint(&PlanView::of(record), &[]);
    found.into_iter().map(|f| (f.rule.to_owned(), f.step.map(|s| s.to_string()))).collect()
}

fn finds(rule: &str, at: Option<&str>, record: &PlanRecord) {
    let found = found(record);
    assert!(found.contains(&(rule.to_owned(), at.map(str::to_owned))), "{rule} not in {found:?}");
}

fn finds_not(rule: &str, record: &PlanRecord) {
    let found: Vec<_> = found(record).into_iter().filter(|(r, _)| r == rule).collect();
    assert!(found.is_empty(), "{found:?}");
}

fn edit(mut step: StepRecord, change: impl FnOnce(&mut StepRecord)) -> StepRecord {
    change(&mut step);
    step
}

fn after(step: StepRecord, before: &str) -> StepRecord {
    edit(step, |s| s.after.push(id(before)))
}

fn with(step: StepRecord, fields: &str) -> StepRecord {
    edit(step, |s| s.with = json(fields))
}

fn looking(name: &str, kind: &str) -> StepRecord {
    edit(step(name, kind), |s| s.in_doubt = InDoubt::NoEffect)
}

fn one(step: StepRecord) -> PlanRecord {
    record(vec![step])
}

fn param(schema: &str) -> PlanRecord {
    let mut record = one(with(step("a", "demo.a/v1"), r#"{"x":{"param":{"name":"p"}}}"#));
    record.params.insert("p".into(), json(schema));
    record
}

const IN_PRODUCTION: &str = r#"{"environment":{"value":{"name":"production"}}}"#;

#[test]
fn ungated_production_is_found() {
    let deploy = || step("deploy", "demo.apply/v1");
    let approve = || looking("approve", "towpath.approval/v1");
    finds("ungated-production", Some("deploy"), &one(deploy()));
    finds("ungated-production", Some("x"), &one(with(step("x", "demo.x/v1"), IN_PRODUCTION)));
    finds(
        "ungated-production",
        Some("x"),
        &one(edit(step("x", "demo.x/v1"), |s| s.locks = vec![Name::new("production").unwrap()])),
    );
    let named = edit(step("x", "demo.x/v1"), |s| s.environment = Some(Name::new("production").unwrap()));
    finds("ungated-production", Some("x"), &one(named));
    // The gate is there, and beside it.
    finds("ungated-production", Some("deploy"), &record(vec![approve(), deploy()]));
    finds_not(
        "ungated-production",
        &record(vec![approve(), after(step("b", "demo.b/v1"), "approve"), after(deploy(), "b")]),
    );
    finds_not("ungated-production", &one(with(deploy(), r#"{"environment":{"value":"staging"}}"#)));
    // The gate before a for_each holds for its items.
    let mut each = after(step("all", "demo.each/v1"), "approve");
    each.role = Role::SubRun { plan: Box::new(one(deploy())) };
    finds_not("ungated-production", &record(vec![approve(), each.clone()]));
    each.after.clear();
    finds("ungated-production", Some("all/deploy"), &record(vec![approve(), each]));
}

#[test]
fn unlocked_production_is_found() {
    let deploy = || step("deploy", "demo.apply/v1");
    finds("unlocked-production", Some("deploy"), &one(deploy()));
    finds("unlocked-production", Some("x"), &one(with(step("x", "demo.x/v1"), IN_PRODUCTION)));
    let locked = edit(deploy(), |s| s.locks = vec![Name::new("shop").unwrap()]);
    finds_not("unlocked-production", &one(edit(locked, |s| s.with = json(IN_PRODUCTION))));
    finds_not("unlocked-production", &one(with(deploy(), r#"{"environment":{"value":"staging"}}"#)));
}

#[test]
fn plain_secrets_are_found_and_not_shown() {
    let planted = "hunter2-hunter2";
    for fields in [
        r#"{"password":{"value":"hunter2-hunter2"}}"#,
        r#"{"db":{"value":{"api_key":"hunter2-hunter2"}}}"#,
        r#"{"env":{"value":{"NPM_TOKEN":"hunter2-hunter2"}}}"#,
        r#"{"note":{"value":"AKIAhunter2-hunter2-hunter2"}}"#,
        r#"{"note":{"value":["x","-----BEGIN RSA PRIVATE KEY-----\nhunter2-hunter2"]}}"#,
        r#"{"url":{"value":"postgres://app:hunter2-hunter2@db/orders"}}"#,
        r#"{"header":{"text":["Bearer ghp_hunter2-hunter2-hunter2",{"param":{"name":"x"}}]}}"#,
    ] {
        let record = one(with(step("a", "demo.a/v1"), fields));
        finds("plain-secret", Some("a"), &record);
        let told = serde_json::to_string(&lint(&PlanView::of(&record), &[])).unwrap();
        assert!(!told.contains(planted), "{told}");
    }
    for fields in [
        r#"{"password":{"value":{"secret":"db-password"}}}"#,
        r#"{"token":{"from":{"step":"login","path":"/token"}}}"#,
        r#"{"token_path":{"value":"/run/token"},"secret_name":{"value":"db"},"tokenizer":{"value":"bpe"}}"#,
        r#"{"url":{"value":"https://shop.example/a:b@c"},"to":{"value":"sre@shop.example"}}"#,
        r#"{"sha":{"value":"ghp_"}}"#,
    ] {
        finds_not("plain-secret", &one(with(step("a", "demo.a/v1"), fields)));
    }
    let values = BTreeMap::from([("db_password".to_owned(), json("\"hunter2-hunter2\""))]);
    let record = param("{}");
    let found = lint(&PlanView::of(&record).with_values(&values), &[]);
    assert_eq!(found.iter().filter(|f| f.rule == "plain-secret" && f.step.is_none()).count(), 1);
}

#[test]
fn shell_interpolation_is_found() {
    for fields in [
        r#"{"argv":[{"value":"sh"},{"value":"-c"},{"text":["echo ",{"from":{"step":"b"}}]}]}"#,
        r#"{"program":{"value":"/bin/bash"},"args":[{"value":"-ec"},{"param":{"name":"code"}}]}"#,
        r#"{"script":{"text":["echo ",{"from":{"step":"b"}}]}}"#,
    ] {
        finds("shell-interpolation", Some("a"), &one(with(step("a", "demo.a/v1"), fields)));
    }
    for fields in [
        r#"{"argv":[{"value":"kubectl"},{"value":"-c"},{"text":["echo ",{"from":{"step":"b"}}]}]}"#,
        r#"{"argv":[{"value":"sh"},{"value":"-c"},{"value":"echo \"$1\""},{"value":"sh"},{"from":{"step":"b"}}]}"#,
        r#"{"script":{"value":"echo $HOME"}}"#,
    ] {
        finds_not("shell-interpolation", &one(with(step("a", "demo.a/v1"), fields)));
    }
}

#[test]
fn mutable_tags_are_found() {
    let digest = format!(r#"{{"image":{{"value":"shop/checkout@sha256:{}"}}}}"#, "a".repeat(64));
    for fields in
        [r#"{"image":{"value":"shop/checkout:1.2"}}"#, r#"{"run":{"value":["docker","nginx:latest"]}}"#]
    {
        finds("mutable-tag", Some("a"), &one(with(step("a", "demo.a/v1"), fields)));
    }
    for fields in
        [&*digest, r#"{"image":{"from":{"step":"b"}}}"#, r#"{"note":{"value":"not the :latest one"}}"#]
    {
        finds_not("mutable-tag", &one(with(step("a", "demo.a/v1"), fields)));
    }
}

#[test]
fn plain_http_is_found() {
    finds(
        "plain-http",
        Some("a"),
        &one(with(step("a", "demo.a/v1"), r#"{"u":{"value":"http://shop.example"}}"#)),
    );
    finds_not("plain-http", &one(with(step("a", "demo.a/v1"), r#"{"u":{"value":"http://localhost:8080"}}"#)));
    finds_not("plain-http", &one(with(step("a", "demo.a/v1"), r#"{"u":{"value":"https://shop.example"}}"#)));
}

#[test]
fn no_undo_is_found() {
    let cannot = || edit(step("a", "demo.a/v1"), |s| s.methods.compensate = false);
    finds("no-undo", Some("a"), &one(cannot()));
    finds_not("no-undo", &one(edit(cannot(), |s| s.undo = towpath_model::UndoPolicy::Keep)));
    finds_not("no-undo", &one(edit(cannot(), |s| s.in_doubt = InDoubt::NoEffect)));
    finds_not("no-undo", &one(edit(cannot(), |s| s.section = Section::Finally)));
    finds_not("no-undo", &one(step("a", "demo.a/v1")));
}

#[test]
fn no_health_check_is_found() {
    let deploy = || step("deploy", "demo.apply/v1");
    finds("no-health-check", Some("deploy"), &one(deploy()));
    finds("no-health-check", Some("deploy"), &record(vec![looking("smoke", "demo.smoke/v1"), deploy()]));
    finds_not("no-health-check", &record(vec![deploy(), after(looking("smoke", "demo.smoke/v1"), "deploy")]));
}

#[test]
fn no_limit_for_people_is_found() {
    let ask = || looking("ask", "towpath.approval/v1");
    finds("no-limit-for-people", Some("ask"), &one(ask()));
    finds_not("no-limit-for-people", &one(edit(ask(), |s| s.within_ms = Some(1))));
    finds_not("no-limit-for-people", &one(with(ask(), r#"{"expires":{"value":"8h"}}"#)));
}

#[test]
fn waits_while_holding_is_found() {
    let ask = || looking("ask", "towpath.approval/v1");
    finds(
        "waits-while-holding",
        Some("ask"),
        &one(edit(ask(), |s| s.locks = vec![Name::new("staging").unwrap()])),
    );
    finds_not("waits-while-holding", &one(ask()));
}

#[test]
fn approval_of_nothing_is_found() {
    let ask = || looking("ask", "towpath.approval/v1");
    finds("approval-of-nothing", Some("ask"), &one(ask()));
    finds_not("approval-of-nothing", &one(with(ask(), r#"{"release":{"param":{"name":"release"}}}"#)));
}

#[test]
fn gate_guards_nothing_is_found() {
    let gate = || looking("window", "demo.window/v1");
    finds("gate-guards-nothing", Some("window"), &record(vec![gate(), step("a", "demo.a/v1")]));
    finds_not("gate-guards-nothing", &record(vec![gate(), after(step("a", "demo.a/v1"), "window")]));
}

#[test]
fn crosses_no_return_is_found() {
    let last = || edit(step("promote", "demo.promote/v1"), |s| s.point_of_no_return = true);
    let next = || after(step("next", "demo.next/v1"), "promote");
    finds("crosses-no-return", Some("next"), &record(vec![last(), next()]));
    finds_not("crosses-no-return", &record(vec![last(), edit(next(), |s| s.best_effort = true)]));
    finds_not("crosses-no-return", &record(vec![last(), edit(next(), |s| s.section = Section::Finally)]));
    finds_not("crosses-no-return", &record(vec![step("before", "demo.a/v1"), after(last(), "before")]));
}

#[test]
fn crosses_best_effort_is_found() {
    let sign = || edit(step("sign", "demo.sign/v1"), |s| s.best_effort = true);
    finds("crosses-best-effort", Some("sign"), &one(sign()));
    finds_not("crosses-best-effort", &one(edit(sign(), |s| s.undo = towpath_model::UndoPolicy::Keep)));
    finds_not("crosses-best-effort", &one(edit(sign(), |s| s.best_effort = false)));
}

#[test]
fn retried_doubt_is_found() {
    let order = |n| {
        edit(step("order", "demo.order/v1"), |s| {
            (s.in_doubt, s.retry.attempts_max) = (InDoubt::AskOperator, n)
        })
    };
    finds("retried-doubt", Some("order"), &one(order(5)));
    finds_not("retried-doubt", &one(order(1)));
}

#[test]
fn concurrent_deploys_are_found() {
    let deploy = |name| with(step(name, "demo.deploy/v1"), r#"{"environment":{"value":"staging"}}"#);
    finds("concurrent-deploys", Some("b"), &record(vec![deploy("a"), deploy("b")]));
    finds_not("concurrent-deploys", &record(vec![deploy("a"), after(deploy("b"), "a")]));
    finds_not(
        "concurrent-deploys",
        &record(vec![deploy("a"), with(deploy("b"), r#"{"environment":{"value":"test"}}"#)]),
    );
}

#[test]
fn unused_parameters_are_found() {
    let mut unused = one(step("a", "demo.a/v1"));
    unused.params.insert("commit".into(), json("{}"));
    finds("unused-parameter", None, &unused);
    finds_not("unused-parameter", &param("{}"));
    let mut given_back = unused.clone();
    given_back.output = Some(Operand::Param { name: "commit".into(), path: String::new() });
    finds_not("unused-parameter", &given_back);
}

#[test]
fn unbounded_schemas_are_found() {
    for schema in [
        r#"{"type":"string"}"#,
        r#"{"type":["null","array"],"items":{"type":"integer"}}"#,
        r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
    ] {
        finds("unbounded-schema", None, &param(schema));
    }
    for schema in [
        "{}",
        r#"{"type":"string","maxLength":40}"#,
        r#"{"type":"integer"}"#,
        r#"{"type":"string","enum":["a"]}"#,
    ] {
        finds_not("unbounded-schema", &param(schema));
    }
}

#[test]
fn no_time_limit_is_found() {
    let mut record = one(step("a", "demo.a/v1"));
    finds("no-time-limit", Some("a"), &record);
    record.deadline_ms = Some(1);
    finds_not("no-time-limit", &record);
    finds_not("no-time-limit", &one(edit(step("a", "demo.a/v1"), |s| s.timeout_ms = Some(1))));
}

#[test]
fn idle_steps_are_found() {
    let count = || looking("count", "demo.count/v1");
    finds("idle-step", Some("count"), &one(count()));
    let reader = edit(step("b", "demo.b/v1"), |s| {
        s.reads = vec![Read { step: id("count"), mode: ReadMode::Required }]
    });
    finds_not("idle-step", &record(vec![count(), reader]));
    finds_not("idle-step", &one(looking("smoke", "demo.smoke/v1")));
}

#[test]
fn what_is_allowed_is_not_found() {
    let record = record(vec![
        edit(step("a", "demo.a/v1"), |s| s.methods.compensate = false),
        edit(step("b", "demo.b/v1"), |s| s.methods.compensate = false),
    ]);
    let left = |allow: &[&str]| {
        let allow: Vec<Allow> = allow.iter().map(|a| a.parse().unwrap()).collect();
        lint(&PlanView::of(&record), &allow).into_iter().filter(|f| f.rule == "no-undo").count()
    };
    assert_eq!((left(&[]), left(&["no-undo:a"]), left(&["no-undo"]), left(&["idle-step"])), (2, 1, 0, 2));
    let error = "undo".parse::<Allow>().unwrap_err().to_string();
    assert!(error.starts_with("\"undo\" is no rule: want one of ungated-production"), "{error}");
}

#[test]
fn the_worst_stands_first() {
    let found = lint(&PlanView::of(&checkout()), &[]);
    assert!(found.is_sorted_by(|a, b| a.severity >= b.severity) && !found.is_empty());
    assert!(RULES.iter().any(|r| r.severity == Severity::Hint));
}

/// The page lists the rules as they are. `TOWPATH_BLESS=1` writes its table.
#[test]
fn the_page_of_rules_is_that_of_the_code() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lint.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut table =
        String::from("| Rule | Severity | What it finds | Why | What to do |\n|---|---|---|---|---|\n");
    for rule in RULES {
        let cells = [rule.what, rule.why, rule.fix].join(" | ");
        table += &format!("| `{}` | {} | {cells} |\n", rule.id, rule.severity);
    }
    let (head, rest) = page.split_once("<!-- rules -->\n\n").expect("the page has the mark of its table");
    let (_, tail) = rest.split_once("\n\n").expect("something stands behind the table");
    let want = format!("{head}<!-- rules -->\n\n{table}\n{tail}");
    if std::env::var_os("TOWPATH_BLESS").is_some() {
        std::fs::write(&path, &want).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), want);
}

/// Every rule has a test above that finds it, and its id is a slug that no other has.
#[test]
fn every_rule_is_tested_both_ways() {
    let ids: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
    let tests: String = include_str!("lints.rs").split_whitespace().collect();
    for id in ids {
        for call in ["finds(", "finds_not("] {
            assert!(tests.contains(&format!("{call}\"{id}\"")), "{call} {id}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_plan_can_be_linted(record in plan(1), value in crate::common::text()) {
        let values = BTreeMap::from([("p".to_owned(), Json::of(&value).unwrap())]);
        let view = PlanView::of(&record).with_values(&values);
        for finding in lint(&view, &[]) {
            let allow: Allow = finding.rule.parse().unwrap();
            prop_assert!(lint(&view, &[allow]).iter().all(|f| f.rule != finding.rule));
        }
    }
}
