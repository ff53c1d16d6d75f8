//! Entries.

use crate::{
    error::{Failure, not_found},
    request::Tx,
};
use rusqlite::{OptionalExtension, params};
use towpath_model::{EntryId, NewEntry, RunId, RunNo, Status, limits};
use towpath_store::Put;

pub(crate) fn put_entry(tx: &Tx<'_>, run: RunId, entry: &NewEntry) -> Result<Put, Failure> {
    let to = inbox(tx, run)?.ok_or_else(|| not_found("put an entry").with("run", run))?;
    if is_seen(tx, to.run, entry)? {
        return Ok(Put::Duplicate);
    }
    if to.is_over {
        return Ok(Put::Settled);
    }
    if to.waiting >= limits::INBOX_ENTRIES as i64 {
        return Ok(Put::Full);
    }
    take(tx, to.run, entry, By::Somebody)?;
    tx.notice();
    Ok(Put::Accepted)
}

/// An entry from another run or from the store itself: taken whatever the inbox holds, dropped when nobody is there to
/// read it.
pub(super) fn send(tx: &Tx<'_>, run: RunId, entry: &NewEntry) -> Result<(), Failure> {
    match inbox(tx, run)? {
        Some(to) if !to.is_over && !is_seen(tx, to.run, entry)? => {
            Ok(take(tx, to.run, entry, By::Run { wakes: !to.is_quarantined })?)
        }
        _ => Ok(()),
    }
}

/// An entry for a run that may be over, or about to be: then it can be claimed once more.
pub(super) fn recall(tx: &Tx<'_>, run: RunId, entry: &NewEntry) -> Result<(), Failure> {
    match inbox(tx, run)? {
        Some(to) if !is_seen(tx, to.run, entry)? => Ok(take(tx, to.run, entry, By::Recall)?),
        _ => Ok(()),
    }
}

/// Whose entry it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// Somebody from outside.
    Somebody,
    /// Another run or the store.
    Run { wakes: bool },
    /// The run that it is an item of; it is read though the run is over.
    Recall,
}

struct Inbox {
    run: RunNo,
    is_over: bool,
    is_quarantined: bool,
    waiting: i64,
}

fn inbox(tx: &Tx<'_>, run: RunId) -> rusqlite::Result<Option<Inbox>> {
    const FIND: &str = "SELECT run_no, status, waiting FROM runs JOIN listings USING (run_no) JOIN driving USING (run_no) \
         WHERE run_id = ?1";
    let found = |row: &rusqlite::Row<'_>| {
        let status: i64 = row.get(1)?;
        Ok(Inbox {
            run: RunNo(row.get(0)?),
            is_over: status == Status::Settled.code(),
            is_quarantined: status == Status::Quarantined.code(),
            waiting: row.get(2)?,
        })
    };
    tx.connection.prepare_cached(FIND)?.query_row([run.as_bytes()], found).optional()
}

fn is_seen(tx: &Tx<'_>, run: RunNo, entry: &NewEntry) -> rusqlite::Result<bool> {
    let mut seen =
        tx.connection.prepare_cached("SELECT 1 FROM inbox WHERE run_no = ?1 AND dedupe_id = ?2")?;
    seen.exists(params![run.0, entry.dedupe_id.as_str()])
}

fn take(tx: &Tx<'_>, run: RunNo, entry: &NewEntry, by: By) -> rusqlite::Result<()> {
    const READY: &str =
        "UPDATE driving SET waiting = waiting + 1, ready_at = coalesce(ready_at, ?1) WHERE run_no = ?2";
    const WAITS: &str = "UPDATE driving SET waiting = waiting + 1 WHERE run_no = ?1";
    let NewEntry { dedupe_id, actor, message } = entry;
    let now = tx.now.as_micros();
    tx.execute(
        "INSERT INTO inbox (run_no, dedupe_id, actor, message, received_at, recalls, sent) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            run.0,
            dedupe_id.as_str(),
            actor.as_str(),
            message.as_str(),
            now,
            by == By::Recall,
            matches!(by, By::Run { .. })
        ],
    )?;
    if by == (By::Run { wakes: false }) {
        tx.execute(WAITS, [run.0])?;
    } else {
        tx.execute(READY, params![now, run.0])?;
    }
    Ok(())
}

/// Marks entries as consumed. Their dedupe ids stay; what they said is in the journal.
pub(super) fn consume(tx: &Tx<'_>, run: RunNo, entries: &[EntryId]) -> rusqlite::Result<()> {
    const CONSUME: &str =
        "UPDATE inbox SET consumed = 1, message = '' WHERE id = ?1 AND run_no = ?2 AND consumed = 0";
    let mut consumed = 0;
    for id in entries {
        consumed += tx.execute(CONSUME, params![id.0, run.0])?;
    }
    let count = "UPDATE driving SET waiting = max(waiting - ?1, 0) WHERE run_no = ?2";
    tx.execute(count, params![consumed as i64, run.0]).map(drop)
}
