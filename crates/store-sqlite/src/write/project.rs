//! Rows made anew from a journal.

use super::listing;
use crate::{error::Failure, request::Tx};
use rusqlite::{OptionalExtension, params};
use towpath_model::{Json, Listing, RunNo, Seq, Status, Timestamp};

/// What a rebuild has found about one run.
#[derive(Clone, Debug)]
pub(crate) struct Projection {
    pub(crate) run: RunNo,
    /// Its last event when the journal was read.
    pub(crate) seq: Seq,
    /// `None` when the journal cannot be folded.
    pub(crate) row: Option<(Listing, Option<Timestamp>)>,
}

/// Writes what a rebuild has found, unless the run has moved on since; whether it had not.
pub(crate) fn project(tx: &Tx<'_>, found: &Projection) -> Result<bool, Failure> {
    let run = found.run;
    let head = "SELECT seq FROM heads WHERE run_no = ?1";
    let seq =
        tx.connection.prepare_cached(head)?.query_row([run.0], |row| row.get::<_, i64>(0)).optional()?;
    if seq != Some(found.seq.0 as i64) {
        return Ok(false);
    }
    restore(tx, run)?;
    match &found.row {
        Some((row, wake_at)) => {
            if read(tx, run)?.as_ref() != Some(row) {
                listing::insert(tx, run, row)?;
            }
            let wake_at = wake_at.filter(|_| row.status != Status::Settled).map(Timestamp::as_micros);
            let set = "UPDATE driving SET wake_at = ?1 WHERE run_no = ?2 AND wake_at IS NOT ?1";
            tx.execute(set, params![wake_at, run.0])?;
        }
        None if read(tx, run)?.is_none() => {
            let note = "its row was lost, and its journal cannot be folded".to_owned();
            listing::insert(tx, run, &Listing { status: Status::Quarantined, note, outcome: None })?;
        }
        None => {}
    }
    tx.notice();
    Ok(true)
}

fn read(tx: &Tx<'_>, run: RunNo) -> Result<Option<Listing>, Failure> {
    let mut find =
        tx.connection.prepare_cached("SELECT status, note, outcome FROM listings WHERE run_no = ?1")?;
    let mut rows = find.query([run.0])?;
    match rows.next()? {
        Some(row) => Ok(crate::read::listing_at(row, 0).ok()),
        None => Ok(None),
    }
}

/// Labels, and a row to be driven by when that was lost.
fn restore(tx: &Tx<'_>, run: RunNo) -> Result<(), Failure> {
    tx.execute(
        "INSERT OR IGNORE INTO driving (run_no, ready_at, waiting) SELECT ?1, ?2, count(*) FROM inbox \
         WHERE run_no = ?1 AND consumed = 0",
        params![run.0, tx.now.as_micros()],
    )?;
    let find = "SELECT labels FROM runs WHERE run_no = ?1";
    let labels: String = tx.connection.prepare_cached(find)?.query_row([run.0], |row| row.get(0))?;
    let labels: Vec<(String, String)> = Json::parse(&labels)
        .and_then(|json| json.read())
        .map_err(|e| crate::error::corrupt("rebuild", "labels of a run").from_source(e))?;
    for (label, value) in &labels {
        listing::add_label(tx, run, label, value)?;
    }
    Ok(())
}
