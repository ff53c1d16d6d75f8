//! Starting a run, and driving it as long as somebody waits for it.

use crate::{
    args::label,
    cx::Cx,
    fault::{Fault, exit},
    ids, runs,
    setup::{self, Setup, stopped},
    show, watch,
};
use serde::Serialize;
use std::time::Duration;
use tokio::time::timeout;
use towpath::{
    Plan,
    engine::{Engine, EngineError, EngineErrorKind, Run, Until},
    model::{Actor, Json, RunKey, Status},
    store::RunRow,
};

/// How often a run that somebody else drives is looked at, at least.
const LOOK: Duration = Duration::from_secs(1);

/// What is said about a run that is started.
#[derive(Debug, clap::Args)]
pub(crate) struct About {
    /// Your own id of the run: started again with the same key, it is the same run [default: a new one]
    #[arg(long, value_name = "KEY")]
    key: Option<RunKey>,
    /// A label to search by; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) label: Vec<(String, String)>,
    /// Why, in your words
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Start it though a freeze holds it, for this reason, which is journaled
    #[arg(long, value_name = "TEXT")]
    despite_freeze: Option<String>,
    /// Who starts it [default: os-user:NAME]
    #[arg(long = "as", value_name = "ACTOR")]
    pub(crate) actor: Option<Actor>,
}

/// Whether a command that starts a run stays with it.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Staying {
    /// Drive it until it settles, parks or needs somebody, and say how it stands
    #[arg(long, conflicts_with = "watch")]
    wait: bool,
    /// Drive it until it settles or needs an operator, and show it meanwhile
    #[arg(long)]
    watch: bool,
}

impl Staying {
    pub(crate) fn stay(self) -> Stay {
        match (self.wait, self.watch) {
            (_, true) => Stay::Watching,
            (true, _) => Stay::Parked,
            _ => Stay::No,
        }
    }
}

/// The engine of a command that starts a run, as whoever starts it.
pub(crate) async fn engine(cx: &Cx<'_>, setup: Option<Setup>, about: &About) -> Result<Engine, Fault> {
    let mut builder = setup::builder(cx.store.clone(), setup)?.background(false);
    if let Some(actor) = &about.actor {
        builder = builder.actor(actor.clone());
    }
    Ok(builder.start().await?)
}

/// How long a command that starts a run stays with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stay {
    /// Not at all: a worker drives it.
    No,
    /// Until it settles, parks or needs somebody.
    Parked,
    /// Until it settles or needs an operator, and shows it meanwhile.
    Watching,
}

/// A run that was started, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    run: String,
    pipeline: &'a str,
    key: &'a str,
    plan_hash: String,
    /// Whether it was there already, under this key.
    known: bool,
}

/// How a run stands that was waited for, as JSON.
#[derive(Serialize)]
struct End<'a> {
    exit: u8,
    #[serde(flatten)]
    run: runs::Line<'a>,
}

/// Starts a run of a plan, and stays with it as long as asked for. Gives the exit code.
pub(crate) async fn launch(
    cx: &mut Cx<'_>,
    engine: &Engine,
    plan: Plan<Json>,
    about: About,
    stay: Stay,
) -> Result<u8, Fault> {
    let started = start(cx, engine, plan, about, stay).await;
    let code = match &started {
        Ok(run) if stay != Stay::No => stay_with(cx, engine, run, stay).await,
        _ => Ok(exit::OK),
    };
    // Whatever became of it: what still runs has its grace, and the leases are given back.
    let shut = engine.shutdown().await;
    started?;
    let code = code?;
    shut?;
    Ok(code)
}

async fn start(
    cx: &mut Cx<'_>,
    engine: &Engine,
    plan: Plan<Json>,
    about: About,
    stay: Stay,
) -> Result<Run<Json>, Fault> {
    let is_new_key = about.key.is_none();
    let key = match about.key {
        Some(key) => key,
        None => ids::run_key(&*cx.store).await?,
    };
    let before = cx.store.now().await?;
    let mut start = engine.run(plan, &key).reason(about.reason);
    if let Some(reason) = about.despite_freeze {
        start = start.despite_freeze(reason);
    }
    for (name, value) in about.label {
        start = start.label(name, value);
    }
    let run = start.await.map_err(|e| refused(cx, &key, e))?;
    let row = run.row().await?;
    let known = row.started_at < before;
    if cx.out.json {
        let line = Line {
            run: row.run.to_string(),
            pipeline: row.pipeline.as_str(),
            key: row.key.as_str(),
            plan_hash: row.plan_hash.to_string(),
            known,
        };
        cx.out.value(&line)?;
    } else if stay != Stay::Watching {
        cx.out.line(row.run)?;
    }
    cx.out.flush()?;
    if known {
        let standing = runs::standing(&row);
        cx.out.hint(&format!("the run of the key {key} is there already: {standing}"));
    } else if is_new_key {
        cx.out.hint(&format!("its key is {key}; with --key of your own, starting it twice is one run"));
    }
    if stay == Stay::No && !known {
        let (tick, watch) = (cx.spelling.of("tick"), cx.spelling.about("watch", row.run, ""));
        cx.out.hint(&format!("a worker drives it, or `{tick}`; `{watch}` follows it"));
    }
    Ok(run)
}

