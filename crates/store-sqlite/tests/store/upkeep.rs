//! What a store does beside commits: the log, its threads, its projections, its view.

use crate::common::{Outcome, Run, Sqlite, beside, entry, listing, register};
use rusqlite::Connection;
use std::{collections::HashMap, thread};
use towpath_model::{Listing, Status, StoredEvent, Timestamp};
use towpath_store::{Claim, Filter, Page, Projector, RunRow, Store, Transition, Wake, conformance::block_on};
use towpath_store_sqlite::SqliteStore;

#[test]
fn the_log_begins_anew_under_a_writer_that_never_pauses() -> Outcome {
    const MIB: u64 = 1 << 20;
    let fixture = Sqlite::new();
    let store = fixture.store();
    let worker = block_on(register(&store, "me"))?;
    let mut run = block_on(Run::start(&store, &worker, 1))?;
    let log = beside(&fixture.folder.database(), "-wal");
    let (mut written, mut largest) = (0, 0);
    while written < 40 * MIB {
        let batch: Vec<Transition> = (0..64).map(|_| run.append(8)).collect();
        written += batch.iter().map(|t| t.event_bytes() as u64).sum::<u64>();
        let answers = block_on(store.commit(batch))?;
        assert!(answers.iter().all(Result::is_ok));
        largest = largest.max(log.metadata()?.len());
    }
    assert!(largest < 24 * MIB, "the log grew to {} MiB", largest / MIB);
    assert!(store.stats().checkpoints > 4);
    Ok(())
}

#[test]
fn the_log_is_emptied_when_nothing_is_written() -> Outcome {
    let fixture = Sqlite::new();
    let store = fixture.store();
    block_on(register(&store, "me"))?;
    let log = beside(&fixture.folder.database(), "-wal");
    assert!(log.metadata()?.len() > 0);
    while log.metadata()?.len() > 0 {
        thread::yield_now();
    }
    Ok(())
}

/// Names of this process's threads.
#[cfg(target_os = "linux")]
fn threads(of: &str) -> usize {
    let names = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    names.filter(|t| std::fs::read_to_string(t.path().join("comm")).is_ok_and(|c| c.trim() == of)).count()
}

/// In a process of its own, since other tests have watches too.
#[cfg(target_os = "linux")]
pub(crate) fn watch_and_stop(database: &std::path::Path) {
    let store =
        SqliteStore::open(database, towpath_store_sqlite::Options::default()).expect("the store opens");
    block_on(register(&store, "me")).expect("the worker registers");
    assert_eq!(threads("towpath-watch"), 0);
    let changed = store.changed();
    while threads("towpath-watch") == 0 {
        thread::yield_now();
    }
    drop(changed);
    while threads("towpath-watch") > 0 {
        thread::yield_now();
    }
    drop((store.changed(), store.changed()));
    drop(store);
    assert_eq!(threads("towpath-watch") + threads("towpath-checkpo"), 0, "a thread outlives its store");
    crate::child::say("over");
}

#[cfg(target_os = "linux")]
#[test]
fn nobody_watches_while_nobody_waits() {
    let fixture = Sqlite::new();
    let mut child = crate::child::Process::start("watch", &fixture.folder.database());
    assert_eq!(child.hear().as_deref(), Some("over"));
}

/// Knows the rows of the journals that end with these headers.
struct Known(HashMap<Vec<u8>, (Listing, Option<Timestamp>)>);

impl Projector for Known {
    fn project(&self, events: &[StoredEvent]) -> Option<(Listing, Option<Timestamp>)> {
        self.0.get(&events.last()?.header).cloned()
    }
}

fn rows(store: &SqliteStore) -> Outcome<Vec<RunRow>> {
    Ok(block_on(store.list(&Filter::default(), Page { after: None, limit: Page::MOST }))?)
}

