//! Rules of [`Store::commit`](crate::Store::commit) about locks.

use super::fixture::{Fixture, Lease, Outcome, Sample, commit, name, register};
use crate::{LockChange, Store, Transition};
use towpath_model::{EntryId, Message};

fn asking(lease: &mut Lease) -> Transition {
    Transition { locks: vec![LockChange::Ask(name("production"))], ..lease.append("asks") }
}

fn returning(lease: &mut Lease) -> Transition {
    Transition { locks: vec![LockChange::Return(name("production"))], ..lease.append("returns") }
}

/// The fencing numbers of the grants that wait in a run's inbox.
async fn grants(store: &dyn Store, lease: &Lease) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
    let mut fences = Vec::new();
    for entry in store.entries(lease.no, 100).await? {
        let Message::Signal { name, value, .. } = entry.message.read()? else { continue };
        let lock: String = value.at("/lock").ok_or("a grant names its lock")?.read()?;
        assert_eq!((name.as_str(), lock.as_str()), ("lock", "production"));
        fences.push(value.at("/fence").ok_or("a grant has a fencing number")?.read()?);
    }
    Ok(fences)
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
    assert_eq!(grants(&*store, &first).await?, [1]);
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
