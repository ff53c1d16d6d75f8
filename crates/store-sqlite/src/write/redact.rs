//! Taking payloads out of journals.

use super::{commit, remove};
use crate::{error::Failure, request::Tx};
use rusqlite::{OptionalExtension, params};
use towpath_model::RunNo;
use towpath_store::{Redaction, Removal};

pub(crate) fn redact(tx: &Tx<'_>, redaction: &Redaction) -> Result<Removal, Failure> {
    const MOVE: &str =
        "UPDATE heads SET seq = ?1, head_id = ?2, head_hash = ?3 WHERE run_no = ?4 AND seq = ?5";
    let run = match remove::held(tx, redaction.run, redaction.after, redaction.after_hash)? {
        Ok(run) => run,
        Err(why) => return Ok(why),
    };
    let Some(id) = event_at(tx, &run, redaction.at.0 as i64)? else { return Ok(Removal::NotThere) };
    // What was there is overwritten, and not only given up to be used again some day.
    overwrite(tx, true)?;
    let redacted =
        tx.execute("UPDATE events SET payload = NULL WHERE id = ?1 AND run_no = ?2", params![id, run.no]);
    let freed = redacted
        .and_then(|_| redaction.frees.iter().try_for_each(|digest| remove::free_blob(tx, run.no, &digest.0)));
    overwrite(tx, false)?;
    freed?;
    let (no, event) = (RunNo(run.no), std::slice::from_ref(&redaction.event));
    let (seq, id) = commit::append_events(tx, no, event, run.seq, run.head_id)?;
    if tx.execute(MOVE, params![seq, id, redaction.head_hash.0, run.no, run.seq])? != 1 {
        // The transaction has the database for itself since it read the head.
        return Err(rusqlite::Error::StatementChangedRows(0).into());
    }
    tx.notice();
    Ok(Removal::Removed)
}

/// The id of an event, found by walking back from the head.
fn event_at(tx: &Tx<'_>, run: &remove::Found, at: i64) -> rusqlite::Result<Option<i64>> {
    if !(1..=run.seq).contains(&at) {
        return Ok(None);
    }
    let mut back =
        tx.connection.prepare_cached("SELECT prev_id FROM events WHERE id = ?1 AND run_no = ?2")?;
    let mut id = run.head_id;
    for _ in at..run.seq {
        match back.query_row(params![id, run.no], |row| row.get(0)).optional()? {
            Some(prev) => id = prev,
            None => return Ok(None),
        }
    }
    Ok(Some(id))
}

fn overwrite(tx: &Tx<'_>, on: bool) -> rusqlite::Result<()> {
    let set = if on { "PRAGMA secure_delete = ON" } else { "PRAGMA secure_delete = OFF" };
    tx.connection.query_row(set, [], |_| Ok(()))
}
