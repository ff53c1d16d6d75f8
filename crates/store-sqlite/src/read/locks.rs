//! Who holds and who waits.

use super::row::text;
use crate::error::Failure;
use rusqlite::Connection;
use towpath_model::{Name, RunId, Timestamp};
use towpath_store::LockRow;

pub(crate) fn locks(connection: &Connection) -> Result<Vec<LockRow>, Failure> {
    const HELD: &str =
        "SELECT lock, fence, run_id, since FROM locks JOIN runs ON runs.run_no = holder ORDER BY lock";
    const QUEUE: &str =
        "SELECT run_id, since FROM lock_queue JOIN runs USING (run_no) WHERE lock = ?1 ORDER BY id";
    let held = |row: &rusqlite::Row<'_>| {
        let holder = (RunId::from_bytes(row.get(2)?), Timestamp::from_micros(row.get(3)?));
        Ok(LockRow {
            lock: text(row, 0, Name::new)?,
            fence: row.get::<_, i64>(1)? as u64,
            holder: Some(holder),
            queue: Vec::new(),
        })
    };
    let waits =
        |row: &rusqlite::Row<'_>| Ok((RunId::from_bytes(row.get(0)?), Timestamp::from_micros(row.get(1)?)));
    let mut rows: Vec<LockRow> = {
        let mut all = connection.prepare_cached(HELD)?;
        all.query_map([], held)?.collect::<Result<_, _>>()?
    };
    let mut queue = connection.prepare_cached(QUEUE)?;
    for row in &mut rows {
        row.queue = queue.query_map([row.lock.as_str()], waits)?.collect::<Result<_, _>>()?;
    }
    Ok(rows)
}
