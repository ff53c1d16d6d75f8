//! Opening the file: what it is, whether it is ours, and in which format.

use crate::{
    Durability, Options,
    error::{Failure, io, is_busy, sql},
    filesystem,
    nap::Nap,
    paths::Paths,
};
use rusqlite::{Connection, OpenFlags, TransactionBehavior, config::DbConfig};
use std::time::Duration;
use towpath_store::{StoreError, StoreErrorKind};

/// `TowP`: what `PRAGMA application_id` of a store is.
pub(crate) const APPLICATION: i32 = 0x546f_7750;

/// What makes each format of the one before; the first makes it of nothing. Only ever appended to.
pub(crate) const MIGRATIONS: [&str; 4] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
];

/// Before this release, two connections that write and checkpoint at once can corrupt a write-ahead log.
const OLDEST_SQLITE: i32 = 3_051_003;

const OPERATION: &str = "open the store";

/// Checks everything that can be checked without changing anything, makes or migrates the file, and answers a
/// connection that may write.
pub(crate) fn open(paths: &Paths, options: &Options) -> Result<Connection, StoreError> {
    let found = rusqlite::version_number();
    if found < OLDEST_SQLITE {
        return Err(refused("sqlite").with("version", found).with("oldest", OLDEST_SQLITE));
    }
    let context = |e: StoreError| e.with("file", paths.database.display());
    let folder = paths.database.parent().unwrap_or(&paths.database);
    if let Some(kind) = filesystem::network(folder) {
        return Err(context(refused("network file system").with("type", kind)));
    }
    probe(paths).map_err(context)?;
    writing(paths, options).map_err(context)
}

fn refused(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Format, OPERATION).with("refused", what)
}

/// Looks at what is in the file as it lies there: no lock, no log, no recovery, so that a file that is not ours is not
/// touched. The database is never opened by any means but SQLite: closing a second descriptor of it would drop the
/// locks that this process holds.
///
/// Without a lock, what another process is making or writing back at this moment may look like anything; so only what
/// looks wrong for a while is wrong.
fn probe(paths: &Paths) -> Result<(), StoreError> {
    const A_WHILE: Duration = Duration::from_millis(300);
    let looked = Nap::default().until(A_WHILE, Duration::from_millis(10), || probe_once(paths).ok());
    looked.map_or_else(|| probe_once(paths), Ok)
}

fn probe_once(paths: &Paths) -> Result<(), StoreError> {
    /// The smallest page. SQLite takes a shorter file for an empty database, and would write over it.
    const PAGE: u64 = 512;
    match paths.database.metadata() {
        Ok(file) if file.len() == 0 => return Ok(()),
        Ok(file) if file.len() < PAGE => return Err(refused("a file that is no database")),
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io(OPERATION, e)),
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(paths.uri("mode=ro&immutable=1"), flags);
    let connection = connection.map_err(|e| sql(OPERATION, e))?;
    // Whoever was killed while it wrote the log back has left the first page newer than the rest, and a file that is
    // shorter than the first page says. All that is missing is in the log, which is not read here: the size is not to
    // be compared, and that is what this pragma makes of a connection that cannot write anyway.
    connection.pragma_update(None, "writable_schema", true).map_err(|e| sql(OPERATION, e))?;
    check_format(&connection, MIGRATIONS.len()).map(drop)
}

/// The format of a database; 0 when it is empty.
fn check_format(connection: &Connection, newest: usize) -> Result<usize, StoreError> {
    let ask = |query: &str| connection.query_row(query, [], |row| row.get::<_, i64>(0));
    let ask = |query: &str| ask(query).map_err(|e| sql(OPERATION, e));
    let (application, format) = (ask("PRAGMA application_id")?, ask("PRAGMA user_version")?);
    if application != i64::from(APPLICATION) {
        let is_empty = application == 0 && format == 0 && ask("SELECT count(*) FROM sqlite_schema")? == 0;
        return if is_empty { Ok(0) } else { Err(refused("a database of another application")) };
    }
    match usize::try_from(format) {
        Ok(known) if known <= newest => Ok(known),
        _ => Err(refused("a newer format").with("format", format).with("newest known", newest)),
    }
}

/// A connection that may write, to a file in our format.
fn writing(paths: &Paths, options: &Options) -> Result<Connection, StoreError> {
    let mut connection = Connection::open_with_flags(
        &paths.database,
        flags(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE),
    )
    .map_err(|e| sql(OPERATION, e))?;
    prepare(&mut connection, options).map_err(|e| e.at(OPERATION))?;
    Ok(connection)
}

fn flags(access: OpenFlags) -> OpenFlags {
    // Each connection is used by one thread at a time.
    access | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn prepare(connection: &mut Connection, options: &Options) -> Result<(), Failure> {
    connection.busy_timeout(options.patience)?;
    // Until the format is known to be ours, closing the connection must not write the log back either.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    if migrate(connection, &MIGRATIONS)? {
        // The format is read without the log by whoever opens the file next.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    use_log(connection, options.patience)?;
    common(connection)?;
    let synchronous = match options.durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // Where `fsync` does not reach the disk (macOS), durable means F_FULLFSYNC.
    connection.pragma_update(None, "fullfsync", options.durability == Durability::Full)?;
    connection.pragma_update(None, "checkpoint_fullfsync", options.durability == Durability::Full)?;
    // 16 MiB: the pages of a large batch.
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.set_prepared_statement_cache_capacity(128);
    // From here on waiting is not left to SQLite; see `want`.
    connection.busy_timeout(Duration::ZERO)?;
    Ok(())
}

/// Brings a database to the newest format, in one transaction; whether anything had to be done.
fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<bool, Failure> {
    // In one transaction, because another process may be making the file at this moment.
    let looking = connection.transaction()?;
    let format = check_format(&looking, migrations.len())?;
    drop(looking);
    if format == migrations.len() {
        return Ok(false);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let format = check_format(&transaction, migrations.len())?;
    for migration in &migrations[format..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", migrations.len() as i64)?;
    transaction.commit()?;
    Ok(true)
}

/// Turns the write-ahead log on. Does not wait by itself when others are opening the file.
fn use_log(connection: &Connection, patience: Duration) -> Result<(), Failure> {
    let set = || connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
    let look = || match set() {
        Err(e) if is_busy(&e) => None,
        done => Some(done),
    };
    let mode = Nap::default().until(patience, Duration::from_millis(2), look);
    match mode.unwrap_or_else(set)?.as_str() {
        "wal" => Ok(()),
        other => Err(refused("a journal mode").with("mode", other).into()),
    }
}

/// What all connections have in common. There is no mapped memory: an I/O error there would be a signal.
///
/// The planner's stability guarantee keeps a prepared statement as it was prepared: without it SQLite looks at bound
/// values and prepares again when they change, which was a tenth of all processor time.
fn common(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(
        "PRAGMA wal_autocheckpoint = 0; PRAGMA mmap_size = 0; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY; \
         PRAGMA trusted_schema = OFF;",
    )
}

/// A connection for reads.
pub(crate) fn reading(paths: &Paths, options: &Options) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(&paths.database, flags(OpenFlags::SQLITE_OPEN_READ_ONLY))?;
    connection.busy_timeout(options.patience)?;
    common(&connection)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// A connection for checkpoints.
pub(crate) fn checkpointing(paths: &Paths, options: &Options) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(&paths.database, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))?;
    common(&connection)?;
    connection.pragma_update(None, "checkpoint_fullfsync", options.durability == Durability::Full)?;
    Ok(connection)
}

#[cfg(test)]
mod tests;
