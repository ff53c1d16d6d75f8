//! What a batch of transitions has to keep, the same in every store.

use crate::{StoreError, StoreErrorKind, Transition};
use towpath_model::{Actor, Digest, Json, Message, Name, NewEntry, Seq, limits};

/// Checks a batch against the limits, before anything of it is written.
///
/// A batch holds at most [`BATCH_TRANSITIONS`](limits::BATCH_TRANSITIONS) and [`BATCH_BYTES`](limits::BATCH_BYTES) of
/// events; a blob has its own limit and does not count, so that one that is larger than a batch can be written at all.
///
/// # Errors
/// The batch is invalid; the error names the limit.
pub fn check_batch(batch: &[Transition]) -> Result<(), StoreError> {
    let invalid = |what, most: usize, found: usize| {
        Err(StoreError::new(StoreErrorKind::Invalid, "commit").with(what, found).with("limit", most))
    };
    if batch.len() > limits::BATCH_TRANSITIONS {
        return invalid("transitions", limits::BATCH_TRANSITIONS, batch.len());
    }
    if batch.iter().flat_map(|t| &t.start).any(|new| new.owner.is_some()) {
        let owned = StoreError::new(StoreErrorKind::Invalid, "commit");
        return Err(owned.with("what", "a run that a transition starts has an owner"));
    }
    let bytes = batch.iter().map(Transition::event_bytes).sum();
    if bytes > limits::BATCH_BYTES {
        return invalid("bytes", limits::BATCH_BYTES, bytes);
    }
    let blobs = batch.iter().flat_map(|t| &t.blobs).map(|b| b.text.len());
    match blobs.max() {
        Some(largest) if largest > limits::BLOB_BYTES => {
            invalid("bytes of a blob", limits::BLOB_BYTES, largest)
        }
        _ => Ok(()),
    }
}

/// The entry by which a run learns that it holds a lock, with the fencing number of this grant and the number of the event
/// with which it asked.
pub fn lock_grant(lock: &Name, fence: u64, asked: Seq) -> NewEntry {
    let dedupe_id = format!("lock/{}/{fence}", Digest::of(lock.as_str().as_bytes()));
    let message = Message::LockGranted { lock: lock.clone(), fence, asked };
    NewEntry {
        dedupe_id: Name::new(&dedupe_id).expect("a digest and a number are a short line"),
        actor: Actor::engine(),
        message: Json::of(&message).expect("text and numbers are JSON"),
    }
}
