//! Everything else that is read.

use super::row::text;
use crate::error::{Failure, not_found};
use rusqlite::{Connection, OptionalExtension, params};
use towpath_model::{
    Actor, Attempt, Digest, Entry, EntryId, Epoch, Json, Name, RunNo, Seq, Status, StepId, Timestamp,
    WorkerId,
};
use towpath_store::{Head, LogLine, Progress, StoreHealth};

pub(crate) fn head(connection: &Connection, run: RunNo) -> Result<Head, Failure> {
    const HEAD: &str = "SELECT seq, head_hash, epoch, workers.worker FROM heads \
         LEFT JOIN driving USING (run_no) LEFT JOIN workers ON workers.no = owner WHERE heads.run_no = ?1";
    let head = |row: &rusqlite::Row<'_>| {
        let [seq, epoch] = [row.get::<_, i64>(0)?, row.get(2)?].map(|n| n as u64);
        let owner = match row.get_ref(3)?.as_str_or_null() {
            Ok(Some(_)) => Some(text(row, 3, WorkerId::new)?),
            _ => None,
        };
        Ok(Head { seq: Seq(seq), hash: Digest(row.get(1)?), epoch: Epoch(epoch), owner })
    };
    let found = connection.prepare_cached(HEAD)?.query_row([run.0], head).optional()?;
    found.ok_or_else(|| not_found("read the head").with("run", run).into())
}

/// # Errors
/// When the run is not there.
fn known(connection: &Connection, operation: &'static str, run: RunNo) -> Result<(), Failure> {
    let is_known = connection.prepare_cached("SELECT 1 FROM runs WHERE run_no = ?1")?.exists([run.0])?;
    if is_known { Ok(()) } else { Err(not_found(operation).with("run", run).into()) }
}

fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(crate) fn blob(connection: &Connection, digest: Digest) -> Result<String, Failure> {
    let find = "SELECT text FROM blobs WHERE digest = ?1";
    let text = connection.prepare_cached(find)?.query_row([digest.0], |row| row.get(0)).optional()?;
    text.ok_or_else(|| not_found("read a blob").with("digest", digest).into())
}

pub(crate) fn entries(connection: &Connection, run: RunNo, limit: usize) -> Result<Vec<Entry>, Failure> {
    const WAITING: &str = "SELECT id, dedupe_id, actor, message, received_at FROM inbox \
         WHERE run_no = ?1 AND consumed = 0 ORDER BY id LIMIT ?2";
    known(connection, "read entries", run)?;
    let entry = |row: &rusqlite::Row<'_>| {
        Ok(Entry {
            id: EntryId(row.get(0)?),
            dedupe_id: text(row, 1, Name::new)?,
            actor: text(row, 2, Actor::new)?,
            message: text(row, 3, Json::parse)?,
            received_at: row.get(4).map(Timestamp::from_micros)?,
        })
    };
    let mut waiting = connection.prepare_cached(WAITING)?;
    Ok(waiting.query_map(params![run.0, most(limit)], entry)?.collect::<Result<_, _>>()?)
}

pub(crate) fn next_wake(connection: &Connection) -> Result<Option<Timestamp>, Failure> {
    const NEXT: &str =
        "SELECT wake_at FROM driving WHERE owner IS NULL AND wake_at IS NOT NULL ORDER BY wake_at LIMIT 1";
    let at = connection.prepare_cached(NEXT)?.query_row([], |row| row.get(0)).optional()?;
    Ok(at.map(Timestamp::from_micros))
}

pub(crate) fn logs(
    connection: &Connection,
    run: RunNo,
    step: &StepId,
    after: u64,
    limit: usize,
) -> Result<Vec<LogLine>, Failure> {
    const LINES: &str = "SELECT line, attempt, at, text FROM step_logs \
         WHERE run_no = ?1 AND step = ?2 AND line > ?3 ORDER BY line LIMIT ?4";
    known(connection, "read logs", run)?;
    let line = |row: &rusqlite::Row<'_>| {
        Ok(LogLine {
            step: step.clone(),
            attempt: Attempt(row.get(1)?),
            line: row.get::<_, i64>(0)? as u64,
            at: row.get(2).map(Timestamp::from_micros)?,
            text: row.get(3)?,
        })
    };
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut lines = connection.prepare_cached(LINES)?;
    let lines = lines.query_map(params![run.0, step.as_str(), after, most(limit)], line)?;
    Ok(lines.collect::<Result<_, _>>()?)
}

pub(crate) fn progress(connection: &Connection, run: RunNo) -> Result<Vec<Progress>, Failure> {
    const LIVE: &str = "SELECT step, percent, message, at FROM live WHERE run_no = ?1 ORDER BY step";
    known(connection, "read progress", run)?;
    let progress = |row: &rusqlite::Row<'_>| {
        let at = row.get(3).map(Timestamp::from_micros)?;
        Ok(Progress { step: text(row, 0, StepId::new)?, percent: row.get(1)?, message: row.get(2)?, at })
    };
    Ok(connection.prepare_cached(LIVE)?.query_map([run.0], progress)?.collect::<Result<_, _>>()?)
}

pub(crate) fn health(connection: &Connection, now: Timestamp) -> Result<StoreHealth, Failure> {
    const COUNT: &str = "SELECT count(*) FROM listings WHERE status = ?1 AND status <> 7";
    let count = |status: Status| {
        let count =
            connection.prepare_cached(COUNT)?.query_row([status.code()], |row| row.get::<_, i64>(0))?;
        Ok::<u64, Failure>(count as u64)
    };
    Ok(StoreHealth {
        oldest_due: next_wake(connection)?.filter(|at| *at <= now),
        last_commit: None,
        stuck: count(Status::Stuck)?,
        quarantined: count(Status::Quarantined)?,
    })
}

/// Numbers of runs after one, in order.
pub(crate) fn runs_after(connection: &Connection, after: RunNo, limit: usize) -> Result<Vec<RunNo>, Failure> {
    const RUNS: &str = "SELECT run_no FROM runs WHERE run_no > ?1 ORDER BY run_no LIMIT ?2";
    let mut runs = connection.prepare_cached(RUNS)?;
    Ok(runs
        .query_map(params![after.0, most(limit)], |row| row.get(0).map(RunNo))?
        .collect::<Result<_, _>>()?)
}
