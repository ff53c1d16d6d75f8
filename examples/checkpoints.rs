//! A long step: it saves how far it is, and sleeps between. Kill it anywhere; started again, it goes on from there.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;
use towpath::prelude::*;

#[step("long.backfill/v1", idempotent)]
async fn backfill(cx: &StepContext, batches: u32, pause: Duration) -> Result<u32, StepError> {
    let mut done = cx.last_checkpoint::<u32>()?.unwrap_or(0);
    while done < batches {
        let key = cx.key(&format!("batch-{done}"))?;
        println!("batch {done} with the key {key}");
        done += 1;
        cx.progress(u8::try_from(done * 100 / batches).unwrap_or(100), format_args!("{done} of {batches}"));
        // One commit: the batch is done, and the body ends here until the pause is over.
        cx.sleep(&format!("after-{done}"), pause).saving(&done).await?;
    }
    Ok(done)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let p = Pipeline::new("orders");
    let done = p.step("backfill", backfill::of(4, millis(50))).within(hours(2));
    let plan = p.output(&done).build()?.plan()?;

    // Every pause parks the run, as an hour would: the body is entered again from its top.
    let engine =
        Engine::open("sqlite:checkpoints.db").steps(steps![backfill]).park_after(millis(0)).start().await?;
    let run = engine.run(plan, "orders-2026").await?;
    println!("{:?}", run.settled().await?);
    engine.shutdown().await?;
    Ok(())
}
