//! `towpath try`: one step of a kind by itself, against real providers, in a run of its own.

use crate::{
    args::label,
    cx::Cx,
    fault::Fault,
    find,
    launch::{About, Stay, launch},
    setup::{self, Setup},
    values,
};
use std::collections::BTreeMap;
use towpath::{PlanProblem, StepKind, engine::Engine, model::Json};

const EXITS: &str = "\
A value is JSON when that is what the field takes, and else text: --input url=https://shop.example --input retries=3

The step does what it does: it is a run like any other, with the label `try`, and is driven by this command. Exit codes:
0 it succeeded; 10 it is parked; 20 it is stuck: `explain` it; 1 it failed; 130 this command was told to stop.";

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXITS)]
pub(crate) struct Try {
    /// The kind of step, as in http.check/v1
    kind: String,
    /// A value of a field; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    input: Vec<(String, String)>,
    #[command(flatten)]
    about: About,
    /// Show it while it runs
    #[arg(long)]
    watch: bool,
}

/// Tries a kind. Gives the exit code.
pub(crate) async fn attempt(cx: &mut Cx<'_>, setup: Option<Setup>, args: Try) -> Result<u8, Fault> {
    let mut builder = setup::builder(cx.store.clone(), setup)?.background(false);
    if let Some(actor) = &args.about.actor {
        builder = builder.actor(actor.clone());
    }
    let engine = builder.start().await?;
    let plan = match plan(&engine, &args) {
        Ok(plan) => plan,
        Err(fault) => {
            engine.shutdown().await?;
            return Err(fault);
        }
    };
    let mut about = args.about;
    about.label.push(("try".into(), args.kind));
    let stay = if args.watch { Stay::Watching } else { Stay::Parked };
    launch(cx, &engine, plan, about, stay).await
}

fn plan(engine: &Engine, args: &Try) -> Result<towpath::Plan<Json>, Fault> {
    let kind = engine.steps().get(&args.kind).ok_or_else(|| unknown(engine, &args.kind))?;
    let mut fields = BTreeMap::new();
    for (name, text) in values::texts("input", &args.input)? {
        let value = values::value(text, |json| kind.takes(name, json));
        fields.insert(name.to_owned(), value);
    }
    let wrong = |errors: towpath::PlanErrors| {
        let mut text = format!("{} cannot be tried so:", kind.kind());
        for problem in &errors.problems {
            match problem {
                PlanProblem::Field { what, .. } => text.push_str(&format!("\n  {what}")),
                other => text.push_str(&format!("\n  {other}")),
            }
        }
        if !kind.fields().is_empty() {
            text.push_str(&format!(
                "\nits fields, each given as --input NAME=VALUE: {}; `schema {}` tells what each takes",
                kind.fields().join(", "),
                kind.kind()
            ));
        }
        Fault::usage(text)
    };
    let plan = kind.alone("try", &fields).and_then(|pipeline| pipeline.plan());
    plan.map_err(wrong)
}

/// What to say of a kind that this command does not hold.
pub(crate) fn unknown(engine: &Engine, kind: &str) -> Fault {
    let there: Vec<&str> = engine.steps().iter().map(StepKind::kind).map(|k| k.as_str()).collect();
    let what = match find::nearest(kind, there.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None if there.is_empty() => {
            "this command holds no kinds; your own holds those of its `steps![…]`".into()
        }
        None => format!("this command holds\n  {}", there.join("\n  ")),
    };
    Fault::usage(format!("there is no kind {kind:?}: {what}"))
}

#[cfg(test)]
mod tests;
