//! A pipeline within a pipeline: written once, placed twice, and one run for all of it.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use towpath::prelude::*;

#[step("sub.deploy/v1", idempotent)]
async fn deploy(_cx: &StepContext, image: String, region: String) -> Result<String, StepError> {
    Ok(format!("https://{region}.shop.example/{image}"))
}

#[step("sub.smoke/v1", no_effect)]
async fn smoke(_cx: &StepContext, url: String) -> Result<String, StepError> {
    Ok(format!("{url} answers"))
}

/// One region: deployed, then looked at.
fn region() -> Result<Pipeline<String>, PlanErrors> {
    let p = Pipeline::new("region");
    let live = p.step("deploy", deploy::of(&p.param("image"), &p.param("region")));
    let seen = p.step("smoke", smoke::of(&live));
    p.output(&seen).build()
}

fn world() -> Result<Pipeline<String>, PlanErrors> {
    let region = region()?;
    let p = Pipeline::new("world");
    let image = p.param::<String>("image");
    let eu = p.sub("eu", &region, params! { image: &image, region: "eu-west-1" });
    let us = p.sub("us", &region, params! { image: &image, region: "us-east-1" }).after(&eu);
    p.output(&us).build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let world = world()?;
    for step in &world.record().steps {
        println!("{}", step.id);
    }
    let engine = Engine::open("sqlite:world.db").steps(steps![deploy, smoke]).start().await?;
    let run = engine.run(world.with(params! { image: "shop-4f2c" })?, "world@4f2c").await?;
    println!("{:?}", run.settled().await?);
    engine.shutdown().await?;
    Ok(())
}
