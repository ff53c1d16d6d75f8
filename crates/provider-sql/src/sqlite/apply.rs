//! Applying what is pending.

use super::{
    Sqlite, fault,
    guard::{Guard, Whose},
    history, lock,
    stop::Stop,
};
use crate::invalid::invalid;
use rusqlite::{Batch, Connection, fallible_iterator::FallibleIterator};
use towpath_model::Key;
use towpath_provider::{AppliedMigration, AppliedState, Migration, Migrations, ProviderError};

/// How many operations of SQLite's machine may pass until it looks whether to go on: well below a millisecond.
const OPERATIONS: i32 = 10_000;

/// Applies what is pending, and answers the history.
pub(super) fn apply(
    database: &Sqlite,
    migrations: &Migrations,
    key: &Key,
    stop: &Stop,
) -> Result<Vec<AppliedMigration>, ProviderError> {
    if !database.create && !database.path.exists() {
        return Err(database.missing());
    }
    let _lock = lock::exclusive(database, key, stop)?;
    let mut connection = database.open()?;
    let guard = Guard::on(&mut connection)?;
    let flag = stop.clone();
    let broken_off = move || flag.is_raised();
    connection.progress_handler(OPERATIONS, Some(broken_off)).map_err(fault::before)?;
    let applied = history::read(&connection)?;
    for migration in migrations.pending(&applied)? {
        if stop.is_raised() {
            return Err(ProviderError::unavailable("it was broken off").with("before", migration.file()));
        }
        one(&connection, &guard, migration, key)
            .map_err(|error| error.with("migration", migration.file()))?;
    }
    history::read(&connection)
}

fn one(
    connection: &Connection,
    guard: &Guard,
    migration: &Migration,
    key: &Key,
) -> Result<(), ProviderError> {
    // The switch does nothing inside a transaction.
    let enforced = !migration.foreign_keys_off();
    connection.pragma_update(None, "foreign_keys", enforced).map_err(fault::before)?;
    if migration.in_transaction() {
        within_transaction(connection, guard, migration, key)
    } else {
        without_transaction(connection, guard, migration, key)
    }
}

fn within_transaction(
    connection: &Connection,
    guard: &Guard,
    migration: &Migration,
    key: &Key,
) -> Result<(), ProviderError> {
    connection.execute_batch("BEGIN IMMEDIATE").map_err(fault::before)?;
    let changed = change(connection, guard, migration, key);
    let committed = changed.and_then(|()| {
        connection
            .execute_batch("COMMIT")
            .map_err(|error| fault::at_commit(error, connection.is_autocommit()))
    });
    if committed.is_err() && !connection.is_autocommit() {
        // What fails here is undone by whoever opens the file next: nothing was committed.
        let _ = connection.execute_batch("ROLLBACK");
    }
    committed
}

/// Everything of a migration between the two ends of its transaction.
fn change(
    connection: &Connection,
    guard: &Guard,
    migration: &Migration,
    key: &Key,
) -> Result<(), ProviderError> {
    history::create(connection)?;
    statements(connection, guard, migration)?;
    if migration.foreign_keys_off() {
        check_foreign_keys(connection)?;
    }
    history::insert(connection, migration, AppliedState::Done, key)
}

/// Runs each statement to its end: a `SELECT` may call what changes something in every row.
fn statements(connection: &Connection, guard: &Guard, migration: &Migration) -> Result<(), ProviderError> {
    let watching = guard.watch(Whose::InTransaction);
    let mut batch = Batch::new(connection, migration.sql());
    let mut count = 0;
    loop {
        count += 1;
        let place = |error: rusqlite::Error| {
            let line = line(migration, &error);
            let error = watching.explain(error).with("statement", count);
            line.into_iter().fold(error, |error, line| error.with("line", line))
        };
        let Some(mut statement) = batch.next().map_err(place)? else { return Ok(()) };
        let mut rows = statement.raw_query();
        while rows.next().map_err(place)?.is_some() {}
    }
}

/// The line that SQLite's parser stopped at.
fn line(migration: &Migration, error: &rusqlite::Error) -> Option<usize> {
    let rusqlite::Error::SqlInputError { sql, offset, .. } = error else { return None };
    let before = migration.sql().strip_suffix(sql.as_str())?.len();
    let at = before + usize::try_from(*offset).ok()?;
    Some(migration.sql().get(..at)?.matches('\n').count() + 1)
}

fn check_foreign_keys(connection: &Connection) -> Result<(), ProviderError> {
    let mut check = connection.prepare("PRAGMA foreign_key_check").map_err(fault::before)?;
    let mut rows = check.query([]).map_err(fault::before)?;
    let Some(row) = rows.next().map_err(fault::before)? else { return Ok(()) };
    let [table, parent]: [String; 2] =
        [row.get(0).map_err(fault::before)?, row.get(2).map_err(fault::before)?];
    let of: Option<i64> = row.get(1).map_err(fault::before)?;
    let row = of.map_or("a row".to_owned(), |of| format!("the row {of}"));
    Err(invalid(format!("it would leave {row} of {table} without what it refers to in {parent}")))
}

/// One statement that cannot be part of a transaction: its row is written before and after.
fn without_transaction(
    connection: &Connection,
    guard: &Guard,
    migration: &Migration,
    key: &Key,
) -> Result<(), ProviderError> {
    history::create(connection)?;
    {
        let watching = guard.watch(Whose::Alone);
        let mut batch = Batch::new(connection, migration.sql());
        drop(batch.next().map_err(|error| watching.explain(error))?);
        // What cannot be read is more than nothing.
        if !matches!(batch.next(), Ok(None)) {
            return Err(invalid(
                "a migration without a transaction is one statement, so that nobody has to guess how far it went: give \
                 each a file of its own",
            ));
        }
    }
    history::insert(connection, migration, AppliedState::Begun, key)?;
    // Not watched: `VACUUM` opens transactions of its own, and the statement was looked at above.
    match connection.execute_batch(migration.sql()) {
        Ok(()) => history::done(connection, migration.number()).map_err(|error| {
            let said = fault::words(&error);
            ProviderError::outcome_unknown(format!("it is done, and its row could not say so: {said}"))
        }),
        // A statement of SQLite takes effect as a whole or not at all.
        Err(failure) => match history::take_back(connection, migration.number()) {
            Ok(()) => Err(fault::before(failure)),
            Err(error) => Err(ProviderError::outcome_unknown(format!(
                "it failed, and its row could not be taken back: {}",
                fault::words(&error)
            ))
            .because(fault::before(failure))),
        },
    }
}
