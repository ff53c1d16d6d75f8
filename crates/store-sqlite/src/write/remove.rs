//! Taking runs out, and freeing what they have left.
//!
//! A run is out of sight with one small transaction, whatever the length of its journal. What it leaves is freed in
//! pieces, each a transaction of its own, so that nobody waits long for the database meanwhile.

use super::anchor;
use crate::{error::Failure, request::Tx};
use rusqlite::{OptionalExtension, params};
use towpath_model::{Digest, Json, RunId, Seq, Status};
use towpath_store::{Removal, Remove};

const OPERATION: &str = "remove a run";

/// A run, as far as removing it hangs on.
pub(super) struct Found {
    pub(super) no: i64,
    status: i64,
    /// Whether somebody drives it, or is to.
    is_awaited: bool,
    pub(super) seq: i64,
    hash: [u8; 32],
    pub(super) head_id: i64,
    parent: Option<[u8; 16]>,
    labels: String,
}

fn find(tx: &Tx<'_>, run: &[u8; 16]) -> rusqlite::Result<Option<Found>> {
    const FIND: &str = "SELECT runs.run_no, status, owner IS NOT NULL OR ready_at IS NOT NULL, seq, head_hash, head_id, \
         parent, labels FROM runs JOIN listings USING (run_no) JOIN driving USING (run_no) JOIN heads USING (run_no) \
         WHERE run_id = ?1";
    let found = |row: &rusqlite::Row<'_>| {
        Ok(Found {
            no: row.get(0)?,
            status: row.get(1)?,
            is_awaited: row.get(2)?,
            seq: row.get(3)?,
            hash: row.get(4)?,
            head_id: row.get(5)?,
            parent: row.get(6)?,
            labels: row.get(7)?,
        })
    };
    tx.connection.prepare_cached(FIND)?.query_row([run], found).optional()
}

pub(crate) fn remove(tx: &Tx<'_>, remove: &Remove) -> Result<Removal, Failure> {
    let run = match held(tx, remove.run, remove.seq, remove.hash)? {
        Ok(run) => run,
        Err(why) => return Ok(why),
    };
    let mut items = tx.connection.prepare_cached("SELECT 1 FROM runs WHERE parent = ?1 LIMIT 1")?;
    if items.exists([remove.run.as_bytes()])? {
        return Ok(Removal::HasItems);
    }
    tx.execute(
        "INSERT INTO removed (run_no, run_id, pipeline, run_key, seq, head_hash, removed_at, actor, note, left_id) \
         SELECT run_no, run_id, pipeline, run_key, ?2, ?3, ?4, ?5, ?6, ?7 FROM runs WHERE run_no = ?1",
        params![run.no, run.seq, run.hash, tx.now.as_micros(), remove.by.as_str(), remove.note, run.head_id],
    )?;
    let labels: Vec<(String, String)> = Json::parse(&run.labels)
        .and_then(|json| json.read())
        .map_err(|e| crate::error::corrupt(OPERATION, "labels of a run").from_source(e))?;
    for (label, value) in &labels {
        let delete = "DELETE FROM labels WHERE label = ?1 AND value = ?2 AND run_no = ?3";
        tx.execute(delete, params![label, value, run.no])?;
    }
    for delete in [
        "DELETE FROM runs WHERE run_no = ?1",
        "DELETE FROM heads WHERE run_no = ?1",
        "DELETE FROM listings WHERE run_no = ?1",
        "DELETE FROM driving WHERE run_no = ?1",
    ] {
        tx.execute(delete, [run.no])?;
    }
    tx.notice();
    Ok(Removal::Removed)
}

/// A run that is at rest for good with its journal ending here, or why it is not.
pub(super) fn held(
    tx: &Tx<'_>,
    run: RunId,
    seq: Seq,
    hash: Digest,
) -> Result<Result<Found, Removal>, Failure> {
    let Some(run) = find(tx, run.as_bytes())? else { return Ok(Err(Removal::NotThere)) };
    if run.status != Status::Settled.code() {
        return Ok(Err(Removal::Open));
    }
    if (run.seq as u64, run.hash) != (seq.0, hash.0) {
        return Ok(Err(Removal::Moved));
    }
    if run.is_awaited {
        return Ok(Err(Removal::Driven));
    }
    let mut above = run.parent;
    while let Some(parent) = above.map(|id| find(tx, &id)).transpose()?.flatten() {
        if parent.status != Status::Settled.code() || parent.is_awaited {
            return Ok(Err(Removal::Needed));
        }
        above = parent.parent;
    }
    Ok(Ok(run))
}

