use crate::{App, app::run_on};
use std::sync::Arc;
use towpath::{
    engine::Builder,
    model::{Change, Json},
    prelude::*,
    store::{MemoryStore, Store},
};

async fn would_go(
    _cx: &StepContext,
    service: String,
    _environment: Environment,
    release: Json,
) -> Result<Vec<Change>, StepError> {
    Ok(vec![Change::update(format!("{service} to {}", release.as_str()))])
}

/// A stand-in for the stock step, which says what it was given.
#[step("towpath.rollback/v1", idempotent, preview = would_go)]
async fn back(
    _cx: &StepContext,
    service: String,
    environment: Environment,
    release: Json,
) -> Result<Json, StepError> {
    let text = format!(
        r#"{{"service":"{service}","environment":"{}","version":{},"digest":"sha256:0"}}"#,
        environment.name(),
        serde_json::from_str::<serde_json::Value>(release.as_str()).expect("it is JSON")["version"]
    );
    Ok(Json::parse(&text).expect("it is JSON"))
}

/// Another, that makes a release live.
#[step("towpath.promote/v1", idempotent)]
async fn promote(_cx: &StepContext, environment: Environment, live: Json) -> Result<Json, StepError> {
    drop(environment);
    Ok(live)
}

fn app(store: &Arc<dyn Store>) -> App {
    let ready = |engine: Builder| {
        let p = Pipeline::new("shop");
        let production = Environment::named("production").router("edge");
        p.step("go", promote::of(&production, &p.param("live")));
        Ok(engine.steps(steps![back, promote]).pipeline(p.build()?))
    };
    App::new(ready).on(store.clone())
}

async fn run(store: &Arc<dyn Store>, args: &str) -> (u8, String, String) {
    run_on(app(store), args).await
}

/// A journal in which these versions became live one after the other.
async fn world(versions: &[&str]) -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let release = |version: &str| format!(r#"{{"version":"{version}","image":"oci:{version}"}}"#);
    let mut previous = r#""previous":null"#.to_owned();
    for version in versions {
        let live = format!(
            r#"{{"service":"orders","environment":"production","version":"{version}","digest":"d","release":{},{previous}}}"#,
            release(version)
        );
        let (code, out, err) =
            run(&store, &format!("start shop --param live={live} --key {version} --wait")).await;
        assert_eq!(code, 0, "{out}{err}");
        previous = format!(
            r#""previous":"{version}","replaced":{{"version":"{version}","digest":null,"release":{}}}"#,
            release(version)
        );
    }
    store
}

const ALL: [&str; 3] = ["1.0.0", "1.1.0", "1.2.0"];

#[tokio::test]
async fn a_service_goes_back_to_what_was_live_before_and_that_is_live_then() {
    let store = world(&ALL).await;
    let (code, out, err) = run(&store, "rollback orders --yes --key back").await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.contains(r#"~ orders to {"image":"oci:1.1.0","version":"1.1.0"}"#),
        "it is shown first: {out}"
    );
    let (_, live, _) = run(&store, "live").await;
    assert!(live.contains("orders") && live.contains("1.1.0") && !live.contains("1.2.0"), "{live}");
    let (_, shown, _) = run(&store, "show back --json").await;
    assert!(shown.contains(r#""rollback":"orders""#), "it can be found by its label: {shown}");
}

#[tokio::test]
async fn a_version_can_be_named() {
    let store = world(&ALL).await;
    let (code, out, err) = run(&store, "rollback orders --to 1.0.0 --yes").await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains(r#""image":"oci:1.0.0""#), "{out}");
}

#[tokio::test]
async fn what_cannot_be_gone_back_to_is_refused_with_a_reason() {
    let store = world(&ALL).await;
    for (args, code, what) in [
        (
            "rollback orders --to 0.9 --yes",
            1,
            "journals do not tell of orders 0.9 there; they do of 1.2.0, 1.1.0, 1.0.0",
        ),
        ("rollback orders --to 1.2.0 --yes", 1, "orders 1.2.0 is live already"),
        ("rollback web --yes", 1, "journals do not tell of web"),
        (
            "rollback orders --environment staging --yes",
            1,
            "journals do not tell of orders in staging, but in production",
        ),
        ("rollback orders --json", 2, "nobody is there to be asked"),
    ] {
        let (got, out, err) = run(&store, args).await;
        assert_eq!(got, code, "{args}: {out}{err}");
        assert!(err.contains(what), "{args}: {err}");
    }
    let (code, _, err) = run_on(App::new(Ok).on(store.clone()), "rollback orders --yes").await;
    assert!(code == 2 && err.contains("there is no kind \"towpath.rollback/v1\""), "{err}");
}

#[tokio::test]
async fn the_first_release_has_nothing_before_it() {
    let store = world(&["1.0.0"]).await;
    let (code, _, err) = run(&store, "rollback orders --yes").await;
    assert!(code == 1 && err.contains("1.0.0 is the first release of orders there"), "{err}");
}
