//! For a cron line: each start advances whatever is due and ends. Exit codes: 0 nothing left, 3 something waits, 1 failed.
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
    println!("{} settled, {} waiting", report.settled, report.parked);
    Ok(match report {
        r if r.failed + r.stuck > 0 => ExitCode::from(1),
        r if r.parked + r.going > 0 => ExitCode::from(3),
        _ => ExitCode::SUCCESS,
    })
}
