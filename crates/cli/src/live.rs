//! `towpath live`: which release is live where, as journals tell it.

use crate::{
    cx::Cx,
    fault::Fault,
    out::{Table, Tone},
    story::Story,
    when,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use towpath::{
    machine::{StepState, UndoState},
    model::{Payload, Timestamp},
    store::{Cursor, Filter, Level, Page, RunRow, Store},
};

/// Kinds whose output says that a release is live somewhere, without their versions.
const KINDS: [&str; 2] = ["towpath.promote/", "towpath.rollback/"];

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Live {
    /// Only of this service
    service: Option<String>,
    /// Only in this environment
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Everything that was live, newest first
    #[arg(long)]
    history: bool,
    /// How many runs are looked at, newest first
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    last: usize,
}

/// A release that became live, as the step that made it so tells.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(crate) struct Release {
    pub(crate) service: String,
    pub(crate) environment: String,
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) digest: String,
    /// What was live before; `None` when it was the first.
    #[serde(default)]
    pub(crate) previous: Option<String>,
    /// All that is known of that one.
    #[serde(default)]
    pub(crate) replaced: Option<Replaced>,
    /// All of it, to deploy it again.
    #[serde(default)]
    pub(crate) release: Option<Value>,
}

/// What was live before.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(crate) struct Replaced {
    #[serde(default)]
    pub(crate) release: Option<Value>,
}

/// A release that became live, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Moved {
    pub(crate) release: Release,
    /// The environment, as the plan describes it.
    pub(crate) into: Value,
    pub(crate) since: Timestamp,
    pub(crate) run: String,
    pub(crate) step: String,
    pub(crate) by: String,
}

/// One of them, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    service: &'a str,
    environment: &'a str,
    version: &'a str,
    digest: &'a str,
    previous: Option<&'a str>,
    since: String,
    run: &'a str,
    step: &'a str,
    by: &'a str,
}

/// Says what is live.
pub(crate) async fn live(cx: &mut Cx<'_>, args: Live) -> Result<(), Fault> {
    let is_asked_for = |moved: &Moved| {
        args.service.as_ref().is_none_or(|service| *service == moved.release.service)
            && args.environment.as_ref().is_none_or(|name| *name == moved.release.environment)
    };
    let mut found: Vec<Moved> =
        moves(&*cx.store, args.last).await?.into_iter().filter(is_asked_for).collect();
    if !args.history {
        found = newest(found);
    }
    if cx.out.json {
        return found.iter().try_for_each(|moved| Ok(cx.out.value(&line(moved))?));
    }
    if found.is_empty() {
        let nothing = "nothing that these runs tell of: a release becomes live by a promotion or a rollback";
        return Ok(cx.out.line(nothing)?);
    }
    let now = cx.store.now().await?;
    let mut table = Table::default();
    let head = ["SERVICE", "ENVIRONMENT", "VERSION", "BEFORE", "SINCE", "BY", "RUN"];
    table.row(head.map(|t| (Tone::Dim, t.into())).to_vec());
    for moved in &found {
        let Release { service, environment, version, previous, .. } = &moved.release;
        table.row(vec![
            (Tone::Strong, service.clone()),
            (Tone::Plain, environment.clone()),
            (Tone::Good, version.clone()),
            (Tone::Plain, previous.clone().unwrap_or_else(|| "-".into())),
            (Tone::Plain, when::at_and_ago(moved.since, now)),
            (Tone::Plain, moved.by.clone()),
            (Tone::Dim, moved.run.clone()),
        ]);
    }
    let paint = cx.out.paint;
    Ok(table.lines(paint).iter().try_for_each(|line| cx.out.line(line))?)
}

fn line(moved: &Moved) -> Line<'_> {
    let Release { service, environment, version, digest, previous, .. } = &moved.release;
    Line {
        service,
        environment,
        version,
        digest,
        previous: previous.as_deref(),
        since: moved.since.to_string(),
        run: &moved.run,
        step: &moved.step,
        by: &moved.by,
    }
}

/// The newest of each service in each environment, in the order of their names.
pub(crate) fn newest(found: Vec<Moved>) -> Vec<Moved> {
    let mut newest = BTreeMap::new();
    for moved in found {
        newest.entry((moved.release.service.clone(), moved.release.environment.clone())).or_insert(moved);
    }
    newest.into_values().collect()
}

/// Every release that became live in the last runs, newest first.
pub(crate) async fn moves(store: &dyn Store, last: usize) -> Result<Vec<Moved>, Fault> {
    let filter = Filter { level: Level::All, ..Filter::default() };
    let (mut found, mut after, mut seen) = (Vec::new(), None, 0);
    while seen < last {
        let rows = store.list(&filter, Page { after, limit: Page::MOST.min(last - seen) }).await?;
        let Some(end) = rows.last() else { break };
        (after, seen) = (Some(Cursor(end.no)), seen + rows.len());
        for row in &rows {
            found.extend(of_run(store, row).await?);
        }
    }
    found.sort_by_key(|moved| std::cmp::Reverse(moved.since));
    Ok(found)
}

/// What became live by one run. A journal that cannot be folded tells nothing: `verify` says why.
async fn of_run(store: &dyn Store, row: &RunRow) -> Result<Vec<Moved>, Fault> {
    let story = Story::read(store, row).await?;
    let Ok(state) = &story.state else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (record, ix) in state.plan().record().steps.iter().zip(0..) {
        if !KINDS.iter().any(|kind| record.kind.as_str().starts_with(kind)) {
            continue;
        }
        let node = state.node(ix);
        // What was undone is not live any more: the step says so by its undoing, which put the one before back.
        let StepState::Done { output, .. } = node.state() else { continue };
        if matches!(node.undo_state(), UndoState::Done) {
            continue;
        }
        let ended = story.steps.get(&record.id).and_then(|step| step.ended_at);
        if let (Payload::Inline(json), Some(since)) = (output, ended)
            && let Ok(release) = serde_json::from_str(json.as_str())
        {
            let by = story.start.as_ref().map_or_else(|| "-".to_owned(), |(_, by)| by.to_string());
            let with: Value = serde_json::from_str(record.with.as_str()).unwrap_or_default();
            found.push(Moved {
                release,
                into: with.get("environment").cloned().unwrap_or_default(),
                since,
                run: row.run.to_string(),
                step: record.id.to_string(),
                by,
            });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
