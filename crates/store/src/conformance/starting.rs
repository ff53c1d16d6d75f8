//! Rules of [`Store::start_run`](crate::Store::start_run).

use super::{
    block_on::block_on,
    fixture::{Fixture, Outcome, Sample, claim, commit, later, listing, numbers, register, worker},
};
use crate::{Blob, Started, Store, StoreErrorKind};
use std::{
    sync::{Arc, Barrier},
    thread,
};
use towpath_model::{Digest, Epoch, Seq, Status};

pub(super) async fn a_second_start_with_the_same_pipeline_and_key_answers_the_first_run_and_writes_nothing(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let first = Sample::new(1).start(&*store).await?;
    let mut second = Sample::new(2).new;
    second.key = Sample::new(1).new.key;
    let second_id = second.run;
    let Started::Existing(row) = store.start_run(second).await? else {
        return Err("the second start made a run".into());
    };
    assert_eq!((row.no, row.run, row.plan_hash), (first.no, first.run, Digest::of(b"plan")));
    assert_eq!(store.find(second_id).await?, None);
    assert_eq!(store.head(first.no).await?.seq, Seq(2));
    Ok(())
}

pub(super) async fn two_starts_with_one_key_at_the_same_moment_make_one_run(
    fixture: &dyn Fixture,
) -> Outcome {
    const ROUNDS: u64 = 20;
    let barrier = Barrier::new(2);
    let start_all = |store: Arc<dyn Store>, base: u64| {
        let mut new = 0;
        for round in 0..ROUNDS {
            let mut sample = Sample::new(base + round).new;
            sample.key = Sample::new(round).new.key;
            barrier.wait();
            let started = block_on(store.start_run(sample)).map_err(|e| e.to_string())?;
            new += u64::from(matches!(started, Started::New(_)));
        }
        Ok::<u64, String>(new)
    };
    let (one, two) = (fixture.open(), fixture.open());
    let new = thread::scope(|scope| {
        let threads = [scope.spawn(|| start_all(one, 1_000)), scope.spawn(|| start_all(two, 2_000))];
        threads.map(|t| t.join().expect("the thread ends")).into_iter().sum::<Result<u64, String>>()
    })?;
    assert_eq!(new, ROUNDS);
    Ok(())
}

pub(super) async fn a_started_run_has_its_events_listing_labels_wake_and_blobs_or_is_not_there_at_all(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let at = later(fixture, 60);
    let mut sample = Sample::new(1).waking(at);
    let blob = Blob { digest: Digest::of(b"\"text\""), text: "\"text\"".to_owned() };
    sample.new.labels = vec![("owner".into(), "shop".into()), ("commit".into(), "4f2c".into())];
    sample.new.listing = listing(Status::Waiting, "for a time");
    sample.new.blobs = vec![blob.clone()];
    let new = sample.new.clone();
    let lease = sample.start(&*store).await?;

    let row = store.find(new.run).await?.ok_or("the run is not there")?;
    assert_eq!(row.no, lease.no);
    assert_eq!((&row.pipeline, &row.key, row.plan_hash), (&new.pipeline, &new.key, new.plan_hash));
    assert_eq!((&row.listing, &row.labels, row.wake_at), (&new.listing, &new.labels, Some(at)));
    assert_eq!((row.owner.clone(), row.started_at), (None, store.now().await?));
    assert_eq!(store.find_key(&new.pipeline, &new.key).await?, Some(row));
    assert_eq!(store.events(lease.no, Seq(0), 10).await?, new.events);
    assert_eq!(store.head(lease.no).await?.hash, new.head_hash);
    assert_eq!(store.blob(blob.digest).await?, blob.text);

    let lost = Blob { digest: Digest::of(b"1"), text: "1".to_owned() };
    let mut refused = Sample::new(2).owned(&worker("nobody")).new;
    refused.blobs = vec![lost.clone()];
    let run = refused.run;
    assert!(store.start_run(refused).await.is_err());
    assert_eq!(store.find(run).await?, None);
    assert!(store.blob(lost.digest).await.is_err(), "a run that was not started left a blob");
    Ok(())
}

pub(super) async fn a_run_started_with_an_owner_is_leased_to_it_at_epoch_one(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let (me, other) = (register(&*store, "me").await?, register(&*store, "other").await?);
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let head = store.head(lease.no).await?;
    assert_eq!((head.epoch, head.owner.as_ref()), (Epoch(1), Some(&me)));
    assert_eq!(claim(&*store, &other).await?, []);
    commit(&*store, lease.append("third")).await
}

pub(super) async fn a_run_started_without_an_owner_can_be_claimed_at_once_or_at_its_wake(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let now = Sample::new(1).start(&*store).await?;
    let at = later(fixture, 10);
    let at_wake = Sample::new(2).waking(at).start(&*store).await?;
    let claimed = claim(&*store, &me).await?;
    assert_eq!(numbers(&claimed), [now.no]);
    assert!(!claimed[0].taken_over && claimed[0].predecessor_alive_at.is_none());
    fixture.clock().set(at);
    assert_eq!(numbers(&claim(&*store, &me).await?), [at_wake.no]);
    Ok(())
}

pub(super) async fn a_run_cannot_be_started_for_an_owner_that_is_not_registered(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let sample = Sample::new(1).owned(&worker("nobody")).new;
    let refused = store.start_run(sample).await.map_err(|e| e.kind());
    assert_eq!(refused, Err(StoreErrorKind::NotFound));
    Ok(())
}

pub(super) async fn a_second_run_with_one_id_is_invalid_and_writes_nothing(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let first = Sample::new(1).start(&*store).await?;
    let mut second = Sample::new(2).new;
    second.run = first.run;
    let (pipeline, key) = (second.pipeline.clone(), second.key.clone());
    let refused = store.start_run(second).await.map_err(|e| e.kind());
    assert_eq!(refused, Err(StoreErrorKind::Invalid));
    assert_eq!(store.find_key(&pipeline, &key).await?, None);
    assert_eq!(store.find(first.run).await?.map(|row| row.no), Some(first.no));
    Ok(())
}
