//! The floor: rows of the same sizes as the engine writes, appended by one thread with nothing around it.

use crate::BoxError;
use rusqlite::{Connection, TransactionBehavior, params};
use std::{path::Path, time::Instant};

/// Bytes of one transition's rows, as the engine writes them: measured from a journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    /// Events in one transition.
    pub(crate) events: usize,
    /// Bytes of an event's header.
    pub(crate) header: usize,
    /// Bytes of an event's payload, on the average.
    pub(crate) payload: usize,
}

/// Transitions per second, committed one by one or in groups.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn transitions_per_second(
    folder: &Path,
    full: bool,
    rows: Rows,
    total: usize,
    group: usize,
) -> Result<f64, BoxError> {
    let file = folder.join("floor.db");
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.join(format!("floor.db{suffix}")));
    }
    let runs = group.max(1) as i64;
    let mut db = open(&file, full, runs)?;
    let (header, payload) = (vec![7u8; rows.header], vec![b'x'; rows.payload]);
    let hash = vec![9u8; 32];
    let start = Instant::now();
    let mut done = 0usize;
    while done < total {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut event = tx.prepare_cached(
                "INSERT INTO events(run_no, seq, prev_id, header, payload) VALUES(?,?,?,?,?)",
            )?;
            let mut head = tx.prepare_cached(
                "UPDATE heads SET seq = seq + ?, head_id = ?, head_hash = ? WHERE run_no = ? AND seq = ? AND epoch = 1",
            )?;
            for i in 0..group {
                let run = (i as i64) % runs;
                let seq = (done / group * rows.events) as i64;
                for n in 0..rows.events as i64 {
                    event.execute(params![run, seq + n, 0, header, payload])?;
                }
                let changed =
                    head.execute(params![rows.events as i64, tx.last_insert_rowid(), hash, run, seq])?;
                assert_eq!(changed, 1, "the floor's own rows are where it left them");
            }
        }
        tx.commit()?;
        done += group;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}

fn open(file: &Path, full: bool, runs: i64) -> Result<Connection, BoxError> {
    let db = Connection::open(file)?;
    let synchronous = if full { "FULL" } else { "NORMAL" };
    db.execute_batch(&format!(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous}; PRAGMA cache_size=-65536;
         PRAGMA wal_autocheckpoint=0;
         CREATE TABLE events(id INTEGER PRIMARY KEY, run_no INTEGER, seq INTEGER, prev_id INTEGER, header BLOB, payload BLOB);
         CREATE TABLE heads(run_no INTEGER PRIMARY KEY, seq INTEGER, epoch INTEGER, head_id INTEGER, head_hash BLOB);
         BEGIN;"
    ))?;
    for run in 0..runs {
        db.execute("INSERT INTO heads VALUES(?, 0, 1, 0, NULL)", [run])?;
    }
    db.execute_batch("COMMIT")?;
    Ok(db)
}
