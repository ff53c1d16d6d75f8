//! Rules about inboxes.

use super::fixture::{Fixture, Outcome, Sample, commit, entry, register, waiting};
use crate::{Put, StoreErrorKind, Transition};
use std::time::Duration;
use towpath_model::limits;

pub(super) async fn an_entry_with_a_dedupe_id_that_the_run_has_seen_is_a_duplicate_also_after_it_was_consumed(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let other = Sample::new(2).owned(&me).start(&*store).await?;
    let (store, run) = (&store, lease.run);
    let put = |id| async move { store.put_entry(run, entry(id)).await };
    assert_eq!((put("a").await?, put("a").await?), (Put::Accepted, Put::Duplicate));
    assert_eq!(store.put_entry(other.run, entry("a")).await?, Put::Accepted);
    let consumed = store.entries(lease.no, 9).await?.iter().map(|e| e.id).collect();
    commit(&**store, Transition { consumed, ..lease.append("third") }).await?;
    assert_eq!((put("a").await?, put("b").await?), (Put::Duplicate, Put::Accepted));
    assert_eq!(waiting(&**store, lease.no).await?, ["b"]);
    commit(&**store, lease.settle()).await?;
    assert_eq!(put("a").await?, Put::Duplicate);
    Ok(())
}

pub(super) async fn an_inbox_that_is_full_refuses(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let mut sender = Sample::new(2).owned(&me).start(&*store).await?;
    let send = (1..limits::INBOX_ENTRIES).map(|i| (lease.run, entry(&format!("{i}")))).collect();
    commit(&*store, Transition { send, ..sender.append("many") }).await?;
    assert_eq!(store.put_entry(lease.run, entry("last")).await?, Put::Accepted);
    assert_eq!(store.put_entry(lease.run, entry("above")).await?, Put::Full);
    assert_eq!(store.put_entry(lease.run, entry("last")).await?, Put::Duplicate);
    let consumed = store.entries(lease.no, 1).await?.iter().map(|e| e.id).collect();
    commit(&*store, Transition { consumed, ..lease.append("third") }).await?;
    assert_eq!(store.put_entry(lease.run, entry("above")).await?, Put::Accepted);
    Ok(())
}

pub(super) async fn an_entry_for_a_run_that_is_not_there_is_not_found(fixture: &dyn Fixture) -> Outcome {
    let put = fixture.open().put_entry(Sample::new(1).new.run, entry("a")).await;
    assert_eq!(put.map_err(|e| e.kind()), Err(StoreErrorKind::NotFound));
    Ok(())
}

pub(super) async fn an_entry_for_a_run_that_is_over_is_answered_as_settled(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    commit(&*store, lease.settle()).await?;
    assert_eq!(store.put_entry(lease.run, entry("a")).await?, Put::Settled);
    assert_eq!(waiting(&*store, lease.no).await?, [""; 0]);
    Ok(())
}

pub(super) async fn an_entry_keeps_the_time_at_which_the_store_took_it(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let lease = Sample::new(1).start(&*store).await?;
    let mut taken = Vec::new();
    for id in ["a", "b", "c"] {
        taken.push(store.now().await?);
        store.put_entry(lease.run, entry(id)).await?;
        fixture.clock().advance(Duration::from_micros(1));
    }
    let entries = store.entries(lease.no, 9).await?;
    assert_eq!(entries.iter().map(|e| e.received_at).collect::<Vec<_>>(), taken);
    let sent = entry("a");
    assert_eq!((&entries[0].actor, &entries[0].message), (&sent.actor, &sent.message));
    Ok(())
}

pub(super) async fn entries_come_in_order_and_not_after_they_were_consumed(fixture: &dyn Fixture) -> Outcome {
    let (here, there) = (fixture.open(), fixture.open());
    let me = register(&*here, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*here).await?;
    let ids: Vec<String> = (0..20).map(|i| format!("entry-{}", (i * 7) % 20)).collect();
    for (i, id) in ids.iter().enumerate() {
        let store = if i % 2 == 0 { &here } else { &there };
        store.put_entry(lease.run, entry(id)).await?;
    }
    assert_eq!(waiting(&*here, lease.no).await?, ids);
    let entries = here.entries(lease.no, 5).await?;
    assert_eq!(entries.len(), 5);
    assert!(entries.is_sorted_by_key(|e| e.id));
    let consumed = vec![entries[0].id, entries[3].id];
    commit(&*here, Transition { consumed, ..lease.append("third") }).await?;
    let left: Vec<String> = [&ids[1..3], &ids[4..]].concat();
    assert_eq!(waiting(&*there, lease.no).await?, left);
    Ok(())
}
