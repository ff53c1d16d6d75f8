//! Rules about workers, wakes and quarantine.

use super::fixture::{
    Fixture, LEASE, Outcome, Sample, claim, commit, entry, later, numbers, register, waiting, worker,
};
use crate::{Refused, StoreErrorKind, Transition, Wake};
use towpath_model::{Seq, Status};

pub(super) async fn a_worker_id_that_lives_cannot_be_registered_again(fixture: &dyn Fixture) -> Outcome {
    let (here, there) = (fixture.open(), fixture.open());
    let me = register(&*here, "me").await?;
    for store in [&here, &there] {
        let refused = store.register(&me, LEASE).await.map_err(|e| e.kind());
        assert_eq!(refused, Err(StoreErrorKind::Invalid));
    }
    here.retire(&me).await?;
    there.register(&me, LEASE).await?;
    Ok(())
}

pub(super) async fn a_worker_id_that_died_can_be_registered_again_and_owns_nothing(
    fixture: &dyn Fixture,
) -> Outcome {
    let (here, there) = (fixture.open(), fixture.open());
    let me = register(&*here, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*here).await?;
    drop(here);
    there.register(&me, LEASE).await?;
    let claimed = claim(&*there, &me).await?;
    assert_eq!(numbers(&claimed), [lease.no]);
    assert!(claimed[0].taken_over, "another life of the worker owned it");
    assert_eq!(there.commit(vec![lease.append("late")]).await?, [Err(Refused::Fenced)]);
    Ok(())
}

pub(super) async fn a_heartbeat_moves_the_deadline(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = worker("me");
    assert_eq!(store.register(&me, LEASE).await?, later(fixture, LEASE.as_secs()));
    fixture.clock().advance(LEASE / 3);
    assert_eq!(store.heartbeat(&me, LEASE).await?, later(fixture, LEASE.as_secs()));
    assert_eq!(store.heartbeat(&me, LEASE * 2).await?, later(fixture, 2 * LEASE.as_secs()));
    Ok(())
}

pub(super) async fn a_heartbeat_of_a_worker_that_is_not_registered_or_whose_runs_were_taken_over_is_not_found(
    fixture: &dyn Fixture,
) -> Outcome {
    let (here, there) = (fixture.open(), fixture.open());
    let not_found = Err(StoreErrorKind::NotFound);
    let nobody = worker("nobody");
    assert_eq!(here.heartbeat(&nobody, LEASE).await.map_err(|e| e.kind()), not_found);
    assert_eq!(here.retire(&nobody).await.map_err(|e| e.kind()), not_found.map(drop));

    let me = register(&*here, "me").await?;
    Sample::new(1).owned(&me).start(&*here).await?;
    fixture.clock().advance(LEASE * 2);
    here.heartbeat(&me, LEASE).await?;
    fixture.clock().advance(LEASE * 2);
    let other = register(&*there, "other").await?;
    assert_eq!(claim(&*there, &other).await?.len(), 1);
    assert_eq!(here.heartbeat(&me, LEASE).await.map_err(|e| e.kind()), not_found);
    Ok(())
}

pub(super) async fn the_runs_of_a_retired_worker_can_be_claimed_at_once(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let (me, other) = (register(&*store, "me").await?, register(&*store, "other").await?);
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    store.retire(&me).await?;
    assert_eq!(store.head(lease.no).await?.owner, None);
    assert_eq!(store.commit(vec![lease.append("late")]).await?, [Err(Refused::Fenced)]);
    let claimed = claim(&*store, &other).await?;
    assert_eq!(numbers(&claimed), [lease.no]);
    assert!(!claimed[0].taken_over && claimed[0].predecessor_alive_at.is_none());
    Ok(())
}

