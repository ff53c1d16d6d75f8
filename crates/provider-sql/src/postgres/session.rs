//! One session: a connection that is driven while it is used, and the lock that lets one migrate at a time.

use super::{Postgres, fault};
use std::{
    convert::Infallible,
    time::{Duration, Instant},
};
use tokio_postgres::{Client, NoTls};
use towpath_provider::ProviderError;

/// The session advisory lock of everybody who migrates a database: the bytes `TowpMigr`.
const LOCK: i64 = 0x546f_7770_4d69_6772;

/// Between two tries for the lock.
const NAP: Duration = Duration::from_millis(50);

/// How long to wait until a session has said its goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Whether others may look at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lock {
    /// To read the history: no migration is under way.
    Shared,
    /// To migrate.
    Exclusive,
}

/// Does `work` in a session that holds the lock. Dropping the future closes the connection, on which the server rolls back
/// what is not committed.
pub(super) async fn with<T>(
    database: &Postgres,
    name: &str,
    lock: Lock,
    work: impl AsyncFnOnce(&Client) -> Result<T, ProviderError>,
) -> Result<T, ProviderError> {
    let config = database.config(name).await?;
    let (client, connection) = config.connect(NoTls).await.map_err(fault::connecting)?;
    let mut open = Some(Box::pin(connection));
    let drive = async {
        if let Some(connection) = open.as_mut() {
            // Its end is told to whoever waits for an answer of it: only they know what they were about.
            let _ = connection.await;
        }
        // They are told when it is dropped.
        open = None;
        std::future::pending::<Infallible>().await
    };
    let answer = tokio::select! {
        answer = locked(database, &client, lock, work) => answer,
        never = drive => match never {},
    };
    drop(client);
    if let Some(connection) = open {
        // The lock ends with the session, which ends when the server has read the goodbye.
        let _ = tokio::time::timeout(GOODBYE, connection).await;
    }
    answer
}

async fn locked<T>(
    database: &Postgres,
    client: &Client,
    lock: Lock,
    work: impl AsyncFnOnce(&Client) -> Result<T, ProviderError>,
) -> Result<T, ProviderError> {
    prepare(client, database.lock_timeout).await?;
    take(database, client, lock).await?;
    let answer = work(client).await;
    // What fails here fails because the session is over, and with it the lock.
    let _ = client.batch_execute("SELECT pg_advisory_unlock_all()").await;
    answer
}

/// Sets what holds for every statement of a session; again after each migration, which may have set something else.
pub(super) async fn prepare(client: &Client, lock_timeout: Duration) -> Result<(), ProviderError> {
    let sql = format!(
        "RESET SESSION AUTHORIZATION; RESET ALL; SET standard_conforming_strings = on; SET lock_timeout = {}",
        lock_timeout.as_millis().clamp(1, 2_147_483_647)
    );
    client.batch_execute(&sql).await.map_err(fault::before)?;
    // Since Postgres 14: a server that works for nobody any more finds that out, and rolls back. Elsewhere it does so when the
    // statement has ended.
    let check = "SELECT set_config(name, '1s', false) FROM pg_settings WHERE name = 'client_connection_check_interval'";
    client.batch_execute(check).await.map_err(fault::before)
}

async fn take(database: &Postgres, client: &Client, lock: Lock) -> Result<(), ProviderError> {
    let sql = match lock {
        Lock::Shared => "SELECT pg_try_advisory_lock_shared($1)",
        Lock::Exclusive => "SELECT pg_try_advisory_lock($1)",
    };
    let since = Instant::now();
    let mut again = tokio::time::interval(NAP);
    loop {
        again.tick().await;
        if client.query_one(sql, &[&LOCK]).await.map_err(fault::before)?.get(0) {
            return Ok(());
        }
        if since.elapsed() >= database.lock_wait {
            let holder = holder(client).await.unwrap_or_else(|| "not known".to_owned());
            return Err(ProviderError::unavailable("somebody else migrates this database")
                .with("holder", holder)
                .with("waited", format_args!("{:?}", database.lock_wait)));
        }
    }
}

/// Who holds the lock, as far as the server tells.
async fn holder(client: &Client) -> Option<String> {
    let sql = "SELECT a.pid, a.application_name, coalesce(host(a.client_addr), 'the same machine'),
        to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
        FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.pid <> pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (l.classid::bigint << 32) + l.objid::bigint = $1 LIMIT 1";
    let row = client.query_opt(sql, &[&LOCK]).await.ok()??;
    let (pid, name): (i32, String) = (row.try_get(0).ok()?, row.try_get(1).ok()?);
    let (from, since): (String, String) = (row.try_get(2).ok()?, row.try_get(3).ok()?);
    Some(format!("{name}, process {pid} of the server, from {from}, since {since}"))
}
