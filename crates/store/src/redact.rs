//! Payloads that are taken out of a journal.

use towpath_model::{Digest, RunId, Seq, StoredEvent};

/// A payload that is to be removed, with the event that says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redaction {
    /// The run.
    pub run: RunId,
    /// The event whose payload is removed. Its header stays.
    pub at: Seq,
    /// Number of the run's last event, as whoever redacts has seen it.
    pub after: Seq,
    /// Hash of that event.
    pub after_hash: Digest,
    /// The event that says so.
    pub event: StoredEvent,
    /// Its hash.
    pub head_hash: Digest,
    /// Blobs to which no other event of the run refers.
    pub frees: Vec<Digest>,
}
