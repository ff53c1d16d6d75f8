//! A plan in a file is the plan that was saved, or it is refused.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

extern crate towpath_step as towpath;

use std::{error::Error, fs};
use towpath::{Pipeline, Plan, PlanFileErrorKind, StepContext, StepError, params, step, text};
use towpath_step::model::{PlanRecord, SavedPlan};

#[step("shop.greet/v1", no_effect)]
async fn greet(_cx: &StepContext, who: String, weights: Vec<f64>) -> Result<String, StepError> {
    Ok(format!("{who} {weights:?}"))
}

fn plan() -> Plan<String> {
    let p = Pipeline::new("greetings");
    let name = p.param::<String>("name");
    let greeting = p.step("greet", greet::of(text!("hello {}", name), vec![0.25, 1e-9, 3.0]));
    p.output(&greeting).build().unwrap().with(params! { name: "部署 \u{1b}" }).unwrap()
}

#[test]
fn a_plan_comes_back_from_its_file_with_its_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("greetings.plan.json");
    let plan = plan();
    plan.save(&path).unwrap();
    let loaded = Plan::load(&path).unwrap();
    assert_eq!((loaded.hash(), loaded.pipeline_hash()), (plan.hash(), plan.pipeline_hash()));
    assert_eq!(loaded.record().hash().unwrap(), plan.record().hash().unwrap());
    // A second save of what was loaded is the same file, and leaves nothing beside it.
    let first = fs::read_to_string(&path).unwrap();
    loaded.save(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), first);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_was_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("greetings.plan.json");
    plan().save(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("hello", "goodbye")).unwrap();
    let error = Plan::load(&path).unwrap_err();
    assert_eq!(error.kind(), PlanFileErrorKind::Refused);
    assert!(error.to_string().starts_with("read the plan file "), "{error}");
    assert!(error.source().unwrap().to_string().starts_with("the plan was changed after it was saved"));
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert_eq!(Plan::load(&path).unwrap_err().kind(), PlanFileErrorKind::Refused);
    assert_eq!(Plan::load(folder.path().join("none")).unwrap_err().kind(), PlanFileErrorKind::Io);
}

/// Hashes that fit say that nobody changed it, and not that it can be driven.
#[test]
fn a_plan_that_cannot_be_driven_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("greetings.plan.json");
    let record = PlanRecord { parallel: 0, ..(**plan().record()).clone() };
    let saved = SavedPlan::of(record, (**plan().values()).clone()).unwrap();
    fs::write(&path, saved.encode().unwrap()).unwrap();
    let error = Plan::load(&path).unwrap_err();
    assert!(error.source().unwrap().to_string().contains("set `parallel` to at least 1"));
}
