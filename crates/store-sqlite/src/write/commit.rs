//! Transitions.

use super::{anchor, inbox, listing, lock, log, start};
use crate::{error::Failure, request::Tx};
use rusqlite::{OptionalExtension, params};
use towpath_model::{Digest, RunNo, Seq, StoredEvent};
use towpath_store::{Blob, Refused, Transition, Wake};

/// Writes a transition, or refuses it before anything of it is written.
pub(crate) fn commit(tx: &Tx<'_>, t: &Transition) -> Result<Result<Seq, Refused>, Failure> {
    const HEAD: &str = "SELECT seq, epoch, head_id FROM heads WHERE run_no = ?1";
    let head =
        |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
    let found = tx.connection.prepare_cached(HEAD)?.query_row([t.run.0], head).optional()?;
    let Some((seq, epoch, head_id)) = found.filter(|(_, epoch, _)| *epoch == t.epoch.0 as i64) else {
        return Ok(Err(Refused::Fenced));
    };
    if seq != t.after.0 as i64 {
        return Ok(Err(Refused::Sequence { found: Seq(seq as u64) }));
    }
    let seq = append(tx, t, Head { seq, epoch, id: head_id })?;
    if t.wake != Wake::Keep {
        set_wake(tx, t.run, t.wake)?;
    }
    if !t.consumed.is_empty() {
        inbox::consume(tx, t.run, &t.consumed)?;
    }
    if let Some(listing) = &t.listing {
        listing::set(tx, t.run, listing)?;
    }
    store_blobs(tx, t.run, &t.blobs)?;
    for digest in &t.refers {
        refer(tx, t.run, *digest)?;
    }
    if let Some(head) = &t.signed {
        anchor::sign(tx, t.run, head)?;
    }
    for (run, entry) in &t.send {
        inbox::send(tx, *run, entry)?;
    }
    for (run, entry) in &t.recall {
        inbox::recall(tx, *run, entry)?;
    }
    start::start_all(tx, &t.start)?;
    for change in &t.locks {
        lock::change(tx, t.run, change)?;
    }
    log::write(tx, t.run, &t.logs, &t.progress)?;
    if t.gives_back() {
        give_back(tx, t.run, t.settles())?;
    }
    if t.is_noticed() {
        tx.notice();
    }
    Ok(Ok(Seq(seq as u64)))
}

struct Head {
    seq: i64,
    epoch: i64,
    id: i64,
}

/// Appends the events and moves the head. Giving back raises the epoch in the same row.
fn append(tx: &Tx<'_>, t: &Transition, head: Head) -> Result<i64, Failure> {
    const MOVE: &str = "UPDATE heads SET seq = ?1, head_id = ?2, head_hash = ?3, epoch = ?4, \
         claims_without_progress = 0 WHERE run_no = ?5 AND seq = ?6 AND epoch = ?7";
    const FENCE: &str = "UPDATE heads SET epoch = ?1, claims_without_progress = 0 WHERE run_no = ?2";
    let epoch = head.epoch + i64::from(t.gives_back());
    if t.events.is_empty() {
        if t.gives_back() {
            tx.execute(FENCE, params![epoch, t.run.0])?;
        }
        return Ok(head.seq);
    }
    let (seq, id) = append_events(tx, t.run, &t.events, head.seq, head.id)?;
    let moved = params![seq, id, t.head_hash.0, epoch, t.run.0, head.seq, head.epoch];
    if tx.execute(MOVE, moved)? != 1 {
        // The transaction has the database for itself since it read the head.
        return Err(rusqlite::Error::StatementChangedRows(0).into());
    }
    Ok(seq)
}

/// Appends events after the one with this number and id; number and id of the last.
pub(super) fn append_events(
    tx: &Tx<'_>,
    run: RunNo,
    events: &[StoredEvent],
    mut seq: i64,
    mut id: i64,
) -> rusqlite::Result<(i64, i64)> {
    const APPEND: &str =
        "INSERT INTO events (run_no, seq, prev_id, header, payload) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut append = tx.connection.prepare_cached(APPEND)?;
    for event in events {
        seq += 1;
        id = append.insert(params![run.0, seq, id, event.header, event.payload])?;
    }
    Ok((seq, id))
}

pub(super) fn store_blobs(tx: &Tx<'_>, run: RunNo, blobs: &[Blob]) -> rusqlite::Result<()> {
    for blob in blobs {
        refer(tx, run, blob.digest)?;
        tx.execute(
            "INSERT OR IGNORE INTO blobs (digest, text) VALUES (?1, ?2)",
            params![blob.digest.0, blob.text],
        )?;
    }
    Ok(())
}

/// Has a blob kept for a run.
fn refer(tx: &Tx<'_>, run: RunNo, digest: Digest) -> rusqlite::Result<()> {
    let refer = "INSERT OR IGNORE INTO blob_refs (digest, run_no) VALUES (?1, ?2)";
    tx.execute(refer, params![digest.0, run.0]).map(drop)
}

fn set_wake(tx: &Tx<'_>, run: RunNo, wake: Wake) -> rusqlite::Result<()> {
    let at = match wake {
        Wake::At(at) => Some(at.as_micros()),
        Wake::Keep | Wake::Never => None,
    };
    tx.execute("UPDATE driving SET wake_at = ?1 WHERE run_no = ?2", params![at, run.0]).map(drop)
}

/// Takes the lease away; the epoch was raised. What waits in the inbox makes the run ready; of a run that is over, only
/// what recalls it.
fn give_back(tx: &Tx<'_>, run: RunNo, is_over: bool) -> rusqlite::Result<()> {
    const PARKED: &str = "UPDATE driving SET owner = NULL, ready_at = CASE WHEN waiting > 0 THEN \
         (SELECT received_at FROM inbox WHERE run_no = ?1 AND consumed = 0 ORDER BY id LIMIT 1) END \
         WHERE run_no = ?1";
    const OVER: &str = "UPDATE driving SET owner = NULL, wake_at = NULL, ready_at = CASE WHEN waiting > 0 THEN \
         (SELECT received_at FROM inbox WHERE run_no = ?1 AND consumed = 0 AND recalls = 1 ORDER BY id LIMIT 1) \
         END WHERE run_no = ?1";
    tx.execute(if is_over { OVER } else { PARKED }, [run.0]).map(drop)
}
