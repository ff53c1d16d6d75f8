//! `towpath retain`.

use crate::{
    args::{Standing, label},
    cx::Cx,
    fault::Fault,
    out::{Table, Tone},
    when,
};
use serde::Serialize;
use std::{path::PathBuf, time::Duration};
use towpath::{
    engine::{Kept, Removed, Retention},
    model::{Actor, PipelineName},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Retain {
    /// Only runs that have been over for longer than this, as in 90d or 12h
    #[arg(long, value_name = "AGE", value_parser = when::parse_age)]
    older_than: Duration,
    /// Keep the newest N settled runs of each pipeline, whatever their age
    #[arg(long, value_name = "N", default_value_t = 0)]
    keep: usize,
    /// Only runs that ended like this, as in succeeded or failed; may be given several times
    #[arg(long, value_name = "WORD", value_parser = Standing::parse_end)]
    outcome: Vec<&'static str>,
    /// Only runs of this pipeline
    #[arg(long, value_name = "NAME")]
    pipeline: Option<PipelineName>,
    /// Only runs with this label; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// Write each run into an archive in this folder first, and remove only what is whole there
    #[arg(long, value_name = "FOLDER")]
    archive: Option<PathBuf>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Who removes them [default: os-user:NAME]
    #[arg(long = "as", value_name = "ACTOR")]
    actor: Option<Actor>,
}

/// A run that was removed, or had to stay, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    run: String,
    key: &'a str,
    pipeline: Option<&'a str>,
    removed: bool,
    items: usize,
    archive: Option<&'a PathBuf>,
    /// Why it stays.
    why: Option<&'a str>,
}

/// Removes runs.
pub(crate) async fn retain(cx: &mut Cx<'_>, args: Retain) -> Result<(), Fault> {
    let is_dry = args.dry_run;
    let report = policy(args).apply(&*cx.store).await?;
    if cx.out.json {
        report.removed.iter().try_for_each(|run| cx.out.value(&removed(run)))?;
        return Ok(report.kept.iter().try_for_each(|run| cx.out.value(&kept(run)))?);
    }
    let mut table = Table::default();
    for run in &report.removed {
        let archive = run.archive.as_ref().map(|path| path.display().to_string());
        table.row(vec![
            (Tone::Strong, run.run.to_string()),
            (Tone::Plain, run.pipeline.to_string()),
            (Tone::Plain, run.key.to_string()),
            (Tone::Dim, archive.unwrap_or_default()),
        ]);
    }
    let paint = cx.out.paint;
    table.lines(paint).iter().try_for_each(|line| cx.out.line(line))?;
    for run in &report.kept {
        cx.out.line(paint.text(Tone::Needs, &format!("{}  {}  stays: {}", run.run, run.key, run.why)))?;
    }
    let verb = if is_dry { "would be removed" } else { "removed" };
    let (runs, items) = (report.removed.len(), report.removed.iter().map(|run| run.items).sum::<usize>());
    let items = if items == 0 { String::new() } else { format!(" with {items} items") };
    Ok(cx.out.line(format!("{runs} run{}{items} {verb}", if runs == 1 { "" } else { "s" }))?)
}

fn policy(args: Retain) -> Retention {
    let mut policy = Retention::older_than(args.older_than).keep(args.keep);
    for word in args.outcome {
        policy = policy.outcome(word);
    }
    for (label, value) in &args.label {
        policy = policy.label(label, value);
    }
    if let Some(pipeline) = args.pipeline {
        policy = policy.pipeline(pipeline);
    }
    if let Some(folder) = args.archive {
        policy = policy.archive(folder);
    }
    if let Some(actor) = args.actor {
        policy = policy.by(actor);
    }
    if args.dry_run { policy.dry_run() } else { policy }
}

fn removed(run: &Removed) -> Line<'_> {
    Line {
        run: run.run.to_string(),
        key: run.key.as_str(),
        pipeline: Some(run.pipeline.as_str()),
        removed: true,
        items: run.items,
        archive: run.archive.as_ref(),
        why: None,
    }
}

fn kept(run: &Kept) -> Line<'_> {
    Line {
        run: run.run.to_string(),
        key: run.key.as_str(),
        pipeline: None,
        removed: false,
        items: 0,
        archive: None,
        why: Some(&run.why),
    }
}

#[cfg(test)]
mod tests;
