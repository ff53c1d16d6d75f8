use crate::{App, app::run_on};
use std::sync::Arc;
use towpath::{
    prelude::*,
    store::{MemoryStore, Store},
};

#[step("try.check/v1", no_effect)]
async fn check(
    _cx: &StepContext,
    url: String,
    expect: u16,
    note: Option<String>,
) -> Result<String, StepError> {
    match expect {
        200 => Ok(format!("{url} is well{}", note.unwrap_or_default())),
        _ => Err(StepError::permanent(format!("{url} answers 200, not {expect}"))),
    }
}

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::default())
}

async fn run(store: &Arc<dyn Store>, args: &str) -> (u8, String, String) {
    run_on(App::new(|engine| Ok(engine.steps(steps![check]))).on(store.clone()), args).await
}

#[tokio::test]
async fn a_kind_is_tried_in_a_run_of_its_own() {
    let store = store();
    let (code, out, err) =
        run(&store, "try try.check/v1 --input url=https://a.example --input expect=200").await;
    assert_eq!(code, 0, "{err}");
    assert!(out.ends_with("succeeded: \"https://a.example is well\"\n"), "{out}");
    let (code, out, _) = run(&store, "try try.check/v1 --input url=x --input expect=404 --key k").await;
    assert_eq!(code, 1);
    assert!(out.contains("x answers 200, not 404"), "{out}");
    let (_, listed, _) = run(&store, "runs --label try=try.check/v1").await;
    assert_eq!(listed.lines().count(), 3, "{listed}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_stock_kind_is_tried_with_plain_values() {
    let store = store();
    let tried = async |args: &str| run_on(App::stock().on(store.clone()), args).await;
    let (code, out, err) =
        tried(r#"try towpath.command/v1 --input argv=["printenv","GREETING"] --input env={"GREETING":"hi"}"#)
            .await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.ends_with("succeeded: {\"code\":0,\"stdout\":\"hi\",\"left_out\":0}\n"), "{out}");
    let (code, out, err) = tried("try towpath.approval/v1 --input value=v2 --key k").await;
    assert_eq!(code, 10, "it waits for people: {out}{err}");
    let (code, _, err) = tried(r#"try towpath.command/v1 --input argv=[["a"]]"#).await;
    assert!(code == 2 && err.contains("the field \"argv\" cannot have this value"), "{err}");
}

#[tokio::test]
async fn fields_that_are_wrong_are_told_together() {
    let (code, _, err) = run(&store(), "try try.check/v1 --input expect=many --input uri=x").await;
    let said = "\
error: try.check/v1 cannot be tried so:
  the field \"expect\" cannot have this value: invalid type: string \"many\", expected u16
  there is no field \"uri\": there are url, expect, note
  the field \"url\" is missing
its fields, each given as --input NAME=VALUE: url, expect, note; `schema try.check/v1` tells what each takes
";
    assert_eq!((code, err.as_str()), (2, said));
}

#[tokio::test]
async fn a_kind_that_is_not_there_is_told_with_those_that_are() {
    let (code, _, err) = run(&store(), "try try.chek/v1").await;
    assert_eq!(
        (code, err.as_str()),
        (2, "error: there is no kind \"try.chek/v1\": did you mean try.check/v1?\n")
    );
}
