//! A lock: of all runs that want production, one at a time deploys to it.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;
use towpath::prelude::*;

#[step("locks.migrate/v1", idempotent)]
async fn migrate(cx: &StepContext, commit: String) -> Result<String, StepError> {
    cx.log(format_args!("the schema of {commit}, under number {}", cx.fencing("production")?));
    Ok(commit)
}

#[step("locks.deploy/v1", idempotent)]
async fn deploy(cx: &StepContext, commit: String) -> Result<u64, StepError> {
    cx.log(format_args!("{commit} with the key {}", cx.key("deploy")?));
    cx.sleep("bake", Duration::from_millis(20)).await?;
    cx.fencing("production")
}

fn checkout() -> Result<Pipeline<u64>, PlanErrors> {
    let p = Pipeline::new("checkout");
    let commit = p.param::<String>("commit");
    let live = p.holding("production", |p| {
        let migrated = p.step("migrate", migrate::of(&commit));
        p.step("deploy", deploy::of(&migrated))
    });
    p.output(&live).build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::open("sqlite:locks.db").steps(steps![migrate, deploy]).start().await?;
    let mut runs = Vec::new();
    for commit in ["4f2c", "9b1d"] {
        runs.push(engine.run(checkout()?.with(params! { commit: commit })?, commit).await?);
    }
    for run in runs {
        println!("{:?}", run.settled().await?);
    }
    engine.shutdown().await?;
    Ok(())
}