/// Why a run was not started, with what to do at a command line.
fn refused(cx: &Cx<'_>, key: &RunKey, error: EngineError) -> Fault {
    let run = match error.kind() {
        EngineErrorKind::KeyTaken { run, .. } => run,
        EngineErrorKind::Frozen => {
            return Fault::failed(format!("{error}; here that is --despite-freeze TEXT"));
        }
        _ => return error.into(),
    };
    let show = cx.spelling.about("show", *run, "");
    Fault::failed(format!(
        "the key {key:?} belongs to a run of another plan, with other values or of another release of the pipeline: \
         give another --key; `{show}` shows that run",
        key = key.as_str()
    ))
}

/// Drives whatever is due until this run is as far as asked for, or this command is to stop.
async fn stay_with(cx: &mut Cx<'_>, engine: &Engine, run: &Run<Json>, stay: Stay) -> Result<u8, Fault> {
    let code = match stay {
        Stay::Watching => {
            let row = run.row().await?;
            tokio::select! {
                code = watch::follow(cx, row, stopped()) => code?,
                error = fails(engine, run) => return Err(error),
            }
        }
        _ => {
            let row = tokio::select! {
                row = drive(engine, run, stay) => Some(row?),
                () = stopped() => None,
            };
            match &row {
                Some(row) => Some(say(cx, row)?),
                None => None,
            }
        }
    };
    let Some(code) = code else {
        let tick = cx.spelling.of("tick");
        cx.out.hint(&format!("told to stop: the run goes on when a worker or `{tick}` takes it up"));
        return Ok(exit::INTERRUPTED);
    };
    // Other runs that were taken up are brought to where nothing more is due, rather than cut off.
    tokio::select! {
        rest = engine.drive(Until::Parked, None) => {
            rest?;
        }
        () = stopped() => {}
    }
    Ok(code)
}

/// Drives a run to its end, and returns only when that fails.
async fn fails(engine: &Engine, run: &Run<Json>) -> Fault {
    match drive(engine, run, Stay::Watching).await {
        Ok(_) => std::future::pending().await,
        Err(fault) => fault,
    }
}

/// Drives what is due until the run is as far as asked for.
async fn drive(engine: &Engine, run: &Run<Json>, stay: Stay) -> Result<RunRow, Fault> {
    let until = if stay == Stay::Watching { Until::Settled } else { Until::Parked };
    loop {
        engine.drive(until, None).await?;
        // Asked for before looking, so that nothing falls between the look and the wait.
        let changed = engine.store().changed();
        let row = run.row().await?;
        if is_far_enough(&row, stay) {
            return Ok(row);
        }
        // Somebody else drives it, or another attempt has its time.
        let _ = timeout(LOOK, changed).await;
    }
}

fn is_far_enough(row: &RunRow, stay: Stay) -> bool {
    match row.listing.status {
        Status::Settled | Status::Stuck | Status::Quarantined => true,
        Status::Waiting | Status::Paused | Status::Blocked => stay == Stay::Parked && row.owner.is_none(),
        Status::Running | Status::Unwinding => false,
    }
}

/// Says how the run stands. Gives the exit code.
fn say(cx: &mut Cx<'_>, row: &RunRow) -> Result<u8, Fault> {
    let exit = runs::exit(row);
    if cx.out.json {
        cx.out.value(&End { exit, run: runs::Line::of(row) })?;
        return Ok(exit);
    }
    let paint = cx.out.paint;
    if let Some(outcome) = &row.listing.outcome {
        for line in show::ending(outcome, None, paint) {
            cx.out.line(line)?;
        }
        return Ok(exit);
    }
    let explain = cx.spelling.about("explain", row.run, "");
    let standing = paint.text(runs::tone(row), &runs::standing(row));
    cx.out.line(format!("{standing}: {}", runs::note(row)))?;
    cx.out.hint(&format!("`{explain}` says what it waits for, and which command moves it"));
    Ok(exit)
}
