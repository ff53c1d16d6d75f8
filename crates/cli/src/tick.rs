//! `towpath tick`: drives whatever is due, and returns.

use crate::{
    args::{Tick, Until},
    cx::Cx,
    fault::{Fault, exit},
    find,
    out::{Table, Tone},
    runs,
    setup::{self, Setup, stopped},
    when,
};
use serde::Serialize;
use std::collections::BTreeMap;
use towpath::{
    engine::DriveReport,
    model::Status,
    store::{Cursor, Filter, Page, RunRow, Store},
};

/// Most runs that are named when somebody is needed.
const NAMED: usize = 20;

/// What a tick did, and what it leaves, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    settled: usize,
    succeeded: usize,
    failed: usize,
    parked: usize,
    stuck: usize,
    blocked: usize,
    going: usize,
    next_wake: Option<String>,
    /// Runs of the store that are not over, by status.
    open: &'a BTreeMap<String, u64>,
    /// Those of them that go on only with somebody's help.
    needs: Vec<runs::Line<'a>>,
    exit: u8,
}

/// Drives what is due. Gives the exit code.
pub(crate) async fn tick(cx: &mut Cx<'_>, setup: Option<Setup>, args: Tick) -> Result<u8, Fault> {
    let is_stock = setup.is_none();
    let engine = setup::builder(cx.store.clone(), setup)?.background(false).start().await?;
    let until = match args.until {
        Until::Settled => towpath::engine::Until::Settled,
        Until::Parked => towpath::engine::Until::Parked,
    };
    let report = tokio::select! {
        report = engine.drive(until, args.at_most) => Some(report),
        () = stopped() => None,
    };
    // Whatever became of driving: what still runs has its grace, and the leases are given back.
    let shut = engine.shutdown().await;
    let Some(report) = report else {
        shut?;
        return Err(Fault::failed(
            "stopped by a signal: what ran had its grace, and its runs were given back",
        ));
    };
    let report = report?;
    shut?;
    let left = Left::of(&*cx.store).await?;
    let code = left.exit(&report);
    if cx.out.json {
        cx.out.value(&left.line(&report, code))?;
    } else {
        left.say(cx, &report, is_stock).await?;
    }
    Ok(code)
}

/// The runs of a store that are not over.
struct Left {
    open: BTreeMap<String, u64>,
    stuck: Vec<RunRow>,
    blocked: Vec<RunRow>,
}

impl Left {
    async fn of(store: &dyn Store) -> Result<Left, Fault> {
        let open = Status::ALL.into_iter().filter(|s| *s != Status::Settled).collect();
        let filter = Filter { status: open, ..Filter::default() };
        let mut left = Left { open: BTreeMap::new(), stuck: Vec::new(), blocked: Vec::new() };
        let mut after = None;
        loop {
            let page = store.list(&filter, Page { after, limit: Page::MOST }).await?;
            let Some(last) = page.last() else { return Ok(left) };
            after = Some(Cursor(last.no));
            page.into_iter().for_each(|row| left.count(row));
        }
    }

    fn count(&mut self, row: RunRow) {
        *self.open.entry(row.listing.status.to_string()).or_default() += 1;
        let named = match row.listing.status {
            Status::Stuck | Status::Quarantined => &mut self.stuck,
            Status::Blocked => &mut self.blocked,
            _ => return,
        };
        if named.len() < NAMED {
            named.push(row);
        }
    }

    fn exit(&self, report: &DriveReport) -> u8 {
        if !self.stuck.is_empty() {
            exit::STUCK
        } else if report.failed > 0 {
            exit::FAILED
        } else if !self.open.is_empty() {
            exit::PARKED
        } else {
            exit::OK
        }
    }

    fn line(&self, report: &DriveReport, exit: u8) -> Line<'_> {
        Line {
            settled: report.settled,
            succeeded: report.succeeded,
            failed: report.failed,
            parked: report.parked,
            stuck: report.stuck,
            blocked: report.blocked,
            going: report.going,
            next_wake: report.next_wake.map(|t| t.to_string()),
            open: &self.open,
            needs: self.stuck.iter().chain(&self.blocked).map(runs::Line::of).collect(),
            exit,
        }
    }

    async fn say(&self, cx: &mut Cx<'_>, report: &DriveReport, is_stock: bool) -> Result<(), Fault> {
        cx.out.line(driven(report))?;
        if self.open.is_empty() {
            cx.out.line("every run has settled")?;
        } else {
            let open: Vec<String> = self.open.iter().map(|(status, n)| format!("{n} {status}")).collect();
            cx.out.line(format!("not over: {}", open.join(", ")))?;
        }
        if let Some(at) = report.next_wake {
            let now = cx.store.now().await?;
            cx.out.line(format!("next due: {}", when::at_and_ago(at, now)))?;
        }
        if !self.stuck.is_empty() {
            name(cx, &self.stuck)?;
            let explain = cx.spelling.of("explain RUN");
            cx.out.line(format!("  `{explain}` says who can move it, and with which command"))?;
        }
        if !self.blocked.is_empty() {
            name(cx, &self.blocked)?;
            cx.out.line(match is_stock {
                true => {
                    "  this is the stock command, which holds the stock kinds alone: tick with the one that holds theirs"
                }
                false => "  this command lacks what they need: tick with the one that holds it",
            })?;
        }
        Ok(())
    }
}

/// What was driven, in one line.
fn driven(report: &DriveReport) -> String {
    let counts = [
        (report.succeeded, "succeeded"),
        (report.failed, "ended without success"),
        (report.parked, "parked"),
        (report.stuck, "stuck"),
        (report.blocked, "blocked"),
        (report.going, "still going"),
    ];
    let counts: Vec<String> =
        counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if counts.is_empty() { "nothing was due".into() } else { format!("driven: {}", counts.join(", ")) }
}

fn name(cx: &mut Cx<'_>, rows: &[RunRow]) -> Result<(), Fault> {
    let len = find::short_len(rows.iter().map(|r| r.run));
    let mut table = Table::default();
    for row in rows {
        table.row(vec![
            (runs::tone(row), runs::standing(row)),
            (Tone::Strong, row.run.to_string()[..len].to_owned()),
            (Tone::Plain, row.pipeline.to_string()),
            (Tone::Plain, row.key.to_string()),
            (Tone::Plain, runs::note(row)),
        ]);
    }
    let paint = cx.out.paint;
    Ok(table.lines(paint).iter().try_for_each(|line| cx.out.line(line))?)
}

#[cfg(test)]
mod tests;
