//! `towpath verify`.

use crate::{
    args::Verify,
    cx::Cx,
    evidence,
    fault::{Fault, exit},
    find,
    out::{Out, Tone},
};
use serde::Serialize;
use std::path::Path;
use towpath::{
    engine::{
        archive,
        verify::{self, Verdict},
    },
    store::{Cursor, Filter, Page},
};

/// What was found out about one journal, as JSON.
#[derive(Serialize, Debug)]
struct Line<'a> {
    run: String,
    key: &'a str,
    intact: bool,
    /// Events up to the first that is wrong, or all.
    events: u64,
    /// Hash of the last of them.
    head: String,
    /// Events whose payload was removed by a redaction.
    redacted: u64,
    /// Number of the event that is wrong, when it is one.
    at: Option<u64>,
    /// What is wrong.
    fault: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn of(verdict: &'a Verdict) -> Self {
        Line {
            run: verdict.run.to_string(),
            key: verdict.key.as_str(),
            intact: verdict.is_intact(),
            events: verdict.events.0,
            head: verdict.head.to_string(),
            redacted: verdict.redacted,
            at: verdict.at.map(|at| at.0),
            fault: verdict.fault.as_deref(),
        }
    }
}

/// Verifies one journal, or all.
pub(crate) async fn verify(cx: &mut Cx<'_>, args: Verify) -> Result<bool, Fault> {
    if args.what.anchors {
        return evidence::anchors(cx, args.keys, args.kept).await;
    }
    if let Some(run) = &args.what.run {
        let row = find::run(&*cx.store, run).await?;
        let verdict = verify::run(&*cx.store, &row).await?;
        say(cx.out, &verdict, false)?;
        return Ok(verdict.is_intact());
    }
    let (mut after, mut runs, mut broken) = (None, 0_u64, 0_u64);
    loop {
        let page = cx.store.list(&Filter::default(), Page { after, limit: Page::MOST }).await?;
        let Some(last) = page.last() else { break };
        after = Some(Cursor(last.no));
        for row in &page {
            let verdict = verify::run(&*cx.store, row).await?;
            say(cx.out, &verdict, true)?;
            runs += 1;
            broken += u64::from(!verdict.is_intact());
        }
    }
    if !cx.out.json {
        cx.out.line(match broken {
            0 => format!("verified {runs} runs"),
            _ => format!("{broken} of {runs} runs are not intact"),
        })?;
    }
    Ok(broken == 0)
}

/// Verifies an archive: without any store. Gives the exit code.
pub(crate) fn file(out: &mut Out, args: &Verify) -> Result<u8, Fault> {
    let path = Path::new(args.what.run.as_deref().unwrap_or_default());
    let verdict = archive::verify(path)?;
    for run in &verdict.runs {
        say(out, run, verdict.runs.len() > 1)?;
    }
    if let Some(fault) = &verdict.fault {
        match out.json {
            true => out.value(&serde_json::json!({ "file": path, "intact": false, "fault": fault }))?,
            false => {
                let text = out.paint.text(Tone::Bad, &format!("not intact: {fault}"));
                out.line(text)?;
            }
        }
    }
    match &args.keys {
        Some(keys) if verdict.is_intact() => evidence::archived(out, &verdict, keys),
        _ => Ok(if verdict.is_intact() { exit::OK } else { exit::FAILED }),
    }
}

fn say(out: &mut Out, verdict: &Verdict, named: bool) -> Result<(), Fault> {
    if out.json {
        return Ok(out.value(&Line::of(verdict))?);
    }
    let name = if named { format!("{}  {}  ", verdict.run, verdict.key) } else { String::new() };
    let text = match &verdict.fault {
        None => {
            let redacted = match verdict.redacted {
                0 => String::new(),
                n => format!(", {n} redacted"),
            };
            let text = format!("verified {} events, head {}{redacted}", verdict.events, verdict.head);
            out.paint.text(Tone::Good, &text)
        }
        Some(fault) => {
            let text = format!("not intact: {fault}; the {} events before are", verdict.events);
            out.paint.text(Tone::Bad, &text)
        }
    };
    Ok(out.line(format!("{name}{text}"))?)
}

#[cfg(test)]
mod tests;
