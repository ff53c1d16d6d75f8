//! Runs that are removed: a piece at a time, and by processes that are killed.

use crate::{
    child::{Process, say},
    common::{Outcome, Run, Sqlite, listing, register, run_id, stored_chain},
};
use rusqlite::Connection;
use std::path::Path;
use towpath_model::{Actor, Attempt, Digest, RunNo, Status, StepId, WorkerId};
use towpath_store::{
    Blob, Clock, LogLine, Removal, Remove, Store, SystemClock, Transition, conformance::block_on,
};
use towpath_store_sqlite::{Options, SqliteStore};

fn removing(run: &Run) -> Remove {
    let (seq, hash) = (run.chain.seq(), run.chain.hash());
    Remove { run: run.id, seq, hash, by: Actor::engine(), note: String::new() }
}

/// A run that is over, with so many events, a line of log for each ten and a blob of its own.
async fn settled(store: &SqliteStore, worker: &WorkerId, n: u64, events: usize) -> Outcome<Run> {
    let mut run = Run::start(store, worker, n).await?;
    let (step, at) = (StepId::new("build")?, SystemClock.now());
    let mut left = events;
    while left > 0 {
        let now = left.min(500);
        left -= now;
        let line = |_| LogLine { step: step.clone(), attempt: Attempt(1), line: 0, at, text: "on\n".into() };
        let logs = (0..now / 10).map(line).collect();
        store.commit(vec![Transition { logs, ..run.append(now) }]).await?;
    }
    let text = format!("\"{n}\"");
    let blobs = vec![Blob { digest: Digest::of(text.as_bytes()), text }];
    let settles = Transition { listing: Some(listing(Status::Settled, "")), blobs, ..run.append(1) };
    store.commit(vec![settles]).await?;
    Ok(run)
}

#[test]
fn a_removal_is_one_small_commit_and_frees_what_is_left_a_piece_at_a_time() -> Outcome {
    const EVENTS: usize = 5_000;
    const PIECE: usize = 500;
    let fixture = Sqlite::new();
    let database = fixture.folder.database();
    let store = fixture.store();
    let worker = block_on(register(&store, "me"))?;
    let mut beside = block_on(Run::start(&store, &worker, 1))?;
    let run = block_on(settled(&store, &worker, 2, EVENTS))?;
    let events = || count(&database, "SELECT count(*) FROM events");
    let before = events()?;
    assert_eq!(block_on(store.remove(vec![removing(&run)]))?, [Removal::Removed]);
    assert_eq!(events()?, before, "taking it out of sight frees nothing yet");
    let mut pieces = 0;
    loop {
        let before = events()?;
        let is_more = block_on(store.sweep(PIECE))?;
        let freed = before - events()?;
        assert!(freed <= PIECE as i64, "one commit freed {freed} events");
        // Others write between two pieces.
        assert!(block_on(store.commit(vec![beside.append(1)]))?.iter().all(Result::is_ok));
        pieces += 1;
        if !is_more {
            break;
        }
    }
    assert!(pieces >= EVENTS / PIECE, "{pieces} pieces");
    assert_eq!(events()? as u64, beside.chain.seq().0, "what is left is of the other run");
    Ok(())
}

const RUNS: u64 = 40;

/// A child: removes run after run, frees what they left in small pieces, and says what it is about to do.
pub(crate) fn remove_for_ever(database: &Path) {
    let store = SqliteStore::open(database, Options::default()).expect("the store opens");
    for n in 0..RUNS {
        let Some(row) = block_on(store.find(run_id(n))).expect("the run is looked for") else { continue };
        let head = block_on(store.head(row.no)).expect("it has a head");
        let (run, by, note) = (row.run, Actor::engine(), String::new());
        let remove = Remove { run, seq: head.seq, hash: head.hash, by, note };
        say("remove");
        assert_eq!(block_on(store.remove(vec![remove])).expect("it is answered"), [Removal::Removed]);
        say("removed");
        while block_on(store.sweep(60)).expect("it is answered") {
            say("sweep");
        }
    }
    // What a child before this one was killed at.
    while block_on(store.sweep(60)).expect("it is answered") {
        say("sweep");
    }
    say("over");
    crate::child::wait_for_ever();
}

fn count(database: &Path, sql: &str) -> Outcome<i64> {
    Ok(Connection::open(database)?.query_row(sql, [], |row| row.get(0))?)
}

#[test]
fn a_removal_that_is_killed_goes_on_and_leaves_nothing_behind() -> Outcome {
    let fixture = Sqlite::new();
    let database = fixture.folder.database();
    let store = fixture.store();
    let worker = block_on(register(&store, "me"))?;
    let mut runs = Vec::new();
    for n in 0..=RUNS {
        runs.push(block_on(settled(&store, &worker, n, 200))?);
    }
    let (mut heard, mut kills) = (std::collections::BTreeMap::<String, u32>::new(), 0_u64);
    loop {
        let mut child = Process::start("remove", &database);
        let mut last = String::new();
        for _ in 0..1 + kills * 7 % 11 {
            last = child.hear().ok_or("the child ended by itself")?;
            if last == "over" {
                break;
            }
        }
        child.kill();
        if last == "over" {
            break;
        }
        *heard.entry(last).or_default() += 1;
        kills += 1;
        // Whatever was cut short: each run is there whole, or not there.
        for (n, run) in (0..).zip(&runs) {
            if let Some(row) = block_on(store.find(run_id(n)))? {
                assert_eq!(block_on(stored_chain(&store, row.run, row.no))?.hash(), run.chain.hash());
            }
        }
        assert!(kills < 1_000, "removing does not come to an end");
    }
    assert!(heard.len() >= 3, "the kills struck only here: {heard:?}");
    assert!(!block_on(store.sweep(1))?);
    assert_eq!(block_on(store.removed(RunNo(0), 1_000))?.len() as u64, RUNS);
    // What is left is what the one run has that stays.
    for (table, rows) in
        [("events", 201), ("step_logs", 20), ("blobs", 1), ("blob_refs", 1), ("labels", 1), ("heads", 1)]
    {
        assert_eq!(count(&database, &format!("SELECT count(*) FROM {table}"))?, rows, "{table}");
    }
    Ok(())
}
