//! A walk over the events of one run, wherever they come from.

use std::{collections::BTreeSet, fmt};
use towpath_model::{
    BlobRef, Chain, ChainFault, ChainFaultKind, Digest, Event, Header, PlanRecord, RunId, RunStarted, Seq,
    StoredEvent,
};
use towpath_store::RunRow;

/// What is wrong, and at which event if it is one.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) at: Option<Seq>,
    pub(crate) what: String,
}

impl Wrong {
    pub(crate) fn whole(what: impl Into<String>) -> Self {
        Wrong { at: None, what: what.into() }
    }

    pub(crate) fn event(at: Seq, what: impl fmt::Display) -> Self {
        Wrong { at: Some(at), what: format!("event {at}: {what}") }
    }
}

/// How a list names a run.
pub(crate) struct Names {
    pub(crate) pipeline: String,
    pub(crate) key: String,
    pub(crate) plan_hash: Digest,
}

impl Names {
    pub(crate) fn of(row: &RunRow) -> Self {
        let (pipeline, key) = (row.pipeline.to_string(), row.key.to_string());
        Names { pipeline, key, plan_hash: row.plan_hash }
    }
}

/// A walk over the events of a run, to the head that the run is said to have.
pub(crate) struct Walk {
    run: RunId,
    chain: Chain,
    head: Seq,
    head_hash: Digest,
    is_head_seen: bool,
    /// Events without a payload.
    bare: BTreeSet<Seq>,
    /// Events of which another says that they were redacted.
    redacted: BTreeSet<Seq>,
    /// Blobs that hold values of events.
    blobs: Vec<(Seq, BlobRef)>,
    start: Option<RunStarted>,
}

impl Walk {
    pub(crate) fn new(run: RunId, head: Seq, head_hash: Digest) -> Self {
        Walk {
            run,
            chain: Chain::new(run),
            head,
            head_hash,
            is_head_seen: head == Seq(0),
            bare: BTreeSet::new(),
            redacted: BTreeSet::new(),
            blobs: Vec::new(),
            start: None,
        }
    }

    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    /// The number of the last event that is right.
    pub(crate) fn seq(&self) -> Seq {
        self.chain.seq()
    }

    pub(crate) fn hash(&self) -> Digest {
        self.chain.hash()
    }

    pub(crate) fn head(&self) -> Seq {
        self.head
    }

    pub(crate) fn redacted(&self) -> u64 {
        self.bare.len() as u64
    }

    pub(crate) fn blobs(&self) -> &[(Seq, BlobRef)] {
        &self.blobs
    }

    /// Where the plan's record is.
    pub(crate) fn plan(&self) -> Option<&BlobRef> {
        self.start.as_ref().map(|start| &start.plan)
    }

    /// Checks the next event.
    pub(crate) fn event(&mut self, stored: &StoredEvent) -> Result<(), Wrong> {
        let header = self.chain.verify(stored).map_err(|fault| named(fault, stored))?;
        self.read(&header, stored);
        if header.seq == self.head {
            self.is_head_seen = true;
            if self.chain.hash() != self.head_hash {
                return Err(self.other_head());
            }
        }
        Ok(())
    }

    fn read(&mut self, header: &Header, stored: &StoredEvent) {
        let Some(payload) = &stored.payload else {
            self.bare.insert(header.seq);
            return;
        };
        // An event of a newer release is whole all the same.
        let Ok(event) = Event::decode(header.kind, payload) else { return };
        match event {
            Event::RunStarted(start) => self.start = Some(start),
            Event::Redacted(e) => drop(self.redacted.insert(e.at)),
            event => self.blobs.extend(event.blobs().into_iter().map(|blob| (header.seq, blob.clone()))),
        }
    }

    /// Checks what can be said only when no event is left.
    pub(crate) fn end(&self) -> Result<(), Wrong> {
        if !self.is_head_seen {
            let (last, head) = (self.seq(), self.head);
            let what = format!("it is missing: the journal ends at {last}, and its head says {head}");
            return Err(Wrong::event(last.next(), what));
        }
        match self.bare.difference(&self.redacted).next() {
            Some(at) => {
                Err(Wrong::event(*at, "its payload is missing, and no event says that it was redacted"))
            }
            None => Ok(()),
        }
    }

    fn other_head(&self) -> Wrong {
        let (hash, head) = (self.chain.hash().short(), self.head_hash.short());
        Wrong::event(
            self.chain.seq(),
            format_args!(
                "its hash is {hash}, and the head of the run says {head}: it was edited, or what came after it was cut off"
            ),
        )
    }

    /// Checks what stands beside the events: the plan's record, which has its digest, and the run's row.
    pub(crate) fn beside(&self, record: &str, row: &Names) -> Result<(), Wrong> {
        let Some(start) = &self.start else { return Ok(()) };
        // A record that this release cannot read has the right digest all the same.
        if let Ok(record) = serde_json::from_str::<PlanRecord>(record)
            && record.hash_with(&start.values).is_ok_and(|hash| hash != start.plan_hash)
        {
            return Err(Wrong::event(Seq(1), "its plan hash is not that of its plan and values"));
        }
        let names = [
            ("pipeline", row.pipeline.clone(), start.pipeline.to_string()),
            ("key", row.key.clone(), start.key.to_string()),
            ("plan hash", row.plan_hash.to_string(), start.plan_hash.to_string()),
        ];
        match names.into_iter().find(|(_, row, journal)| row != journal) {
            Some((what, row, journal)) => Err(Wrong::whole(format!(
                "the run is listed with the {what} {row}, and its journal says {journal}: the list was changed"
            ))),
            None => Ok(()),
        }
    }
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
