//! Migrations of a file of SQLite.

mod apply;
mod fault;
mod guard;
mod history;
mod lock;
mod stop;

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use stop::{Stop, Wanted};
use towpath_model::Key;
use towpath_provider::{AppliedMigration, Database, DatabaseCapability, Migrations, ProviderError};
use towpath_step::{Offers, Provider};

/// Before this release, two connections that write and checkpoint at once can corrupt a write-ahead log.
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long one statement waits for others who write to the file.
const BUSY: Duration = Duration::from_secs(5);

/// How long to wait for somebody else's migrations.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// A database that is a file of SQLite.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use towpath_provider::{Database, Migrations};
/// use towpath_provider_sql::Sqlite;
/// # use towpath_model::{Key, KeyPhase, RunId, StepId};
/// # let folder = tempfile::tempdir()?;
/// # std::fs::write(folder.path().join("0001_create_orders.sql"), "CREATE TABLE orders (id INTEGER PRIMARY KEY);")?;
/// # let key = Key::derive(RunId::from_bytes([7; 16]), &StepId::new("migrate")?, KeyPhase::Run, "migrate", 0);
///
/// let orders = Sqlite::at(folder.path().join("orders.db")).create();
/// let history = orders.apply(&Migrations::read(folder.path())?, &key).await?;
/// assert_eq!(history[0].id, "0001");
/// assert_eq!(orders.applied().await?, history);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// * Each migration runs in `BEGIN IMMEDIATE … COMMIT`, with its row of the history in the same transaction. SQLite itself
///   splits the text into statements, and refuses one that would end the transaction, before it runs.
/// * Foreign keys are enforced, whatever the application does. A file that has to rebuild a table that others refer to says
///   `-- towpath: foreign-keys off`; the keys are then checked before it takes effect.
/// * The journal mode is left as the file has it.
/// * Two never migrate at once: a lock of the operating system on a file beside the database, `NAME.towpath-lock`, which
///   ends with the process that holds it. The file itself stays. Locks on network file systems may hold nobody back: keep
///   the database on a local disk.
#[derive(Clone, Debug)]
pub struct Sqlite {
    path: PathBuf,
    create: bool,
    busy: Duration,
    lock_wait: Duration,
}

impl Sqlite {
    /// The database in this file, which has to be there.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Sqlite { path: path.into(), create: false, busy: BUSY, lock_wait: LOCK_WAIT }
    }

    /// Has the first migration make the file when there is none. Otherwise that is an error, since a path that is
    /// misspelt would be a new database.
    #[must_use]
    pub fn create(mut self) -> Self {
        self.create = true;
        self
    }

    /// How long one statement waits for others who write to the file; 5 seconds by default.
    #[must_use]
    pub fn busy_timeout(mut self, time: Duration) -> Self {
        self.busy = time;
        self
    }

    /// How long to wait for somebody else who migrates; 30 seconds by default.
    #[must_use]
    pub fn lock_wait(mut self, time: Duration) -> Self {
        self.lock_wait = time;
        self
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A connection, with what holds for every statement.
    fn open(&self) -> Result<Connection, ProviderError> {
        if rusqlite::version_number() < OLDEST_SQLITE {
            return Err(ProviderError::unsupported(
                "this SQLite can corrupt a write-ahead log: take 3.51.3 or newer",
            )
            .with("sqlite", rusqlite::version()));
        }
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if self.create {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        } else if !self.path.exists() {
            return Err(self.missing());
        }
        let connection = Connection::open_with_flags(&self.path, flags).map_err(fault::before)?;
        connection.busy_timeout(self.busy).map_err(fault::before)?;
        Ok(connection)
    }

    fn missing(&self) -> ProviderError {
        ProviderError::not_found("there is no such file: `create()` has the first migration make it")
    }

    fn read(&self, stop: &Stop) -> Result<Vec<AppliedMigration>, ProviderError> {
        if !self.path.exists() {
            return if self.create { Ok(Vec::new()) } else { Err(self.missing()) };
        }
        let _lock = lock::shared(self, stop)?;
        history::read(&self.open()?)
    }

    /// Does `work` on a thread for work that blocks, and has it stop when the answer is no longer wanted.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Sqlite, &Stop) -> Result<T, ProviderError> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let wanted = Wanted(Stop::default());
        let (this, stop) = (self.clone(), wanted.0.clone());
        let answer = tokio::task::spawn_blocking(move || work(&this, &stop)).await;
        answer
            .unwrap_or_else(|e| Err(ProviderError::outcome_unknown("it was broken off").because(e)))
            .map_err(|error| error.during(operation).with("database", self.path.display()))
    }
}

#[async_trait]
impl Database for Sqlite {
    fn capability(&self) -> DatabaseCapability {
        DatabaseCapability::default().transactional_ddl().locks().foreign_keys_off()
    }

    async fn applied(&self) -> Result<Vec<AppliedMigration>, ProviderError> {
        self.blocking("applied", |this, stop| this.read(stop)).await
    }

    async fn apply(
        &self,
        migrations: &Migrations,
        key: &Key,
    ) -> Result<Vec<AppliedMigration>, ProviderError> {
        let (migrations, key) = (migrations.clone(), key.clone());
        self.blocking("apply", move |this, stop| apply::apply(this, &migrations, &key, stop)).await
    }
}

impl Provider for Sqlite {
    fn offer(self: Arc<Self>, to: &mut Offers<'_>) {
        to.put::<dyn Database>(self);
    }
}
