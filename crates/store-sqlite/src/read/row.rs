//! Rows of runs.

use crate::error::Failure;
use rusqlite::{Connection, OptionalExtension, Row, types::Type};
use std::error::Error;
use towpath_model::{Digest, Json, Listing, PipelineName, RunId, RunKey, RunNo, Status, Timestamp, WorkerId};
use towpath_store::RunRow;

/// The columns of [`run_row`].
pub(super) const COLUMNS: &str = "runs.run_no, run_id, pipeline, run_key, plan_hash, labels, started_at, \
     status, note, outcome, changed_at, wake_at, workers.worker, parent";

/// What they need beside a table that knows the run.
pub(super) const TABLES: &str = "runs JOIN listings USING (run_no) JOIN driving USING (run_no) \
     LEFT JOIN workers ON workers.no = owner";

pub(super) fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let time = |i| row.get(i).map(Timestamp::from_micros);
    let worker = |text: &str| WorkerId::new(text);
    Ok(RunRow {
        no: RunNo(row.get(0)?),
        run: RunId::from_bytes(row.get(1)?),
        pipeline: text(row, 2, PipelineName::new)?,
        key: text(row, 3, RunKey::new)?,
        plan_hash: Digest(row.get(4)?),
        labels: text(row, 5, |labels| Json::parse(labels)?.read())?,
        started_at: time(6)?,
        listing: listing_at(row, 7)?,
        changed_at: time(10)?,
        wake_at: row.get::<_, Option<i64>>(11)?.map(Timestamp::from_micros),
        owner: optional(row, 12, worker)?,
        parent: row.get::<_, Option<[u8; 16]>>(13)?.map(RunId::from_bytes),
    })
}

/// A listing in three columns: status, note, outcome.
pub(crate) fn listing_at(row: &Row<'_>, first: usize) -> rusqlite::Result<Listing> {
    let code = row.get(first)?;
    let status = Status::from_code(code).ok_or(rusqlite::Error::IntegralValueOutOfRange(first, code))?;
    // One that a newer release wrote, and that we cannot read, must not hide every other run of a list.
    let outcome = optional(row, first + 2, |outcome| Json::parse(outcome)?.read()).unwrap_or(None);
    Ok(Listing { status, note: row.get(first + 1)?, outcome })
}

/// A column of text that means something. What cannot be read was not written by us.
pub(super) fn text<T, E: Error + Send + Sync + 'static>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> rusqlite::Result<T> {
    let failed =
        |e: Box<dyn Error + Send + Sync>| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, e);
    let text = row.get_ref(column)?.as_str().map_err(|e| failed(Box::new(e)))?;
    parse(text).map_err(|e| failed(Box::new(e)))
}

fn optional<T, E: Error + Send + Sync + 'static>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(column)?.data_type() {
        Type::Null => Ok(None),
        _ => text(row, column, parse).map(Some),
    }
}

pub(crate) fn row_by_run(connection: &Connection, run: RunId) -> Result<Option<RunRow>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE run_id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([run.as_bytes()], run_row).optional()?)
}

pub(crate) fn row_by_key(
    connection: &Connection,
    pipeline: &PipelineName,
    key: &RunKey,
) -> Result<Option<RunRow>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE pipeline = ?1 AND run_key = ?2");
    Ok(connection.prepare_cached(&sql)?.query_row([pipeline.as_str(), key.as_str()], run_row).optional()?)
}
