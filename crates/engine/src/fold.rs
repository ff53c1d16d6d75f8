//! Folding a journal: verifying its chain, reading its events, and the state that they make.

use crate::{config::EVENTS_PAGE, plans::Prepared, shared::Shared};
use std::{fmt, sync::Arc};
use towpath_machine::RunState;
use towpath_model::{
    BlobRef, Chain, Digest, Event, FORMAT, Header, PlanRecord, RunId, RunNo, RunStarted, Seq, StoredEvent,
};
use towpath_store::{StoreError, StoreErrorKind};

/// A run folded from its journal.
pub(crate) struct Folded {
    pub(crate) plan: Arc<Prepared>,
    pub(crate) state: RunState,
    pub(crate) chain: Chain,
}

/// Why a run could not be folded.
#[derive(Debug)]
pub(crate) enum Unfolded {
    /// The store could not give the journal. Trying again may help.
    Store(StoreError),
    /// The journal was written by a newer release, which will go on with it.
    Newer(String),
    /// The journal is not what it should be.
    Corrupt {
        /// The event that could not be folded.
        seq: Seq,
        /// Why not.
        why: String,
    },
}

impl fmt::Display for Unfolded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfolded::Store(error) => write!(f, "the journal cannot be read: {error}"),
            Unfolded::Newer(why) => f.write_str(why),
            Unfolded::Corrupt { why, .. } => f.write_str(why),
        }
    }
}

impl std::error::Error for Unfolded {}

impl From<StoreError> for Unfolded {
    fn from(error: StoreError) -> Self {
        if error.is_transient() {
            return Unfolded::Store(error);
        }
        Unfolded::Corrupt { seq: Seq(0), why: error.to_string() }
    }
}

/// Folds a run's journal from its first event.
pub(crate) async fn fold(shared: &Shared, run: RunId, no: RunNo) -> Result<Folded, Unfolded> {
    let mut chain = Chain::new(run);
    let mut folded: Option<(Arc<Prepared>, RunState)> = None;
    loop {
        let after = chain.seq();
        let page = shared.store.events(no, after, EVENTS_PAGE).await?;
        let is_last = page.len() < EVENTS_PAGE;
        for stored in &page {
            let seq = chain.seq().next();
            let (header, event) = open(&mut chain, stored)?;
            let (_, state) = match &mut folded {
                Some(folded) => folded,
                None => {
                    let Event::RunStarted(started) = &event else {
                        return Err(corrupt(seq, "the journal does not begin with run-started"));
                    };
                    let plan = plan_of(shared, seq, &started.plan).await?;
                    let state = RunState::new(run, plan.plan.clone());
                    folded.insert((plan, state))
                }
            };
            state.apply(seq, header.time, &event).map_err(|e| corrupt(seq, e))?;
        }
        if is_last {
            break;
        }
    }
    let (plan, state) = folded.ok_or_else(|| corrupt(Seq(1), "the journal is empty"))?;
    Ok(Folded { plan, state, chain })
}

fn corrupt(seq: Seq, why: impl fmt::Display) -> Unfolded {
    Unfolded::Corrupt { seq, why: why.to_string() }
}

/// Verifies that an event is the next of its chain, and reads it.
fn open(chain: &mut Chain, stored: &StoredEvent) -> Result<(Header, Event), Unfolded> {
    let seq = chain.seq().next();
    let header = chain.verify(stored).map_err(|e| corrupt(seq, e))?;
    if header.format > FORMAT {
        return Err(Unfolded::Newer(format!(
            "event {seq} has format {}, and this release reads up to {FORMAT}: upgrade",
            header.format
        )));
    }
    let Some(payload) = &stored.payload else {
        return Err(corrupt(seq, "its payload was redacted, so that what follows from it cannot be told"));
    };
    let event = Event::decode(header.kind, payload).map_err(|e| corrupt(seq, e))?;
    Ok((header, event))
}

/// The plan that a journal refers to.
async fn plan_of(shared: &Shared, seq: Seq, blob: &BlobRef) -> Result<Arc<Prepared>, Unfolded> {
    if let Some(known) = shared.plans.get(blob.digest) {
        return Ok(known);
    }
    let (record, text) = record_of(shared, seq, blob).await?;
    shared.plans.prepare(shared, blob.digest, &Arc::new(record), text).map_err(|e| corrupt(seq, e))
}

/// The record of the plan that a journal refers to, and its text.
async fn record_of(shared: &Shared, seq: Seq, blob: &BlobRef) -> Result<(PlanRecord, String), Unfolded> {
    let text = shared.store.blob(blob.digest).await.map_err(|e| match e.kind() {
        StoreErrorKind::NotFound => {
            corrupt(seq, format!("its plan {} is not in the store", blob.digest.short()))
        }
        _ => e.into(),
    })?;
    if Digest::of(text.as_bytes()) != blob.digest {
        return Err(corrupt(seq, format!("its plan {} was changed", blob.digest.short())));
    }
    let record: PlanRecord = serde_json::from_str(&text)
        .map_err(|e| corrupt(seq, format!("its plan cannot be read by this release: {e}")))?;
    Ok((record, text))
}

/// What a run was started with, and the record of its plan.
pub(crate) async fn begun(
    shared: &Shared,
    run: RunId,
    no: RunNo,
) -> Result<(RunStarted, PlanRecord), Unfolded> {
    let first = shared.store.events(no, Seq(0), 1).await?;
    let stored = first.first().ok_or_else(|| corrupt(Seq(1), "the journal is empty"))?;
    let (_, Event::RunStarted(started)) = open(&mut Chain::new(run), stored)? else {
        return Err(corrupt(Seq(1), "the journal does not begin with run-started"));
    };
    let (record, _) = record_of(shared, Seq(1), &started.plan).await?;
    Ok((started, record))
}