/// Frees about so many rows; whether more is left.
pub(crate) fn sweep(tx: &Tx<'_>, most: usize) -> Result<bool, Failure> {
    const LEFT: &str = "SELECT run_no, left_id FROM removed WHERE is_swept = 0 LIMIT 1";
    // One more than asked for: looking at a run counts as well, and each call has to come further.
    let mut most = i64::try_from(most.max(1)).unwrap_or(i64::MAX).saturating_add(1);
    loop {
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let left = tx.connection.prepare_cached(LEFT)?.query_row([], row).optional()?;
        let Some((run, left_id)) = left else { return Ok(false) };
        if most <= 0 {
            return Ok(true);
        }
        most -= 1;
        let left_id = sweep_events(tx, run, left_id, &mut most)?;
        tx.execute("UPDATE removed SET left_id = ?1 WHERE run_no = ?2", params![left_id, run])?;
        if left_id == 0 && sweep_beside(tx, run, &mut most)? && sweep_blobs(tx, run, &mut most)? {
            tx.execute("UPDATE removed SET is_swept = 1 WHERE run_no = ?1", [run])?;
        }
    }
}

/// Frees events from the last one back; the id of the last that is left.
fn sweep_events(tx: &Tx<'_>, run: i64, mut id: i64, most: &mut i64) -> Result<i64, Failure> {
    let mut delete =
        tx.connection.prepare_cached("DELETE FROM events WHERE id = ?1 AND run_no = ?2 RETURNING prev_id")?;
    let last = anchor::last_event(tx)?;
    while id != 0 && *most > 0 {
        *most -= 1;
        // Behind a gap nothing can be found: what stands before it stays, as it did for readers.
        id = delete.query_row(params![id, run], |row| row.get(0)).optional()?.unwrap_or(0);
    }
    anchor::freed(tx, last)?;
    Ok(id)
}

/// Frees entries, logs and progress; whether all.
fn sweep_beside(tx: &Tx<'_>, run: i64, most: &mut i64) -> Result<bool, Failure> {
    const ENTRIES: &str = "DELETE FROM inbox WHERE id IN (SELECT id FROM inbox WHERE run_no = ?1 LIMIT ?2)";
    const LINES: &str =
        "DELETE FROM step_logs WHERE line IN (SELECT line FROM step_logs WHERE run_no = ?1 LIMIT ?2)";
    for delete in [ENTRIES, LINES] {
        *most -= tx.execute(delete, params![run, (*most).max(0)])? as i64;
        if *most <= 0 {
            return Ok(false);
        }
    }
    tx.execute("DELETE FROM log_rooms WHERE run_no = ?1", [run])?;
    tx.execute("DELETE FROM live WHERE run_no = ?1", [run])?;
    tx.execute("DELETE FROM signed_heads WHERE run_no = ?1", [run])?;
    Ok(true)
}

/// Frees blobs to which no other run refers; whether all were looked at.
fn sweep_blobs(tx: &Tx<'_>, run: i64, most: &mut i64) -> Result<bool, Failure> {
    /// A blob may have 16 MiB: pages of it are what a deletion costs.
    const BLOB_WEIGHT: i64 = 64;
    while *most > 0 {
        *most -= BLOB_WEIGHT;
        let find = "SELECT digest FROM blob_refs WHERE run_no = ?1 LIMIT 1";
        let digest = tx.connection.prepare_cached(find)?.query_row([run], |row| row.get(0)).optional()?;
        let Some(digest): Option<[u8; 32]> = digest else { return Ok(true) };
        free_blob(tx, run, &digest)?;
    }
    Ok(false)
}

/// A run needs a blob no more: it is freed, unless another one does.
pub(super) fn free_blob(tx: &Tx<'_>, run: i64, digest: &[u8; 32]) -> rusqlite::Result<()> {
    const FREE: &str =
        "DELETE FROM blobs WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM blob_refs WHERE digest = ?1)";
    tx.execute("DELETE FROM blob_refs WHERE digest = ?1 AND run_no = ?2", params![digest, run])?;
    tx.execute(FREE, [digest]).map(drop)
}
