//! Rules of [`Store::claim`](crate::Store::claim).

use super::{
    block_on::block_on,
    fixture::{
        Fixture, LEASE, Outcome, Sample, claim, commit, entry, later, listing, numbers, register, worker,
    },
};
use crate::{Claim, Put, StoreErrorKind, Transition, Wake};
use std::{collections::BTreeSet, sync::Barrier, thread};
use towpath_model::{RunNo, Status, Timestamp};

pub(super) async fn a_claim_raises_the_epoch(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).start(&*store).await?;
    for round in 0..3 {
        let before = store.head(lease.no).await?.epoch;
        let claimed = claim(&*store, &me).await?;
        let head = store.head(lease.no).await?;
        assert!(head.epoch > before, "round {round}: {} after {before}", head.epoch);
        assert_eq!((claimed[0].epoch, head.owner.as_ref()), (head.epoch, Some(&me)));
        lease = lease.claimed(&claimed[0]);
        let now = Wake::At(fixture.open().now().await?);
        commit(&*store, Transition { wake: now, release: true, ..lease.append("and again") }).await?;
    }
    Ok(())
}

pub(super) async fn two_workers_that_claim_at_once_never_get_the_same_run(fixture: &dyn Fixture) -> Outcome {
    const RUNS: u64 = 60;
    let store = fixture.open();
    for n in 0..RUNS {
        Sample::new(n).start(&*store).await?;
    }
    let barrier = Barrier::new(2);
    let claim_all = |name: &str| {
        let store = fixture.open();
        let claimed = block_on(async {
            let worker = register(&*store, name).await?;
            barrier.wait();
            let mut claimed = Vec::new();
            loop {
                let some = store.claim(Claim { worker: worker.clone(), limit: 3, only: None }).await?;
                if some.is_empty() {
                    return Ok(claimed);
                }
                claimed.extend(numbers(&some));
            }
        });
        // Both handles stay open until both threads are done: dropping one gives its runs to the other.
        barrier.wait();
        claimed.map_err(|e: crate::StoreError| e.to_string())
    };
    let claimed = thread::scope(|scope| {
        let threads = [scope.spawn(|| claim_all("one")), scope.spawn(|| claim_all("two"))];
        threads.map(|t| t.join().expect("the thread ends")).into_iter().collect::<Result<Vec<_>, _>>()
    })?;
    let all = claimed.concat();
    assert_eq!(all.len() as u64, RUNS, "a run was claimed twice or not at all");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len() as u64, RUNS, "a run was claimed twice");
    Ok(())
}

pub(super) async fn a_run_whose_owner_lives_is_not_claimed(fixture: &dyn Fixture) -> Outcome {
    let (here, there) = (fixture.open(), fixture.open());
    let me = register(&*here, "me").await?;
    let other = register(&*there, "other").await?;
    let at = later(fixture, 1);
    let lease = Sample::new(1).owned(&me).start(&*here).await?;
    commit(&*here, Transition { wake: Wake::At(at), ..lease.nothing() }).await?;
    here.put_entry(lease.run, entry("go")).await?;
    for _ in 0..5 {
        fixture.clock().advance(LEASE / 2);
        here.heartbeat(&me, LEASE).await?;
        there.heartbeat(&other, LEASE).await?;
        assert_eq!(claim(&*there, &other).await?, []);
        assert_eq!(claim(&*here, &me).await?, [], "a worker claimed what it owns");
    }
    Ok(())
}

pub(super) async fn a_run_whose_owners_deadline_has_passed_is_claimed_and_says_that_it_was_taken_over(
    fixture: &dyn Fixture,
) -> Outcome {
    let (here, there) = (fixture.open(), fixture.open());
    let me = register(&*here, "me").await?;
    let other = register(&*there, "other").await?;
    let lease = Sample::new(1).owned(&me).start(&*here).await?;
    fixture.clock().advance(LEASE / 2);
    let alive_at = here.now().await?;
    let deadline = here.heartbeat(&me, LEASE).await?;
    fixture.clock().set(Timestamp::from_micros(deadline.as_micros() - 1));
    there.heartbeat(&other, LEASE).await?;
    assert_eq!(claim(&*there, &other).await?, []);
    fixture.clock().set(deadline);
    let claimed = claim(&*there, &other).await?;
    assert_eq!(numbers(&claimed), [lease.no]);
    assert!(claimed[0].taken_over);
    assert_eq!(claimed[0].predecessor_alive_at, Some(alive_at));
    assert!(!claimed[0].death_proven);
    assert_eq!(there.head(lease.no).await?.owner, Some(other));
    Ok(())
}

