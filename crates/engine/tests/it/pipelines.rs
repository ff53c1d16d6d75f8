//! Pipelines by name.

use std::collections::BTreeMap;
use towpath_engine::{Engine, EngineErrorKind};
use towpath_model::Json;
use towpath_step::{Params, Pipeline, PlanErrors, StepContext, StepError, params, step, steps};

trait Scanner: Send + Sync {}

#[step("by-name.build/v1", idempotent)]
async fn build(_cx: &StepContext, commit: String, replicas: u32) -> Result<String, StepError> {
    Ok(format!("{commit} x{replicas}"))
}

#[step("by-name.scan/v1", no_effect, needs(scanner: dyn Scanner))]
async fn scan(_cx: &StepContext) -> Result<bool, StepError> {
    Ok(true)
}

fn checkout() -> Result<Pipeline<String>, PlanErrors> {
    let p = Pipeline::new("checkout");
    let image = p.step("build", build::of(&p.param("commit"), &p.param("replicas")));
    p.output(&image).build()
}

fn scans(id: &str) -> Result<Pipeline, PlanErrors> {
    let p = Pipeline::new("scans");
    p.step(id, scan::of());
    p.build()
}

fn json(values: &[(&str, &str)]) -> Params {
    let value = |(name, text): &(&str, &str)| ((*name).to_owned(), Json::parse(text).unwrap());
    values.iter().map(value).collect::<BTreeMap<_, _>>().into()
}

#[tokio::test]
async fn a_pipeline_is_started_by_its_name_with_values_as_json() {
    let engine = Engine::open("memory:").steps(steps![build]).pipelines([checkout().unwrap()]);
    let engine = engine.start().await.unwrap();
    assert_eq!(engine.pipelines().map(Pipeline::name).collect::<Vec<_>>(), ["checkout"]);
    assert!(engine.pipeline("chekcout").is_none());
    let pipeline = engine.pipeline("checkout").unwrap();
    let params: Vec<_> = pipeline.params().collect();
    assert_eq!(params, [("commit", "String".to_owned()), ("replicas", "u32".to_owned())]);

    let wrong = pipeline.with(json(&[("commit", "3"), ("replica", "2")])).unwrap_err();
    let said = "\
the pipeline \"checkout\" has 3 problems
  the value of the parameter \"commit\" is no String: invalid type: integer `3`, expected a string
  the parameter \"replicas\" has no value: give it one
  \"replica\" is not a parameter: there are commit, replicas";
    assert_eq!(wrong.to_string(), said);

    let plan = pipeline.with(json(&[("commit", "\"4f2c\""), ("replicas", "2")])).unwrap();
    let typed = checkout().unwrap().with(params! { commit: "4f2c", replicas: 2 }).unwrap();
    assert_eq!(plan.hash(), typed.hash(), "the same plan, wherever its values come from");
    let run = engine.run(plan, "k").await.unwrap();
    assert_eq!(engine.run(typed, "k").await.unwrap().id(), run.id());
    assert_eq!(run.settled().await.unwrap().succeeded().unwrap().as_str(), "\"4f2c x2\"");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn everything_that_is_wrong_with_pipelines_is_told_at_the_start() {
    let engine =
        Engine::open("memory:").steps(steps![scan]).pipelines([checkout(), checkout()].map(Result::unwrap));
    let engine = engine.pipeline(scans("scan").unwrap()).pipeline(scans("scan-all").unwrap());
    let error = engine.start().await.unwrap_err();
    assert_eq!(*error.kind(), EngineErrorKind::Unfit);
    assert_eq!(
        error.problems(),
        [
            "the pipeline \"checkout\" is given twice: leave one out",
            "two pipelines are called \"scans\": give one of them another name",
            "pipeline checkout, step build: the kind by-name.build/v1 is not known here: add it to the engine's \
             `steps![…]`",
            "pipeline scans, step scan: it needs it::pipelines::Scanner as \"scanner\": give it to the engine with `.bind(…)`; \
             it has none",
        ]
    );
}
