//! Retry and undo: an attempt that fails is tried again; when a later step fails for good, what was done is undone.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use towpath::prelude::*;

#[step("undo.weight/v1", idempotent, before = weight_now, undo = put_back)]
async fn weight(cx: &StepContext, percent: u8) -> Result<u8, StepError> {
    if cx.attempt().0 < 3 {
        return Err(StepError::transient("the router is busy"));
    }
    println!("weight {percent}, after {} attempts", cx.attempt().0);
    Ok(percent)
}

async fn weight_now(_cx: &StepContext, _percent: u8) -> Result<u8, StepError> {
    Ok(10)
}

async fn put_back(_cx: &StepContext, undo: Undo<u8>, _percent: u8) -> Result<(), StepError> {
    println!("weight {} again", undo.read_before::<u8>()?);
    Ok(())
}

#[step("undo.verify/v1", no_effect)]
async fn verify(_cx: &StepContext, percent: u8) -> Result<(), StepError> {
    Err(StepError::rejected(format!("too many errors at {percent} %")))
}

#[step("undo.alert/v1", idempotent)]
async fn alert(_cx: &StepContext, who: String) -> Result<(), StepError> {
    println!("tell {who}");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let p = Pipeline::new("canary");
    let half = p.step("weight", weight::of(50)).retry(RetryPolicy::fixed(5, millis(20)));
    p.step("verify", verify::of(&half));
    p.on_failure("alert", alert::of("sre"));
    let plan = p.build()?.plan()?;

    let engine = Engine::open("sqlite:undo.db").steps(steps![weight, verify, alert]).start().await?;
    let run = engine.run(plan, "canary@4f2c").await?;
    println!("{:?}", run.settled().await?);
    engine.shutdown().await?;
    Ok(())
}
