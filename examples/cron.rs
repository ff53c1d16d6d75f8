//! For a cron line: each start advances whatever is due and ends. Exit codes: 0 nothing is left, 3 more is due, 1 failed.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::process::ExitCode;
use towpath::prelude::*;

#[step("cron.snapshot/v1", idempotent)]
async fn snapshot(cx: &StepContext, database: String) -> Result<String, StepError> {
    Ok(format!("{database}-{}", cx.key("snapshot")?))
}

#[step("cron.prune/v1", idempotent)]
async fn prune(_cx: &StepContext, kept: String) -> Result<String, StepError> {
    Ok(format!("kept {kept}"))
}

fn nightly() -> Result<Pipeline<String>, PlanErrors> {
    let p = Pipeline::new("nightly");
    let taken = p.step("snapshot", snapshot::of("orders"));
    let waited = p.step("wait", Wait::time(seconds(1))).after(&taken);
    let pruned = p.step("prune", prune::of(&taken)).after(&waited);
    p.output(&pruned).build()
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let night = std::env::args().nth(1).unwrap_or_else(|| "2026-11-24".into());
    let steps = stock::steps().and(steps![snapshot, prune]);
    // Nothing runs in the background, and no wait is sat out: whoever comes next goes on, here or on another day.
    let open = Engine::open("sqlite:cron.db").steps(steps).background(false).park_after(millis(0));
    let engine = open.start().await?;
    engine.run(nightly()?.plan()?, night).await?;
    let report = engine.drive(Until::Parked, Some(minutes(10))).await?;
    engine.shutdown().await?;
    let is_left = report.going > 0 || report.next_wake.is_some();
    println!("{} settled, {}", report.settled, if is_left { "more is due later" } else { "nothing is left" });
    Ok(match report.failed + report.stuck {
        0 if is_left => ExitCode::from(3),
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    })
}
