//! Logs and progress.

use crate::request::Tx;
use rusqlite::{OptionalExtension, params};
use towpath_model::RunNo;
use towpath_store::{LOG_GAP, LogCut, LogLine, LogRoom, Progress, log_pieces};

pub(super) fn write(
    tx: &Tx<'_>,
    run: RunNo,
    logs: &[LogLine],
    progress: &[Progress],
) -> rusqlite::Result<()> {
    for text in logs {
        add(tx, run, text)?;
    }
    for p in progress {
        tx.execute(
            "INSERT OR REPLACE INTO live (run_no, step, percent, message, at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![run.0, p.step.as_str(), p.percent, p.message, p.at.as_micros()],
        )?;
    }
    Ok(())
}

fn add(tx: &Tx<'_>, run: RunNo, text: &LogLine) -> rusqlite::Result<()> {
    const ADD: &str = "INSERT INTO step_logs (run_no, step, attempt, at, text) VALUES (?1, ?2, ?3, ?4, ?5)";
    let (step, attempt) = (text.step.as_str(), text.attempt.0);
    let mut room = room(tx, run, text)?;
    for piece in log_pieces(&text.text) {
        let line = params![run.0, step, attempt, text.at.as_micros(), piece];
        let line = tx.connection.prepare_cached(ADD)?.insert(line)?;
        room.add(line as u64, piece.len());
        while let Some(cut) = room.cut() {
            let Some((line, bytes)) = oldest(tx, run, text, room.head_end)? else { break };
            match cut {
                LogCut::Mark => {
                    tx.execute("UPDATE step_logs SET text = ?1 WHERE line = ?2", params![LOG_GAP, line])?
                }
                LogCut::Delete => tx.execute("DELETE FROM step_logs WHERE line = ?1", [line])?,
            };
            room.was_cut(line as u64, bytes as usize);
        }
    }
    tx.execute(
        "INSERT OR REPLACE INTO log_rooms (run_no, step, attempt, head, tail, head_end, gap) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![run.0, step, attempt, room.head as i64, room.tail as i64, room.head_end as i64, room.gap],
    )?;
    Ok(())
}

fn room(tx: &Tx<'_>, run: RunNo, text: &LogLine) -> rusqlite::Result<LogRoom> {
    const ROOM: &str =
        "SELECT head, tail, head_end, gap FROM log_rooms WHERE run_no = ?1 AND step = ?2 AND attempt = ?3";
    let room = |row: &rusqlite::Row<'_>| {
        let [head, tail, head_end] = [row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?].map(|n| n as u64);
        Ok(LogRoom { head, tail, head_end, gap: row.get(3)? })
    };
    let key = params![run.0, text.step.as_str(), text.attempt.0];
    Ok(tx.connection.prepare_cached(ROOM)?.query_row(key, room).optional()?.unwrap_or_default())
}

/// Number and length of the first line of an attempt after its beginning.
fn oldest(tx: &Tx<'_>, run: RunNo, text: &LogLine, head_end: u64) -> rusqlite::Result<Option<(i64, i64)>> {
    const OLDEST: &str = "SELECT line, octet_length(text) FROM step_logs \
         WHERE run_no = ?1 AND step = ?2 AND line > ?3 AND attempt = ?4 ORDER BY line LIMIT 1";
    let key = params![run.0, text.step.as_str(), head_end as i64, text.attempt.0];
    let oldest = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    tx.connection.prepare_cached(OLDEST)?.query_row(key, oldest).optional()
}
