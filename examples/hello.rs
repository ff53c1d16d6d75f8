//! The smallest deployment: two steps, one file. Kill it between the two; started again, it goes on from there.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]
use towpath::prelude::*;

#[step("hello.build/v1", idempotent)]
async fn build(_cx: &StepContext, commit: String) -> Result<String, StepError> {
    Ok(format!("registry.example/shop:{commit}"))
}

#[step("hello.deploy/v1", idempotent)]
async fn deploy(cx: &StepContext, image: String) -> Result<String, StepError> {
    println!("deploy {image} with the key {}", cx.key("deploy")?);
    Ok(image)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let p = Pipeline::new("hello");
    let image = p.step("build", build::of("4f2c"));
    let live = p.step("deploy", deploy::of(&image));
    let plan = p.output(&live).build()?.plan()?;
    let engine = Engine::open("sqlite:hello.db").steps(steps![build, deploy]).start().await?;
    println!("{:?}", engine.run(plan, "shop@4f2c").await?.settled().await?);
    Ok(engine.shutdown().await?)
}
