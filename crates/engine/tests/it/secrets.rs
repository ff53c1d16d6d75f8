//! Secrets: resolved at the moment of use, and never stored.

use crate::common::*;
use towpath_engine::{EnvSecrets, SecretSource, Settled, async_trait};
use towpath_model::{EventKind, StepId};
use towpath_step::{Pipeline, Plan, SecretValue, StepError};
use towpath_store::Store as _;

const VALUE: &str = "s3cr3t \"value\" of 1";

struct Known;

#[async_trait]
impl SecretSource for Known {
    async fn secret(&self, name: &str) -> Result<Option<SecretValue>, StepError> {
        Ok((name == "token").then(|| SecretValue::new(name, VALUE)))
    }
}

fn one() -> Plan<String> {
    let p = Pipeline::new("one");
    let a = p.step("a", Seen::new("a"));
    let b = p.step("b", Idem::new("b").reading(&a));
    plan_of(p.output(&b).build())
}

/// Everything that a store holds of a run, as text.
async fn everything(scene: &Scene, run: &towpath_engine::Run<String>) -> String {
    let no = scene.row(run).await.no;
    let mut all = format!("{:?}", scene.row(run).await);
    for event in stored(&*scene.memory, no).await {
        all += &String::from_utf8_lossy(&event.payload.unwrap());
    }
    let a = StepId::new("a").unwrap();
    all += &format!("{:?}", scene.memory.logs(no, &a, 0, 1_000).await.unwrap());
    all += &format!("{:?}", scene.memory.progress(no).await.unwrap());
    all
}

#[tokio::test(start_paused = true)]
async fn secrets_are_taken_out_of_whatever_is_stored() {
    let scene = Scene::new();
    scene.world.run("a", |cx, n| {
        Box::pin(async move {
            let token = cx.secret("token").await?;
            cx.log(format!("with {}", token.expose()));
            cx.progress(1, token.expose());
            cx.checkpoint(token.expose()).await?;
            match n {
                1 => Err(StepError::transient(format!("denied for {}", token.expose()))),
                2 => panic!("with {}", token.expose()),
                _ => Ok("x".into()),
            }
        })
    });
    scene.world.observe("a", |_, _| Box::pin(async { Ok(towpath_step::Observed::NotDone) }));
    let engine = scene.builder().secrets(Known).start().await.unwrap();
    let run = engine.run(one(), "k").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("b done".into()));
    let all = everything(&scene, &run).await;
    assert!(!all.contains("s3cr3t"), "{all}");
    assert!(all.matches("[secret token]").count() >= 7, "{all}");
}

#[tokio::test(start_paused = true)]
async fn secrets_in_an_output_make_it_unreadable_and_leave_the_step_done() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move { Ok(format!("https://x/?t={}", cx.secret("token").await?.expose())) })
    });
    let engine = scene.builder().secrets(Known).start().await.unwrap();
    let run = engine.run(one(), "k").await.unwrap();
    let Settled::Stuck(why) = run.settled().await.unwrap() else { panic!("its reader rests") };
    assert!(why.to_string().contains("holds the value of a secret (token)"), "{why}");
    assert_eq!(count(&scene.events(&run).await, EventKind::StepDone), 1);
    assert!(!everything(&scene, &run).await.contains("s3cr3t"));
}

#[tokio::test(start_paused = true)]
async fn secrets_that_nobody_knows_ask_an_operator() {
    let scene = Scene::new();
    scene.world.run("a", |cx, _| {
        Box::pin(async move { Ok(cx.secret("towpath-test-nobody-sets-this").await?.expose().to_owned()) })
    });
    let engine = scene.builder().secrets(EnvSecrets).start().await.unwrap();
    let run = engine.run(one(), "k").await.unwrap();
    let Settled::Stuck(why) = run.settled().await.unwrap() else { panic!("an operator has to set it") };
    assert!(why.to_string().contains("TOWPATH_SECRET_TOWPATH_TEST_NOBODY_SETS_THIS"), "{why}");
}