pub(super) async fn a_run_whose_owner_is_proven_dead_is_claimed_at_once(fixture: &dyn Fixture) -> Outcome {
    let (here, there) = (fixture.open(), fixture.open());
    let me = register(&*here, "me").await?;
    let other = register(&*there, "other").await?;
    let first = Sample::new(1).owned(&me).start(&*here).await?;
    let second = Sample::new(2).owned(&me).start(&*here).await?;
    assert_eq!(claim(&*there, &other).await?, []);
    drop(here);
    for lease in [first, second] {
        let claimed = there.claim(Claim { worker: other.clone(), limit: 1, only: None }).await?;
        assert_eq!(numbers(&claimed), [lease.no]);
        assert!(claimed[0].taken_over);
        assert!(claimed[0].predecessor_alive_at.is_some());
        assert!(claimed[0].death_proven);
    }
    register(&*there, "me").await?;
    assert_eq!(claim(&*there, &other).await?, []);
    Ok(())
}

pub(super) async fn a_parked_run_is_claimed_when_its_wake_is_due_and_not_before(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let at = later(fixture, 20);
    let lease = Sample::new(1).owned(&me).start(&*store).await?;
    commit(&*store, Transition { wake: Wake::At(at), ..lease.release() }).await?;
    fixture.clock().set(Timestamp::from_micros(at.as_micros() - 1));
    assert_eq!(claim(&*store, &me).await?, []);
    fixture.clock().set(at);
    let claimed = claim(&*store, &me).await?;
    assert_eq!(numbers(&claimed), [lease.no]);
    assert!(!claimed[0].taken_over);

    let lease = lease.claimed(&claimed[0]);
    commit(&*store, Transition { wake: Wake::Never, ..lease.release() }).await?;
    fixture.clock().set(Timestamp::MAX);
    let me = register(&*store, "me again").await?;
    assert_eq!(claim(&*store, &me).await?, []);
    Ok(())
}

pub(super) async fn a_parked_run_is_claimed_when_its_inbox_holds_an_entry(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    commit(&*store, lease.release()).await?;
    assert_eq!(claim(&*store, &me).await?, []);
    for id in ["first", "second"] {
        assert_eq!(store.put_entry(lease.run, entry(id)).await?, Put::Accepted);
    }
    let claimed = claim(&*store, &me).await?;
    assert_eq!(numbers(&claimed), [lease.no]);
    // One of the two is left: it is claimed again, and not any more after that.
    lease = lease.claimed(&claimed[0]);
    let entries = store.entries(lease.no, 10).await?;
    let consumed = vec![entries[0].id];
    commit(&*store, Transition { consumed, release: true, ..lease.append("one") }).await?;
    let claimed = claim(&*store, &me).await?;
    assert_eq!(numbers(&claimed), [lease.no]);
    lease = lease.claimed(&claimed[0]);
    let consumed = vec![entries[1].id];
    commit(&*store, Transition { consumed, release: true, ..lease.append("two") }).await?;
    assert_eq!(claim(&*store, &me).await?, []);
    Ok(())
}

