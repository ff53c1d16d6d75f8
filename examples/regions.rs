//! Parallel regions: three at once, and one report when all of them are live.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use serde::{Deserialize, Serialize};
use towpath::prelude::*;

#[derive(Serialize, Deserialize, Output)]
struct Live {
    region: String,
    url: String,
}

#[step("regions.deploy/v1", idempotent)]
async fn deploy(cx: &StepContext, image: String, region: String) -> Result<Live, StepError> {
    cx.log(format_args!("{image} to {region} with the key {}", cx.key("deploy")?));
    Ok(Live { url: format!("https://{region}.shop.example"), region })
}

#[step("regions.report/v1", no_effect)]
async fn report(_cx: &StepContext, first: String, others: String) -> Result<String, StepError> {
    Ok(format!("live at {first} and {others}"))
}

fn checkout() -> Result<Pipeline<String>, PlanErrors> {
    let p = Pipeline::new("checkout");
    let image = p.param::<String>("image");
    let eu = p.step("eu", deploy::of(&image, "eu-west-1"));
    let us = p.step("us", deploy::of(&image, "us-east-1"));
    let ap = p.step("ap", deploy::of(&image, "ap-south-1"));
    let report = p.step("report", report::of(&eu.url, text!("{us.url}, {ap.url}")));
    p.output(&report).parallel(3).build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::open("sqlite:regions.db").steps(steps![deploy, report]).start().await?;
    let run = engine.run(checkout()?.with(params! { image: "shop:4f2c" })?, "shop@4f2c").await?;
    println!("{:?}", run.settled().await?);
    engine.shutdown().await?;
    Ok(())
}
