use crate::{App, Ready, app::run_on};
use std::sync::Arc;
use towpath::{
    engine::Builder,
    prelude::*,
    store::{MemoryStore, Store},
};

#[step("freeze.gate/v1", no_effect)]
async fn gate(cx: &StepContext) -> Result<bool, StepError> {
    cx.signal("go").await.map(|_: towpath::model::Json| true)
}

fn with_pipelines(engine: Builder) -> Ready {
    let shop = Pipeline::new("shop");
    shop.step("gate", gate::of());
    Ok(engine.steps(steps![gate]).pipelines([shop.build()?]))
}

async fn run(store: &Arc<dyn Store>, args: &str) -> (u8, String, String) {
    run_on(App::new(with_pipelines).on(store.clone()), args).await
}

#[tokio::test]
async fn a_freeze_is_declared_listed_overridden_and_lifted() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let ok = async |args: &str| {
        let (code, out, err) = run(&store, args).await;
        assert_eq!(code, 0, "{args}: {out}{err}");
        (out, err)
    };
    assert_eq!(ok("freezes").await.0, "nothing is frozen\n");
    let (code, _, _) = run(&store, "start shop --key before --wait").await;
    assert_eq!(code, 10, "it waits");

    let (said, hint) = ok("freeze friday --reason sale --for 3d --as user:anna").await;
    assert_eq!(
        said,
        "everything is frozen: nothing that it covers starts\n1 run was told to pause, as soon as whoever drives them reads \
         it\n"
    );
    assert!(hint.contains("towpath thaw friday --reason TEXT"), "{hint}");
    let (listed, _) = ok("freezes").await;
    for part in ["FREEZE", "friday", "everything", "user:anna", "sale"] {
        assert!(listed.contains(part), "{listed}");
    }
    let (json, _) = ok("freezes --json").await;
    assert!(json.contains("\"freeze\":\"friday\",\"covers\":\"everything\""), "{json}");

    let (code, _, refused) = run(&store, "start shop --key during").await;
    assert_eq!(code, 1);
    for part in ["a freeze holds it", "friday", "user:anna", "sale", "--despite-freeze TEXT"] {
        assert!(refused.contains(part), "{refused}");
    }
    ok("start shop --key during --despite-freeze fire").await;
    assert!(ok("show during").await.0.contains("despite-freeze=fire"), "{}", ok("show during").await.0);
    run(&store, "tick").await;
    assert!(ok("runs --status paused").await.0.contains("before"));
    let (why, _) = ok("explain before").await;
    assert!(why.contains("freeze friday: sale"), "{why}");

    let (code, _, unknown) = run(&store, "thaw fridy --reason over").await;
    assert_eq!(code, 1);
    assert!(unknown.contains("there are friday"), "{unknown}");
    assert_eq!(ok("thaw friday --reason over").await.0, "friday is lifted; 1 run was told to go on\n");
    run(&store, "tick").await;
    assert!(ok("runs --status waiting").await.0.contains("before"));
    let (code, _, none) = run(&store, "thaw friday --reason over").await;
    assert_eq!((code, none.contains("nothing is frozen")), (1, true), "{none}");
}
