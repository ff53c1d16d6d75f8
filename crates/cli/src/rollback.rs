//! `towpath rollback`: a service returns to a release that was live before.

use crate::{
    attempt,
    cx::Cx,
    fault::Fault,
    launch::{About, Stay, launch},
    live::{self, Moved},
    setup::{self, Setup},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{IsTerminal, stdin},
};
use towpath::{Plan, StepKind, engine::Engine, model::Json};

/// The kind of step that does it.
const KIND: &str = "towpath.rollback/v1";

const EXITS: &str = "\
It shows what would change, asks, and starts a run of one step, which this command drives. Exit codes: 0 it succeeded; 10 it
is parked; 20 it is stuck: `explain` it; 1 it failed, or you said no; 130 this command was told to stop.";

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXITS)]
pub(crate) struct Rollback {
    /// The service
    service: String,
    /// In which environment; not needed when it is live in one only
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// To which version [default: the one that was live before]
    #[arg(long = "to", value_name = "VERSION")]
    version: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    about: About,
    /// Show it while it runs
    #[arg(long)]
    watch: bool,
    /// How many runs are looked at for what was live, newest first
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    last: usize,
}

/// Rolls a service back. Gives the exit code.
pub(crate) async fn rollback(cx: &mut Cx<'_>, setup: Option<Setup>, args: Rollback) -> Result<u8, Fault> {
    if !args.yes && (cx.out.json || !stdin().is_terminal()) {
        return Err(Fault::usage("nobody is there to be asked: look at it with `live`, and say --yes"));
    }
    let moves = live::moves(&*cx.store, args.last).await?;
    let now = current(&moves, &args)?;
    let target = target(&moves, now, args.version.as_deref())?;
    let mut builder = setup::builder(cx.store.clone(), setup)?.background(false);
    if let Some(actor) = &args.about.actor {
        builder = builder.actor(actor.clone());
    }
    let engine = builder.start().await?;
    let begun = begin(cx, &engine, now, &target, args.yes).await;
    let plan = match begun {
        Ok(Some(plan)) => plan,
        Ok(None) => {
            engine.shutdown().await?;
            return Err(Fault::failed("you said no, and nothing was changed"));
        }
        Err(fault) => {
            engine.shutdown().await?;
            return Err(fault);
        }
    };
    let mut about = args.about;
    about.label.push(("rollback".into(), args.service));
    launch(cx, &engine, plan, about, if args.watch { Stay::Watching } else { Stay::Parked }).await
}

/// What is live now of the service that is asked for.
fn current<'a>(moves: &'a [Moved], args: &Rollback) -> Result<&'a Moved, Fault> {
    let mut here: BTreeMap<&str, &Moved> = BTreeMap::new();
    for moved in moves.iter().filter(|moved| moved.release.service == args.service) {
        here.entry(&moved.release.environment).or_insert(moved);
    }
    let names = here.keys().copied().collect::<Vec<_>>().join(", ");
    match &args.environment {
        Some(environment) => here.get(environment.as_str()).copied().ok_or_else(|| {
            let there = if names.is_empty() { "anywhere".to_owned() } else { format!("but in {names}") };
            Fault::failed(format!("journals do not tell of {} in {environment}, {there}", args.service))
        }),
        None if here.len() > 1 => {
            Err(Fault::usage(format!("{} is live in {names}: say --environment", args.service)))
        }
        None => here.into_values().next().ok_or_else(|| {
            Fault::failed(format!("journals do not tell of {}: `live` shows what they tell of", args.service))
        }),
    }
}

/// The release to go back to, with everything that is needed to deploy it.
fn target(moves: &[Moved], now: &Moved, version: Option<&str>) -> Result<Value, Fault> {
    let (service, live) = (&now.release.service, &now.release.version);
    let Some(version) = version else {
        let before = now.release.previous.as_ref().ok_or_else(|| {
            Fault::failed(format!(
                "{live} is the first release of {service} there: there is nothing to go back to"
            ))
        })?;
        let replaced = now.release.replaced.as_ref().and_then(|replaced| replaced.release.clone());
        return replaced.or_else(|| known(moves, now, before)).ok_or_else(|| {
            Fault::failed(format!("journals do not tell how {service} {before} was deployed"))
        });
    };
    if version == live {
        return Err(Fault::failed(format!("{service} {version} is live already")));
    }
    known(moves, now, version).ok_or_else(|| {
        let there: Vec<&str> = of(moves, now).map(|moved| moved.release.version.as_str()).collect();
        Fault::failed(format!(
            "journals do not tell of {service} {version} there; they do of {}",
            there.join(", ")
        ))
    })
}

fn known(moves: &[Moved], now: &Moved, version: &str) -> Option<Value> {
    of(moves, now)
        .find(|moved| moved.release.version == version)
        .and_then(|moved| moved.release.release.clone())
}

/// What was live of the same service in the same environment.
fn of<'a>(moves: &'a [Moved], now: &Moved) -> impl Iterator<Item = &'a Moved> {
    let (service, environment) = (now.release.service.clone(), now.release.environment.clone());
    moves
        .iter()
        .filter(move |moved| moved.release.service == service && moved.release.environment == environment)
}

/// The plan, once it was shown and agreed to; `None` when it was not.
async fn begin(
    cx: &mut Cx<'_>,
    engine: &Engine,
    now: &Moved,
    release: &Value,
    yes: bool,
) -> Result<Option<Plan<Json>>, Fault> {
    let kind = engine.steps().get(KIND).ok_or_else(|| attempt::unknown(engine, KIND))?;
    let plan = plan(kind, now, release)?;
    let preview = engine.preview(&plan).await?;
    if !cx.out.json {
        cx.out.text(&preview.to_string())?;
        cx.out.flush()?;
    }
    if yes {
        return Ok(Some(plan));
    }
    cx.out.aside("go back to it? [y/N] ");
    let mut answer = String::new();
    stdin().read_line(&mut answer).map_err(Fault::from)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes").then_some(plan))
}

fn plan(kind: &StepKind, now: &Moved, release: &Value) -> Result<Plan<Json>, Fault> {
    let field = |value: &Value| Json::of(value).map_err(|e| Fault::failed(format!("what was live: {e}")));
    let fields = BTreeMap::from([
        ("service".to_owned(), field(&Value::from(now.release.service.clone()))?),
        ("environment".to_owned(), field(&now.into)?),
        ("release".to_owned(), field(release)?),
    ]);
    let plan = kind.alone("rollback", &fields).and_then(|pipeline| pipeline.plan());
    plan.map_err(|errors| Fault::failed(errors.to_string()))
}

#[cfg(test)]
mod tests;
