//! `towpath archive`, and archives where a run is wanted.

use crate::{
    args::Command,
    cx::Cx,
    fault::{Fault, exit},
    find,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use towpath::{
    engine::archive::{self, ArchiveVerdict},
    store::Store,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Archive {
    /// The run
    pub(crate) run: String,
    /// The file, whose name should end with .towpath [default: PIPELINE-RUN.towpath in this folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
}

/// Writes a run into a file, and looks whether it is whole there. Gives the exit code.
pub(crate) async fn archive(cx: &mut Cx<'_>, args: Archive) -> Result<u8, Fault> {
    let row = find::run(&*cx.store, &args.run).await?;
    let path = args.to.unwrap_or_else(|| format!("{}-{}.towpath", row.pipeline, row.run).into());
    archive::write(&*cx.store, &row, &path).await?;
    let verdict = archive::verify(&path)?;
    let events: u64 = verdict.runs.iter().map(|run| run.events.0).sum();
    let fault = verdict.first_fault();
    if cx.out.json {
        cx.out.value(&serde_json::json!({
            "file": path,
            "run": row.run.to_string(),
            "runs": verdict.runs.len(),
            "events": events,
            "head": head(&verdict),
            "intact": fault.is_none(),
            "fault": fault,
        }))?;
    } else {
        let runs = verdict.runs.len();
        cx.out.line(format!("wrote {}: {}, {events} events", path.display(), count(runs)))?;
        match &fault {
            None => cx.out.line(format!("verified, head {}", head(&verdict)))?,
            Some(fault) => cx.out.line(format!("not intact: {fault}"))?,
        }
    }
    Ok(if fault.is_none() { exit::OK } else { exit::FAILED })
}

fn head(verdict: &ArchiveVerdict) -> String {
    let root = verdict.runs.iter().find(|run| run.run == verdict.run);
    root.map(|run| run.head.to_string()).unwrap_or_default()
}

fn count(runs: usize) -> String {
    match runs {
        0 | 1 => "1 run".to_owned(),
        n => format!("1 run with {} below it", n - 1),
    }
}

/// The archive that is meant by a text in the place of a run, if one is.
pub(crate) fn path(run: &str) -> Option<&Path> {
    let path = Path::new(run);
    (path.extension().is_some_and(|end| end == "towpath") && path.is_file()).then_some(path)
}

/// A command about an archive as one about the run in it, with the store that holds it.
pub(crate) async fn opened(mut command: Command) -> Result<(Command, Option<Arc<dyn Store>>), Fault> {
    let run = match &mut command {
        Command::Show(args) | Command::Explain(args) => &mut args.run,
        Command::Journal(args) => &mut args.run,
        Command::Watch(args) => &mut args.run,
        _ => return Ok((command, None)),
    };
    let Some(path) = path(run) else { return Ok((command, None)) };
    let opened = archive::open(path).await?;
    *run = opened.run.to_string();
    Ok((command, Some(opened.store)))
}

#[cfg(test)]
mod tests;
