//! A list that only the run knows: each item is a run of its own, two at a time, with its own journal.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use serde::{Deserialize, Serialize};
use towpath::prelude::*;

#[derive(Serialize, Deserialize, Output)]
struct Region {
    name: String,
    replicas: u32,
}

#[step("each.regions/v1", no_effect)]
async fn regions(_cx: &StepContext) -> Result<Vec<Region>, StepError> {
    let region = |name: &str, replicas| Region { name: name.into(), replicas };
    Ok(vec![region("eu-west-1", 3), region("us-east-1", 5), region("ap-south-1", 2)])
}

#[step("each.deploy/v1", idempotent)]
async fn deploy(cx: &StepContext, image: String, region: String, replicas: u32) -> Result<String, StepError> {
    cx.log(format_args!("{image} with the key {}", cx.key("deploy")?));
    Ok(format!("{replicas} in {region}"))
}

fn world() -> Result<Pipeline<Vec<String>>, PlanErrors> {
    let p = Pipeline::new("world");
    let image = p.param::<String>("image");
    let regions = p.step("regions", regions::of());
    let live = p.for_each(
        "deploy",
        &regions,
        |region| &region.name,
        |p, region| p.step("apply", deploy::of(&image, &region.name, &region.replicas)),
    );
    p.output(&live.parallel(2)).build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::open("sqlite:for_each.db").steps(steps![regions, deploy]).start().await?;
    let run = engine.run(world()?.with(params! { image: "shop:4f2c" })?, "world@4f2c").await?;
    println!("{:?}", run.settled().await?);
    engine.shutdown().await?;
    Ok(())
}
