use crate::{
    App,
    app::run_on,
    fixture::{World, effect, step},
};
use std::{sync::Arc, time::Duration};
use towpath::{
    engine::Engine,
    model::FailureKind,
    prelude::*,
    store::{MemoryStore, Store},
};

#[step("demo.build/v1", idempotent)]
async fn build(_cx: &StepContext, commit: String) -> Result<String, StepError> {
    Ok(format!("image-of-{commit}"))
}

#[step("demo.refuse/v1", no_effect)]
async fn refuse(_cx: &StepContext) -> Result<bool, StepError> {
    Err(StepError::rejected("2 of 3 checks failed"))
}

#[step("demo.ask/v1", no_effect)]
async fn ask(_cx: &StepContext) -> Result<bool, StepError> {
    Err(StepError::needs_operator("the quota is used up"))
}

#[step("demo.bake/v1", idempotent)]
async fn bake(cx: &StepContext) -> Result<bool, StepError> {
    cx.sleep("bake", Duration::from_secs(3_600)).await?;
    Ok(true)
}

/// A store with runs of these steps that nobody has driven yet.
async fn started(kinds: &[&str]) -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let engine = with_steps(Engine::builder(store.clone())).background(false).start().await.unwrap();
    for kind in kinds {
        let p = Pipeline::new("checkout");
        match *kind {
            "build" => drop(p.step("build", build::of("4f2c"))),
            "refuse" => drop(p.step("refuse", refuse::of())),
            "ask" => drop(p.step("ask", ask::of())),
            _ => drop(p.step("bake", bake::of())),
        }
        engine.run(p.build().unwrap().plan().unwrap(), *kind).await.unwrap();
    }
    engine.shutdown().await.unwrap();
    store
}

fn with_steps(engine: towpath::engine::Builder) -> towpath::engine::Builder {
    engine.steps(steps![build, refuse, ask, bake])
}

async fn tick(store: &Arc<dyn Store>, args: &str) -> (u8, String) {
    let app = App::new(|engine| Ok(with_steps(engine))).on(store.clone());
    let (code, out, err) = run_on(app, args).await;
    assert_eq!(err, "");
    (code, out)
}

#[tokio::test]
async fn everything_settles() {
    let store = started(&["build"]).await;
    let said = "driven: 1 succeeded\nevery run has settled\n";
    assert_eq!(tick(&store, "tick").await, (0, said.into()));
    assert_eq!(
        tick(&store, "tick --until settled").await,
        (0, "nothing was due\nevery run has settled\n".into())
    );
}

#[tokio::test]
async fn something_is_parked() {
    let store = started(&["build", "bake"]).await;
    let (code, said) = tick(&store, "tick").await;
    assert_eq!(code, 10);
    assert!(said.starts_with("driven: 1 succeeded, 1 parked\nnot over: 1 waiting\nnext due: "), "{said}");
    let (code, said) = tick(&store, "tick --until settled --for 0").await;
    assert_eq!(code, 10);
    assert!(said.starts_with("nothing was due\nnot over: 1 waiting\n"), "{said}");
}

#[tokio::test]
async fn a_run_failed() {
    let store = started(&["refuse"]).await;
    assert_eq!(
        tick(&store, "tick").await,
        (1, "driven: 1 ended without success\nevery run has settled\n".into())
    );
}

#[tokio::test]
async fn a_run_is_stuck() {
    let store = started(&["ask", "refuse", "bake"]).await;
    let (code, said) = tick(&store, "tick --json").await;
    let line: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &line["exit"]), (20, &serde_json::json!(20)));
    assert_eq!(line["open"], serde_json::json!({"stuck": 1, "waiting": 1}));
    assert_eq!(line["needs"][0]["key"], "ask");
    let (code, said) = tick(&store, "tick").await;
    assert_eq!(code, 20);
    assert!(
        said.contains("ask  an operator has to decide about ask\n  `towpath explain RUN` says"),
        "{said}"
    );
}

#[tokio::test]
async fn the_stock_command_says_that_it_holds_the_stock_kinds_alone() {
    let store = started(&["build"]).await;
    let (code, said, _) = run_on(App::stock().on(store.clone()), "tick").await;
    assert_eq!(code, 10);
    assert!(said.starts_with("driven: 1 blocked\nnot over: 1 blocked\n"), "{said}");
    assert!(said.contains("demo.build/v1"), "{said}");
    assert!(
        said.ends_with(
            "the stock command, which holds the stock kinds alone: tick with the one that holds theirs\n"
        ),
        "{said}"
    );
}

#[tokio::test]
async fn an_engine_that_cannot_be_made_ready_says_why() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let app = App::new(|_| Err("no cluster is configured".into())).on(store.clone());
    let (code, _, err) = run_on(app, "tick").await;
    assert_eq!((code, err.as_str()), (1, "error: set the engine up: no cluster is configured\n"));
    let unfit = App::new(|engine| Ok(engine.concurrency(0))).on(store);
    let (code, _, err) = run_on(unfit, "tick").await;
    assert_eq!(code, 1);
    assert!(err.contains("give `concurrency` at least 1"), "{err}");
}

#[tokio::test]
async fn a_journal_of_the_engine_is_read_and_answered() {
    let store = started(&["ask"]).await;
    tick(&store, "tick").await;
    for args in ["verify ask", "show ask", "explain ask", "journal ask"] {
        assert_eq!(tick(&store, args).await.0, 0, "{args}");
    }
    assert_eq!(tick(&store, "skip ask --wait 0").await.0, 0);
    assert_eq!(tick(&store, "tick").await.0, 0);
    let (code, shown) = tick(&store, "runs").await;
    assert_eq!(code, 0);
    assert!(shown.contains("succeeded"), "{shown}");
}

#[tokio::test]
async fn runs_of_other_commands_count_as_well() {
    let mut world = World::new().await;
    let mut run = world.start("checkout", "k", vec![effect("order")]).await;
    run.failed("order", FailureKind::NeedsOperator, "the quota is used up").await;
    run.release().await;
    world.start("checkout", "other", vec![step("build")]).await.release().await;
    let clock = world.clock.clone();
    let app = App::new(move |engine| Ok(engine.clock(clock))).on(world.store.clone());
    let (code, said, _) = run_on(app, "tick").await;
    assert_eq!(code, 20, "{said}");
}
