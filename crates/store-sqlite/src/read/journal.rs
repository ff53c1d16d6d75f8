//! Events of a run, found by walking back from its head.

use crate::error::{Failure, corrupt, not_found};
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::{Mutex, PoisonError};
use towpath_model::{RunNo, Seq, StoredEvent};

const OPERATION: &str = "read events";

/// Journals that somebody reads in pages: where their events are, so that not every page walks all the way back. An
/// event never moves.
#[derive(Debug, Default)]
pub(crate) struct Trails(Mutex<Vec<Trail>>);

/// Trails that are remembered.
const REMEMBERED: usize = 4;

#[derive(Clone, Debug)]
struct Trail {
    run: RunNo,
    /// Number of the event whose id is the first.
    first: i64,
    ids: Vec<i64>,
}

impl Trail {
    fn last(&self) -> i64 {
        self.first + self.ids.len() as i64 - 1
    }
}

impl Trails {
    /// What is known of a run's events from this number on.
    fn take(&self, run: RunNo, from: i64) -> Option<Trail> {
        let mut trails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = trails.iter().position(|t| t.run == run)?;
        let trail = trails.swap_remove(found);
        (trail.first <= from && from <= trail.last()).then_some(trail)
    }

    fn put(&self, trail: Trail) {
        let mut trails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trails.retain(|t| t.run != trail.run);
        trails.truncate(REMEMBERED - 1);
        trails.insert(0, trail);
    }
}

/// The events of a run after a number, at most so many.
pub(crate) fn events(
    connection: &Connection,
    trails: &Trails,
    run: RunNo,
    after: Seq,
    limit: usize,
) -> Result<Vec<StoredEvent>, Failure> {
    // One transaction: the head and what hangs on it belong together.
    let transaction = connection.unchecked_transaction()?;
    let find = "SELECT seq, head_id FROM heads WHERE run_no = ?1";
    let head = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let head = transaction.prepare_cached(find)?.query_row([run.0], head).optional()?;
    let (seq, head_id) = head.ok_or_else(|| not_found(OPERATION).with("run", run))?;
    let from = i64::try_from(after.0).unwrap_or(i64::MAX).saturating_add(1);
    if from > seq || limit == 0 {
        return Ok(Vec::new());
    }
    let trail = walk(&transaction, trails.take(run, from), run, from, (seq, head_id))?;
    let begin = usize::try_from(from - trail.first).unwrap_or(0);
    let wanted = trail.ids[begin..].iter().take(limit);
    let events = (from..).zip(wanted).map(|(seq, id)| event(&transaction, run, seq, *id)).collect();
    if trail.ids.len() - begin > limit {
        trails.put(trail);
    }
    events
}

/// The ids of a run's events from a number to its head: what is known of them, and a walk over the rest.
fn walk(
    connection: &Connection,
    known: Option<Trail>,
    run: RunNo,
    from: i64,
    (seq, head_id): (i64, i64),
) -> Result<Trail, Failure> {
    const BACK: &str = "SELECT prev_id FROM events WHERE id = ?1 AND run_no = ?2 AND seq = ?3";
    let mut trail = known.unwrap_or(Trail { run, first: from, ids: Vec::new() });
    let mut back = connection.prepare_cached(BACK)?;
    let (mut id, mut rest) = (head_id, Vec::new());
    for seq in (trail.last() + 1..=seq).rev() {
        rest.push(id);
        let prev = back.query_row(params![id, run.0, seq], |row| row.get(0)).optional()?;
        id = prev.ok_or_else(|| broken(run, seq))?;
    }
    trail.ids.extend(rest.into_iter().rev());
    Ok(trail)
}

fn event(connection: &Connection, run: RunNo, seq: i64, id: i64) -> Result<StoredEvent, Failure> {
    const EVENT: &str = "SELECT header, payload FROM events WHERE id = ?1 AND run_no = ?2 AND seq = ?3";
    let event = |row: &rusqlite::Row<'_>| Ok(StoredEvent { header: row.get(0)?, payload: row.get(1)? });
    let found = connection.prepare_cached(EVENT)?.query_row(params![id, run.0, seq], event).optional()?;
    found.ok_or_else(|| broken(run, seq))
}

fn broken(run: RunNo, seq: i64) -> Failure {
    corrupt(OPERATION, "an event is missing").with("run", run).with("event", seq).into()
}
