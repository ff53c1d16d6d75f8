//! Signed heads and anchors.

use crate::{error::Failure, request::Tx};
use rusqlite::params;
use towpath_model::{RunNo, SignedHead};
use towpath_store::NewAnchor;

pub(super) fn sign(tx: &Tx<'_>, run: RunNo, head: &SignedHead) -> rusqlite::Result<()> {
    const SIGN: &str = "INSERT OR REPLACE INTO signed_heads (run_no, seq, head_hash, key_id, signature) \
         VALUES (?1, ?2, ?3, ?4, ?5)";
    let of = params![run.0, head.seq.0 as i64, head.hash.0, head.key.0, head.signature.0];
    tx.execute(SIGN, of).map(drop)
}

/// Writes an anchor, unless there is one with its number, or events that it was told of were freed; whether it was
/// written.
pub(crate) fn anchor(tx: &Tx<'_>, new: &NewAnchor) -> Result<bool, Failure> {
    const NEXT: &str = "SELECT (SELECT coalesce(max(no), 0) + 1 FROM anchors), freed FROM anchoring";
    let next = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let (next, freed) = tx.connection.prepare_cached(NEXT)?.query_row([], next)?;
    let [mark, told] = new.mark;
    if (next as u64, freed) != (new.no, told) {
        return Ok(false);
    }
    let stored = &new.anchor;
    tx.execute(
        "INSERT INTO anchors (no, anchor, leaves, key_id, signature) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![next, stored.anchor, stored.leaves, stored.key.0, stored.signature.0],
    )?;
    tx.execute("UPDATE anchoring SET event = ?1", [mark])?;
    for leaf in new.leaves.iter().filter(|leaf| leaf.is_removed) {
        tx.execute(
            "UPDATE removed SET is_anchored = 1 WHERE is_anchored = 0 AND run_id = ?1",
            [leaf.run.as_bytes()],
        )?;
    }
    Ok(true)
}

/// The number of the last event.
pub(super) fn last_event(tx: &Tx<'_>) -> rusqlite::Result<i64> {
    tx.connection.prepare_cached("SELECT coalesce(max(id), 0) FROM events")?.query_row([], |row| row.get(0))
}

/// Events were freed; when the last ones are among them, their numbers will be given again.
pub(super) fn freed(tx: &Tx<'_>, last_before: i64) -> rusqlite::Result<()> {
    let last = last_event(tx)?;
    if last < last_before {
        tx.execute("UPDATE anchoring SET event = min(event, ?1), freed = freed + 1", [last])?;
    }
    Ok(())
}
