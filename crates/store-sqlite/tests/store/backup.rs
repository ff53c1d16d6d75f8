//! Copies of a store that is in use.

use crate::common::{Outcome, Run, Sqlite, register, stored_chain};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};
use towpath_model::{Epoch, RunId, RunNo, WorkerId};
use towpath_store::{
    Claim, Clock as _, Filter, Page, Refused, Store, StoreErrorKind, Transition, conformance::block_on,
};
use towpath_store_sqlite::{Options, SqliteStore};

fn copy_of(fixture: &Sqlite, name: &str) -> PathBuf {
    fixture.folder.database().with_file_name(name)
}

fn open(fixture: &Sqlite, path: &Path) -> SqliteStore {
    let options = Options { clock: fixture.clock.clone(), ..Options::default() };
    SqliteStore::open(path, options).expect("the copy opens")
}

fn runs(store: &dyn Store) -> Outcome<Vec<(RunId, RunNo)>> {
    let rows = block_on(store.list(&Filter::default(), Page { after: None, limit: 1_000 }))?;
    Ok(rows.iter().map(|row| (row.run, row.no)).collect())
}

#[test]
fn a_copy_made_beside_a_busy_store_is_one_state_of_it_and_verifies() -> Outcome {
    const DRIVERS: u64 = 3;
    let fixture = Sqlite::new();
    let store = fixture.store();
    let worker = block_on(register(&store, "engine"))?;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| -> Outcome {
        for n in 0..DRIVERS {
            let (store, worker, is_over) = (&store, &worker, &is_over);
            scope.spawn(move || {
                let mut run = block_on(Run::start(store, worker, n)).expect("the run starts");
                while !is_over.load(Ordering::Relaxed) {
                    // Two runs' transitions in one commit would be torn apart by a copy that is not one state.
                    let answers = block_on(store.commit(vec![run.append(2)])).expect("it is answered");
                    assert!(answers.iter().all(Result::is_ok));
                }
            });
        }
        let copied = (|| -> Outcome {
            while runs(&store)?.len() < DRIVERS as usize {
                thread::yield_now();
            }
            for n in 0..5 {
                let before = store.stats().commits;
                let path = copy_of(&fixture, &format!("copy-{n}.db"));
                let backup = store.backup(&path)?;
                assert_eq!((backup.runs, backup.bytes), (DRIVERS, path.metadata()?.len()));
                let copy = open(&fixture, &path);
                for (run, no) in runs(&copy)? {
                    let (chain, head) = (block_on(stored_chain(&copy, run, no))?, block_on(copy.head(no))?);
                    assert_eq!((head.seq, head.hash), (chain.seq(), chain.hash()));
                    assert_eq!(chain.seq().0 % 2, 0, "half a transition is there");
                }
                while store.stats().commits == before {
                    thread::yield_now();
                }
            }
            Ok(())
        })();
        is_over.store(true, Ordering::Relaxed);
        copied
    })?;
    let left: Vec<_> = fs::read_dir(fixture.folder.database().parent().ok_or("a folder")?)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.contains(".part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

#[test]
fn in_a_copy_nobody_holds_a_lease_and_nobody_is_proven_dead() -> Outcome {
    let fixture = Sqlite::new();
    let store = fixture.store();
    let worker = block_on(register(&store, "engine"))?;
    let mut run = block_on(Run::start(&store, &worker, 1))?;
    block_on(store.commit(vec![run.append(1)]))?;
    let path = copy_of(&fixture, "copy.db");
    store.backup(&path)?;
    // The worker lives on, and its lease with it, in the original alone.
    let copy = open(&fixture, &path);
    let late = block_on(copy.heartbeat(&worker, crate::common::LEASE));
    assert_eq!(late.err().map(|e| e.kind()), Some(StoreErrorKind::NotFound));
    let me = block_on(register(&copy, "restored"))?;
    let claimed = block_on(copy.claim(Claim { worker: me, limit: 9, only: None }))?;
    assert_eq!(claimed.len(), 1);
    assert!(claimed[0].taken_over && !claimed[0].death_proven, "{:?}", claimed[0]);
    assert_eq!(claimed[0].epoch, Epoch(2));
    // Whoever drove it cannot write to the copy, and still to the original.
    let next = run.append(1);
    assert_eq!(block_on(copy.commit(vec![next.clone()]))?, [Err(Refused::Fenced)]);
    assert_eq!(block_on(store.commit(vec![next]))?, [Ok(run.chain.seq())]);
    // The name of a worker of the original is free in the copy.
    block_on(copy.register(&WorkerId::new("engine")?, crate::common::LEASE))?;
    Ok(())
}

#[test]
fn a_copy_does_not_hold_what_was_deleted() -> Outcome {
    const SECRET: &[u8] = b"hunter2-hunter2-hunter2";
    let fixture = Sqlite::new();
    let store = fixture.store();
    let worker = block_on(register(&store, "engine"))?;
    let mut run = block_on(Run::start(&store, &worker, 1))?;
    let mut t = Transition { ..run.append(1) };
    t.logs = vec![towpath_store::LogLine {
        step: towpath_model::StepId::new("build")?,
        attempt: towpath_model::Attempt(1),
        line: 0,
        at: fixture.clock.now(),
        text: String::from_utf8(SECRET.to_vec())?,
    }];
    block_on(store.commit(vec![t]))?;
    let holds = |path: &Path| -> Outcome<bool> {
        Ok(fs::read(path)?.windows(SECRET.len()).any(|window| window == SECRET))
    };
    let with = copy_of(&fixture, "with.db");
    store.backup(&with)?;
    assert!(holds(&with)?, "the test looks for the wrong thing");
    let settles = Transition {
        listing: Some(crate::common::listing(towpath_model::Status::Settled, "")),
        ..run.append(1)
    };
    block_on(store.commit(vec![settles]))?;
    let (seq, hash) = (run.chain.seq(), run.chain.hash());
    let (by, note) = (towpath_model::Actor::engine(), String::new());
    block_on(store.remove(vec![towpath_store::Remove { run: run.id, seq, hash, by, note }]))?;
    while block_on(store.sweep(1_000))? {}
    let without = copy_of(&fixture, "without.db");
    store.backup(&without)?;
    assert!(!holds(&without)?, "unused pages were copied");
    Ok(())
}

#[test]
fn what_stands_in_the_place_of_a_copy_is_left_as_it_is() -> Outcome {
    let fixture = Sqlite::new();
    let store = fixture.store();
    let path = copy_of(&fixture, "copy.db");
    fs::write(&path, "mine")?;
    let refused = store.backup(&path).err().ok_or("it was written over")?;
    assert_eq!(refused.kind(), StoreErrorKind::Invalid, "{refused}");
    assert_eq!(fs::read(&path)?, b"mine");
    let refused = store.backup(fixture.folder.database()).err().ok_or("it was written over itself")?;
    assert_eq!(refused.kind(), StoreErrorKind::Invalid, "{refused}");
    let nowhere = copy_of(&fixture, "nowhere/copy.db");
    assert_eq!(store.backup(nowhere).err().map(|e| e.kind()), Some(StoreErrorKind::Unavailable));
    Ok(())
}
