//! A transition that is being put together.

use crate::{mailbox::EntryNo, mailbox::Reply, values::Stored};
use towpath_machine::{Action, ItemStart, Ordered};
use towpath_model::{Actor, DoneBy, EntryId, Event, Name, Payload, SkipWhy, Timestamp};
use towpath_step::host::Waited;
use towpath_store::Blob;

/// Bytes of events above which nothing more is put into a transition, well below the limit of a batch.
const WEIGHT_MOST: usize = 4 << 20;
/// What an event weighs beside what is in it.
const EVENT_WEIGHT: usize = 512;

/// What one transition will write, and what follows it.
pub(crate) struct Draft {
    /// The one time of everything in it.
    pub(super) now: Timestamp,
    pub(super) events: Vec<Drafted>,
    pub(super) actions: Vec<Action>,
    /// Items that begin with it, and what others are told with it.
    pub(super) starts: Vec<ItemStart>,
    pub(super) orders: Vec<Ordered>,
    pub(super) blobs: Vec<Blob>,
    pub(super) consumed: Vec<EntryId>,
    /// Who is told that a checkpoint is durable.
    pub(super) saved: Vec<Reply<()>>,
    /// Bodies that wait, once their waits are durable.
    pub(super) waits: Vec<Asked>,
    weight: usize,
}

/// An event and who caused it, when the event itself does not say.
pub(super) struct Drafted {
    pub(super) event: Event,
    pub(super) actor: Option<Actor>,
}

/// A wait that a body asked for.
pub(super) struct Asked {
    pub(super) entry: EntryNo,
    pub(super) wait: Name,
    pub(super) until: Option<Timestamp>,
    pub(super) reply: Reply<Waited>,
}

impl Draft {
    pub(crate) fn new(now: Timestamp) -> Self {
        Draft {
            now,
            events: Vec::new(),
            actions: Vec::new(),
            starts: Vec::new(),
            orders: Vec::new(),
            blobs: Vec::new(),
            consumed: Vec::new(),
            saved: Vec::new(),
            waits: Vec::new(),
            weight: 0,
        }
    }

    /// Whether it holds as much as one transition should.
    pub(super) fn is_full(&self) -> bool {
        self.weight > WEIGHT_MOST
    }

    /// Whether there is nothing to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.consumed.is_empty()
    }

    /// Whether it asks for locks.
    pub(super) fn asks_for_locks(&self) -> bool {
        self.events.iter().any(|drafted| matches!(drafted.event, Event::LocksAsked(_)))
    }

    /// Adds events.
    pub(super) fn push(&mut self, events: Vec<Event>) {
        self.weight += events.len() * EVENT_WEIGHT;
        self.events.extend(events.into_iter().map(|event| Drafted { event, actor: None }));
    }

    /// Adds events that follow from an entry of the inbox.
    pub(super) fn push_caused(&mut self, events: Vec<Event>) {
        self.weight += events.len() * EVENT_WEIGHT;
        let mut operator = None;
        for event in events {
            if let Event::VerbAnswered(answer) = &event {
                operator = Some(answer.by.clone());
            }
            let actor = operator.clone().filter(|_| is_by_operator(&event));
            self.events.push(Drafted { event, actor });
        }
    }

    /// Adds what a value weighs.
    pub(super) fn weigh(&mut self, payload: &Payload) {
        self.weight += payload.inline().map_or(0, |json| json.as_str().len());
    }

    /// Adds what is stored beside the journal, and gives what is stored in it.
    pub(super) fn keep(&mut self, stored: Stored) -> Payload {
        self.weigh(&stored.payload);
        self.blobs.extend(stored.blob);
        stored.payload
    }
}

/// Whether an event can only be the consequence of an operator's verb.
fn is_by_operator(event: &Event) -> bool {
    match event {
        Event::StepReset(_) | Event::CompensationReset(_) | Event::CompensationSkipped(_) => true,
        Event::StepSkipped(e) => matches!(e.why, SkipWhy::Operator { .. }),
        Event::StepDone(e) => e.by == DoneBy::Operator,
        Event::CompensationDone(e) => e.by == DoneBy::Operator,
        _ => false,
    }
}
