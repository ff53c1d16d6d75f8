//! What an event refers to beside itself.

use super::Event;
use crate::{BlobRef, Outcome, Payload};

impl Event {
    /// Every value of the event that may be stored as a blob.
    pub fn payloads(&self) -> Vec<&Payload> {
        match self {
            Event::StepStarted(e) => e.before.iter().collect(),
            Event::StepDone(e) => vec![&e.output],
            Event::Checkpointed(e) => vec![&e.value],
            Event::WaitStarted(e) => e.checkpoint.iter().collect(),
            Event::Imported(e) => vec![&e.output],
            Event::ItemsListed(e) => vec![&e.items, &e.given],
            Event::SubRunSettled(e) => output(&e.outcome),
            Event::RunSettled(e) => output(&e.outcome),
            _ => Vec::new(),
        }
    }

    /// Every blob that the event refers to: a plan's record, and values too large for their event.
    ///
    /// ```
    /// use towpath_model::{BlobRef, Checkpointed, Digest, Event, Payload, StepId};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let blob = BlobRef { digest: Digest::of(b"[]"), bytes: 2 };
    /// let event = Checkpointed { step: StepId::new("build")?, undoing: false, value: Payload::Blob(blob.clone()) };
    /// assert_eq!(Event::from(event).blobs(), [&blob]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn blobs<'a>(&'a self) -> Vec<&'a BlobRef> {
        let plan = match self {
            Event::RunStarted(e) => Some(&e.plan),
            Event::PlanReplaced(e) => Some(&e.plan),
            _ => None,
        };
        let blob = |payload: &'a Payload| match payload {
            Payload::Blob(blob) => Some(blob),
            Payload::Inline(_) => None,
        };
        plan.into_iter().chain(self.payloads().into_iter().filter_map(blob)).collect()
    }
}

fn output(outcome: &Outcome) -> Vec<&Payload> {
    match outcome {
        Outcome::Succeeded { output } => output.iter().collect(),
        _ => Vec::new(),
    }
}