pub(super) async fn the_next_wake_is_that_of_the_earliest_run_without_an_owner(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    assert_eq!(store.next_wake().await?, None);
    let owned = Sample::new(1).owned(&me).start(&*store).await?;
    commit(&*store, Transition { wake: Wake::At(later(fixture, 1)), ..owned.nothing() }).await?;
    assert_eq!(store.next_wake().await?, None);
    for (n, seconds) in [(2, 30), (3, 20), (4, 40)] {
        Sample::new(n).waking(later(fixture, seconds)).start(&*store).await?;
    }
    assert_eq!(store.next_wake().await?, Some(later(fixture, 20)));
    commit(&*store, owned.release()).await?;
    assert_eq!(store.next_wake().await?, Some(later(fixture, 1)));
    Ok(())
}

pub(super) async fn a_quarantined_run_shows_its_reason_and_is_not_claimed_until_it_gets_an_entry(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let lease = Sample::new(1).owned(&me).start(&*store).await?;
    let now = store.now().await?;
    commit(&*store, Transition { wake: Wake::At(now), ..lease.nothing() }).await?;
    store.put_entry(lease.run, entry("before")).await?;
    let seen = store.entries(lease.no, 9).await?.last().map(|entry| entry.id);
    store.quarantine(lease.no, lease.epoch, Seq(2), "an event of an unknown kind", seen).await?;

    let row = store.find(lease.run).await?.ok_or("the run is not there")?;
    assert_eq!((row.listing.status, row.owner, row.wake_at), (Status::Quarantined, None, None));
    assert!(row.listing.note.contains("event 2") && row.listing.note.contains("an unknown kind"));
    assert_eq!(store.head(lease.no).await?.seq, Seq(2));
    assert_eq!(store.health().await?.quarantined, 1);
    assert_eq!(claim(&*store, &me).await?, []);

    store.put_entry(lease.run, entry("retry")).await?;
    assert_eq!(numbers(&claim(&*store, &me).await?), [lease.no]);
    assert_eq!(waiting(&*store, lease.no).await?, ["before", "retry"]);
    Ok(())
}

pub(super) async fn an_entry_that_was_put_before_a_run_was_quarantined_and_not_seen_has_it_claimed_again(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let lease = Sample::new(1).owned(&me).start(&*store).await?;
    store.put_entry(lease.run, entry("seen")).await?;
    let seen = store.entries(lease.no, 9).await?.last().map(|entry| entry.id);
    store.put_entry(lease.run, entry("abandon")).await?;
    store.quarantine(lease.no, lease.epoch, Seq(2), "nobody can fold it", seen).await?;
    assert_eq!(numbers(&claim(&*store, &me).await?), [lease.no]);
    Ok(())
}

pub(super) async fn what_other_runs_send_to_a_quarantined_run_waits_for_an_entry_that_is_put(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let lease = Sample::new(1).owned(&me).start(&*store).await?;
    let mut item = Sample::new(2).owned(&me).start(&*store).await?;
    // Before it is quarantined and unseen, and after that.
    let report = |text: &str| vec![(lease.run, entry(text))];
    commit(&*store, Transition { send: report("first"), ..item.append("reports") }).await?;
    store.quarantine(lease.no, lease.epoch, Seq(2), "it kills its workers", None).await?;
    commit(&*store, Transition { send: report("second"), ..item.append("reports") }).await?;
    assert_eq!(claim(&*store, &me).await?, []);
    store.put_entry(lease.run, entry("retry")).await?;
    assert_eq!(numbers(&claim(&*store, &me).await?), [lease.no]);
    assert_eq!(waiting(&*store, lease.no).await?, ["first", "second", "retry"]);
    Ok(())
}

pub(super) async fn only_the_holder_of_the_lease_can_quarantine_a_run(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let refused =
        store.quarantine(lease.no, lease.epoch.next(), Seq(1), "no", None).await.map_err(|e| e.kind());
    assert_eq!(refused, Err(StoreErrorKind::Invalid));
    commit(&*store, lease.append("third")).await
}
