//! Workers, claims and quarantine.

use super::listing;
use crate::{
    error::{Failure, not_found},
    proof::{Proofs, Proven},
    request::Tx,
};
use rusqlite::{OptionalExtension, params};
use std::{collections::BTreeMap, time::Duration};
use towpath_model::{EntryId, Epoch, Listing, RunId, RunNo, Seq, Status, Timestamp, WorkerId};
use towpath_store::{Claim, Claimed, StoreError, StoreErrorKind};

const TAKEN_OVER: i64 = 1;
const DEAD: i64 = 2;

/// Makes a worker known whose lock is held, so that an earlier life under its id is over.
pub(crate) fn register(tx: &Tx<'_>, worker: &WorkerId, lease: Duration) -> Result<Timestamp, Failure> {
    tx.execute(
        "UPDATE workers SET ended = ?1 WHERE worker = ?2 AND ended = 0",
        params![DEAD, worker.as_str()],
    )?;
    forget(tx)?;
    let deadline = tx.now.plus(lease);
    tx.execute(
        "INSERT INTO workers (worker, alive_at, deadline) VALUES (?1, ?2, ?3)",
        params![worker.as_str(), tx.now.as_micros(), deadline.as_micros()],
    )?;
    Ok(deadline)
}

/// The number of a worker that has not lost its lease.
pub(super) fn alive(tx: &Tx<'_>, operation: &'static str, worker: &WorkerId) -> Result<i64, Failure> {
    let find = "SELECT no FROM workers WHERE worker = ?1 AND ended = 0";
    let no = tx.connection.prepare_cached(find)?.query_row([worker.as_str()], |row| row.get(0)).optional()?;
    no.ok_or_else(|| not_found(operation).with("worker", worker).into())
}

pub(crate) fn heartbeat(tx: &Tx<'_>, worker: &WorkerId, lease: Duration) -> Result<Timestamp, Failure> {
    const BEAT: &str = "UPDATE workers SET alive_at = ?1, deadline = ?2 WHERE worker = ?3 AND ended = 0";
    let deadline = tx.now.plus(lease);
    match tx.execute(BEAT, params![tx.now.as_micros(), deadline.as_micros(), worker.as_str()])? {
        0 => Err(not_found("renew a lease").with("worker", worker).into()),
        _ => Ok(deadline),
    }
}

pub(crate) fn retire(tx: &Tx<'_>, worker: &WorkerId) -> Result<(), Failure> {
    let no = alive(tx, "retire a worker", worker)?;
    tx.execute(
        "UPDATE heads SET epoch = epoch + 1, claims_without_progress = 0 \
         WHERE run_no IN (SELECT run_no FROM driving WHERE owner = ?1)",
        [no],
    )?;
    tx.execute(
        "UPDATE driving SET owner = NULL, ready_at = coalesce((SELECT received_at FROM inbox \
         WHERE inbox.run_no = driving.run_no AND consumed = 0 ORDER BY id LIMIT 1), ?1) WHERE owner = ?2",
        params![tx.now.as_micros(), no],
    )?;
    tx.execute("DELETE FROM workers WHERE no = ?1", [no])?;
    tx.notice();
    Ok(())
}

/// Forgets workers that lost their lease and own nothing more.
fn forget(tx: &Tx<'_>) -> rusqlite::Result<()> {
    const FORGET: &str = "DELETE FROM workers WHERE ended <> 0 AND NOT EXISTS \
         (SELECT 1 FROM driving WHERE owner = workers.no)";
    tx.execute(FORGET, []).map(drop)
}

/// A worker whose runs are free.
struct Gone {
    no: i64,
    alive_at: i64,
    is_dead: bool,
}

/// Leases runs to a worker. The proofs of death that were found are for the caller to clear away once this is durable.
pub(crate) fn claim(
    tx: &Tx<'_>,
    claim: &Claim,
    proofs: &Proofs,
) -> Result<(Vec<Claimed>, Vec<Proven>), Failure> {
    let me = alive(tx, "claim runs", &claim.worker)?;
    let (gone, proven) = gone(tx, me, proofs)?;
    let mut claimed = Vec::new();
    for run in due(tx, me, claim, &gone)? {
        claimed.extend(take(tx, run, me, &gone)?);
    }
    if !gone.is_empty() {
        forget(tx)?;
    }
    Ok((claimed, proven))
}

