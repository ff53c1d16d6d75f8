//! New runs.

use super::{commit, lease, listing, lock};
use crate::{error::Failure, read, request::Tx};
use rusqlite::{OptionalExtension, params};
use towpath_model::{Json, RunNo, Status};
use towpath_store::{NewRun, Started, StoreError, StoreErrorKind, Transition, Wake};

const OPERATION: &str = "start a run";

pub(crate) fn start(tx: &Tx<'_>, new: &NewRun) -> Result<Started, Failure> {
    if let Some(row) = read::row_by_key(tx.connection, &new.pipeline, &new.key)? {
        return Ok(Started::Existing(Box::new(row)));
    }
    if let Some(over) = &new.over
        && !read::is_at(tx.connection, over)?
    {
        return Ok(Started::Moved);
    }
    let taken = "SELECT 1 FROM runs WHERE run_id = ?1";
    let taken =
        tx.connection.prepare_cached(taken)?.query_row([new.run.as_bytes()], |_| Ok(())).optional()?;
    if taken.is_some() {
        let twice = StoreError::new(StoreErrorKind::Invalid, OPERATION);
        return Err(twice.with("id is taken", new.run).into());
    }
    begin(tx, new).map(Started::New)
}

/// Writes a run whose id and key are its own.
fn begin(tx: &Tx<'_>, new: &NewRun) -> Result<RunNo, Failure> {
    let owner = new.owner.as_ref().map(|worker| lease::alive(tx, OPERATION, worker)).transpose()?;
    let run = insert(tx, new)?;
    let (seq, head_id) = commit::append_events(tx, run, &new.events, 0, 0)?;
    tx.execute(
        "INSERT INTO heads (run_no, seq, epoch, head_id, head_hash, claims_without_progress) \
         VALUES (?1, ?2, ?3, ?4, ?5, 0)",
        params![run.0, seq, owner.is_some(), head_id, new.head_hash.0],
    )?;
    let is_over = new.listing.status == Status::Settled;
    let wake_at = match new.wake {
        Wake::At(at) if !is_over => Some(at.as_micros()),
        _ => None,
    };
    let ready_at = (wake_at.is_none() && !is_over).then(|| tx.now.as_micros());
    tx.execute(
        "INSERT INTO driving (run_no, owner, wake_at, ready_at) VALUES (?1, ?2, ?3, ?4)",
        params![run.0, owner, wake_at, ready_at],
    )?;
    listing::insert(tx, run, &new.listing)?;
    for (label, value) in &new.labels {
        listing::add_label(tx, run, label, value)?;
    }
    commit::store_blobs(tx, run, &new.blobs)?;
    new.locks.iter().try_for_each(|change| lock::change(tx, run, change))?;
    tx.notice();
    Ok(run)
}

/// Whether the runs that transitions start can be started; looked at before anything of a batch is written.
pub(crate) fn check_starts<'t>(
    tx: &Tx<'_>,
    batch: impl IntoIterator<Item = &'t Transition>,
) -> Result<(), Failure> {
    for new in batch.into_iter().flat_map(|t| &t.start) {
        let find = "SELECT run_id FROM runs WHERE pipeline = ?1 AND run_key = ?2";
        let of = params![new.pipeline.as_str(), new.key.as_str()];
        let there = tx.connection.prepare_cached(find)?.query_row(of, |row| row.get(0)).optional()?;
        if there.is_some_and(|run: [u8; 16]| run != *new.run.as_bytes()) {
            let taken = StoreError::new(StoreErrorKind::Invalid, "commit");
            return Err(taken.with("key is taken", &new.key).into());
        }
    }
    Ok(())
}

/// Starts runs with a transition. Those that are there already stay as they are.
pub(super) fn start_all(tx: &Tx<'_>, new: &[NewRun]) -> Result<(), Failure> {
    for new in new {
        let mut there = tx.connection.prepare_cached("SELECT 1 FROM runs WHERE run_id = ?1")?;
        if !there.exists([new.run.as_bytes()])? {
            begin(tx, new)?;
        }
    }
    Ok(())
}

fn insert(tx: &Tx<'_>, new: &NewRun) -> Result<RunNo, Failure> {
    // The number after the last that was ever given: a run that was removed keeps its own.
    const INSERT: &str = "INSERT INTO runs (run_no, run_id, pipeline, run_key, plan_hash, labels, started_at, parent) \
         VALUES (1 + max(coalesce((SELECT max(run_no) FROM runs), 0), coalesce((SELECT max(run_no) FROM removed), 0)), \
         ?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let labels = Json::of(&new.labels).expect("pairs of text are JSON");
    let run = tx.connection.prepare_cached(INSERT)?.insert(params![
        new.run.as_bytes(),
        new.pipeline.as_str(),
        new.key.as_str(),
        new.plan_hash.0,
        labels.as_str(),
        tx.now.as_micros(),
        new.parent.as_ref().map(towpath_model::RunId::as_bytes)
    ])?;
    Ok(RunNo(run))
}
