//! `towpath locks` and `towpath lock release`.

use crate::{
    args::Release,
    cx::Cx,
    fault::Fault,
    find,
    out::{Table, Tone},
    send::Letter,
    when,
};
use serde::Serialize;
use towpath::{
    model::{RunId, Timestamp},
    store::LockRow,
};

/// A lock in the list, as JSON.
#[derive(Serialize)]
struct Line {
    lock: String,
    fence: u64,
    /// The run that holds it.
    holder: Option<String>,
    since: Option<String>,
    /// How that run stands.
    status: Option<String>,
    /// The runs that wait for it; the first is the next.
    waiting: Vec<Waiting>,
}

#[derive(Serialize)]
struct Waiting {
    run: String,
    since: String,
}

/// Lists the locks that runs hold and wait for.
pub(crate) async fn locks(cx: &mut Cx<'_>) -> Result<(), Fault> {
    let rows = cx.store.locks().await?;
    if rows.is_empty() && !cx.out.json {
        return Ok(cx.out.line("no run holds a lock")?);
    }
    let now = cx.store.now().await?;
    let runs = rows.iter().flat_map(|row| row.holder.iter().chain(&row.queue)).map(|(run, _)| *run);
    let len = find::short_len(runs);
    let mut table = Table::default();
    table.row(["LOCK", "HELD BY", "STATUS", "SINCE", "WAITING"].map(|t| (Tone::Dim, t.into())).to_vec());
    for row in &rows {
        let status = status(cx, row).await?;
        if cx.out.json {
            cx.out.value(&line(row, status))?;
            continue;
        }
        let short = |run: &RunId| run.to_string()[..len].to_owned();
        let waiting: Vec<String> = row.queue.iter().map(|(run, _)| short(run)).collect();
        let (holder, since) = match &row.holder {
            Some((run, since)) => (short(run), when::short(now.since(*since))),
            None => Default::default(),
        };
        table.row(vec![
            (Tone::Strong, row.lock.to_string()),
            (Tone::Plain, holder),
            (Tone::Plain, status.unwrap_or_default()),
            (Tone::Plain, since),
            (Tone::Plain, waiting.join(", ")),
        ]);
    }
    if cx.out.json {
        return Ok(());
    }
    let paint = cx.out.paint;
    Ok(table.lines(paint).iter().try_for_each(|line| cx.out.line(line))?)
}

/// How the run stands that holds a lock.
async fn status(cx: &Cx<'_>, row: &LockRow) -> Result<Option<String>, Fault> {
    let Some((run, _)) = row.holder else { return Ok(None) };
    Ok(cx.store.find(run).await?.map(|row| row.listing.status.to_string()))
}

fn line(row: &LockRow, status: Option<String>) -> Line {
    let text = |at: Timestamp| at.to_string();
    Line {
        lock: row.lock.to_string(),
        fence: row.fence,
        holder: row.holder.map(|(run, _)| run.to_string()),
        since: row.holder.map(|(_, since)| text(since)),
        status,
        waiting: row
            .queue
            .iter()
            .map(|(run, since)| Waiting { run: run.to_string(), since: text(*since) })
            .collect(),
    }
}

/// What is sent to the run that holds a lock.
///
/// # Errors
/// When nobody holds it.
pub(crate) async fn release(cx: &Cx<'_>, args: Release) -> Result<Letter, Fault> {
    let rows = cx.store.locks().await?;
    let holder = rows.iter().find(|row| row.lock == args.lock).and_then(|row| row.holder);
    match holder {
        Some((run, _)) => Ok(Letter::release(run.to_string(), args)),
        None => {
            let held: Vec<String> = rows.iter().map(|row| row.lock.to_string()).collect();
            let held = if held.is_empty() {
                "no run holds a lock".into()
            } else {
                format!("held are {}", held.join(", "))
            };
            Err(Fault::failed(format!("nobody holds the lock {}; {held}", args.lock)))
        }
    }
}

#[cfg(test)]
mod tests;
