//! A process is killed with SIGKILL in the middle of a long migration.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use crate::common::{files, ids, key};
use rusqlite::Connection;
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use towpath_provider::{Database, Migrations};
use towpath_provider_sql::Sqlite;

/// The second never ends, unless the table `enough` says where.
fn all() -> Migrations {
    files(&[
        ("0001_enough.sql", "CREATE TABLE enough (n INTEGER); CREATE TABLE big (i INTEGER);"),
        (
            "0002_fill.sql",
            "UPDATE enough SET n = n; INSERT INTO big WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n \
             WHERE i < coalesce((SELECT n FROM enough), 9000000000000)) SELECT i FROM n;",
        ),
        ("0003_last.sql", "CREATE TABLE last (id INTEGER);"),
    ])
}

fn sqlite(folder: &Path) -> Sqlite {
    Sqlite::at(folder.join("orders.db")).create()
}

/// A child that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn child(folder: &Path) -> Killed {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::the_child_migrates"])
        .env("TOWPATH_TEST_FOLDER", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Killed(child.unwrap())
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::yield_now();
    }
}

/// The child of the other test; by itself, a migration that nobody kills.
#[tokio::test]
async fn the_child_migrates() {
    let own = tempfile::tempdir().unwrap();
    let folder = std::env::var("TOWPATH_TEST_FOLDER").map_or(own.path().to_owned(), PathBuf::from);
    if folder == own.path() {
        let first = all().up_to("0001").unwrap();
        sqlite(&folder).apply(&first, &key("a")).await.unwrap();
        enough(&folder);
    }
    let history = sqlite(&folder).apply(&all(), &key("a")).await.unwrap();
    assert_eq!(ids(&history), ["0001", "0002", "0003"]);
}

fn enough(folder: &Path) {
    Connection::open(folder.join("orders.db"))
        .unwrap()
        .execute_batch("INSERT INTO enough VALUES (7)")
        .unwrap();
}

async fn kill_in_the_middle(mode: &str, growing: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.db");
    let set = format!("PRAGMA journal_mode = {mode}");
    Connection::open(&file).unwrap().query_row(&set, [], |_| Ok(())).unwrap();
    sqlite(folder.path()).apply(&all().up_to("0001").unwrap(), &key("a")).await.unwrap();
    let mut killed = child(folder.path());
    // Pages of the transaction have been written to the disk: more than the cache holds.
    let size = || std::fs::metadata(folder.path().join(growing)).map_or(0, |about| about.len());
    until("the migration is in the middle", || size() > 8 << 20);
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();

    let history = sqlite(folder.path()).applied().await.unwrap();
    assert_eq!(ids(&history), ["0001"], "it was killed in the middle of 0002");
    let there: i64 =
        Connection::open(&file).unwrap().query_row("SELECT count(*) FROM big", [], |row| row.get(0)).unwrap();
    assert_eq!(there, 0, "the database stands at the border of a migration");
    enough(folder.path());
    let history = sqlite(folder.path()).apply(&all(), &key("a")).await.unwrap();
    assert_eq!(ids(&history), ["0001", "0002", "0003"]);
    let other = Connection::open(&file).unwrap();
    let there: i64 = other.query_row("SELECT count(*) FROM big", [], |row| row.get(0)).unwrap();
    assert_eq!(there, 7);
    let sound: String = other.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

#[tokio::test]
async fn killed_in_the_middle_the_database_is_at_a_border_and_goes_on() {
    kill_in_the_middle("delete", "orders.db").await;
}

#[tokio::test]
async fn killed_in_the_middle_with_a_write_ahead_log_it_goes_on_as_well() {
    kill_in_the_middle("wal", "orders.db-wal").await;
}
