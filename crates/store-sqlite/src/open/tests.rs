//! What is opened, and what is refused as it lies.

use super::*;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// A folder that is gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("towpath-open-{}-{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("journal.db")
    }

    fn open(&self) -> Result<Connection, StoreError> {
        open(&Paths::of(&self.file()).unwrap(), &Options::default())
    }

    /// Names and contents of everything in the folder.
    fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let read = |entry: std::io::Result<fs::DirEntry>| {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        };
        let mut contents: Vec<_> = fs::read_dir(&self.0).unwrap().map(read).collect();
        contents.sort();
        contents
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn format(connection: &Connection) -> i64 {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

fn sqlite(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_new_file_has_the_newest_format_and_the_pragmas_of_a_journal() {
    let folder = Folder::new();
    let connection = folder.open().unwrap();
    let ask = |pragma: &str| -> String {
        let value: rusqlite::types::Value =
            connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap();
        match value {
            rusqlite::types::Value::Integer(n) => n.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => panic!("{other:?}"),
        }
    };
    let expected = [
        ("application_id", APPLICATION.to_string()),
        ("user_version", MIGRATIONS.len().to_string()),
        ("journal_mode", "wal".to_owned()),
        ("synchronous", "2".to_owned()),
        ("wal_autocheckpoint", "0".to_owned()),
        ("mmap_size", "0".to_owned()),
        ("busy_timeout", "0".to_owned()),
    ];
    for (pragma, value) in expected {
        assert_eq!(ask(pragma), value, "{pragma}");
    }
    let options = Options { durability: Durability::Normal, ..Options::default() };
    let paths = Paths::of(&folder.file()).unwrap();
    let normal = open(&paths, &options).unwrap();
    assert_eq!(normal.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0)), Ok(1));
    let same: String =
        connection.query_row("SELECT group_concat(sql) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert!(same.contains("head_hash"));
}

#[test]
fn an_empty_file_and_an_empty_database_become_stores() {
    let folder = Folder::new();
    fs::write(folder.file(), b"").unwrap();
    assert_eq!(format(&folder.open().unwrap()), MIGRATIONS.len() as i64);
    let folder = Folder::new();
    sqlite(&folder.file(), "PRAGMA journal_mode = DELETE; VACUUM");
    assert_eq!(format(&folder.open().unwrap()), MIGRATIONS.len() as i64);
}

#[test]
fn a_file_that_is_not_ours_is_refused_untouched() {
    let not_sqlite: fn(&Path) = |path| fs::write(path, "name,version\ncheckout,4f2c\n".repeat(400)).unwrap();
    let short: fn(&Path) = |path| fs::write(path, "x").unwrap();
    let others: fn(&Path) = |path| sqlite(path, "CREATE TABLE deploys (id); INSERT INTO deploys VALUES (1)");
    let others_in_wal: fn(&Path) = |path| {
        sqlite(path, "PRAGMA journal_mode = WAL; CREATE TABLE deploys (id); INSERT INTO deploys VALUES (1)")
    };
    let marked: fn(&Path) = |path| sqlite(path, "PRAGMA application_id = 7; VACUUM");
    for (what, make) in [
        ("text", not_sqlite),
        ("a byte", short),
        ("another database", others),
        ("another database with a log", others_in_wal),
        ("a marked database", marked),
    ] {
        let folder = Folder::new();
        make(&folder.file());
        let before = folder.contents();
        let error = folder.open().unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Format, "{what}: {error}");
        assert!(folder.contents() == before, "{what} was touched");
    }
}

#[test]
fn a_file_of_a_newer_format_is_refused_untouched() {
    let folder = Folder::new();
    drop(folder.open().unwrap());
    sqlite(&folder.file(), &format!("PRAGMA user_version = {}", MIGRATIONS.len() + 1));
    let before = folder.contents();
    assert_eq!(before.len(), 1, "the log was written back: {before:?}");
    let error = folder.open().unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Format, "{error}");
    let newest = MIGRATIONS.len();
    let said = format!("a newer format, format: {}, newest known: {newest}", newest + 1);
    assert!(error.to_string().contains(&said), "{error}");
    assert!(folder.contents() == before, "the file was touched");
}

/// The newest version of the first page that a write-ahead log has; <https://sqlite.org/fileformat2.html#the_write_ahead_log>.
fn first_page(log: &[u8], page_bytes: usize) -> &[u8] {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;
    let mut frames = log[HEADER..].chunks_exact(FRAME_HEADER + page_bytes);
    let frame = frames.rfind(|frame| frame[..4] == 1_u32.to_be_bytes());
    &frame.expect("the first page was written")[FRAME_HEADER..]
}

