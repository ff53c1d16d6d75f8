//! What the engine itself costs: runs of ten steps that do nothing, on a store in memory.
#![allow(clippy::print_stdout, reason = "it prints figures")]

extern crate towpath_step as towpath;

use std::time::Instant;
use towpath_engine::Engine;
use towpath_step::{Pipeline, Plan, StepContext, StepError, step, steps};

#[step("cost.nothing/v1", idempotent)]
async fn nothing(_cx: &StepContext, before: String) -> Result<String, StepError> {
    Ok(before)
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn plan() -> Result<Plan, BoxError> {
    let p = Pipeline::new("cost");
    let mut last = p.step("s0", nothing::of("x".repeat(254)));
    for i in 1..10 {
        last = p.step(&format!("s{i}"), nothing::of(&last));
    }
    Ok(p.build()?.plan()?)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let asked: Vec<usize> = std::env::args().skip(1).filter_map(|n| n.parse().ok()).collect();
    for in_flight in if asked.is_empty() { vec![1, 64] } else { asked } {
        let engine = Engine::open("memory:").steps(steps![nothing]).start().await?;
        let (each, plan) = (8_000 / in_flight, plan()?);
        let began = Instant::now();
        let mut tasks = Vec::new();
        for t in 0..in_flight {
            let (engine, plan) = (engine.clone(), plan.clone());
            tasks.push(tokio::spawn(async move {
                for n in 0..each {
                    engine.run(plan.clone(), format!("{t}-{n}")).await?.settled().await?;
                }
                Ok::<_, towpath_engine::EngineError>(())
            }));
        }
        for task in tasks {
            task.await??;
        }
        let micros = began.elapsed().as_secs_f64() * 1e6 / (in_flight * each * 10) as f64;
        println!("{in_flight} in flight: {micros:.2} us per step");
        engine.shutdown().await?;
    }
    Ok(())
}
