//! What proves that a worker is dead, and what does not.

use crate::{
    child::{Process, say, wait_for_ever},
    common::{LEASE, Outcome, Run, Sqlite, beside, register},
};
use std::path::Path;
use towpath_model::{Timestamp, WorkerId};
use towpath_store::{Claim, Claimed, Clock, Store, SystemClock, conformance::block_on};
use towpath_store_sqlite::{Options, SqliteStore};

/// A child: a worker that owns three runs and does nothing.
pub(crate) fn live(database: &Path) {
    let store = SqliteStore::open(database, Options::default()).expect("the store opens");
    let worker = block_on(register(&store, "child")).expect("the worker registers");
    for n in 0..3 {
        block_on(Run::start(&store, &worker, n)).expect("the run starts");
    }
    say("ready");
    wait_for_ever();
}

struct Scene {
    fixture: Sqlite,
    store: SqliteStore,
    child: Process,
    me: WorkerId,
}

impl Scene {
    /// A child that lives, and a store in this process whose clock stands where the child's is.
    fn set() -> Outcome<Self> {
        let fixture = Sqlite::new();
        let mut child = Process::start("live", &fixture.folder.database());
        assert_eq!(child.hear().as_deref(), Some("ready"));
        fixture.clock.set(SystemClock.now());
        let store = fixture.store();
        let me = block_on(register(&store, "me"))?;
        Ok(Scene { fixture, store, child, me })
    }

    fn claim(&self, limit: usize) -> Outcome<Vec<Claimed>> {
        Ok(block_on(self.store.claim(Claim { worker: self.me.clone(), limit, only: None }))?)
    }

    fn lock_file_is_there(&self) -> bool {
        beside(&self.fixture.folder.database(), ".child.lock").exists()
    }
}

#[test]
fn proof_of_death_is_the_lock_of_a_killed_process() -> Outcome {
    let mut scene = Scene::set()?;
    assert!(scene.claim(9)?.is_empty(), "the runs of a process that lives were claimed");
    assert!(scene.lock_file_is_there());

    scene.child.kill();
    // The proof is on record with the first claim; the rest of the runs is claimed by it.
    let first = scene.claim(1)?;
    assert_eq!(first.len(), 1);
    assert!(!scene.lock_file_is_there(), "the file of a worker known to be dead is left");
    let rest = scene.claim(9)?;
    assert_eq!(rest.len(), 2);
    for claimed in first.iter().chain(&rest) {
        assert!(claimed.taken_over);
        assert!(claimed.predecessor_alive_at.is_some() && claimed.death_proven);
    }
    // Nothing is left of it, and its id is free.
    block_on(register(&scene.store, "child"))?;
    Ok(())
}

#[test]
fn proof_of_death_is_not_a_deadline_that_passed() -> Outcome {
    let scene = Scene::set()?;
    scene.fixture.clock.advance(LEASE * 2);
    let claimed = scene.claim(9)?;
    assert_eq!(claimed.len(), 3);
    for claimed in &claimed {
        assert!(claimed.taken_over);
        assert!(!claimed.death_proven, "a process that lives was proven dead");
        let alive_at =
            claimed.predecessor_alive_at.ok_or("a run that was owned says nothing of its owner")?;
        assert!(alive_at > Timestamp::MIN && alive_at <= SystemClock.now());
    }
    assert!(scene.lock_file_is_there(), "the lock of a process that lives was taken away");
    let again = block_on(scene.store.register(&WorkerId::new("child")?, LEASE));
    assert!(again.is_err(), "the id of a process that lives was given away");
    Ok(())
}

#[test]
fn proof_of_death_is_not_a_file_that_is_missing() -> Outcome {
    let scene = Scene::set()?;
    std::fs::remove_file(beside(&scene.fixture.folder.database(), ".child.lock"))?;
    assert!(scene.claim(9)?.is_empty(), "a file that somebody removed was taken for a death");
    Ok(())
}

#[test]
fn proof_of_death_of_an_earlier_life_says_nothing_of_the_next() -> Outcome {
    let fixture = Sqlite::new();
    let (here, there) = (fixture.store(), fixture.store());
    let me = block_on(register(&here, "me"))?;
    for life in 0..3 {
        let worker = block_on(register(&there, "other"))?;
        block_on(Run::start(&there, &worker, life))?;
        let claimed = block_on(here.claim(Claim { worker: me.clone(), limit: 9, only: None }))?;
        assert!(claimed.is_empty(), "life {life}");
        block_on(there.retire(&worker))?;
        let claimed = block_on(here.claim(Claim { worker: me.clone(), limit: 9, only: None }))?;
        assert_eq!(claimed.len(), 1);
        assert!(!claimed[0].taken_over);
    }
    Ok(())
}
