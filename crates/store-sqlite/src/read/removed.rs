//! Records of runs that were removed.

use super::row::text;
use crate::error::Failure;
use rusqlite::{Connection, params};
use towpath_model::{Actor, Digest, PipelineName, RunId, RunKey, RunNo, Seq, Timestamp};
use towpath_store::RemovedRun;

/// Whether removed runs have left something that was not freed.
pub(crate) fn is_unswept(connection: &Connection) -> Result<bool, Failure> {
    Ok(connection.prepare_cached("SELECT 1 FROM removed WHERE is_swept = 0 LIMIT 1")?.exists([])?)
}

/// The records after a number, in order.
pub(crate) fn removed(
    connection: &Connection,
    after: RunNo,
    limit: usize,
) -> Result<Vec<RemovedRun>, Failure> {
    const REMOVED: &str = "SELECT run_no, run_id, pipeline, run_key, seq, head_hash, removed_at, actor, note \
         FROM removed WHERE run_no > ?1 ORDER BY run_no LIMIT ?2";
    let run = |row: &rusqlite::Row<'_>| {
        Ok(RemovedRun {
            no: RunNo(row.get(0)?),
            run: RunId::from_bytes(row.get(1)?),
            pipeline: text(row, 2, PipelineName::new)?,
            key: text(row, 3, RunKey::new)?,
            seq: Seq(row.get::<_, i64>(4)? as u64),
            hash: Digest(row.get(5)?),
            at: row.get(6).map(Timestamp::from_micros)?,
            by: text(row, 7, Actor::new)?,
            note: row.get(8)?,
        })
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut removed = connection.prepare_cached(REMOVED)?;
    Ok(removed.query_map(params![after.0, limit], run)?.collect::<Result<_, _>>()?)
}
