//! `towpath runs`.

use crate::{
    args::{Runs, Standing},
    cx::Cx,
    fault::{Fault, exit},
    find,
    out::{Table, Tone},
    when,
};
use serde::Serialize;
use std::collections::BTreeMap;
use towpath::{
    model::{Outcome, Status},
    store::{Cursor, Filter, Level, Page, RunRow},
};

/// A run in a list, as JSON.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    run: String,
    pipeline: &'a str,
    key: &'a str,
    status: Status,
    note: &'a str,
    outcome: Option<&'static str>,
    labels: BTreeMap<&'a str, &'a str>,
    plan_hash: String,
    started_at: String,
    changed_at: String,
    wake_at: Option<String>,
    owner: Option<&'a str>,
}

impl<'a> Line<'a> {
    /// The row of a run.
    pub(crate) fn of(row: &'a RunRow) -> Self {
        Line {
            run: row.run.to_string(),
            pipeline: row.pipeline.as_str(),
            key: row.key.as_str(),
            status: row.listing.status,
            note: &row.listing.note,
            outcome: row.listing.outcome.as_ref().map(Outcome::word),
            labels: row.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect(),
            plan_hash: row.plan_hash.to_string(),
            started_at: row.started_at.to_string(),
            changed_at: row.changed_at.to_string(),
            wake_at: row.wake_at.map(|t| t.to_string()),
            owner: row.owner.as_ref().map(|w| w.as_str()),
        }
    }
}

/// Lists runs.
pub(crate) async fn runs(cx: &mut Cx<'_>, args: Runs) -> Result<(), Fault> {
    let rows = read(cx, &args).await?;
    if cx.out.json {
        return rows.iter().try_for_each(|row| Ok(cx.out.value(&Line::of(row))?));
    }
    if rows.is_empty() {
        let is_whole = args.status.is_empty() && args.pipeline.is_none() && args.label.is_empty();
        return Ok(cx.out.line(if is_whole { "no runs" } else { "no such runs" })?);
    }
    let now = cx.store.now().await?;
    let len = find::short_len(rows.iter().map(|r| r.run));
    let mut table = Table::default();
    table.row(["RUN", "PIPELINE", "KEY", "STATUS", "SINCE", "NOTE"].map(|t| (Tone::Dim, t.into())).to_vec());
    for row in &rows {
        table.row(vec![
            (Tone::Strong, row.run.to_string()[..len].to_owned()),
            (Tone::Plain, row.pipeline.to_string()),
            (Tone::Plain, row.key.to_string()),
            (tone(row), standing(row)),
            (Tone::Plain, when::short(now.since(row.changed_at))),
            (Tone::Plain, note(row)),
        ]);
    }
    let paint = cx.out.paint;
    Ok(table.lines(paint).iter().try_for_each(|line| cx.out.line(line))?)
}

async fn read(cx: &Cx<'_>, args: &Runs) -> Result<Vec<RunRow>, Fault> {
    let mut status: Vec<Status> = args.status.iter().map(|s| s.status()).collect();
    status.sort();
    status.dedup();
    let level = match &args.of {
        Some(of) => Level::ItemsOf(find::run(&*cx.store, of).await?.run),
        None if args.all => Level::All,
        None => Level::Top,
    };
    let filter =
        Filter { status, pipeline: args.pipeline.clone(), labels: args.label.clone(), level, owner: None };
    let (mut rows, mut after) = (Vec::new(), None);
    while rows.len() < args.limit {
        let page = cx.store.list(&filter, Page { after, limit: Page::MOST.min(args.limit) }).await?;
        let Some(last) = page.last() else { break };
        after = Some(Cursor(last.no));
        // A store knows no outcomes, so that their words are looked for here.
        rows.extend(page.into_iter().filter(|row| is_asked_for(row, &args.status)));
    }
    rows.truncate(args.limit);
    Ok(rows)
}

fn is_asked_for(row: &RunRow, asked: &[Standing]) -> bool {
    let matches = |standing: &Standing| match standing {
        Standing::Status(status) => *status == row.listing.status,
        Standing::Ended(word) => row.listing.outcome.as_ref().is_some_and(|o| o.word() == *word),
    };
    asked.is_empty() || asked.iter().any(matches)
}

/// How a run stands, in one word: how it ended, once it has.
pub(crate) fn standing(row: &RunRow) -> String {
    match &row.listing.outcome {
        Some(outcome) => outcome.word().to_owned(),
        None => row.listing.status.to_string(),
    }
}

/// The exit code of a command that ends when this run stands so.
pub(crate) fn exit(row: &RunRow) -> u8 {
    match (&row.listing.outcome, row.listing.status) {
        (Some(Outcome::Succeeded { .. }), _) => exit::OK,
        (Some(_), _) => exit::FAILED,
        (None, Status::Stuck | Status::Quarantined) => exit::STUCK,
        (None, _) => exit::PARKED,
    }
}

/// The tone of that word.
pub(crate) fn tone(row: &RunRow) -> Tone {
    match (&row.listing.outcome, row.listing.status) {
        (Some(Outcome::Succeeded { .. }), _) => Tone::Good,
        (Some(Outcome::Failed { .. } | Outcome::Compensated { .. } | Outcome::Abandoned { .. }), _) => {
            Tone::Bad
        }
        (Some(_), _) | (None, Status::Settled) => Tone::Plain,
        (None, Status::Running | Status::Waiting | Status::Unwinding) => Tone::Busy,
        (None, Status::Stuck | Status::Blocked | Status::Paused | Status::Quarantined) => Tone::Needs,
    }
}

/// One line about it.
pub(crate) fn note(row: &RunRow) -> String {
    let text = match &row.listing.outcome {
        Some(Outcome::Compensated { why } | Outcome::Failed { why } | Outcome::Cancelled { why }) => {
            why.to_string()
        }
        Some(Outcome::Abandoned { by, reason }) => format!("by {by}: {reason}"),
        Some(Outcome::Superseded { by }) => format!("by {by}"),
        Some(Outcome::Succeeded { .. }) | None => row.listing.note.clone(),
    };
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
