//! Applying what is pending.

use super::{Postgres, fault, history::History, scan, session};
use crate::invalid::invalid;
use tokio_postgres::Client;
use towpath_model::Key;
use towpath_provider::{AppliedMigration, AppliedState, Migration, Migrations, ProviderError};

/// Applies what is pending, and answers the history.
pub(super) async fn apply(
    database: &Postgres,
    client: &Client,
    migrations: &Migrations,
    key: &Key,
) -> Result<Vec<AppliedMigration>, ProviderError> {
    let history = History::of(client).await?;
    let applied = history.read(client).await?;
    let pending = migrations.pending(&applied)?;
    for migration in &pending {
        look(migration).map_err(|error| error.with("migration", migration.file()))?;
    }
    for migration in pending {
        let one = if migration.in_transaction() {
            within_transaction(client, &history, migration, key).await
        } else {
            without_transaction(client, &history, migration, key).await
        };
        one.map_err(|error| error.with("migration", migration.file()))?;
        session::prepare(client, database.lock_timeout).await?;
    }
    history.read(client).await
}

/// What can be seen before anything runs.
fn look(migration: &Migration) -> Result<(), ProviderError> {
    let statements = scan::statements(migration.sql());
    if migration.foreign_keys_off() {
        return Err(ProviderError::unsupported(
            "`foreign-keys off` is for SQLite: drop the constraint and add it again, or declare it DEFERRABLE",
        ));
    }
    if statements.iter().any(scan::Statement::wants_data) {
        return Err(invalid("COPY … FROM STDIN has its data behind it, which is no SQL: write INSERT"));
    }
    if statements.iter().any(scan::Statement::controls_transaction) {
        return Err(invalid(
            "BEGIN, COMMIT, END and ROLLBACK are not for migrations: each runs in a transaction of its own, with its row of \
             the history; take them out",
        ));
    }
    if !migration.in_transaction() && statements.len() != 1 {
        return Err(invalid(
            "a migration without a transaction is one statement, so that nobody has to guess how far it went: give each a \
             file of its own",
        ));
    }
    Ok(())
}

async fn within_transaction(
    client: &Client,
    history: &History,
    migration: &Migration,
    key: &Key,
) -> Result<(), ProviderError> {
    client.batch_execute("BEGIN").await.map_err(fault::before)?;
    if let Err(error) = change(client, history, migration, key).await {
        // What fails here was rolled back when the session ended.
        let _ = client.batch_execute("ROLLBACK").await;
        return Err(error);
    }
    client.batch_execute("COMMIT").await.map_err(fault::at_commit)
}

/// Everything of a migration between the two ends of its transaction.
async fn change(
    client: &Client,
    history: &History,
    migration: &Migration,
    key: &Key,
) -> Result<(), ProviderError> {
    history.create(client).await?;
    let before = transaction(client).await?;
    client.batch_execute(migration.sql()).await.map_err(|error| {
        let line = fault::position(&error).map(|at| line(migration.sql(), at));
        line.into_iter().fold(fault::before(error), |error, line| error.with("line", line))
    })?;
    // A file may have become somebody else for its statements.
    client.batch_execute("RESET SESSION AUTHORIZATION; RESET ROLE").await.map_err(fault::before)?;
    if transaction(client).await? != before {
        return Err(ProviderError::outcome_unknown(
            "the file ended the transaction that it ran in: a part of it may have taken effect",
        ));
    }
    history.insert(client, migration, AppliedState::Done, key).await.map_err(fault::before)
}

/// The number of the transaction that a session is in.
async fn transaction(client: &Client) -> Result<i64, ProviderError> {
    Ok(client.query_one("SELECT txid_current()", &[]).await.map_err(fault::before)?.get(0))
}

fn line(sql: &str, characters: usize) -> usize {
    sql.chars().take(characters).filter(|c| *c == '\n').count() + 1
}

/// One statement that cannot be part of a transaction: its row is written before and after.
async fn without_transaction(
    client: &Client,
    history: &History,
    migration: &Migration,
    key: &Key,
) -> Result<(), ProviderError> {
    history.create(client).await?;
    history.insert(client, migration, AppliedState::Begun, key).await.map_err(fault::at_commit)?;
    let Err(failure) = client.batch_execute(migration.sql()).await else {
        return history.done(client, migration.number()).await.map_err(|error| {
            let said = fault::words(&error);
            ProviderError::outcome_unknown("it is done, and its row could not say so")
                .because(fault::Words(said))
        });
    };
    if fault::is_refusal(&failure) && history.take_back(client, migration.number()).await.is_ok() {
        return Err(fault::before(failure));
    }
    // Half of such a statement may stay: an index that was not finished is there, and invalid.
    let said = fault::words(&failure);
    Err(ProviderError::outcome_unknown("it failed, and may have left a part of it")
        .because(fault::Words(said)))
}
