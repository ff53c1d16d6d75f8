//! `towpath verify`.
//!
//! Everything is checked that can be checked without keys: the chain of a run's events, that it ends where the head of
//! the run says, that what was redacted was redacted by an event, that the plan and every blob have their digests, and
//! that the run's row names the run that the journal began.

use crate::{
    args::Verify,
    cx::Cx,
    fault::{self, Fault},
    find,
    out::Tone,
    story::EVENTS_PAGE,
};
use serde::Serialize;
use std::collections::BTreeSet;
use towpath::{
    model::{
        BlobRef, Chain, ChainFault, ChainFaultKind, Digest, Event, Header, Outcome, Payload, PlanRecord,
        RunStarted, Seq, StoredEvent,
    },
    store::{Cursor, Filter, Page, RunRow, Store, StoreError, StoreErrorKind},
};

/// What was found out about one journal, as JSON.
#[derive(Serialize, Debug)]
struct Verdict {
    run: String,
    key: String,
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
    fault: Option<String>,
}

/// Verifies one journal, or all.
pub(crate) async fn verify(cx: &mut Cx<'_>, args: Verify) -> Result<bool, Fault> {
    if let Some(run) = &args.run {
        let row = find::run(&*cx.store, run).await?;
        let verdict = check(&*cx.store, &row).await?;
        say(cx, &verdict, false)?;
        return Ok(verdict.intact);
    }
    let (mut after, mut runs, mut broken) = (None, 0_u64, 0_u64);
    loop {
        let page = cx.store.list(&Filter::default(), Page { after, limit: Page::MOST }).await?;
        let Some(last) = page.last() else { break };
        after = Some(Cursor(last.no));
        for row in &page {
            let verdict = check(&*cx.store, row).await?;
            say(cx, &verdict, true)?;
            runs += 1;
            broken += u64::from(!verdict.intact);
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

fn say(cx: &mut Cx<'_>, verdict: &Verdict, named: bool) -> Result<(), Fault> {
    if cx.out.json {
        return Ok(cx.out.value(verdict)?);
    }
    let name = if named { format!("{}  {}  ", verdict.run, verdict.key) } else { String::new() };
    let text = match &verdict.fault {
        None => {
            let redacted = match verdict.redacted {
                0 => String::new(),
                n => format!(", {n} redacted"),
            };
            let text = format!("verified {} events, head {}{redacted}", verdict.events, verdict.head);
            cx.out.paint.text(Tone::Good, &text)
        }
        Some(fault) => {
            let text = format!("not intact: {fault}; the {} events before are", verdict.events);
            cx.out.paint.text(Tone::Bad, &text)
        }
    };
    Ok(cx.out.line(format!("{name}{text}"))?)
}

/// What is wrong, and at which event if it is one.
struct Wrong {
    at: Option<Seq>,
    what: String,
}

impl Wrong {
    fn whole(what: impl Into<String>) -> Self {
        Wrong { at: None, what: what.into() }
    }

    fn event(at: Seq, what: impl std::fmt::Display) -> Self {
        Wrong { at: Some(at), what: format!("event {at}: {what}") }
    }
}

type Checked = Result<Result<(), Wrong>, Fault>;

async fn check(store: &dyn Store, row: &RunRow) -> Result<Verdict, Fault> {
    let mut walk = Walk { chain: Chain::new(row.run), bare: BTreeSet::new(), blobs: Vec::new(), start: None };
    let checked = walk.all(store, row).await?;
    let wrong = checked.err();
    Ok(Verdict {
        run: row.run.to_string(),
        key: row.key.to_string(),
        intact: wrong.is_none(),
        events: walk.chain.seq().0,
        head: walk.chain.hash().to_string(),
        redacted: walk.bare.len() as u64,
        at: wrong.as_ref().and_then(|w| w.at).map(|at| at.0),
        fault: wrong.map(|w| w.what),
    })
}

struct Walk {
    chain: Chain,
    /// Events without a payload.
    bare: BTreeSet<Seq>,
    /// Blobs that events refer to.
    blobs: Vec<(Seq, BlobRef)>,
    start: Option<RunStarted>,
}

impl Walk {
    async fn all(&mut self, store: &dyn Store, row: &RunRow) -> Checked {
        // The head is read first: the run may go on meanwhile, which moves it.
        let head = store.head(row.no).await?;
        let mut redacted = BTreeSet::new();
        let mut head_seen = head.seq == Seq(0);
        loop {
            let page = match store.events(row.no, self.chain.seq(), EVENTS_PAGE).await {
                Ok(page) => page,
                Err(e) if e.kind() == StoreErrorKind::Corrupt => {
                    return Ok(Err(missing(store, row, self.chain.seq(), head.seq, e).await?));
                }
                Err(e) => return Err(e.into()),
            };
            if page.is_empty() {
                break;
            }
            for stored in &page {
                match self.event(stored) {
                    Ok(Some(Event::Redacted(e))) => drop(redacted.insert(e.at)),
                    Ok(_) => {}
                    Err(wrong) => return Ok(Err(wrong)),
                }
                if self.chain.seq() == head.seq {
                    head_seen = true;
                    if self.chain.hash() != head.hash {
                        return Ok(Err(self.other_head(head.hash)));
                    }
                }
            }
        }
        if !head_seen {
            let last = self.chain.seq();
            let what = format!("it is missing: the journal ends at {last}, and its head says {}", head.seq);
            return Ok(Err(Wrong::event(last.next(), what)));
        }
        if let Some(at) = self.bare.difference(&redacted).next() {
            return Ok(Err(Wrong::event(
                *at,
                "its payload is missing, and no event says that it was redacted",
            )));
        }
        self.beside(store, row).await
    }

    fn other_head(&self, found: Digest) -> Wrong {
        Wrong::event(
            self.chain.seq(),
            format_args!(
                "its hash is {}, and the head of the run says {}: it was edited, or what came after it was cut off",
                self.chain.hash().short(),
                found.short()
            ),
        )
    }

    /// Checks one event; gives it back when it can be read.
    fn event(&mut self, stored: &StoredEvent) -> Result<Option<Event>, Wrong> {
        let header = self.chain.verify(stored).map_err(|fault| named(fault, stored))?;
        let Some(payload) = &stored.payload else {
            self.bare.insert(header.seq);
            return Ok(None);
        };
        // An event of a newer release is whole all the same.
        let Ok(event) = Event::decode(header.kind, payload) else { return Ok(None) };
        let blobs = payloads(&event).into_iter().filter_map(|p| match p {
            Payload::Blob(blob) => Some((header.seq, blob.clone())),
            Payload::Inline(_) => None,
        });
        self.blobs.extend(blobs);
        if let Event::RunStarted(start) = &event {
            self.start = Some(start.clone());
        }
        Ok(Some(event))
    }

    /// What stands beside the events: the plan, blobs, and the run's row.
    async fn beside(&self, store: &dyn Store, row: &RunRow) -> Checked {
        for (at, blob) in &self.blobs {
            if let Err(what) = text(store, blob).await? {
                return Ok(Err(Wrong::event(*at, format_args!("its value, stored as a blob, {what}"))));
            }
        }
        let Some(start) = &self.start else { return Ok(Ok(())) };
        let record = match text(store, &start.plan).await? {
            Ok(record) => record,
            Err(what) => return Ok(Err(Wrong::whole(format!("the plan's record {what}")))),
        };
        // A record that this release cannot read has the right digest all the same.
        if let Ok(record) = serde_json::from_str::<PlanRecord>(&record)
            && record.hash_with(&start.values).is_ok_and(|hash| hash != start.plan_hash)
        {
            return Ok(Err(Wrong::event(Seq(1), "its plan hash is not that of its plan and values")));
        }
        let names = [
            ("pipeline", row.pipeline.to_string(), start.pipeline.to_string()),
            ("key", row.key.to_string(), start.key.to_string()),
            ("plan hash", row.plan_hash.to_string(), start.plan_hash.to_string()),
        ];
        let differs = names.into_iter().find(|(_, row, journal)| row != journal);
        Ok(match differs {
            Some((what, row, journal)) => Err(Wrong::whole(format!(
                "the run is listed with the {what} {row}, and its journal says {journal}: the list was changed"
            ))),
            None => Ok(()),
        })
    }
}

/// What a store says of a journal that it cannot read whole.
///
/// A store that walks back from the head gives what stands behind a gap, and nothing before it: the gap is where it
/// begins to give nothing.
async fn missing(
    store: &dyn Store,
    row: &RunRow,
    after: Seq,
    head: Seq,
    error: StoreError,
) -> Result<Wrong, Fault> {
    let (mut unread, mut read) = (after.0, head.0);
    while unread + 1 < read {
        let middle = unread.midpoint(read);
        match store.events(row.no, Seq(middle), 1).await {
            Ok(_) => read = middle,
            Err(e) if e.kind() == StoreErrorKind::Corrupt => unread = middle,
            Err(e) => return Err(e.into()),
        }
    }
    if read <= after.0 {
        return Ok(Wrong::whole(fault::chain(&error)));
    }
    Ok(Wrong::event(Seq(read), "it is missing, so that what stands before it cannot be found"))
}

/// A fault of the chain, with the name of what was done where that can be told.
fn named(fault: ChainFault, stored: &StoredEvent) -> Wrong {
    let found = Header::decode(&stored.header).ok().map(|h| h.seq);
    match (&fault.kind, found) {
        (ChainFaultKind::Number { .. }, Some(found)) => {
            let what = format_args!("event {found} stands in its place: events were deleted or reordered");
            Wrong::event(fault.seq, what)
        }
        (ChainFaultKind::Broken, _) if fault.seq > Seq(1) => {
            let before = Seq(fault.seq.0 - 1);
            Wrong::event(
                fault.seq,
                format_args!("it does not follow event {before}: the header of one of them was edited"),
            )
        }
        (ChainFaultKind::Payload, _) => Wrong::event(fault.seq, "its payload was edited"),
        _ => Wrong { at: Some(fault.seq), what: fault.to_string() },
    }
}

/// The text of a blob, or what is wrong with it.
async fn text(store: &dyn Store, blob: &BlobRef) -> Result<Result<String, &'static str>, Fault> {
    let text = match store.blob(blob.digest).await {
        Ok(text) => text,
        Err(e) if e.kind() == StoreErrorKind::NotFound => return Ok(Err("is missing")),
        Err(e) if e.kind() == StoreErrorKind::Corrupt => return Ok(Err("was changed")),
        Err(e) => return Err(e.into()),
    };
    if Digest::of(text.as_bytes()) != blob.digest {
        return Ok(Err("was changed: it has another digest"));
    }
    Ok(Ok(text))
}

/// Every value of an event that may be a blob.
fn payloads(event: &Event) -> Vec<&Payload> {
    match event {
        Event::StepStarted(e) => e.before.iter().collect(),
        Event::StepDone(e) => vec![&e.output],
        Event::Checkpointed(e) => vec![&e.value],
        Event::WaitStarted(e) => e.checkpoint.iter().collect(),
        Event::Imported(e) => vec![&e.output],
        Event::ItemsListed(e) => vec![&e.items, &e.given],
        Event::SubRunSettled(e) => match &e.outcome {
            Outcome::Succeeded { output } => output.iter().collect(),
            _ => Vec::new(),
        },
        Event::RunSettled(e) => match &e.outcome {
            Outcome::Succeeded { output } => output.iter().collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