/// Looks which of the other workers are gone, and notes new proofs.
fn gone(tx: &Tx<'_>, me: i64, proofs: &Proofs) -> Result<(Vec<Gone>, Vec<Proven>), Failure> {
    let mut others = tx
        .connection
        .prepare_cached("SELECT no, worker, alive_at, deadline, ended FROM workers WHERE no <> ?1")?;
    let mut rows = others.query([me])?;
    let (mut gone, mut proven) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let (no, worker, alive_at): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (deadline, ended): (i64, i64) = (row.get(3)?, row.get(4)?);
        // A proof is of the last life of an id, and the earlier ones were ended by the next.
        let proof = if ended == DEAD { None } else { proofs.of_death(&worker) };
        let is_dead = ended == DEAD || proof.is_some();
        if is_dead || ended == TAKEN_OVER || deadline <= tx.now.as_micros() {
            gone.push(Gone { no, alive_at, is_dead });
        }
        proven.extend(proof);
    }
    for worker in gone.iter().filter(|w| w.is_dead) {
        tx.execute("UPDATE workers SET ended = ?1 WHERE no = ?2", params![DEAD, worker.no])?;
    }
    Ok((gone, proven))
}

const DUE: &str = "SELECT run_no, wake_at FROM driving WHERE owner IS NULL AND wake_at IS NOT NULL \
     AND wake_at <= ?1 AND (?3 IS NULL OR run_no = ?3) ORDER BY wake_at, run_no LIMIT ?2";
const READY: &str = "SELECT run_no, ready_at FROM driving WHERE owner IS NULL AND ready_at IS NOT NULL \
     AND ready_at <= ?1 AND (?3 IS NULL OR run_no = ?3) ORDER BY ready_at, run_no LIMIT ?2";
const OWNED: &str = "SELECT run_no, ?1 FROM driving JOIN listings USING (run_no) WHERE owner = ?4 \
     AND (?3 IS NULL OR run_no = ?3) AND NOT (status = ?5 AND ready_at IS NULL) ORDER BY run_no LIMIT ?2";

/// The runs that wait for somebody, the longest due first.
fn due(tx: &Tx<'_>, me: i64, claim: &Claim, gone: &[Gone]) -> Result<Vec<i64>, Failure> {
    let only = match claim.only {
        None => None,
        Some(run) => match number(tx, run)? {
            Some(no) => Some(no),
            None => return Ok(Vec::new()),
        },
    };
    let limit = i64::try_from(claim.limit).unwrap_or(i64::MAX);
    let mut due = BTreeMap::<i64, i64>::new();
    let mut add = |row: &rusqlite::Row<'_>| {
        let (run, at): (i64, i64) = (row.get(0)?, row.get(1)?);
        due.entry(run).and_modify(|before| *before = at.min(*before)).or_insert(at);
        rusqlite::Result::Ok(())
    };
    let now = tx.now.as_micros();
    for (sql, until) in [(DUE, now), (READY, i64::MAX)] {
        let mut statement = tx.connection.prepare_cached(sql)?;
        statement.query_map(params![until, limit, only], &mut add)?.collect::<Result<(), _>>()?;
    }
    for worker in gone {
        debug_assert_ne!(worker.no, me);
        let mut statement = tx.connection.prepare_cached(OWNED)?;
        let of = params![worker.alive_at, limit, only, worker.no, Status::Quarantined.code()];
        statement.query_map(of, &mut add)?.collect::<Result<(), _>>()?;
    }
    let mut due: Vec<(i64, i64)> = due.into_iter().map(|(run, at)| (at, run)).collect();
    due.sort_unstable();
    Ok(due.into_iter().take(claim.limit).map(|(_, run)| run).collect())
}

fn number(tx: &Tx<'_>, run: RunId) -> rusqlite::Result<Option<i64>> {
    let find = "SELECT run_no FROM runs WHERE run_id = ?1";
    tx.connection.prepare_cached(find)?.query_row([run.as_bytes()], |row| row.get(0)).optional()
}

