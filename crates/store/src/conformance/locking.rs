//! Rules of [`Store::commit`](crate::Store::commit) about locks.

use super::fixture::{Fixture, Lease, Outcome, Sample, commit, later, name, register};
use crate::{LockChange, LockRow, Store, Transition};
use std::time::Duration;
use towpath_model::{Actor, EntryId, Message, Seq};

fn asking(lease: &mut Lease) -> Transition {
    let asks = lease.append("asks");
    Transition { locks: vec![LockChange::Ask { lock: name("production"), asked: lease.chain.seq() }], ..asks }
}

fn returning(lease: &mut Lease) -> Transition {
    Transition { locks: vec![LockChange::Return(name("production"))], ..lease.append("returns") }
}

/// The fencing numbers of the grants that wait in a run's inbox.
async fn grants(store: &dyn Store, lease: &Lease) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
    Ok(answers(store, lease).await?.into_iter().map(|(fence, _)| fence).collect())
}

/// The grants that wait in a run's inbox: each with its fencing number, and the event that it answers.
async fn answers(store: &dyn Store, lease: &Lease) -> Result<Vec<(u64, Seq)>, Box<dyn std::error::Error>> {
    let mut answers = Vec::new();
    for entry in store.entries(lease.no, 100).await? {
        let Message::LockGranted { lock, fence, asked } = entry.message.read()? else { continue };
        assert_eq!((lock.as_str(), entry.actor), ("production", Actor::engine()));
        answers.push((fence, asked));
    }
    Ok(answers)
}

pub(super) async fn a_free_lock_is_granted_with_the_transition_that_asks_for_it(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut first = Sample::new(1).owned(&me).start(&*store).await?;
    let mut second = Sample::new(2).owned(&me).start(&*store).await?;
    commit(&*store, asking(&mut first)).await?;
    commit(&*store, asking(&mut first)).await?;
    commit(&*store, asking(&mut second)).await?;
    assert_eq!(answers(&*store, &first).await?, [(1, Seq(3))], "asking again changes nothing");
    assert_eq!(grants(&*store, &second).await?, [0; 0]);
    Ok(())
}

pub(super) async fn a_returned_lock_goes_to_the_run_that_asked_first(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut leases = Vec::new();
    for n in 0..4 {
        leases.push(Sample::new(n).owned(&me).start(&*store).await?);
        commit(&*store, asking(&mut leases[n as usize])).await?;
    }
    // The second leaves the queue; the third is next.
    commit(&*store, returning(&mut leases[1])).await?;
    commit(&*store, returning(&mut leases[0])).await?;
    commit(&*store, returning(&mut leases[2])).await?;
    let mut fences = Vec::new();
    for lease in &leases {
        fences.push(grants(&*store, lease).await?);
    }
    assert_eq!(fences, [vec![1], vec![], vec![2], vec![3]]);
    let consumed: Vec<EntryId> = store.entries(leases[3].no, 9).await?.iter().map(|e| e.id).collect();
    let last = &mut leases[3];
    commit(&*store, Transition { consumed, ..returning(last) }).await?;
    commit(&*store, asking(last)).await?;
    assert_eq!(grants(&*store, last).await?, [4], "a lock that was free for a while");
    Ok(())
}

pub(super) async fn a_run_that_settles_holds_no_lock_and_waits_for_none(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut leases = Vec::new();
    for n in 0..3 {
        leases.push(Sample::new(n).owned(&me).start(&*store).await?);
        commit(&*store, asking(&mut leases[n as usize])).await?;
    }
    commit(&*store, leases[1].settle()).await?;
    commit(&*store, leases[0].settle()).await?;
    assert_eq!(grants(&*store, &leases[1]).await?, [0; 0]);
    assert_eq!(grants(&*store, &leases[2]).await?, [2]);
    Ok(())
}

pub(super) async fn a_run_that_starts_can_ask_for_locks_with_its_first_events(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut leases = Vec::new();
    for n in 0..2 {
        let mut sample = Sample::new(n).owned(&me);
        sample.new.locks = vec![LockChange::Ask { lock: name("production"), asked: Seq(2) }];
        let again = Sample { new: sample.new.clone(), chain: sample.chain.clone() };
        leases.push(sample.start(&*store).await?);
        // A start that is written again asks once.
        store.start_run(again.new).await?;
    }
    assert_eq!(answers(&*store, &leases[0]).await?, [(1, Seq(2))]);
    assert_eq!(answers(&*store, &leases[1]).await?, []);
    commit(&*store, returning(&mut leases[0])).await?;
    assert_eq!(answers(&*store, &leases[1]).await?, [(2, Seq(2))]);
    Ok(())
}

pub(super) async fn locks_show_who_holds_them_and_who_waits_in_the_order_in_which_they_asked(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    assert_eq!(store.locks().await?, []);
    let mut leases = Vec::new();
    for n in 0..3 {
        leases.push(Sample::new(n).owned(&me).start(&*store).await?);
    }
    // Not in the order in which they were started.
    let mut asked = Vec::new();
    for n in [2, 0, 1] {
        fixture.clock().advance(Duration::from_secs(1));
        asked.push(later(fixture, 0));
        commit(&*store, asking(&mut leases[n])).await?;
    }
    let row = LockRow {
        lock: name("production"),
        fence: 1,
        holder: Some((leases[2].run, asked[0])),
        queue: vec![(leases[0].run, asked[1]), (leases[1].run, asked[2])],
    };
    assert_eq!(store.locks().await?, [row]);
    let now = later(fixture, 0);
    commit(&*store, returning(&mut leases[2])).await?;
    let row = LockRow {
        lock: name("production"),
        fence: 2,
        holder: Some((leases[0].run, now)),
        queue: vec![(leases[1].run, now)],
    };
    assert_eq!(store.locks().await?, [row]);
    commit(&*store, leases[0].settle()).await?;
    commit(&*store, returning(&mut leases[1])).await?;
    assert_eq!(store.locks().await?, [], "nobody holds it and nobody waits");
    Ok(())
}
