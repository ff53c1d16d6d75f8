//! Commands only: a pipeline of programs, the way most deployments begin.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use towpath::prelude::*;

fn release() -> Result<Pipeline<String>, PlanErrors> {
    let p = Pipeline::new("release");
    let commit = p.param::<String>("commit");

    let test = p.step("test", Command::shell("echo \"testing $1\"").arg(&commit).no_effect());
    let build =
        p.step("build", Command::shell("printf %s \"shop-$1.tar\"").arg(&commit).idempotent()).after(&test);
    let deploy = Command::new(["cp", "-f"])
        .args(["/dev/null", "live"])
        .idempotent()
        .undo(Argv::new("rm").args(["-f", "live"]));
    let live = p.step("deploy", deploy).after(&build).timeout(minutes(5));
    p.step("tell", Notify::log(text!("{build.stdout} is live"))).after(&live);
    p.output(&build.stdout).build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::open("sqlite:commands.db").steps(stock::steps()).start().await?;
    let run = engine.run(release()?.with(params! { commit: "4f2c" })?, "release@4f2c").await?;
    println!("{:?}", run.settled().await?);
    engine.shutdown().await?;
    Ok(())
}
