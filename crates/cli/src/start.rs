//! `towpath start`: starts a run of a pipeline by its name, or of a plan that was saved.

use crate::{
    args::label,
    cx::Cx,
    fault::{Fault, chain},
    find,
    launch::{self, About, Staying, launch},
    setup::Setup,
    values,
};
use std::path::PathBuf;
use towpath::{Pipeline, Plan, PlanErrors, engine::Engine, model::Json};

const EXITS: &str = "\
A value is JSON when that is what the parameter takes, and else text: --param replicas=3 --param commit=4f2c

Without --wait and --watch the run is only started: a worker drives it, or `tick`. With them this command drives whatever
is due, as `tick` does. Exit codes then: 0 it succeeded; 10 it is parked; 20 it is stuck: `explain` it; 1 it ended without
success; 130 this command was told to stop, and the run goes on.";

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXITS)]
pub(crate) struct Start {
    /// The pipeline's name, or the file of a saved plan, which ends in .json
    #[arg(value_name = "PIPELINE|PLAN.json")]
    pipeline: String,
    /// A value of a parameter; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    param: Vec<(String, String)>,
    /// Values as one JSON object in a file, or with - on standard input; --param comes before it
    #[arg(long, value_name = "FILE")]
    params: Option<PathBuf>,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    staying: Staying,
}

impl Start {
    /// Whether a saved plan is meant: no pipeline's name has a dot.
    pub(crate) fn is_saved_plan(&self) -> bool {
        self.pipeline.ends_with(".json")
    }
}

/// Starts a run. Gives the exit code.
pub(crate) async fn start(cx: &mut Cx<'_>, setup: Option<Setup>, args: Start) -> Result<u8, Fault> {
    let is_stock = setup.is_none();
    let engine = launch::engine(cx, setup, &args.about).await?;
    let stay = args.staying.stay();
    let plan = match plan(cx, &engine, &args, is_stock) {
        Ok(plan) => plan,
        Err(fault) => {
            engine.shutdown().await?;
            return Err(fault);
        }
    };
    launch(cx, &engine, plan, args.about, stay).await
}

/// The plan that a command line asks for.
fn plan(cx: &Cx<'_>, engine: &Engine, args: &Start, is_stock: bool) -> Result<Plan<Json>, Fault> {
    let name = &args.pipeline;
    if args.is_saved_plan() {
        return saved(args);
    }
    let pipeline = engine.pipeline(name).ok_or_else(|| unknown(cx, engine, name, is_stock))?;
    let values = values::read(pipeline, args.params.as_deref(), &args.param)?;
    pipeline.with(values).map_err(|errors| wrong(pipeline, &errors))
}

/// The plan of a file.
fn saved(args: &Start) -> Result<Plan<Json>, Fault> {
    if !args.param.is_empty() || args.params.is_some() {
        return Err(Fault::usage(
            "a saved plan has its values: leave --param and --params out, or save another plan",
        ));
    }
    Plan::load(&args.pipeline).map_err(|e| Fault::failed(chain(&e)))
}

/// What to say of a pipeline that this command does not hold.
fn unknown(cx: &Cx<'_>, engine: &Engine, name: &str, is_stock: bool) -> Fault {
    let there: Vec<&str> = engine.pipelines().map(Pipeline::name).collect();
    let what = match find::nearest(name, there.iter().copied()) {
        Some(near) => format!("did you mean {near}? this command holds {}", there.join(", ")),
        None if !there.is_empty() => format!("this command holds {}", there.join(", ")),
        None if is_stock => format!(
            "this is the stock command, which holds no pipelines; `{}` writes a command that holds yours",
            cx.spelling.of("init")
        ),
        None => "this command holds none: give the engine `.pipelines([…])` in its `main`".into(),
    };
    Fault::usage(format!("there is no pipeline {name:?}: {what}"))
}

/// What is wrong with values, with all parameters and their types.
fn wrong(pipeline: &Pipeline<Json>, errors: &PlanErrors) -> Fault {
    let mut text = errors.to_string();
    let params: Vec<(&str, String)> = pipeline.params().collect();
    if !params.is_empty() {
        text.push_str("\nits parameters, each given as --param NAME=VALUE:");
        let width = params.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, ty) in params {
            text.push_str(&format!("\n  {name:<width$}  {ty}"));
        }
    }
    Fault::usage(text)
}

#[cfg(test)]
mod tests;
