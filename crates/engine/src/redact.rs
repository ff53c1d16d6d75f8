//! Taking a payload out of the journal of a run that is over.

use crate::{Engine, EngineError, EngineErrorKind, config::EVENTS_PAGE};
use std::collections::BTreeSet;
use towpath_model::{
    Actor, Digest, Event, EventKind, FORMAT, Header, Payload, Redacted, RunId, RunNo, Seq, StoredEvent,
};
use towpath_store::{Redaction, Removal, RunRow, Store, StoreError};

const OPERATION: &str = "redact an event";
/// How often somebody else may be faster.
const TRIES: u32 = 5;

impl Engine {
    /// Removes the payload of an event, as [`redact`] does, in the name of this engine's actor.
    ///
    /// # Errors
    /// As [`redact`].
    pub async fn redact(&self, run: RunId, at: Seq, reason: &str) -> Result<bool, EngineError> {
        redact(&**self.store(), run, at, &self.shared().config.actor, reason).await
    }
}

/// Removes the payload of an event of a run that is over, and journals that it was removed, by whom and why; whether
/// it was there still. The header stays, so that the chain verifies, and says "redacted".
///
/// What is removed is the payload of this one event, and the blob that it refers to when no other event does. The same
/// value may stand in other events of the run or of others, in archives and in backups. A journal that lacks a payload is
/// not folded any more: `show` tells of it only as far as that event.
///
/// # Errors
/// When there is no such event, the run goes on or another run above it does, or the store cannot.
pub async fn redact(
    store: &dyn Store,
    run: RunId,
    at: Seq,
    by: &Actor,
    reason: &str,
) -> Result<bool, EngineError> {
    let failed = |e| EngineError::store(OPERATION, e).with("run", run);
    let refused = |why: &dyn std::fmt::Display| {
        EngineError::new(EngineErrorKind::Refused, OPERATION).with("run", run).with("why", why)
    };
    for _ in 0..TRIES {
        let row = store
            .find(run)
            .await
            .map_err(failed)?
            .ok_or_else(|| EngineError::new(EngineErrorKind::NotFound, OPERATION).with("run", run))?;
        let head = store.head(row.no).await.map_err(failed)?;
        if at == Seq(0) || at > head.seq {
            return Err(refused(&format!("there is no event {at}: the journal ends at {}", head.seq)));
        }
        let stored = one(store, row.no, at).await.map_err(failed)?;
        let last = one(store, row.no, head.seq).await.map_err(failed)?;
        let (Some(stored), Some(last)) = (stored, last) else {
            return Err(refused(&format!("event {at} is missing")));
        };
        let header = |stored: &StoredEvent| Header::decode(&stored.header).map_err(|e| refused(&e));
        let (kind, last) = (header(&stored)?.kind, header(&last)?);
        let Some(payload) = &stored.payload else { return Ok(false) };
        if kind == EventKind::Redacted.code() {
            return Err(refused(&"it says itself that something was redacted, and stays"));
        }
        let frees = frees(store, &row, at, kind, payload).await.map_err(failed)?;
        let event = Event::from(Redacted { at, by: by.clone(), reason: reason.to_owned() });
        let payload = event.encode().expect("an event is made of ids, numbers and JSON, and can be encoded");
        let header = Header {
            format: FORMAT,
            run,
            seq: head.seq.next(),
            kind: event.kind().code(),
            time: store.now().await.map_err(failed)?.max(last.time),
            epoch: head.epoch,
            actor: by.clone(),
            payload_digest: Digest::of(&payload),
            prev_hash: head.hash,
        }
        .encode();
        let redaction = Redaction {
            run,
            at,
            after: head.seq,
            after_hash: head.hash,
            head_hash: Digest::of(&header),
            event: StoredEvent { header, payload: Some(payload) },
            frees,
        };
        match store.redact(redaction).await.map_err(failed)? {
            Removal::Removed => return Ok(true),
            Removal::Moved => {}
            why => return Err(refused(&why)),
        }
    }
    Err(refused(&Removal::Moved))
}

async fn one(store: &dyn Store, no: RunNo, seq: Seq) -> Result<Option<StoredEvent>, StoreError> {
    Ok(store.events(no, Seq(seq.0.saturating_sub(1)), 1).await?.into_iter().next())
}

/// The blobs of an event's values to which no other event of the run refers.
async fn frees(
    store: &dyn Store,
    row: &RunRow,
    at: Seq,
    kind: u16,
    payload: &[u8],
) -> Result<Vec<Digest>, StoreError> {
    let Ok(event) = Event::decode(kind, payload) else { return Ok(Vec::new()) };
    let blob = |payload: &Payload| match payload {
        Payload::Blob(blob) => Some(blob.digest),
        Payload::Inline(_) => None,
    };
    let mut frees: BTreeSet<Digest> = event.payloads().into_iter().filter_map(blob).collect();
    let mut seq = Seq(0);
    while !frees.is_empty() {
        let page = store.events(row.no, seq, EVENTS_PAGE).await?;
        if page.is_empty() {
            break;
        }
        for stored in &page {
            seq = seq.next();
            let Some(payload) = stored.payload.as_ref().filter(|_| seq != at) else { continue };
            let Ok(header) = Header::decode(&stored.header) else { continue };
            if let Ok(event) = Event::decode(header.kind, payload) {
                for blob in event.blobs() {
                    frees.remove(&blob.digest);
                }
            }
        }
    }
    Ok(frees.into_iter().collect())
}
