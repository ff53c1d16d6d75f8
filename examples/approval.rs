//! An approval: the run waits for people without a process. Start it; then answer with `--example approval -- yes`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use towpath::prelude::*;

#[step("approval.promote/v1", idempotent)]
async fn promote(_cx: &StepContext, to: Environment, release: Approved<String>) -> Result<String, StepError> {
    let by: Vec<_> = release.by.iter().map(|voice| voice.comment.as_str()).collect();
    Ok(format!("{} is live in {} ({})", release.value, to.name(), by.join(", ")))
}

fn checkout() -> Result<Pipeline<String>, PlanErrors> {
    let production = Environment::named("production").accepts::<Approved<String>>();
    let p = Pipeline::new("checkout");
    let release = p.param::<String>("release");
    let ok = p.step("approve", Approval::of(&release).expires(hours(8)));
    // Without the approval this would not build: production accepts nothing else.
    let live = p.step("promote", promote::of(&production, &ok));
    p.output(&live).build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let steps = stock::steps().and(steps![promote]);
    let engine = Engine::open("sqlite:approval.db").steps(steps).background(false).start().await?;
    let run = engine.run(checkout()?.with(params! { release: "shop:4f2c" })?, "shop@4f2c").await?;
    if std::env::args().nth(1).as_deref() == Some("yes") {
        run.approve("approve", true, "it looks good").await?;
    }
    let report = engine.drive(Until::Parked, None).await?;
    if report.settled > 0 {
        println!("{:?}", run.settled().await?);
    } else {
        println!("{}", run.explain().await?);
    }
    engine.shutdown().await?;
    Ok(())
}
