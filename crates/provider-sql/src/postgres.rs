//! Migrations of a database of Postgres.

mod apply;
mod fault;
mod history;
mod scan;
mod session;

use crate::invalid::invalid;
use async_trait::async_trait;
use history::History;
use session::Lock;
use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};
use towpath_model::Key;
use towpath_provider::{AppliedMigration, Database, DatabaseCapability, Migrations, ProviderError};
use towpath_step::{Offers, Provider};

/// How long to wait for somebody else's migrations.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// How long a statement waits for a table that is in use.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

type Password =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, ProviderError>> + Send>> + Send + Sync>;

/// A database of Postgres.
///
/// ```
/// use towpath_provider_sql::Postgres;
///
/// let orders = Postgres::at("postgres://deploy@db.internal:5432/orders")?
///     .password(|| async { Ok(std::env::var("ORDERS_DB_PASSWORD").unwrap_or_default()) });
/// assert_eq!(format!("{orders:?}"), "Postgres(db.internal:5432/orders as deploy)");
/// # Ok::<(), towpath_provider::ProviderError>(())
/// ```
///
/// * Each migration runs in a transaction with its row of the history. A file that would end it is refused before anything
///   of it runs.
/// * One migrates at a time, by a session advisory lock. Connect to the server itself, or to a pooler in session mode: one in
///   transaction mode hands the lock to strangers.
/// * Statements wait for tables in use for at most `lock_timeout`, so that a migration does not stand in the way of everybody
///   behind it; it is then tried again.
/// * It speaks **no TLS**, and refuses an address that demands it: connect by a Unix socket, on the same machine, or through a
///   tunnel or a network that is private. `sslmode=prefer` is taken for `disable`.
#[derive(Clone)]
pub struct Postgres {
    config: Config,
    password: Option<Password>,
    lock_wait: Duration,
    lock_timeout: Duration,
}

impl Postgres {
    /// The database at this address: a URL, or words such as `host=/run/postgresql user=deploy dbname=orders`.
    ///
    /// # Errors
    /// `Invalid`, when it is no address, and `Unsupported`, when it demands TLS. The address is not in the error: it may
    /// hold a password.
    pub fn at(address: &str) -> Result<Self, ProviderError> {
        let config: Config = address.parse().map_err(|_| {
            invalid(
                "the address of the database cannot be read: write `postgres://USER@HOST:5432/NAME`, with special \
                 characters percent-encoded, or `host=… user=… dbname=…`",
            )
        })?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(ProviderError::unsupported(
                "TLS to Postgres is not spoken: connect through a tunnel or a private network, with sslmode=disable",
            ));
        }
        Ok(Postgres { config, password: None, lock_wait: LOCK_WAIT, lock_timeout: LOCK_TIMEOUT })
    }

    /// Where the password comes from, asked for each connection.
    #[must_use]
    pub fn password<F>(mut self, source: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, ProviderError>> + Send + 'static,
    {
        self.password = Some(Arc::new(move || Box::pin(source())));
        self
    }

    /// How long to wait for somebody else who migrates; 30 seconds by default.
    #[must_use]
    pub fn lock_wait(mut self, time: Duration) -> Self {
        self.lock_wait = time;
        self
    }

    /// How long a statement waits for a table that is in use; 10 seconds by default.
    #[must_use]
    pub fn lock_timeout(mut self, time: Duration) -> Self {
        self.lock_timeout = time;
        self
    }

    /// How to connect, under a name that others see.
    async fn config(&self, name: &str) -> Result<Config, ProviderError> {
        let mut config = self.config.clone();
        config.ssl_mode(SslMode::Disable).application_name(name);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if let Some(password) = &self.password {
            config.password(password().await?);
        }
        Ok(config)
    }

    /// Where it is, without what is secret.
    fn place(&self) -> String {
        let mut hosts = Vec::new();
        let ports = self.config.get_ports();
        for (n, host) in self.config.get_hosts().iter().enumerate() {
            let port = ports.get(n).or(ports.first()).copied().unwrap_or(5_432);
            hosts.push(match host {
                Host::Tcp(host) => format!("{host}:{port}"),
                #[cfg(unix)]
                Host::Unix(folder) => format!("{}:{port}", folder.display()),
            });
        }
        let user = self.config.get_user().unwrap_or("nobody");
        let name = self.config.get_dbname().unwrap_or(user);
        format!("{}/{name} as {user}", hosts.join(","))
    }

    fn told(&self, operation: &'static str) -> impl Fn(ProviderError) -> ProviderError {
        let place = self.place();
        move |error| error.during(operation).with("database", &place)
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({})", self.place())
    }
}

