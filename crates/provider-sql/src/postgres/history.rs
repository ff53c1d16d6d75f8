//! The table of what was applied.

use super::fault;
use tokio_postgres::{Client, Row};
use towpath_model::{Digest, Key, Timestamp};
use towpath_provider::{
    AppliedMigration, AppliedState, HISTORY_TABLE, Migration, MigrationPhase, ProviderError,
};

/// Format of the rows that this release writes.
const FORMAT: i32 = 1;

/// The history table, by its whole name: migrations may change where a session looks for names.
pub(super) struct History(String);

impl History {
    /// That of the schema in which a session makes its tables.
    pub(super) async fn of(client: &Client) -> Result<Self, ProviderError> {
        let sql = "SELECT quote_ident(current_schema())";
        let schema: Option<String> = client.query_one(sql, &[]).await.map_err(fault::before)?.get(0);
        let schema = schema.ok_or_else(|| {
            crate::invalid::invalid(
                "the search path names no schema that is there: give the address `options=-csearch_path=…`",
            )
        })?;
        Ok(History(format!("{schema}.{HISTORY_TABLE}")))
    }

    /// Makes the table when it is not there.
    pub(super) async fn create(&self, client: &Client) -> Result<(), ProviderError> {
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {} (
                number bigint PRIMARY KEY,
                id text NOT NULL,
                name text NOT NULL,
                checksum text NOT NULL,
                phase text NOT NULL CHECK (phase IN ('expand', 'contract')),
                state text NOT NULL CHECK (state IN ('begun', 'done')),
                applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
                applied_by text NOT NULL,
                format integer NOT NULL DEFAULT 1
            )",
            self.0
        );
        client.batch_execute(&sql).await.map_err(fault::before)
    }

    /// What was applied, in order.
    pub(super) async fn read(&self, client: &Client) -> Result<Vec<AppliedMigration>, ProviderError> {
        let there = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&self.0]).await;
        if !there.map_err(fault::before)?.get::<_, bool>(0) {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT number, id, name, checksum, phase, state, (extract(epoch FROM applied_at) * 1000000)::bigint,
             applied_by, format FROM {} ORDER BY number",
            self.0
        );
        let rows = client.query(&sql, &[]).await.map_err(fault::before)?;
        rows.iter().map(applied).collect()
    }

    /// Writes the row of a migration.
    pub(super) async fn insert(
        &self,
        client: &Client,
        migration: &Migration,
        state: AppliedState,
        key: &Key,
    ) -> Result<(), tokio_postgres::Error> {
        let sql = format!(
            "INSERT INTO {} (number, id, name, checksum, phase, state, applied_by, format)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            self.0
        );
        let checksum = migration.checksum().to_string();
        let (phase, state) = (migration.phase().as_str(), state.as_str());
        let (id, name, key) = (migration.id(), migration.name(), key.as_str());
        client
            .execute(&sql, &[&migration.number(), &id, &name, &checksum, &phase, &state, &key, &FORMAT])
            .await
            .map(drop)
    }

    /// Writes that a migration without a transaction has ended well.
    pub(super) async fn done(&self, client: &Client, number: i64) -> Result<(), tokio_postgres::Error> {
        let sql = format!("UPDATE {} SET state = 'done' WHERE number = $1 AND state = 'begun'", self.0);
        client.execute(&sql, &[&number]).await.map(drop)
    }

    /// Takes the row of a migration without a transaction away that has not happened.
    pub(super) async fn take_back(&self, client: &Client, number: i64) -> Result<(), tokio_postgres::Error> {
        let sql = format!("DELETE FROM {} WHERE number = $1 AND state = 'begun'", self.0);
        client.execute(&sql, &[&number]).await.map(drop)
    }
}

fn applied(row: &Row) -> Result<AppliedMigration, ProviderError> {
    let number = row.try_get(0).map_err(fault::before)?;
    let unreadable = |what: &str| {
        ProviderError::unexpected(format!("the row {number} of the history has {what} that cannot be read"))
    };
    match row.try_get(8).map_err(|_| unreadable("a format"))? {
        FORMAT => {}
        other => {
            return Err(ProviderError::unsupported(format!(
                "the row {number} of the history has the format {other}, which a newer Towpath wrote: take that"
            )));
        }
    }
    let word = |index: usize, what: &str| row.try_get::<_, String>(index).map_err(|_| unreadable(what));
    let at: i64 = row.try_get(6).map_err(|_| unreadable("a time"))?;
    Ok(AppliedMigration {
        number,
        id: word(1, "an id")?,
        name: word(2, "a name")?,
        checksum: Digest::parse(&word(3, "a checksum")?).ok_or_else(|| unreadable("a checksum"))?,
        phase: MigrationPhase::parse(&word(4, "a phase")?).ok_or_else(|| unreadable("a phase"))?,
        state: AppliedState::parse(&word(5, "a state")?).ok_or_else(|| unreadable("a state"))?,
        at: Timestamp::from_micros(at),
        by: word(7, "a key")?,
    })
}
