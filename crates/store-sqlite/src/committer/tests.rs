//! What a failure takes with it, and what it does not.

use super::*;
use crate::{
    checkpoint::Checkpointer,
    error::Failure,
    request::{Weight, Written, request},
};
use rusqlite::params;
use std::sync::atomic::AtomicU32;
use towpath_store::conformance::block_on;

struct Scene {
    committer: Committer,
    folder: std::path::PathBuf,
}

impl Scene {
    fn set() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("towpath-commit-{}-{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let paths = Paths::of(&folder.join("journal.db")).unwrap();
        let (options, counters) = (Options::default(), Arc::new(Counters::default()));
        let log = LogSize::new(Checkpointer::new(&paths, &options, counters.clone()));
        let told = Told { changes: Changes::default(), counters, last_commit: Arc::default() };
        let committer = Committer::open(&paths, &options, log, told).unwrap();
        committer
            .connection
            .execute_batch("CREATE TABLE marks (id INTEGER PRIMARY KEY, text TEXT) STRICT")
            .unwrap();
        Scene { committer, folder }
    }

    fn marks(&self) -> Vec<i64> {
        let connection = Connection::open(self.folder.join("journal.db")).unwrap();
        let mut marks = connection.prepare("SELECT id FROM marks ORDER BY id").unwrap();
        marks.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// Commits these writes together.
    fn commit(&mut self, writes: Vec<(Box<dyn Write>, Written<()>)>) -> Vec<Result<(), StoreErrorKind>> {
        let (batch, answers): (Vec<_>, Vec<_>) = writes.into_iter().unzip();
        self.committer.commit(batch);
        answers.into_iter().map(|a| block_on(a.answer()).map_err(|e| e.kind())).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn insert(tx: &Tx<'_>, id: i64, text: &str) -> Result<(), Failure> {
    tx.execute("INSERT INTO marks (id, text) VALUES (?1, ?2)", params![id, text])?;
    Ok(())
}

fn mark(id: i64) -> (Box<dyn Write>, Written<()>) {
    request("mark", Weight::default(), move |tx| insert(tx, id, "text"))
}

fn large(id: i64) -> (Box<dyn Write>, Written<()>) {
    let text = "x".repeat(100_000);
    request("mark", Weight::default(), move |tx| insert(tx, id, &text))
}

#[test]
fn leader_commit_fails_only_the_write_whose_statement_fails() {
    let mut scene = Scene::set();
    // It writes before it fails, and the first two are written twice because of it.
    let poisoned = request("poison", Weight::default(), |tx| {
        insert(tx, 3, "half")?;
        insert(tx, 1, "taken")
    });
    let refused = request("refuse", Weight::default(), |_| {
        Err(StoreError::new(StoreErrorKind::NotFound, "refuse").into())
    });
    let answers = scene.commit(vec![mark(1), mark(2), poisoned, refused, mark(4)]);
    let (invalid, not_found) = (Err(StoreErrorKind::Invalid), Err(StoreErrorKind::NotFound));
    assert_eq!(answers, [Ok(()), Ok(()), invalid, not_found, Ok(())]);
    assert_eq!(scene.marks(), [1, 2, 4]);
}

#[test]
fn leader_commit_on_a_full_disk_fails_whole_and_the_connection_goes_on() {
    let mut scene = Scene::set();
    let limit = |committer: &Committer, pages: i64| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        committer.connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let pages: i64 = scene.committer.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    limit(&scene.committer, pages + 10);
    let unavailable = Err(StoreErrorKind::Unavailable);
    assert_eq!(scene.commit(vec![mark(1), large(2), mark(3)]), [unavailable; 3]);
    assert_eq!(scene.marks(), [0; 0], "half of a batch was written");
    let failing = scene.committer.last_commit.failing().unwrap().to_string();
    assert!(failing.contains("the store is unavailable, what to do: make room on its disk"), "{failing}");
    assert_eq!(scene.commit(vec![mark(4)]), [Ok(())], "what fits is written");
    assert!(scene.committer.last_commit.failing().is_none(), "it can be written again");
    assert_eq!(scene.commit(vec![large(5)]), [unavailable]);
    limit(&scene.committer, 1_000_000);
    assert_eq!(scene.commit(vec![mark(6), large(7)]), [Ok(()); 2]);
    assert_eq!(scene.marks(), [4, 6, 7]);
    assert_eq!(scene.committer.counters.read().rollbacks, 2);
}

#[test]
fn leader_commit_after_a_panic_begins_anew() {
    let mut scene = Scene::set();
    let panics = request("panic", Weight::default(), |tx| -> Result<(), Failure> {
        insert(tx, 1, "half")?;
        panic!("a bug")
    });
    let (lost, also_lost) = (panics.1, mark(2));
    let batch = vec![panics.0, also_lost.0];
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| scene.committer.commit(batch)));
    assert!(caught.is_err());
    for answer in [lost, also_lost.1] {
        assert_eq!(block_on(answer.answer()).map_err(|e| e.kind()), Err(StoreErrorKind::Unavailable));
    }
    assert_eq!(scene.commit(vec![mark(3)]), [Ok(())]);
    assert_eq!(scene.marks(), [3]);
}

#[test]
fn leader_commit_waits_for_a_busy_database_and_gives_up_in_the_end() {
    let mut scene = Scene::set();
    let other = Connection::open(scene.folder.join("journal.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    scene.committer.options.patience = std::time::Duration::from_millis(20);
    assert_eq!(scene.commit(vec![mark(1)]), [Err(StoreErrorKind::Unavailable)]);
    assert_eq!(scene.committer.counters.read().waits, 1);
    // Nobody is asked to step aside for one that has given up.
    let want = std::fs::File::open(scene.folder.join("journal.db.want")).unwrap();
    want.try_lock().unwrap();
    want.unlock().unwrap();

    scene.committer.options.patience = std::time::Duration::from_secs(60);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| scene.commit(vec![mark(2)]));
        // It asks for the database before it gets it.
        while want.try_lock_shared().is_ok() {
            want.unlock().unwrap();
            std::thread::yield_now();
        }
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(waiting.join().unwrap(), [Ok(())]);
    });
    assert_eq!(scene.marks(), [2]);
}
