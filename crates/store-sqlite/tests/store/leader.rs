//! Who commits, for whom, and what shares a commit.

use crate::common::{Outcome, Run, Sqlite, register, stored_chain};
use std::{
    future::Future,
    pin::pin,
    sync::Barrier,
    task::{Context, Poll, Waker},
    thread,
};
use towpath_model::Seq;
use towpath_store::{Store, conformance::block_on};

/// Polls a future once.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn leader_commit_of_one_run_alone_crosses_no_thread() -> Outcome {
    let fixture = Sqlite::new();
    let store = fixture.store();
    let worker = block_on(register(&store, "me"))?;
    let mut run = block_on(Run::start(&store, &worker, 1))?;
    for _ in 0..50 {
        let before = store.stats();
        let t = run.append(2);
        // Nobody is there to wake: the answer is there with the first poll, or never.
        let Poll::Ready(answers) = poll_once(store.commit(vec![t])) else { return Err("it waited".into()) };
        assert_eq!(answers?, [Ok(run.chain.seq())]);
        let stats = store.stats();
        assert_eq!((stats.commits - before.commits, stats.transitions - before.transitions), (1, 1));
    }
    assert_eq!(store.stats().handovers, 0);
    Ok(())
}

#[test]
fn leader_commit_is_shared_by_all_who_queue_meanwhile() -> Outcome {
    const DRIVERS: u64 = 8;
    const EACH: u64 = 150;
    let fixture = Sqlite::new();
    let store = fixture.store();
    let worker = block_on(register(&store, "me"))?;
    let mut runs = Vec::new();
    for n in 0..DRIVERS {
        runs.push(block_on(Run::start(&store, &worker, n))?);
    }
    let before = store.stats();
    let barrier = Barrier::new(DRIVERS as usize);
    thread::scope(|scope| {
        for run in &mut runs {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..EACH {
                    let t = run.append(2);
                    let answers = block_on(store.commit(vec![t])).expect("the commit is answered");
                    assert_eq!(answers, [Ok(run.chain.seq())]);
                }
            });
        }
    });
    let stats = store.stats();
    assert_eq!(stats.transitions - before.transitions, DRIVERS * EACH);
    let commits = stats.commits - before.commits;
    assert!(commits < DRIVERS * EACH * 3 / 4, "{commits} commits of {} transitions", DRIVERS * EACH);
    for run in &runs {
        let chain = block_on(stored_chain(&store, run.id, run.no))?;
        assert_eq!((chain.seq(), chain.hash()), (Seq(2 * EACH), run.chain.hash()));
    }
    Ok(())
}

#[test]
fn leader_commit_is_handed_over_when_there_is_no_end_of_it() -> Outcome {
    let fixture = Sqlite::new();
    let store = fixture.store();
    let worker = block_on(register(&store, "me"))?;
    let mut next = 0;
    // How often a queue is found filled is up to the scheduler; it happens within a few rounds.
    while store.stats().handovers == 0 {
        assert!(next < 400, "nobody was ever relieved");
        let mut runs = Vec::new();
        for _ in 0..8 {
            runs.push(block_on(Run::start(&store, &worker, next))?);
            next += 1;
        }
        thread::scope(|scope| {
            for run in &mut runs {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let t = run.append(1);
                        let answers = block_on(store.commit(vec![t])).expect("the commit is answered");
                        assert_eq!(answers, [Ok(run.chain.seq())]);
                    }
                });
            }
        });
    }
    Ok(())
}

#[test]
fn leader_commit_writes_what_was_queued_though_nobody_waits_any_more() -> Outcome {
    let fixture = Sqlite::new();
    let store = fixture.store();
    let worker = block_on(register(&store, "me"))?;
    let mut run = block_on(Run::start(&store, &worker, 0))?;
    let mut others = Vec::new();
    for n in 1..5 {
        others.push(block_on(Run::start(&store, &worker, n))?);
    }
    let (queued, barrier) = (run.append(1), Barrier::new(5));
    thread::scope(|scope| {
        for other in &mut others {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..50 {
                    let t = other.append(1);
                    block_on(store.commit(vec![t])).expect("the commit is answered");
                }
            });
        }
        barrier.wait();
        // Polled once, among others that commit, and dropped.
        let _ = poll_once(store.commit(vec![queued]));
    });
    // Whoever commits now comes after it.
    block_on(store.commit(vec![others[0].append(1)]))?;
    assert_eq!(block_on(store.head(run.no))?.hash, run.chain.hash());
    Ok(())
}

#[test]
fn leader_commit_is_never_made_for_a_future_that_nobody_polled() -> Outcome {
    let fixture = Sqlite::new();
    let store = fixture.store();
    let worker = block_on(register(&store, "me"))?;
    let mut run = block_on(Run::start(&store, &worker, 0))?;
    drop(store.commit(vec![run.append(1)]));
    assert_eq!(block_on(store.head(run.no))?.seq, Seq(0));
    Ok(())
}