#[test]
fn a_file_whose_log_was_written_back_in_part_is_opened() {
    let folder = Folder::new();
    let connection = folder.open().unwrap();
    connection.execute_batch("CREATE TABLE grown (x); INSERT INTO grown VALUES (zeroblob(1000000))").unwrap();
    let cut = Folder::new();
    let log = cut.0.join("journal.db-wal");
    fs::copy(folder.0.join("journal.db-wal"), &log).unwrap();
    // A process that was killed after the first page, which has the size that the file is to have.
    let mut database = fs::read(folder.file()).unwrap();
    let page = first_page(&fs::read(&log).unwrap(), 4096).to_owned();
    database[..4096].copy_from_slice(&page);
    let pages = u32::from_be_bytes(database[28..32].try_into().unwrap());
    assert!(pages as usize * 4096 > database.len(), "the file is not shorter than its first page says");
    fs::write(cut.file(), database).unwrap();
    let opened = cut.open().unwrap();
    let length: i64 = opened.query_row("SELECT length(x) FROM grown", [], |row| row.get(0)).unwrap();
    assert_eq!(length, 1_000_000);
    let check: String = opened.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn a_newer_format_that_is_only_in_the_log_is_refused_and_stays_there() {
    let folder = Folder::new();
    drop(folder.open().unwrap());
    // Another process that has just migrated, and goes on.
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch(&format!("PRAGMA user_version = {}", MIGRATIONS.len() + 1)).unwrap();
    let log = folder.0.join("journal.db-wal");
    let before = (fs::read(folder.file()).unwrap(), fs::read(&log).unwrap());
    let error = folder.open().unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Format, "{error}");
    assert!((fs::read(folder.file()).unwrap(), fs::read(&log).unwrap()) == before, "the file was touched");
    drop(other);
}

#[test]
fn migrations_run_in_order_and_all_or_none() {
    let folder = Folder::new();
    let mut connection = folder.open().unwrap();
    let column = "ALTER TABLE runs ADD COLUMN region TEXT";
    let table = "CREATE TABLE regions (region TEXT) STRICT; INSERT INTO regions SELECT region FROM runs";
    let further = |more: &[&'static str]| [&MIGRATIONS[..], more].concat();
    let broken = further(&[column, table, "ALTER TABLE nothing ADD COLUMN region"]);
    assert!(migrate(&mut connection, &broken).is_err());
    assert_eq!(format(&connection), MIGRATIONS.len() as i64);
    assert!(connection.prepare("SELECT region FROM runs").is_err(), "half a migration was kept");

    assert!(migrate(&mut connection, &further(&[column, table])).unwrap());
    assert_eq!(format(&connection), MIGRATIONS.len() as i64 + 2);
    connection.prepare("SELECT region FROM regions").unwrap();
    assert!(!migrate(&mut connection, &further(&[column, table])).unwrap());
}

/// A file of each older format is brought to the newest, with what was in it.
#[test]
fn blobs_of_before_they_were_counted_are_kept_for_ever() {
    let folder = Folder::new();
    let old = Connection::open(folder.file()).unwrap();
    old.execute_batch(MIGRATIONS[0]).unwrap();
    old.pragma_update(None, "application_id", APPLICATION).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.execute_batch("INSERT INTO blobs VALUES (zeroblob(32), '1')").unwrap();
    drop(old);
    let connection = folder.open().unwrap();
    assert_eq!(format(&connection), MIGRATIONS.len() as i64);
    let kept = "SELECT count(*) FROM blob_refs WHERE digest = zeroblob(32) AND run_no = 0";
    assert_eq!(connection.query_row(kept, [], |row| row.get::<_, i64>(0)), Ok(1));
}

#[test]
fn two_that_make_the_file_at_once_make_one_store() {
    for _ in 0..10 {
        let folder = Folder::new();
        let barrier = std::sync::Barrier::new(3);
        let formats = std::thread::scope(|scope| {
            let open = || {
                barrier.wait();
                let connection = folder.open().map_err(|e| e.to_string())?;
                // The others may be at it still; who waits is left to the store elsewhere.
                connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
                Ok(format(&connection))
            };
            [scope.spawn(open), scope.spawn(open), scope.spawn(open)].map(|t| t.join().unwrap())
        });
        let newest = MIGRATIONS.len() as i64;
        assert_eq!(formats, [Ok::<i64, String>(newest), Ok(newest), Ok(newest)]);
    }
}

#[test]
fn a_folder_that_is_not_there_is_unavailable() {
    let folder = Folder::new();
    let error = Paths::of(&folder.0.join("nowhere/journal.db")).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

#[cfg(unix)]
#[test]
fn a_link_opens_the_same_store() {
    let folder = Folder::new();
    drop(folder.open().unwrap());
    let link = folder.0.join("link.db");
    std::os::unix::fs::symlink(folder.file(), &link).unwrap();
    assert_eq!(Paths::of(&link).unwrap().database, Paths::of(&folder.file()).unwrap().database);
}
