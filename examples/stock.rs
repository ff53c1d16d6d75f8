//! A release without a step of your own: a program, people, a notice; and its undoing when something fails.
//!
//! ```sh
//! cargo run --example stock
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::process::ExitCode;
use towpath::prelude::*;

fn release() -> Result<Pipeline<String>, PlanErrors> {
    let p = Pipeline::new("release");
    let version = p.param::<String>("version");
    let built = p.step("build", Command::shell("echo \"shop:$1\"").arg(&version).idempotent());
    let ok = p.step("approve", Approval::of(&built.stdout).expires(hours(8)));
    let deploy = Command::shell("echo \"$1\" > live; cat live")
        .arg(&ok.value)
        .before(Argv::shell("cat live 2>/dev/null || echo nothing"))
        .observe(Argv::shell("grep -qxF \"$1\" live").arg(&ok.value))
        .undo(Argv::shell("echo \"$TOWPATH_BEFORE\" > live"));
    let live = p.step("deploy", deploy);
    p.step("smoke", Command::shell("grep -q v2 live || { echo 'not v2' >&2; exit 1; }").no_effect())
        .after(&live);
    p.finally("tell", Notify::log(text!("the release of {version} is over")));
    p.output(&live.stdout).build()
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let version = std::env::args().nth(1).unwrap_or_else(|| "v2".to_owned());
    let engine = Engine::open("sqlite:stock.db").steps(stock::steps()).background(false).start().await?;
    let run = engine.run(release()?.with(params! { version: version })?, version.as_str()).await?;
    // Until people are asked: a yes from before that is no yes.
    engine.drive(Until::Parked, None).await?;
    run.approve("approve", true, "a fine day for it").await?;
    engine.drive(Until::Settled, None).await?;
    let code = match run.settled().await? {
        Settled::Succeeded(live) => {
            println!("live: {live}");
            ExitCode::SUCCESS
        }
        other => {
            println!("{other:?}");
            ExitCode::FAILURE
        }
    };
    engine.shutdown().await?;
    Ok(code)
}
