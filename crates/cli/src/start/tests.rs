use crate::{App, app::run_on};
use std::{sync::Arc, time::Duration};
use towpath::{
    engine::Builder,
    prelude::*,
    store::{MemoryStore, Store},
};

#[step("start.build/v1", idempotent)]
async fn build(_cx: &StepContext, commit: String, replicas: u32) -> Result<String, StepError> {
    Ok(format!("{commit} x{replicas}"))
}

#[step("start.refuse/v1", no_effect)]
async fn refuse(_cx: &StepContext) -> Result<bool, StepError> {
    Err(StepError::rejected("2 of 3 checks failed"))
}

#[step("start.gate/v1", no_effect)]
async fn gate(cx: &StepContext) -> Result<bool, StepError> {
    cx.signal("approval").await.map(|_: towpath::model::Json| true)
}

#[step("start.bake/v1", idempotent)]
async fn bake(cx: &StepContext) -> Result<bool, StepError> {
    cx.sleep("bake", Duration::from_millis(20)).await?;
    Ok(true)
}

fn with_pipelines(engine: Builder) -> crate::Ready {
    let checkout = Pipeline::new("checkout");
    let image = checkout.step("build", build::of(&checkout.param("commit"), &checkout.param("replicas")));
    let refused = Pipeline::new("refused");
    refused.step("refuse", refuse::of());
    let gated = Pipeline::new("gated");
    gated.step("gate", gate::of());
    let baked = Pipeline::new("baked");
    baked.step("bake", bake::of());
    Ok(engine
        .steps(steps![build, refuse, gate, bake])
        .pipeline(checkout.output(&image).build()?)
        .pipelines([refused.build()?, gated.build()?, baked.build()?]))
}

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::default())
}

async fn run(store: &Arc<dyn Store>, args: &str) -> (u8, String, String) {
    run_on(App::new(with_pipelines).on(store.clone()), args).await
}

#[tokio::test]
async fn a_run_is_started_once_for_a_key() {
    let store = store();
    let args =
        "start checkout --param commit=4f2c --param replicas=3 --key k --label owner=shop --reason nightly";
    let (code, first, hints) = run(&store, args).await;
    assert_eq!(code, 0, "{hints}");
    let watch =
        format!("a worker drives it, or `towpath tick`; `towpath watch {}` follows it\n", first.trim());
    assert_eq!(hints, watch);
    let (code, again, hints) = run(&store, args).await;
    assert_eq!((code, &again), (0, &first));
    assert_eq!(hints, "the run of the key k is there already: running\n");
    let (code, out, error) =
        run(&store, "start checkout --param commit=9a1b --param replicas=3 --key k").await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(error.starts_with("error: the key \"k\" belongs to a run of another plan"), "{error}");
    let (_, shown, _) = run(&store, &format!("show {} --json", first.trim())).await;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["reason"], &shown["labels"]["owner"]), (&"nightly".into(), &"shop".into()));
}

#[tokio::test]
async fn a_value_is_what_its_parameter_takes() {
    let store = store();
    // All digits, and yet a commit.
    let args = "start checkout --param commit=4000 --param replicas=3 --wait --json";
    let (code, out, err) = run(&store, args).await;
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((&lines[0]["known"], &lines[1]["exit"]), (&false.into(), &0.into()));
    assert_eq!(lines[1]["outcome"], "succeeded");
    let (_, shown, _) = run(&store, &format!("show {}", lines[0]["run"].as_str().unwrap())).await;
    assert!(shown.contains("4000 x3"), "{shown}");
}

#[tokio::test]
async fn everything_that_is_wrong_with_values_is_told_with_the_types() {
    let (code, _, err) = run(&store(), "start checkout --param replicas=many --param comit=4f2c").await;
    let said = "\
error: the pipeline \"checkout\" has 3 problems
  the parameter \"commit\" has no value: give it one
  the value of the parameter \"replicas\" is no u32: invalid type: string \"many\", expected u32
  \"comit\" is not a parameter: there are commit, replicas
its parameters, each given as --param NAME=VALUE:
  commit    String
  replicas  u32
";
    assert_eq!((code, err.as_str()), (2, said));
}

#[tokio::test]
async fn a_pipeline_that_is_not_there_is_told_with_those_that_are() {
    let (code, _, err) = run(&store(), "start chekcout").await;
    let said = "error: there is no pipeline \"chekcout\": did you mean checkout? this command holds baked, checkout, \
                gated, refused\n";
    assert_eq!((code, err.as_str()), (2, said));
    let (code, _, err) = run_on(App::stock().on(store()), "start checkout").await;
    assert_eq!(code, 2);
    assert!(err.contains("the stock command, which holds no pipelines; `towpath init`"), "{err}");
}

#[tokio::test]
async fn who_waits_gets_the_code_of_how_the_run_stands() {
    let store = store();
    for (pipeline, code, said) in [("refused", 1, "2 of 3 checks failed"), ("gated", 10, "waiting: ")] {
        let (got, out, err) = run(&store, &format!("start {pipeline} --wait")).await;
        assert_eq!(got, code, "{pipeline}: {out}{err}");
        assert!(out.lines().nth(1).is_some_and(|line| line.contains(said)), "{pipeline}: {out}");
    }
    let (code, out, err) = run(&store, "start baked --watch").await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("step-done bake true") && out.ends_with("- succeeded\n"), "{out}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_saved_plan_of_stock_steps_runs_with_the_stock_command() {
    let p = Pipeline::new("greetings");
    let to = p.param::<String>("to");
    p.step("greet", towpath::stock::Command::new("echo").arg("hello").arg(&to).no_effect());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json");
    p.build().unwrap().with(params! { to: "world" }).unwrap().save(&path).unwrap();
    let (store, path) = (store(), path.display().to_string());
    let (code, out, err) =
        run_on(App::stock().on(store.clone()), &format!("start {path} --key k --wait")).await;
    assert_eq!(code, 0, "{out}{err}");
    let (_, shown, _) = run_on(App::stock().on(store.clone()), "show k --json").await;
    assert!(shown.contains("hello world"), "{shown}");
    let (code, _, err) = run_on(App::stock().on(store), &format!("start {path} --param to=moon")).await;
    assert_eq!(code, 2);
    assert!(err.contains("a saved plan has its values"), "{err}");
}

#[tokio::test]
async fn a_run_is_done_again_with_its_values() {
    let store = store();
    let first = "start checkout --param commit=4f2c --param replicas=3 --key k --wait";
    let (code, out, err) = run(&store, first).await;
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = run(&store, "again k --key k2 --reason lost --wait").await;
    assert_eq!(code, 0, "{out}{err}");
    let (_, shown, _) = run(&store, "show k2").await;
    assert!(shown.contains("4f2c x3") && shown.contains("again="), "{shown}");
    let (_, there, hint) = run(&store, "again k --key k2").await;
    assert!(!there.is_empty() && hint.contains("is there already"), "{hint}");
    let (code, _, err) = run(&store, "again nothing").await;
    assert_eq!(code, 1, "{err}");
}
