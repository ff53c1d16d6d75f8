//! `towpath journal`.

use crate::{
    args::Journal,
    cx::Cx,
    fault::Fault,
    find,
    out::{Table, Tone},
    story::EVENTS_PAGE,
    summary::{self, one_line},
    when,
};
use serde::Serialize;
use towpath::model::{Digest, Event, EventKind, Header, Json, Seq, StoredEvent};

/// An event, as JSON.
#[derive(Serialize)]
pub(crate) struct Line {
    seq: u64,
    time: String,
    kind: Option<&'static str>,
    code: u16,
    actor: String,
    step: Option<String>,
    summary: Option<String>,
    epoch: u64,
    format: u16,
    hash: String,
    prev_hash: String,
    payload_digest: String,
    redacted: bool,
    payload: Option<Json>,
}

/// Shows the events of a run, one by one.
pub(crate) async fn journal(cx: &mut Cx<'_>, args: Journal) -> Result<(), Fault> {
    let row = find::run(&*cx.store, &args.run).await?;
    let mut after = args.after;
    loop {
        let page = cx.store.events(row.no, Seq(after), EVENTS_PAGE).await?;
        if page.is_empty() {
            return Ok(());
        }
        if cx.out.json {
            for stored in &page {
                after += 1;
                as_json(cx, stored, after)?;
            }
            continue;
        }
        // Columns are aligned page by page, so that a long journal is shown while it is read.
        let mut table = Table::default();
        for stored in &page {
            after += 1;
            table.row(cells(stored, after));
        }
        for (text, stored) in table.lines(cx.out.paint).into_iter().zip(&page) {
            cx.out.line(text)?;
            if args.payloads
                && let Some(payload) = &stored.payload
            {
                cx.out.line(format!("       {}", one_line(&String::from_utf8_lossy(payload))))?;
            }
        }
    }
}

fn as_json(cx: &mut Cx<'_>, stored: &StoredEvent, seq: u64) -> Result<(), Fault> {
    let Ok(header) = Header::decode(&stored.header).map_err(|e| e.to_string()) else {
        // What cannot be read does not hide what comes after it.
        return Ok(cx.out.value(&serde_json::json!({ "seq": seq, "error": "its header cannot be read" }))?);
    };
    let event = stored.payload.as_ref().and_then(|p| Event::decode(header.kind, p).ok());
    Ok(cx.out.value(&line(stored, header, event.as_ref()))?)
}

fn cells(stored: &StoredEvent, seq: u64) -> Vec<(Tone, String)> {
    let number = |n: u64| (Tone::Plain, format!("{n:>5}"));
    let header = match Header::decode(&stored.header) {
        Ok(header) => header,
        Err(e) => return vec![number(seq), (Tone::Bad, e.to_string())],
    };
    let event = stored.payload.as_ref().map(|p| Event::decode(header.kind, p));
    let kind =
        EventKind::from_code(header.kind).map_or_else(|| header.kind.to_string(), |k| k.word().to_owned());
    let (step, said, actor) = match &event {
        Some(Ok(event)) => {
            let step = summary::step(event).map(|s| s.to_string()).unwrap_or_default();
            (step, (Tone::Plain, summary::summary(event)), event.caused_by().unwrap_or(&header.actor))
        }
        Some(Err(e)) => (String::new(), (Tone::Bad, one_line(&e.to_string())), &header.actor),
        None => (String::new(), (Tone::Needs, "redacted".into()), &header.actor),
    };
    vec![
        number(header.seq.0),
        (Tone::Dim, when::precisely(header.time)),
        (Tone::Strong, kind),
        (Tone::Dim, actor.to_string()),
        (Tone::Busy, step),
        said,
    ]
}

pub(crate) fn line(stored: &StoredEvent, header: Header, event: Option<&Event>) -> Line {
    let payload = stored.payload.as_ref().and_then(|p| std::str::from_utf8(p).ok());
    Line {
        seq: header.seq.0,
        time: header.time.to_string(),
        kind: EventKind::from_code(header.kind).map(EventKind::word),
        code: header.kind,
        actor: event.and_then(Event::caused_by).unwrap_or(&header.actor).to_string(),
        step: event.and_then(summary::step).map(|s| s.to_string()),
        summary: event.map(summary::summary),
        epoch: header.epoch.0,
        format: header.format,
        hash: Digest::of(&stored.header).to_string(),
        prev_hash: header.prev_hash.to_string(),
        payload_digest: header.payload_digest.to_string(),
        redacted: stored.payload.is_none(),
        payload: payload.and_then(|p| Json::parse(p).ok()),
    }
}

#[cfg(test)]
mod tests;
