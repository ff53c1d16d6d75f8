//! Named locks and their queues.

use super::inbox;
use crate::{error::Failure, request::Tx};
use rusqlite::{OptionalExtension, params};
use towpath_model::{Name, RunId, RunNo, Seq};
use towpath_store::{LockChange, lock_grant};

pub(super) fn change(tx: &Tx<'_>, run: RunNo, change: &LockChange) -> Result<(), Failure> {
    match change {
        LockChange::Ask { lock, asked } => ask(tx, run, lock.as_str(), *asked),
        LockChange::Return(lock) => leave(tx, run, lock.as_str()),
    }
}

fn ask(tx: &Tx<'_>, run: RunNo, lock: &str, asked: Seq) -> Result<(), Failure> {
    tx.execute("INSERT OR IGNORE INTO locks (lock, holder, fence) VALUES (?1, NULL, 0)", [lock])?;
    // Asking for what it holds, or queues for, changes nothing.
    tx.execute(
        "INSERT OR IGNORE INTO lock_queue (lock, run_no, asked, since) \
         SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM locks WHERE lock = ?1 AND holder = ?2)",
        params![lock, run.0, asked.0 as i64, tx.now.as_micros()],
    )?;
    grant(tx, lock)
}

fn leave(tx: &Tx<'_>, run: RunNo, lock: &str) -> Result<(), Failure> {
    tx.execute("DELETE FROM lock_queue WHERE lock = ?1 AND run_no = ?2", params![lock, run.0])?;
    let returned = "UPDATE locks SET holder = NULL, since = NULL WHERE lock = ?1 AND holder = ?2";
    if tx.execute(returned, params![lock, run.0])? > 0 {
        grant(tx, lock)?;
    }
    Ok(())
}

/// What a run that is over does with everything that it holds and queues for.
pub(super) fn leave_all(tx: &Tx<'_>, run: RunNo) -> Result<(), Failure> {
    tx.execute("DELETE FROM lock_queue WHERE run_no = ?1", [run.0])?;
    let held: Vec<String> = {
        let mut held = tx.connection.prepare_cached("SELECT lock FROM locks WHERE holder = ?1")?;
        held.query_map([run.0], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    held.iter().try_for_each(|lock| leave(tx, run, lock))
}

/// Gives a free lock to the first in its queue.
fn grant(tx: &Tx<'_>, lock: &str) -> Result<(), Failure> {
    const NEXT: &str = "SELECT lock_queue.id, run_no, run_id, fence, asked FROM locks JOIN lock_queue USING (lock) \
         JOIN runs USING (run_no) WHERE lock = ?1 AND holder IS NULL ORDER BY lock_queue.id LIMIT 1";
    let next = |row: &rusqlite::Row<'_>| {
        let run: [u8; 16] = row.get(2)?;
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, run, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?))
    };
    let next = tx.connection.prepare_cached(NEXT)?.query_row([lock], next).optional()?;
    let Some((place, run, run_id, fence, asked)) = next else { return Ok(()) };
    let fence = fence + 1;
    tx.execute("DELETE FROM lock_queue WHERE id = ?1", [place])?;
    tx.execute(
        "UPDATE locks SET holder = ?1, fence = ?2, since = ?3 WHERE lock = ?4",
        params![run, fence, tx.now.as_micros(), lock],
    )?;
    let name = Name::new(lock).map_err(|_| crate::error::corrupt("grant a lock", "the name of a lock"))?;
    inbox::send(tx, RunId::from_bytes(run_id), &lock_grant(&name, fence as u64, Seq(asked as u64)))
}
