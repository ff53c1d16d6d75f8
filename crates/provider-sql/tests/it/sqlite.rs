//! Migrations of files of SQLite.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use crate::common::{files, ids, key};
use async_trait::async_trait;
use rusqlite::Connection;
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use towpath_provider::{
    Database, Migrations, ProviderErrorKind as Kind,
    contract::{
        Fault, World,
        database::{self, Databases, TryDatabase},
    },
};
use towpath_provider_sql::Sqlite;

/// A folder with a database.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("orders.db")
    }

    fn sqlite(&self) -> Sqlite {
        let short = Duration::from_millis(300);
        Sqlite::at(self.path()).create().lock_wait(short).busy_timeout(short)
    }

    /// Somebody else's connection.
    fn open(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn count(&self, table: &str) -> Option<i64> {
        let other = self.open();
        let there = other.table_exists(None, table).unwrap();
        there
            .then(|| other.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap())
    }
}

/// There is no way between the two sides of a file on which an answer could be lost.
#[async_trait]
impl World for Place {
    async fn arm(&self, _: Fault) -> bool {
        false
    }

    async fn hits(&self) -> u64 {
        0
    }

    async fn pass(&self, _: Duration) {}
}

#[async_trait]
impl TryDatabase for Place {
    fn provider(&self) -> Arc<dyn Database> {
        Arc::new(self.sqlite())
    }

    async fn rows(&self, table: &str) -> Option<i64> {
        self.path().exists().then(|| self.count(table)).flatten()
    }

    async fn run(&self, sql: &str) {
        self.open().execute_batch(sql).unwrap();
    }
}

struct Places;

#[async_trait]
impl Databases for Places {
    async fn fresh(&self) -> Arc<dyn TryDatabase> {
        Arc::new(Place::new())
    }
}

/// Grows until somebody says that it is enough: never, unless the table `enough` has a row.
const ENDLESS: (&str, &str) = (
    "0002_endless.sql",
    "CREATE TABLE big AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n \
     WHERE i < coalesce((SELECT n FROM enough), 9000000000000)) SELECT i FROM n;",
);
const FIRST: (&str, &str) = ("0001_enough.sql", "CREATE TABLE enough (n INTEGER);");

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    database::all(&Places).await;
}

#[tokio::test]
async fn a_file_that_is_not_there_is_made_only_when_that_was_said() {
    let place = Place::new();
    let strict = Sqlite::at(place.path());
    let all = files(&[FIRST]);
    for error in [strict.applied().await.unwrap_err(), strict.apply(&all, &key("a")).await.unwrap_err()] {
        assert_eq!(error.kind(), Kind::NotFound, "{error}");
        assert!(error.to_string().contains("create()") && error.to_string().contains("orders.db"), "{error}");
    }
    assert_eq!(std::fs::read_dir(place.0.path()).unwrap().count(), 0, "nothing was left there");
    place.sqlite().apply(&all, &key("a")).await.unwrap();
    assert_eq!(ids(&strict.applied().await.unwrap()), ["0001"]);
}