#[async_trait]
impl Database for Postgres {
    fn capability(&self) -> DatabaseCapability {
        DatabaseCapability::default().transactional_ddl().locks()
    }

    async fn applied(&self) -> Result<Vec<AppliedMigration>, ProviderError> {
        let read = async |client: &tokio_postgres::Client| History::of(client).await?.read(client).await;
        session::with(self, "towpath", Lock::Shared, read).await.map_err(self.told("applied"))
    }

    async fn apply(
        &self,
        migrations: &Migrations,
        key: &Key,
    ) -> Result<Vec<AppliedMigration>, ProviderError> {
        let work = async |client: &tokio_postgres::Client| apply::apply(self, client, migrations, key).await;
        let name = format!("towpath {key}");
        session::with(self, &name, Lock::Exclusive, work).await.map_err(self.told("apply"))
    }
}

impl Provider for Postgres {
    fn offer(self: Arc<Self>, to: &mut Offers<'_>) {
        to.put::<dyn Database>(self);
    }
}

#[cfg(test)]
mod tests {
    use super::Postgres;
    use towpath_model::{Key, KeyPhase, RunId, StepId};
    use towpath_provider::{Database, Migrations, ProviderErrorKind};

    fn said(error: &towpath_provider::ProviderError) -> String {
        let mut said = format!("{error} {error:?}");
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            said += &format!(" {error} {error:?}");
            cause = error.source();
        }
        said
    }

    #[tokio::test]
    async fn a_password_is_in_nothing_that_is_said() {
        let secret = "hunter2-and-more";
        for address in [
            format!("postgres://deploy:{secret}@127.0.0.1:1/orders?connect_timeout=1"),
            format!("host=127.0.0.1 port=1 user=deploy dbname=orders password={secret}"),
        ] {
            let orders = Postgres::at(&address).unwrap();
            assert_eq!(format!("{orders:?}"), "Postgres(127.0.0.1:1/orders as deploy)");
            let key =
                Key::derive(RunId::from_bytes([7; 16]), &StepId::new("a").unwrap(), KeyPhase::Run, "a", 0);
            let none = Migrations::new([]).unwrap();
            for error in [orders.applied().await.unwrap_err(), orders.apply(&none, &key).await.unwrap_err()] {
                assert_eq!(error.kind(), ProviderErrorKind::Unavailable);
                assert!(!said(&error).contains("hunter2"), "{}", said(&error));
                assert!(error.to_string().contains("127.0.0.1:1/orders as deploy"), "{error}");
            }
        }
        for broken in [
            format!("postgres://deploy:{secret}@host:port/orders"),
            format!("host=a {secret}"),
            format!("host=a password='{secret}"),
        ] {
            let error = Postgres::at(&broken).unwrap_err();
            assert_eq!(error.kind(), ProviderErrorKind::Invalid, "{broken}");
            assert!(!said(&error).contains("hunter2"), "{}", said(&error));
        }
    }

    #[tokio::test]
    async fn a_password_that_cannot_be_had_is_told_as_its_source_tells_it() {
        let source = || async { Err(towpath_provider::ProviderError::unavailable("the vault is sealed")) };
        let orders = Postgres::at("postgres://deploy@127.0.0.1:1/orders").unwrap().password(source);
        assert!(orders.applied().await.unwrap_err().to_string().contains("the vault is sealed"));
    }

    #[test]
    fn tls_that_is_demanded_is_refused() {
        let error = Postgres::at("postgres://deploy@db/orders?sslmode=require").unwrap_err();
        assert_eq!(error.kind(), ProviderErrorKind::Unsupported);
    }
}
