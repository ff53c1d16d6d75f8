//! The authoring shape, from outside: fn steps, handles, conditions, a plan, and the steps decoded from it.

extern crate towpath_step as towpath;

mod common;

use common::{TestHost, block_on, context, entry};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use towpath::{
    IntoInput, Observed, Output, Pipeline, Plan, PlanErrors, Provider, Providers, StepContext, StepError,
    Undo, params, step, steps,
};
use towpath_step::{Input, model::Json};

#[derive(Serialize, Deserialize, Output, Clone, Debug, PartialEq)]
struct Image {
    digest: String,
    layers: Vec<u64>,
}

#[derive(Serialize, Deserialize, Output, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Report {
    critical_count: u32,
    image: Image,
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Url(String);

impl IntoInput<Url> for &str {
    fn into_input(self) -> Input<Url> {
        Input::value(Url(self.to_owned()))
    }
}

trait Scanner: Send + Sync {
    fn critical(&self, digest: &str) -> u32;
}

#[derive(Provider)]
#[offers(Scanner)]
struct Trivy;

impl Scanner for Trivy {
    fn critical(&self, digest: &str) -> u32 {
        u32::from(digest == "bad")
    }
}

#[step("shop.build/v1", idempotent)]
async fn build(cx: &StepContext, commit: String) -> Result<Image, StepError> {
    cx.key("build")?;
    Ok(Image { digest: commit, layers: vec![1, 2] })
}

#[step("shop.scan/v1", no_effect, needs(scanner: dyn Scanner))]
async fn scan(cx: &StepContext, image: Image) -> Result<Report, StepError> {
    let scanner = cx.provider::<dyn Scanner>("scanner")?;
    Ok(Report { critical_count: scanner.critical(&image.digest), image })
}

#[step("shop.route/v1", observe = look, undo = back, before = weight, local)]
async fn route(cx: &StepContext, digest: String, url: Url, _ports: Vec<u32>) -> Result<u32, StepError> {
    let before: u32 = cx.before()?;
    Ok(before + digest.len() as u32 + url.0.len() as u32)
}

async fn look(
    _cx: &StepContext,
    digest: String,
    _url: Url,
    _ports: Vec<u32>,
) -> Result<Observed<u32>, StepError> {
    Ok(if digest == "bad" { Observed::NotDone } else { Observed::Done(7) })
}

async fn back(
    _cx: &StepContext,
    undo: Undo<u32>,
    _digest: String,
    _url: Url,
    ports: Vec<u32>,
) -> Result<(), StepError> {
    assert_eq!((undo.output, undo.read_before::<u32>()?, ports), (Some(9), 3, vec![80, 443]));
    Ok(())
}

async fn weight(_cx: &StepContext, _digest: String, _url: Url, _ports: Vec<u32>) -> Result<u32, StepError> {
    Ok(3)
}

fn checkout() -> Result<Pipeline<u32>, PlanErrors> {
    let p = Pipeline::new("checkout");
    let commit = p.param::<String>("commit");
    let image = p.step("build", build::of(&commit));
    let report = p.step("scan", scan::of(&image));
    let live = p
        .step("route", route::of(&report.image.digest, "https://shop.example", [80, 443]))
        .after(&image)
        .when(report.critical_count.at_most(0));
    p.output(&live).build()
}

#[test]
fn a_plan_says_everything_that_the_engine_needs() {
    let plan: Plan<u32> = checkout().unwrap().with(params! { commit: "4f2c" }).unwrap();
    let known = steps![build, scan, route];
    for step in &plan.record().steps {
        assert!(known.decode(step.kind.as_str(), &step.with).is_ok());
    }
    let of = |id: &str| plan.record().steps.iter().find(|s| s.id.as_str() == id).unwrap();
    let entry = towpath_step::host::Entry {
        params: Arc::clone(plan.values()),
        providers: Providers::new().provide("scanner", Trivy),
        fencing: Default::default(),
        ..entry()
    };
    let cx = StepContext::new(entry.clone(), Arc::new(TestHost::default()));
    let step = known.decode("shop.build/v1", &of("build").with).unwrap();
    let image = block_on(step.run_erased(&cx)).unwrap();
    assert_eq!(image.as_str(), r#"{"digest":"4f2c","layers":[1,2]}"#);
    let mut entry = entry;
    entry.outputs.push((of("build").id.clone(), image));
    let cx = StepContext::new(entry.clone(), Arc::new(TestHost::default()));
    let step = known.decode("shop.scan/v1", &of("scan").with).unwrap();
    let report = block_on(step.run_erased(&cx)).unwrap();
    entry.outputs.push((of("scan").id.clone(), report));
    entry.before = Some(Json::of(&3).unwrap());
    let cx = StepContext::new(entry, Arc::new(TestHost::default()));
    let step = known.decode("shop.route/v1", &of("route").with).unwrap();
    assert_eq!(block_on(step.run_erased(&cx)).unwrap().as_str(), "27");
    assert_eq!(block_on(step.before_erased(&cx)).unwrap().as_str(), "3");
    assert_eq!(block_on(step.observe_erased(&cx)).unwrap(), Observed::Done(Json::of(&7).unwrap()));
    let undo = Undo {
        before: Some(Json::of(&3).unwrap()),
        output: Some(Json::of(&9).unwrap()),
        checkpoint: None,
        ended: towpath_step::UndoEnded::Done,
    };
    block_on(step.compensate_erased(&cx, undo)).unwrap();
}

#[test]
fn the_function_stays_one_for_unit_tests() {
    let image = block_on(build(&context(), "4f2c".into())).unwrap();
    assert_eq!(image.digest, "4f2c");
}
