//! Rows of lists.

use super::lock;
use crate::{error::Failure, request::Tx};
use rusqlite::params;
use towpath_model::{Json, Listing, RunNo, Status};

/// Sets the row of a run. One that is over has no wake and no locks any more.
pub(super) fn set(tx: &Tx<'_>, run: RunNo, listing: &Listing) -> Result<(), Failure> {
    const UPDATE: &str =
        "UPDATE listings SET status = ?1, note = ?2, outcome = ?3, changed_at = ?4 WHERE run_no = ?5";
    let outcome = outcome(listing);
    let outcome = outcome.as_ref().map(Json::as_str);
    tx.execute(UPDATE, params![listing.status.code(), listing.note, outcome, tx.now.as_micros(), run.0])?;
    if listing.status == Status::Settled {
        lock::leave_all(tx, run)?;
    }
    Ok(())
}

/// Inserts the row of a run, or replaces what a rebuild found.
pub(super) fn insert(tx: &Tx<'_>, run: RunNo, listing: &Listing) -> Result<(), Failure> {
    const INSERT: &str = "INSERT OR REPLACE INTO listings (status, note, outcome, changed_at, run_no) \
         VALUES (?1, ?2, ?3, ?4, ?5)";
    let outcome = outcome(listing);
    let outcome = outcome.as_ref().map(Json::as_str);
    tx.execute(INSERT, params![listing.status.code(), listing.note, outcome, tx.now.as_micros(), run.0])?;
    Ok(())
}

fn outcome(listing: &Listing) -> Option<Json> {
    listing.outcome.as_ref().map(|outcome| Json::of(outcome).expect("an outcome is JSON"))
}

pub(super) fn add_label(tx: &Tx<'_>, run: RunNo, label: &str, value: &str) -> rusqlite::Result<()> {
    const ADD: &str = "INSERT OR IGNORE INTO labels (label, value, run_no) VALUES (?1, ?2, ?3)";
    tx.execute(ADD, params![label, value, run.0]).map(drop)
}
