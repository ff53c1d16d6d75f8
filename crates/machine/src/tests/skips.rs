//! Steps that do not run, and those after them.

use crate::{
    StepStateKind::{self, Done, Failed, Resting, Skipped},
    sim::{
        driver::{Sim, What},
        plans::{StepExt, compile, output_of, record, step},
        script::{done, run, run_of, skip},
    },
};
use towpath_model::{Condition, FailureKind, Json, Operand, Outcome, ReadMode, Section, Verb};

fn is(of: &str, path: &str, value: &str) -> Condition {
    Condition::Is(output_of(of, path), Operand::Value(Json::parse(value).unwrap()))
}

fn kinds(sim: &Sim, steps: &[&str]) -> Vec<StepStateKind> {
    steps.iter().map(|s| sim.kind(s)).collect()
}

#[test]
fn skip_passes_to_readers_and_not_to_what_is_after() {
    let mut sim = run_of([
        step("scan"),
        step("fix").reads("scan").when(is("scan", "/n", "0")),
        step("reader").reads("fix"),
        step("reader-of-reader").reads("reader"),
        step("condition-on").when(is("fix", "/ok", "true")),
        step("after").after("fix"),
    ]);
    sim.done("scan").done("after");
    assert_eq!(
        kinds(&sim, &["fix", "reader", "reader-of-reader", "condition-on", "after"]),
        [Skipped, Skipped, Skipped, Skipped, Done]
    );
    let words: Vec<_> =
        sim.journal.iter().map(|(_, e)| String::from_utf8(e.encode().unwrap()).unwrap()).collect();
    assert!(words.contains(&r#"{"step":"fix","why":"condition"}"#.to_owned()));
    assert!(words.contains(&r#"{"step":"reader","why":{"reads":{"step":"fix"}}}"#.to_owned()));
    assert!(words.contains(&r#"{"step":"condition-on","why":{"reads":{"step":"fix"}}}"#.to_owned()));
    assert!(matches!(sim.outcome(), Outcome::Succeeded { .. }));
}

#[test]
fn skip_is_not_passed_on_by_or_none() {
    let mut sim =
        run_of([step("a"), step("b").when(is("a", "/n", "9")), step("c").reads_as("b", ReadMode::OrNone)]);
    sim.done("a");
    assert_eq!(sim.under_way(What::Run), ["c"]);
}

#[test]
fn skip_of_one_branch_leaves_first_of_the_other() {
    let branches = |n: &str| {
        run_of([
            step("a"),
            step("low").when(is("a", "/n", "1")),
            step("high").when(is("a", "/n", "2")),
            step("join").reads_as("low", ReadMode::FirstOf(0)).reads_as("high", ReadMode::FirstOf(0)),
        ])
        .ends("a", done(&format!("{{\"n\":{n}}}")))
        .clone()
    };
    let mut sim = branches("2");
    assert_eq!(sim.under_way(What::Run), ["high"]);
    assert_eq!(sim.done("high").under_way(What::Run), ["join"]);
    let sim = branches("3");
    assert_eq!(kinds(&sim, &["low", "high", "join"]), [Skipped; 3]);
}

#[test]
fn skip_of_who_reads_a_best_effort_that_failed() {
    for kind in [FailureKind::Permanent, FailureKind::Rejected, FailureKind::NeedsOperator] {
        let mut sim = run_of([
            step("notify").best_effort(),
            step("reader").reads("notify"),
            step("after").after("notify"),
        ]);
        sim.fails("notify", kind).done("after");
        assert_eq!(kinds(&sim, &["notify", "reader", "after"]), [Failed, Skipped, Done]);
        assert!(matches!(sim.outcome(), Outcome::Succeeded { .. }));
        assert_eq!(sim.aftermath(), r#"kept [] left [] in doubt [] failed ["notify"]"#);
    }
}

#[test]
fn skip_by_an_operator_with_an_output_or_without() {
    let begin = || {
        let mut sim = run_of([step("a"), step("reader").reads("a")]);
        sim.fails("a", FailureKind::NeedsOperator);
        assert_eq!(sim.kind("a"), Resting);
        sim
    };
    assert_eq!(kinds(begin().does(skip("a")), &["a", "reader"]), [Skipped; 2]);
    let mut sim = begin();
    sim.does(Verb::Skip { step: None, output: Some(Json::parse("{\"ok\":true}").unwrap()) });
    assert_eq!((sim.kind("a"), sim.under_way(What::Run)), (Done, vec!["reader"]));
}

#[test]
fn a_reader_of_an_output_that_cannot_be_read_rests_also_when_it_is_tried_again() {
    let mut sim =
        run_of([step("big"), step("reader").reads("big"), step("if").when(is("big", "/ok", "true"))]);
    let crate::BodyEnd::Done { output, facts, .. } = done("null") else { unreachable!() };
    let unreadable = Some(crate::sim::driver::failure(FailureKind::Permanent));
    sim.ends("big", crate::BodyEnd::Done { output, facts, unreadable });
    assert_eq!(kinds(&sim, &["big", "reader", "if"]), [Done, Resting, Resting]);
    sim.does(crate::sim::script::retry("reader"));
    assert_eq!(sim.kind("reader"), Resting);
    sim.does(skip("reader")).does(skip("if"));
    assert!(matches!(sim.outcome(), Outcome::Succeeded { .. }));
}

#[test]
fn conditions_read_the_facts_of_a_blob_and_parameters() {
    let mut plan = record([
        step("a"),
        step("yes").when(is("a", "/deep/ok", "true")),
        step("no").when(Condition::Not(Box::new(is("a", "/deep/ok", "true")))),
        step("param")
            .when(Condition::Is(
                Operand::Param { name: "yes".into(), path: String::new() },
                Operand::Value(Json::parse("true").unwrap()),
            ))
            .after("a"),
    ]);
    plan.params.insert("yes".into(), Json::parse("{}").unwrap());
    let mut sim = run(compile(plan));
    let facts = [("/deep/ok".to_owned(), Json::parse("true").unwrap())].into();
    let blob = towpath_model::BlobRef { digest: towpath_model::Digest::of(b"blob"), bytes: 1 << 20 };
    let output = towpath_model::Payload::Blob(blob);
    sim.ends("a", crate::BodyEnd::Done { output, facts, unreadable: None });
    assert_eq!(sim.under_way(What::Run), ["yes", "param"]);
    assert_eq!(sim.kind("no"), Skipped);
}

#[test]
fn skip_is_what_steps_at_the_end_see_of_what_did_not_run() {
    let mut sim = run_of([
        step("a").once(),
        step("b").reads("a"),
        step("report").section(Section::OnFailure).reads_as("b", ReadMode::OrNone),
        step("needs").section(Section::OnFailure).reads("b"),
        step("clean").section(Section::Finally).after("b"),
    ]);
    sim.fails("a", FailureKind::Permanent);
    assert_eq!(sim.under_way(What::Run), ["report"]);
    assert_eq!(sim.done("report").under_way(What::Run), ["clean"]);
    assert_eq!(kinds(sim.done("clean"), &["report", "needs", "clean"]), [Done, Skipped, Done]);
    assert!(matches!(sim.outcome(), Outcome::Failed { .. }));
}

#[test]
pub(super) fn a_plan_without_a_step_on_its_way_goes_to_its_end() {
    let mut sim = run_of([step("clean").section(Section::Finally)]);
    assert!(matches!(sim.done("clean").outcome(), Outcome::Succeeded { output: None }));
}