#[tokio::test]
async fn what_is_no_database_is_said_to_be_none() {
    let place = Place::new();
    std::fs::write(
        place.path(),
        "this is a text, and long enough to be read as a header of a database file\n".repeat(20),
    )
    .unwrap();
    let error = place.sqlite().apply(&files(&[FIRST]), &key("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("no database of SQLite"), "{error}");
}

#[tokio::test]
async fn an_error_says_where_it_is_and_not_what_the_file_holds() {
    let place = Place::new();
    let text =
        "CREATE TABLE a (id INTEGER);\n\nINSERT INTO a VALUES ('hunter2');\nCREATE TABEL b (id INTEGER);\n";
    let error = place.sqlite().apply(&files(&[("0001_a.sql", text)]), &key("a")).await.unwrap_err();
    let said = format!("{error:?}");
    for words in ["0001_a.sql", "near \"TABEL\": syntax error", "statement: 3", "line: 4"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    assert_eq!(place.count("a"), None);
}

#[tokio::test]
async fn statements_are_split_by_sqlite_and_triggers_may_say_begin() {
    let place = Place::new();
    let text = "CREATE TABLE a (id INTEGER PRIMARY KEY, note TEXT DEFAULT '; COMMIT;');\n\
                CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET note = 'x;y' WHERE id = NEW.id; END;\n\
                SAVEPOINT s; INSERT INTO a (id) VALUES (1); RELEASE s; -- COMMIT;\n\
                SELECT id FROM a; PRAGMA user_version = 7;";
    place.sqlite().apply(&files(&[("0001_a.sql", text)]), &key("a")).await.unwrap();
    let note: String = place.open().query_row("SELECT note FROM a", [], |row| row.get(0)).unwrap();
    assert_eq!(note, "x;y");
}

#[tokio::test]
async fn what_a_migration_may_not_do_is_refused_as_a_whole() {
    let place = Place::new();
    place.sqlite().apply(&files(&[FIRST]), &key("a")).await.unwrap();
    for (statement, words) in [
        ("PRAGMA foreign_keys = off", "-- towpath: foreign-keys off"),
        ("ATTACH 'other.db' AS other", "two files"),
        ("DELETE FROM towpath_migrations", "is the history"),
        ("UPDATE towpath_migrations SET checksum = ''", "is the history"),
        ("DROP TABLE towpath_migrations", "is the history"),
        ("ALTER TABLE towpath_migrations ADD COLUMN x", "is the history"),
        ("END TRANSACTION", "BEGIN, COMMIT, END and ROLLBACK"),
        ("ROLLBACK", "BEGIN, COMMIT, END and ROLLBACK"),
    ] {
        let text = format!("INSERT INTO enough VALUES (1); {statement};");
        let error =
            place.sqlite().apply(&files(&[FIRST, ("0002_b.sql", &text)]), &key("b")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error:?}");
        assert!(error.to_string().contains(words), "{statement}: {error}");
        assert_eq!(
            (place.count("enough"), place.count("towpath_migrations")),
            (Some(0), Some(1)),
            "{statement}"
        );
    }
    let alone = "-- towpath: no-transaction\nBEGIN;";
    let error = place.sqlite().apply(&files(&[FIRST, ("0002_b.sql", alone)]), &key("b")).await.unwrap_err();
    assert!(error.to_string().contains("cannot open one"), "{error}");
    assert_eq!(ids(&place.sqlite().applied().await.unwrap()), ["0001"], "nothing was begun");
}

#[tokio::test]
async fn foreign_keys_are_enforced_and_a_table_can_be_rebuilt_without_them() {
    let place = Place::new();
    let orders = "CREATE TABLE orders (id INTEGER PRIMARY KEY);\n\
                  CREATE TABLE lines (id INTEGER PRIMARY KEY, of INTEGER REFERENCES orders ON DELETE CASCADE);\n\
                  INSERT INTO orders VALUES (1); INSERT INTO lines VALUES (1, 1);";
    let stray = "INSERT INTO lines VALUES (2, 99);";
    let first = ("0001_orders.sql", orders);
    let error = place.sqlite().apply(&files(&[first, ("0002_b.sql", stray)]), &key("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("FOREIGN KEY"), "{error}");

    let rebuild = "CREATE TABLE new (id INTEGER PRIMARY KEY, note TEXT);\nINSERT INTO new (id) SELECT id FROM orders;\n\
                   DROP TABLE orders;\nALTER TABLE new RENAME TO orders;";
    let off = format!("-- towpath: foreign-keys off\n{rebuild}");
    let losing = format!("{off}\nDELETE FROM orders;");
    let error = place.sqlite().apply(&files(&[first, ("0002_b.sql", &losing)]), &key("a")).await.unwrap_err();
    assert!(error.to_string().contains("the row 1 of lines without what it refers to in orders"), "{error}");
    assert_eq!((place.count("orders"), place.count("lines")), (Some(1), Some(1)));

    place.sqlite().apply(&files(&[first, ("0002_b.sql", &off)]), &key("a")).await.unwrap();
    assert_eq!(
        (place.count("orders"), place.count("lines")),
        (Some(1), Some(1)),
        "the lines are still there"
    );
    let with_keys = Place::new();
    with_keys.sqlite().apply(&files(&[first, ("0002_b.sql", rebuild)]), &key("a")).await.unwrap();
    assert_eq!(with_keys.count("lines"), Some(0), "which is why the switch is there");
}

#[tokio::test]
async fn the_journal_mode_is_left_as_it_is_and_can_be_set_without_a_transaction() {
    let place = Place::new();
    let mode = || -> String { place.open().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap() };
    place.sqlite().apply(&files(&[FIRST]), &key("a")).await.unwrap();
    assert_eq!(mode(), "delete");
    let wal = ("0002_wal.sql", "-- towpath: no-transaction\nPRAGMA journal_mode = WAL;");
    place.sqlite().apply(&files(&[FIRST, wal]), &key("a")).await.unwrap();
    assert_eq!(mode(), "wal");
    let third = ("0003_c.sql", "INSERT INTO enough VALUES (1);");
    place.sqlite().apply(&files(&[FIRST, wal, third]), &key("a")).await.unwrap();
    assert_eq!((mode().as_str(), place.count("enough")), ("wal", Some(1)));
}

#[tokio::test]
async fn a_statement_without_a_transaction_that_fails_leaves_no_doubt() {
    let place = Place::new();
    let broken =
        ("0002_b.sql", "-- towpath: no-transaction\nINSERT INTO enough SELECT abs('x') FROM nowhere;");
    let error = place.sqlite().apply(&files(&[FIRST, broken]), &key("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert_eq!(ids(&place.sqlite().applied().await.unwrap()), ["0001"]);
    // One that is refused when it runs, and not when it is read.
    let late = ("0002_b.sql", "-- towpath: no-transaction\nINSERT INTO towpath_late VALUES (1);");
    place.open().execute_batch("CREATE TABLE towpath_late (n INTEGER CHECK (n > 1))").unwrap();
    let error = place.sqlite().apply(&files(&[FIRST, late]), &key("a")).await.unwrap_err();
    assert!(error.to_string().contains("CHECK constraint failed"), "{error}");
    assert_eq!(ids(&place.sqlite().applied().await.unwrap()), ["0001"]);
}

#[tokio::test]
async fn somebody_who_writes_is_waited_for_and_then_it_may_pass() {
    let place = Place::new();
    place.sqlite().apply(&files(&[FIRST]), &key("a")).await.unwrap();
    let mut other = place.open();
    let writing = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let second = files(&[FIRST, ("0002_b.sql", "INSERT INTO enough VALUES (1);")]);
    let error = place.sqlite().apply(&second, &key("b")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.is_transient() && error.to_string().contains("somebody else writes"), "{error}");
    writing.commit().unwrap();
    place.sqlite().apply(&second, &key("b")).await.unwrap();
}

/// Waits until a file is there and holds something.
async fn written(path: PathBuf) {
    let (since, mut look) = (Instant::now(), tokio::time::interval(Duration::from_millis(1)));
    while std::fs::metadata(&path).map_or(0, |about| about.len()) < 8 << 20 {
        assert!(since.elapsed() < Duration::from_secs(30), "never written: {}", path.display());
        look.tick().await;
    }
}

/// Begins the endless migration, and answers when it is in the middle of it.
async fn in_the_middle(place: &Place) -> tokio::task::JoinHandle<()> {
    place.sqlite().apply(&files(&[FIRST]), &key("a")).await.unwrap();
    let sqlite = place.sqlite();
    let under_way = tokio::spawn(async move {
        let all = files(&[FIRST, ENDLESS]);
        sqlite.apply(&all, &key("a")).await.unwrap();
    });
    written(place.0.path().join("orders.db")).await;
    under_way
}

#[tokio::test]
async fn who_waits_for_another_is_told_who_it_is() {
    let place = Place::new();
    let under_way = in_the_middle(&place).await;
    let all = files(&[FIRST, ENDLESS]);
    let sqlite = place.sqlite();
    for error in [sqlite.apply(&all, &key("b")).await.unwrap_err(), sqlite.applied().await.unwrap_err()] {
        assert_eq!(error.kind(), Kind::Unavailable);
        let holder = format!("holder: process {}, key {}", std::process::id(), key("a"));
        assert!(error.is_transient() && error.to_string().contains(&holder), "{error}");
    }
    under_way.abort();
}

#[tokio::test]
async fn dropped_in_the_middle_it_stops_and_leaves_nothing_of_that_migration() {
    let place = Place::new();
    let under_way = in_the_middle(&place).await;
    under_way.abort();
    assert!(under_way.await.unwrap_err().is_cancelled());
    // Nothing but the lock tells when it has stopped, and to ask waits for that.
    let patient = place.sqlite().lock_wait(Duration::from_secs(30));
    assert_eq!(ids(&patient.applied().await.unwrap()), ["0001"]);
    assert_eq!(place.count("big"), None);
    place.open().execute_batch("INSERT INTO enough VALUES (10)").unwrap();
    let history = patient.apply(&files(&[FIRST, ENDLESS]), &key("a")).await.unwrap();
    assert_eq!((ids(&history), place.count("big")), (vec!["0001", "0002"], Some(10)));
}

#[tokio::test]
async fn dropped_while_it_waits_for_another_it_does_nothing_later() {
    let place = Place::new();
    let under_way = in_the_middle(&place).await;
    let patient = place.sqlite().lock_wait(Duration::from_secs(60));
    let third = files(&[FIRST, ("0003_c.sql", "CREATE TABLE c (id INTEGER);")]);
    let waiting = tokio::spawn(async move { patient.apply(&third, &key("c")).await });
    tokio::task::yield_now().await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    under_way.abort();
    let patient = place.sqlite().lock_wait(Duration::from_secs(30));
    assert_eq!(ids(&patient.applied().await.unwrap()), ["0001"]);
    assert_eq!(place.count("c"), None);
}

#[tokio::test]
async fn a_history_of_a_newer_format_is_left_alone() {
    let place = Place::new();
    place.sqlite().apply(&files(&[FIRST]), &key("a")).await.unwrap();
    place.open().execute_batch("UPDATE towpath_migrations SET format = 2").unwrap();
    let second = files(&[FIRST, ("0002_b.sql", "CREATE TABLE b (id INTEGER);")]);
    let error = place.sqlite().apply(&second, &key("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("a newer Towpath wrote"), "{error}");
    assert_eq!(place.count("b"), None);
}

#[tokio::test]
async fn a_row_that_somebody_broke_is_named() {
    let place = Place::new();
    place.sqlite().apply(&files(&[FIRST]), &key("a")).await.unwrap();
    for (set, words) in [("checksum = 'abc'", "a checksum"), ("applied_at = 'soon'", "a time")] {
        let break_it = format!("UPDATE towpath_migrations SET {set}");
        place.open().execute_batch(&break_it).unwrap();
        let error = place.sqlite().applied().await.unwrap_err();
        assert!(error.to_string().contains(&format!("the row 1 of the history has {words}")), "{error}");
        place
            .open()
            .execute_batch("UPDATE towpath_migrations SET checksum = lower(hex(zeroblob(32)))")
            .unwrap();
    }
}

#[tokio::test]
async fn the_history_is_a_stored_format() {
    let place = Place::new();
    place.sqlite().apply(&files(&[FIRST]), &key("a")).await.unwrap();
    let row = "SELECT group_concat(concat_ws(' ', name, type, \"notnull\"), ', ') FROM pragma_table_info('towpath_migrations')";
    let columns: String = place.open().query_row(row, [], |row| row.get(0)).unwrap();
    assert_eq!(
        columns,
        "number INTEGER 0, id TEXT 1, name TEXT 1, checksum TEXT 1, phase TEXT 1, state TEXT 1, applied_at TEXT 1, \
         applied_by TEXT 1, format INTEGER 1"
    );
    let values =
        "SELECT concat_ws('|', number, id, name, phase, state, applied_by, format) FROM towpath_migrations";
    let values: String = place.open().query_row(values, [], |row| row.get(0)).unwrap();
    assert_eq!(values, format!("1|0001|enough|expand|done|{}|1", key("a")));
}

#[tokio::test]
async fn an_empty_folder_does_nothing() {
    let place = Place::new();
    let history = place.sqlite().apply(&Migrations::new([]).unwrap(), &key("a")).await.unwrap();
    assert!(history.is_empty());
    assert_eq!(place.count("towpath_migrations"), None);
}