pub(super) async fn a_settled_run_is_never_claimed_unless_it_is_recalled(fixture: &dyn Fixture) -> Outcome {
    let (here, there) = (fixture.open(), fixture.open());
    let me = register(&*here, "me").await?;
    let other = register(&*there, "other").await?;
    let now = here.now().await?;
    let mut lease = Sample::new(1).owned(&me).start(&*here).await?;
    here.put_entry(lease.run, entry("unread")).await?;
    commit(&*here, Transition { wake: Wake::At(now), ..lease.settle() }).await?;
    let mut over = Sample::new(2);
    over.new.listing = listing(Status::Settled, "");
    over.start(&*here).await?;
    assert_eq!(claim(&*there, &other).await?, []);
    drop(here);
    assert_eq!(claim(&*there, &other).await?, [], "the owner's death makes no work");
    assert_eq!(there.next_wake().await?, None);
    let mut by = Sample::new(3).owned(&other).start(&*there).await?;
    let recall = vec![(lease.run, entry("come back"))];
    commit(&*there, Transition { recall, ..by.append("third") }).await?;
    assert_eq!(numbers(&claim(&*there, &other).await?), [lease.no]);
    Ok(())
}

pub(super) async fn a_claim_takes_at_most_its_limit_the_longest_due_first(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut runs = Vec::new();
    for (n, seconds) in [3, 1, 4, 2].into_iter().enumerate() {
        let sample = Sample::new(n as u64).waking(later(fixture, seconds));
        runs.push(sample.start(&*store).await?.no);
    }
    fixture.clock().advance(LEASE / 2);
    let mut order: Vec<Vec<RunNo>> = Vec::new();
    for limit in [0, 3, 3] {
        let claimed = store.claim(Claim { worker: me.clone(), limit, only: None }).await?;
        order.push(numbers(&claimed));
    }
    assert_eq!(order, [vec![], vec![runs[1], runs[3], runs[0]], vec![runs[2]]]);
    Ok(())
}

pub(super) async fn takeovers_without_progress_are_counted(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let lease = Sample::new(1).start(&*store).await?;
    for round in 0..4 {
        // Each claims and dies with its process.
        let there = fixture.open();
        let me = register(&*there, &format!("worker-{round}")).await?;
        let claimed = claim(&*there, &me).await?;
        assert_eq!(numbers(&claimed), [lease.no]);
        assert_eq!(claimed[0].takeovers_without_progress, round);
        assert_eq!(claimed[0].taken_over, round > 0);
    }
    Ok(())
}

pub(super) async fn a_run_that_was_given_back_counts_its_takeovers_anew(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let mut lease = Sample::new(1).start(&*store).await?;
    for round in 0..4 {
        // It is free when the first of the two claims it, who dies with its process.
        let there = fixture.open();
        let first = register(&*there, &format!("first-{round}")).await?;
        assert_eq!(claim(&*there, &first).await?[0].takeovers_without_progress, 0, "round {round}");
        drop(there);
        let me = register(&*store, &format!("worker-{round}")).await?;
        let claimed = claim(&*store, &me).await?;
        assert_eq!(claimed[0].takeovers_without_progress, 1, "round {round}");
        lease = lease.claimed(&claimed[0]);
        if round % 2 == 0 {
            store.retire(&me).await?;
        } else {
            let wake = Wake::At(store.now().await?);
            commit(&*store, Transition { wake, ..lease.release() }).await?;
        }
    }
    Ok(())
}

pub(super) async fn a_worker_that_is_not_registered_claims_nothing(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let lease = Sample::new(1).start(&*store).await?;
    let refused = claim(&*store, &worker("nobody")).await.map_err(|e| e.kind());
    assert_eq!(refused, Err(StoreErrorKind::NotFound));
    let me = register(&*store, "me").await?;
    assert_eq!(numbers(&claim(&*store, &me).await?), [lease.no]);
    Ok(())
}

pub(super) async fn a_claim_of_one_run_takes_no_other(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let other = Sample::new(1).start(&*store).await?;
    let wanted = Sample::new(2).start(&*store).await?;
    let parked = Sample::new(3).waking(later(fixture, 60)).start(&*store).await?;
    for (run, expected) in [
        (parked.run, vec![]),
        (wanted.run, vec![wanted.no]),
        (wanted.run, vec![]),
        (Sample::new(9).new.run, vec![]),
    ] {
        let claimed = store.claim(Claim { worker: me.clone(), limit: 10, only: Some(run) }).await?;
        assert_eq!(numbers(&claimed), expected);
    }
    assert_eq!(numbers(&claim(&*store, &me).await?), [other.no]);
    Ok(())
}