#[test]
fn projections_can_be_dropped_and_made_anew() -> Outcome {
    let fixture = Sqlite::new();
    let store = fixture.store();
    let me = block_on(register(&store, "me"))?;
    let mut known = HashMap::new();
    for n in 0..40 {
        let mut run = block_on(Run::start(&store, &me, n))?;
        let status = [Status::Waiting, Status::Stuck, Status::Settled, Status::Running][n as usize % 4];
        let wake = (n % 3 == 0 && status != Status::Settled).then(|| Timestamp::from_micros(1 + n as i64));
        let row = listing(status, &format!("note {n}"));
        let mut t = Transition { listing: Some(row.clone()), release: n % 2 == 0, ..run.append(2) };
        t.wake = wake.map_or(Wake::Never, Wake::At);
        known.insert(t.events[1].header.clone(), (row, wake));
        block_on(store.commit(vec![t]))?;
        if n % 5 == 0 {
            block_on(store.put_entry(run.id, entry("unread")?))?;
        }
    }
    let changed_at = block_on(store.now())?;
    let before = rows(&store)?;
    let by_label = Filter { labels: vec![("n".to_owned(), "7".to_owned())], ..Filter::default() };
    let other = Connection::open(fixture.folder.database())?;
    other.execute_batch("DELETE FROM listings; DELETE FROM labels; UPDATE driving SET wake_at = NULL")?;
    assert_eq!(rows(&store)?, []);

    block_on(store.rebuild(&Known(known)))?;
    assert_eq!(rows(&store)?, before);
    assert!(before.iter().all(|row| row.changed_at == changed_at));
    assert_eq!(block_on(store.list(&by_label, Page { after: None, limit: 9 }))?.len(), 1);
    let claim = Claim { worker: me, limit: 100, only: None };
    let claimed = block_on(store.claim(claim))?;
    let due = before.iter().filter(|row| row.owner.is_none() && row.listing.status != Status::Settled);
    assert!(claimed.len() <= due.count() && !claimed.is_empty());

    // A run that lost all its rows is driven again.
    other.execute_batch("DELETE FROM listings; DELETE FROM driving")?;
    block_on(store.rebuild(&Known(HashMap::new())))?;
    let lost = rows(&store)?;
    assert_eq!(lost.len(), before.len());
    assert!(lost.iter().all(|row| row.listing.status == Status::Quarantined));
    Ok(())
}

#[test]
fn the_view_shows_every_event_to_a_reader_of_sql() -> Outcome {
    let fixture = Sqlite::new();
    let store = fixture.store();
    let me = block_on(register(&store, "me"))?;
    let (mut one, mut two) = (block_on(Run::start(&store, &me, 1))?, block_on(Run::start(&store, &me, 2))?);
    for _ in 0..3 {
        block_on(store.commit(vec![one.append(2), two.append(1)]))?;
    }
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let reader = Connection::open_with_flags(fixture.folder.database(), flags)?;
    let sql = "SELECT run_key, group_concat(seq), min(payload ->> 'event') FROM \
               (SELECT * FROM journal ORDER BY run_key, seq) GROUP BY run_key ORDER BY run_key";
    let row = |row: &rusqlite::Row<'_>| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
    };
    let found: Vec<_> = reader.prepare(sql)?.query_map([], row)?.collect::<Result<_, _>>()?;
    assert_eq!(found, [("run-1".into(), "1,2,3,4,5,6".into(), 0), ("run-2".into(), "1,2,3".into(), 0)]);
    Ok(())
}

#[test]
fn a_journal_that_is_damaged_says_so() -> Outcome {
    let fixture = Sqlite::new();
    let store = fixture.store();
    let me = block_on(register(&store, "me"))?;
    let mut run = block_on(Run::start(&store, &me, 1))?;
    block_on(store.commit(vec![run.append(5)]))?;
    let other = Connection::open(fixture.folder.database())?;
    other.execute("DELETE FROM events WHERE seq = 3", [])?;
    let error = block_on(store.events(run.no, towpath_model::Seq(0), 10)).err().ok_or("it was read")?;
    assert_eq!(error.kind(), towpath_store::StoreErrorKind::Corrupt);
    assert!(error.to_string().ends_with("an event is missing, run: 1, event: 3"), "{error}");
    assert_eq!(block_on(store.events(run.no, towpath_model::Seq(3), 10))?.len(), 2);
    Ok(())
}

#[test]
fn many_readers_share_a_few_connections() -> Outcome {
    let fixture = Sqlite::new();
    let store = fixture.store();
    let me = block_on(register(&store, "me"))?;
    let run = block_on(Run::start(&store, &me, 1))?;
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(block_on(store.head(run.no)).map(|h| h.owner.is_some()).ok(), Some(true));
                }
            });
        }
    });
    Ok(())
}

#[test]
fn an_outcome_that_cannot_be_read_hides_no_run() -> Outcome {
    let fixture = Sqlite::new();
    let store = fixture.store();
    let me = block_on(register(&store, "me"))?;
    for n in 0..3 {
        block_on(Run::start(&store, &me, n))?;
    }
    let other = Connection::open(fixture.folder.database())?;
    other.execute("UPDATE listings SET outcome = '{\"of-a-newer-release\":1}' WHERE run_no = 2", [])?;
    let rows = rows(&store)?;
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row.listing.outcome.is_none()));
    Ok(())
}
