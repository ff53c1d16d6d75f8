//! `towpath freeze`, `towpath thaw` and `towpath freezes`.

use crate::{
    args::label,
    cx::Cx,
    fault::Fault,
    out::{Table, Tone},
    when,
};
use serde::Serialize;
use std::time::Duration;
use towpath::{
    engine::{self, EngineError, EngineErrorKind, Frozen, os_user},
    model::{Actor, PipelineName, RunId, Timestamp},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Freeze {
    /// A name for it, to lift it by
    #[arg(value_name = "NAME")]
    name: String,
    /// Why, in your words: it is shown to everybody whom it holds
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only runs of this pipeline
    #[arg(long, value_name = "NAME")]
    pipeline: Option<PipelineName>,
    /// Only runs with this label; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// It is lifted by itself after this long, as in 90m or 3d
    #[arg(long = "for", value_name = "TIME", value_parser = when::parse_age, conflicts_with = "until")]
    time: Option<Duration>,
    /// It is lifted by itself at this time, as in 2026-11-30T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = when::parse_moment)]
    until: Option<Timestamp>,
    /// Who declares it [default: os-user:NAME]
    #[arg(long = "as", value_name = "ACTOR")]
    actor: Option<Actor>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Thaw {
    /// The freeze
    #[arg(value_name = "NAME")]
    name: String,
    /// Why, in your words
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who lifts it [default: os-user:NAME]
    #[arg(long = "as", value_name = "ACTOR")]
    actor: Option<Actor>,
}

/// A freeze in the list, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    freeze: &'a str,
    covers: String,
    reason: &'a str,
    by: &'a str,
    since: String,
    until: Option<String>,
    paused: usize,
}

/// What was done, as JSON.
#[derive(Serialize)]
struct Told<'a> {
    freeze: &'a str,
    runs: Vec<String>,
}

/// Declares a freeze.
pub(crate) async fn freeze(cx: &mut Cx<'_>, args: Freeze) -> Result<(), Fault> {
    let mut freeze = engine::Freeze::all(&args.name, args.reason)?;
    if let Some(pipeline) = args.pipeline {
        freeze = freeze.pipeline(pipeline);
    }
    for (label, value) in &args.label {
        freeze = freeze.label(label, value);
    }
    let now = cx.store.now().await?;
    if let Some(until) = args.until.or(args.time.map(|time| now.plus(time))) {
        freeze = freeze.until(until);
    }
    let (scope, by) = (freeze.scope(), args.actor.unwrap_or_else(os_user));
    let told = engine::freeze(&*cx.store, freeze, &by).await?;
    if cx.out.json {
        return say_told(cx, &args.name, &told);
    }
    cx.out.line(format!("{scope} is frozen: nothing that it covers starts"))?;
    cx.out.line(format!("{} told to pause, as soon as whoever drives them reads it", runs(told.len())))?;
    let thaw = format!("thaw {} --reason TEXT", args.name);
    cx.out.hint(&format!("lift it with `{}`", cx.spelling.of(&thaw)));
    Ok(())
}

/// Lifts a freeze.
pub(crate) async fn thaw(cx: &mut Cx<'_>, args: Thaw) -> Result<(), Fault> {
    let by = args.actor.unwrap_or_else(os_user);
    let told = match engine::thaw(&*cx.store, &args.name, &by, &args.reason).await {
        Err(error) if *error.kind() == EngineErrorKind::Unknown => {
            return Err(unknown(cx, &args.name, error).await?);
        }
        told => told?,
    };
    if cx.out.json {
        return say_told(cx, &args.name, &told);
    }
    cx.out.line(format!("{} is lifted; {} told to go on", args.name, runs(told.len())))?;
    Ok(())
}

/// What to say of a freeze that is not there.
async fn unknown(cx: &Cx<'_>, name: &str, error: EngineError) -> Result<Fault, Fault> {
    let there = engine::freezes(&*cx.store).await?;
    let names: Vec<&str> = there.iter().map(|frozen| frozen.freeze.name().as_str()).collect();
    Ok(match names.as_slice() {
        [] => Fault::failed(format!("there is no freeze {name:?}: nothing is frozen")),
        names => Fault::failed(format!("{error}: there are {}", names.join(", "))),
    })
}

fn say_told(cx: &mut Cx<'_>, freeze: &str, runs: &[RunId]) -> Result<(), Fault> {
    let runs = runs.iter().map(ToString::to_string).collect();
    Ok(cx.out.value(&Told { freeze, runs })?)
}

fn runs(n: usize) -> String {
    match n {
        0 => "no run was".to_owned(),
        1 => "1 run was".to_owned(),
        n => format!("{n} runs were"),
    }
}

/// Lists the freezes that hold.
pub(crate) async fn freezes(cx: &mut Cx<'_>) -> Result<(), Fault> {
    let all = engine::freezes(&*cx.store).await?;
    if cx.out.json {
        return Ok(all.iter().try_for_each(|frozen| cx.out.value(&line(frozen)))?);
    }
    if all.is_empty() {
        return Ok(cx.out.line("nothing is frozen")?);
    }
    let now = cx.store.now().await?;
    let mut table = Table::default();
    table.row(["FREEZE", "COVERS", "SINCE", "UNTIL", "BY", "REASON"].map(|t| (Tone::Dim, t.into())).to_vec());
    for frozen in &all {
        table.row(vec![
            (Tone::Strong, frozen.freeze.name().to_string()),
            (Tone::Plain, frozen.freeze.scope()),
            (Tone::Plain, when::short(now.since(frozen.at))),
            (Tone::Plain, frozen.freeze.ends_at().map_or_else(|| "lifted".to_owned(), when::at)),
            (Tone::Plain, frozen.by.to_string()),
            (Tone::Plain, frozen.freeze.reason().to_owned()),
        ]);
    }
    let paint = cx.out.paint;
    Ok(table.lines(paint).iter().try_for_each(|line| cx.out.line(line))?)
}

fn line(frozen: &Frozen) -> Line<'_> {
    Line {
        freeze: frozen.freeze.name().as_str(),
        covers: frozen.freeze.scope(),
        reason: frozen.freeze.reason(),
        by: frozen.by.as_str(),
        since: when::at(frozen.at),
        until: frozen.freeze.ends_at().map(when::at),
        paused: frozen.paused.len(),
    }
}

#[cfg(test)]
mod tests;