/// Gives a run to a worker. A run that has lost its rows is not there.
fn take(tx: &Tx<'_>, run: i64, me: i64, gone: &[Gone]) -> Result<Option<Claimed>, Failure> {
    const FIND: &str = "SELECT run_id, owner FROM runs JOIN driving USING (run_no) WHERE run_no = ?1";
    const RAISE: &str = "UPDATE heads SET epoch = epoch + 1, claims_without_progress = claims_without_progress + ?2 \
         WHERE run_no = ?1 RETURNING epoch, claims_without_progress";
    let find = |row: &rusqlite::Row<'_>| Ok((RunId::from_bytes(row.get(0)?), row.get::<_, Option<i64>>(1)?));
    let found = tx.connection.prepare_cached(FIND)?.query_row([run], find).optional()?;
    let Some((id, before)) = found else { return Ok(None) };
    let raised = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get(1)?));
    // Only who takes over counts: one that was free has killed nobody.
    let (epoch, takeovers) =
        tx.connection.prepare_cached(RAISE)?.query_row([run, i64::from(before.is_some())], raised)?;
    tx.execute("UPDATE driving SET owner = ?1 WHERE run_no = ?2", params![me, run])?;
    let before = before.and_then(|no| gone.iter().find(|w| w.no == no));
    let lives = before.filter(|w| !w.is_dead);
    if let Some(worker) = lives {
        tx.execute("UPDATE workers SET ended = ?1 WHERE no = ?2", params![TAKEN_OVER, worker.no])?;
    }
    Ok(Some(Claimed {
        no: RunNo(run),
        run: id,
        epoch: Epoch(epoch as u64),
        taken_over: before.is_some(),
        predecessor_alive_at: before.map(|w| Timestamp::from_micros(w.alive_at)),
        death_proven: before.is_some_and(|w| w.is_dead),
        takeovers_without_progress: takeovers,
    }))
}

pub(crate) fn quarantine(
    tx: &Tx<'_>,
    run: RunNo,
    epoch: Epoch,
    seq: Seq,
    reason: &str,
    seen: Option<EntryId>,
) -> Result<(), Failure> {
    const OPERATION: &str = "quarantine a run";
    let find = "SELECT epoch FROM heads WHERE run_no = ?1";
    let found =
        tx.connection.prepare_cached(find)?.query_row([run.0], |row| row.get::<_, i64>(0)).optional()?;
    let found = found.ok_or_else(|| not_found(OPERATION).with("run", run))?;
    if found != epoch.0 as i64 {
        let lost = StoreError::new(StoreErrorKind::Invalid, OPERATION).with("run", run);
        return Err(lost.with("epoch", epoch).with("found", found).into());
    }
    let note = format!("event {seq}: {reason}");
    listing::set(tx, run, &Listing { status: Status::Quarantined, note, outcome: None })?;
    tx.execute("UPDATE heads SET epoch = epoch + 1, claims_without_progress = 0 WHERE run_no = ?1", [run.0])?;
    // What was put there since its driver looked has not been answered.
    tx.execute(
        "UPDATE driving SET owner = NULL, wake_at = NULL, ready_at = (SELECT received_at FROM inbox \
         WHERE run_no = ?1 AND consumed = 0 AND sent = 0 AND id > ?2 ORDER BY id LIMIT 1) WHERE run_no = ?1",
        params![run.0, seen.map_or(0, |id| id.0)],
    )?;
    tx.notice();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However many runs are parked, a claim looks only at those that are due.
    #[test]
    fn claims_go_through_an_index_and_sort_nothing() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::open::MIGRATIONS[0]).unwrap();
        for (sql, index) in [(DUE, "driving_due"), (READY, "driving_ready"), (OWNED, "driving_owned")] {
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let nothing = vec![rusqlite::types::Null; explain.parameter_count()];
            let rows = explain.query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>(3));
            let plan = rows.unwrap().collect::<Result<Vec<_>, _>>().unwrap().join("; ");
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}
