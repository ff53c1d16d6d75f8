//! The table of what was applied.

use super::fault;
use rusqlite::{Connection, Row, named_params};
use towpath_model::{Digest, Key, Timestamp};
use towpath_provider::{AppliedMigration, AppliedState, Migration, MigrationPhase, ProviderError};

/// Format of the rows that this release writes.
const FORMAT: i64 = 1;

/// The name of the table is [`HISTORY_TABLE`](towpath_provider::HISTORY_TABLE).
const CREATE: &str = "CREATE TABLE IF NOT EXISTS towpath_migrations (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('expand', 'contract')),
    state TEXT NOT NULL CHECK (state IN ('begun', 'done')),
    applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    applied_by TEXT NOT NULL,
    format INTEGER NOT NULL DEFAULT 1
) STRICT";

const INSERT: &str =
    "INSERT INTO towpath_migrations (number, id, name, checksum, phase, state, applied_by, format)
    VALUES (:number, :id, :name, :checksum, :phase, :state, :key, :format)";

const SELECT: &str = "SELECT number, id, name, checksum, phase, state,
    CAST(round(unixepoch(applied_at, 'subsec') * 1e6) AS INTEGER), applied_by, format
    FROM towpath_migrations ORDER BY number";

/// Makes the table when it is not there.
pub(super) fn create(connection: &Connection) -> Result<(), ProviderError> {
    connection.execute_batch(CREATE).map_err(fault::before)
}

/// What was applied, in order.
pub(super) fn read(connection: &Connection) -> Result<Vec<AppliedMigration>, ProviderError> {
    if !connection.table_exists(None, towpath_provider::HISTORY_TABLE).map_err(fault::before)? {
        return Ok(Vec::new());
    }
    let mut select = connection.prepare(SELECT).map_err(fault::before)?;
    let rows = select.query_map([], |row| Ok(applied(row))).map_err(fault::before)?;
    rows.map(|row| row.map_err(fault::before)?).collect()
}

fn applied(row: &Row<'_>) -> Result<AppliedMigration, ProviderError> {
    let number = row.get(0).map_err(fault::before)?;
    let unreadable = |what: &str| {
        ProviderError::unexpected(format!("the row {number} of the history has {what} that cannot be read"))
    };
    match row.get(8).map_err(|_| unreadable("a format"))? {
        FORMAT => {}
        other => {
            return Err(ProviderError::unsupported(format!(
                "the row {number} of the history has the format {other}, which a newer Towpath wrote: take that"
            )));
        }
    }
    let word = |index: usize, what: &str| row.get::<_, String>(index).map_err(|_| unreadable(what));
    let checksum = Digest::parse(&word(3, "a checksum")?);
    let at: Option<i64> = row.get(6).map_err(|_| unreadable("a time"))?;
    Ok(AppliedMigration {
        number,
        id: word(1, "an id")?,
        name: word(2, "a name")?,
        checksum: checksum.ok_or_else(|| unreadable("a checksum"))?,
        phase: MigrationPhase::parse(&word(4, "a phase")?).ok_or_else(|| unreadable("a phase"))?,
        state: AppliedState::parse(&word(5, "a state")?).ok_or_else(|| unreadable("a state"))?,
        at: Timestamp::from_micros(at.ok_or_else(|| unreadable("a time"))?),
        by: word(7, "a key")?,
    })
}

/// Writes the row of a migration.
pub(super) fn insert(
    connection: &Connection,
    migration: &Migration,
    state: AppliedState,
    key: &Key,
) -> Result<(), ProviderError> {
    let row = named_params! {
        ":number": migration.number(),
        ":id": migration.id(),
        ":name": migration.name(),
        ":checksum": migration.checksum().to_string(),
        ":phase": migration.phase().as_str(),
        ":state": state.as_str(),
        ":key": key.as_str(),
        ":format": FORMAT,
    };
    connection.execute(INSERT, row).map(drop).map_err(fault::before)
}

/// Writes that a migration without a transaction has ended well.
pub(super) fn done(connection: &Connection, number: i64) -> Result<(), rusqlite::Error> {
    let update = "UPDATE towpath_migrations SET state = 'done' WHERE number = ?1 AND state = 'begun'";
    connection.execute(update, [number]).map(drop)
}

/// Takes the row of a migration without a transaction away that has not happened.
pub(super) fn take_back(connection: &Connection, number: i64) -> Result<(), rusqlite::Error> {
    let delete = "DELETE FROM towpath_migrations WHERE number = ?1 AND state = 'begun'";
    connection.execute(delete, [number]).map(drop)
}
