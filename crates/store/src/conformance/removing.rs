//! Rules of [`Store::remove`](crate::Store::remove) and [`Store::sweep`](crate::Store::sweep).

use super::fixture::{Fixture, Lease, Outcome, Sample, claim, commit, entry, later, register};
use crate::{
    Blob, Filter, LogLine, Page, Progress, Refused, Removal, Remove, Started, Store, StoreErrorKind,
    Transition,
};
use std::error::Error;
use towpath_model::{Actor, Attempt, Digest, RunId, RunNo, Seq, StepId, StoredEvent, Timestamp};

/// The removal of a run whose journal ends where this lease knows it to.
fn removing(lease: &Lease) -> Remove {
    let (seq, hash) = (lease.chain.seq(), lease.chain.hash());
    Remove { run: lease.run, seq, hash, by: Actor::engine(), note: "old".to_owned() }
}

async fn remove(store: &dyn Store, lease: &Lease) -> Result<Removal, Box<dyn Error>> {
    let answers = store.remove(vec![removing(lease)]).await?;
    answers.first().copied().ok_or_else(|| "no answer".into())
}

async fn sweep(store: &dyn Store, most: usize) -> Outcome {
    for _ in 0..10_000 {
        if !store.sweep(most).await? {
            return Ok(());
        }
    }
    Err("sweeping does not come to an end".into())
}

/// Starts a run below another, and leaves it settled.
async fn settled(
    store: &dyn Store,
    n: u64,
    parent: Option<RunId>,
    blobs: &[&str],
) -> Result<Lease, Box<dyn Error>> {
    let me = register(store, &format!("settles-{n}")).await?;
    let mut sample = Sample::new(n).owned(&me);
    sample.new.parent = parent;
    sample.new.blobs = blobs.iter().map(|text| blob(text)).collect();
    let mut lease = sample.start(store).await?;
    commit(store, lease.settle()).await?;
    store.retire(&me).await?;
    Ok(lease)
}

fn blob(text: &str) -> Blob {
    Blob { digest: Digest::of(text.as_bytes()), text: text.to_owned() }
}

async fn is_blob(store: &dyn Store, text: &str) -> bool {
    store.blob(Digest::of(text.as_bytes())).await.is_ok()
}

pub(super) async fn a_run_is_removed_only_when_it_is_over_and_its_journal_ends_where_it_is_said_to(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    assert_eq!(remove(&*store, &lease).await?, Removal::Open);
    commit(&*store, lease.settle()).await?;
    let right = removing(&lease);
    let wrong = [
        Remove { seq: Seq(right.seq.0 - 1), ..right.clone() },
        Remove { hash: Digest::ZERO, ..right.clone() },
    ];
    assert_eq!(store.remove(wrong.to_vec()).await?, [Removal::Moved, Removal::Moved]);
    let nobody = Remove { run: Sample::new(2).new.run, ..right.clone() };
    assert_eq!(
        store.remove(vec![nobody, right.clone(), right]).await?,
        [Removal::NotThere, Removal::Removed, Removal::NotThere]
    );
    assert_eq!(store.remove(Vec::new()).await?, []);
    Ok(())
}

pub(super) async fn a_run_that_is_driven_or_recalled_is_not_removed(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let other = Sample::new(2).owned(&me).start(&*store).await?;
    let mut lease = settled(&*store, 1, None, &[]).await?;
    let recall = Transition { recall: vec![(lease.run, entry("again"))], ..other.nothing() };
    commit(&*store, recall).await?;
    assert_eq!(remove(&*store, &lease).await?, Removal::Driven, "it has something to read");
    let claimed = claim(&*store, &me).await?;
    let claimed = claimed.iter().find(|c| c.no == lease.no).ok_or("it was not claimed")?;
    lease = lease.claimed(claimed);
    assert_eq!(remove(&*store, &lease).await?, Removal::Driven, "somebody drives it");
    let consumed = store.entries(lease.no, 1).await?.iter().map(|e| e.id).collect();
    commit(&*store, Transition { consumed, ..lease.settle() }).await?;
    assert_eq!(remove(&*store, &lease).await?, Removal::Removed);
    Ok(())
}

pub(super) async fn a_run_is_removed_after_its_items_and_an_item_only_when_all_above_it_are_over(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut root = Sample::new(1).owned(&me).start(&*store).await?;
    let item = settled(&*store, 2, Some(root.run), &[]).await?;
    let below = settled(&*store, 3, Some(item.run), &[]).await?;
    let answers = store.remove(vec![removing(&below), removing(&item)]).await?;
    assert_eq!(answers, [Removal::Needed; 2]);
    commit(&*store, root.settle()).await?;
    assert_eq!(remove(&*store, &root).await?, Removal::HasItems);
    assert_eq!(remove(&*store, &item).await?, Removal::HasItems);
    // In one batch, one behind the other.
    let answers = store.remove([&below, &item, &root].map(removing).to_vec()).await?;
    assert_eq!(answers, [Removal::Removed; 3]);
    Ok(())
}

pub(super) async fn a_removed_run_is_not_found_any_more_but_on_record(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let lease = settled(&*store, 1, None, &[]).await?;
    let stays = settled(&*store, 2, None, &[]).await?;
    let row = store.find(lease.run).await?.ok_or("it is not there")?;
    fixture.clock().set(later(fixture, 60));
    assert_eq!(remove(&*store, &lease).await?, Removal::Removed);

    // Another process, and before and after it is swept.
    for store in [store.clone(), fixture.open()] {
        assert_eq!(store.find(lease.run).await?, None);
        assert_eq!(store.find_key(&row.pipeline, &row.key).await?, None);
        let missing = Some(StoreErrorKind::NotFound);
        assert_eq!(store.head(lease.no).await.err().map(|e| e.kind()), missing);
        assert_eq!(store.events(lease.no, Seq(0), 9).await.err().map(|e| e.kind()), missing);
        assert_eq!(store.put_entry(lease.run, entry("late")).await.err().map(|e| e.kind()), missing);
        let late = store.commit(vec![lease.clone().append("late")]).await?;
        assert_eq!(late, [Err(Refused::Fenced)]);
        let rows = store.list(&Filter::default(), Page { after: None, limit: 9 }).await?;
        assert_eq!(rows.iter().map(|r| r.no).collect::<Vec<_>>(), [stays.no]);
        let removed = store.removed(RunNo(0), 9).await?;
        assert_eq!(removed.len(), 1);
        let record = &removed[0];
        assert_eq!((record.no, record.run), (lease.no, lease.run));
        assert_eq!((&record.pipeline, &record.key), (&row.pipeline, &row.key));
        assert_eq!((record.seq, record.hash), (lease.chain.seq(), lease.chain.hash()));
        assert_eq!(
            (record.at, &record.by, record.note.as_str()),
            (store.now().await?, &Actor::engine(), "old")
        );
        assert_eq!(store.removed(lease.no, 9).await?, []);
        sweep(&*store, 1).await?;
    }
    Ok(())
}

pub(super) async fn the_key_of_a_removed_run_can_be_used_again_and_its_number_is_not(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let mut numbers = Vec::new();
    for round in 0..4 {
        let first = settled(&*store, 1, None, &[]).await?;
        assert!(!numbers.contains(&first.no), "number {} was given twice", first.no);
        numbers.push(first.no);
        // As long as it is there, the key is taken.
        let mut again = Sample::new(100).new;
        again.key = Sample::new(1).new.key;
        assert!(matches!(store.start_run(again).await?, Started::Existing(row) if row.no == first.no));
        assert_eq!(remove(&*store, &first).await?, Removal::Removed);
        if round % 2 == 0 {
            sweep(&*store, 3).await?;
        }
    }
    // What the last one has left is not taken for a part of the next.
    let next = settled(&*store, 1, None, &[]).await?;
    assert_eq!(store.head(next.no).await?.hash, next.chain.hash());
    assert_eq!(journal(&*store, &next).await?.len(), 3);
    Ok(())
}

async fn journal(store: &dyn Store, lease: &Lease) -> Result<Vec<StoredEvent>, Box<dyn Error>> {
    let mut chain = towpath_model::Chain::new(lease.run);
    let events = store.events(lease.no, Seq(0), usize::MAX).await?;
    events.iter().try_for_each(|event| chain.verify(event).map(drop))?;
    Ok(events)
}

pub(super) async fn sweeping_ends_and_frees_blobs_that_nobody_refers_to_and_no_others(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let first = settled(&*store, 1, None, &["\"both\"", "\"first\"", "\"referred\""]).await?;
    let second = settled(&*store, 2, None, &["\"both\""]).await?;
    let mut third = Sample::new(3).owned(&me).start(&*store).await?;
    let refers = vec![Digest::of(b"\"referred\"")];
    commit(&*store, Transition { refers, ..third.append("refers") }).await?;
    let late = Transition { blobs: vec![blob("\"late\"")], ..third.append("stores") };
    commit(&*store, late).await?;

    remove(&*store, &first).await?;
    sweep(&*store, 1).await?;
    assert!(!is_blob(&*store, "\"first\"").await, "nobody refers to it");
    assert!(is_blob(&*store, "\"both\"").await, "another run has stored it too");
    assert!(is_blob(&*store, "\"referred\"").await, "another run refers to it");
    remove(&*store, &second).await?;
    sweep(&*store, 1_000).await?;
    assert!(!is_blob(&*store, "\"both\"").await);
    commit(&*store, third.settle()).await?;
    remove(&*store, &third).await?;
    sweep(&*store, 1_000).await?;
    assert!(!is_blob(&*store, "\"referred\"").await && !is_blob(&*store, "\"late\"").await);

    // What was freed can be stored again.
    settled(&*store, 4, None, &["\"both\""]).await?;
    assert!(is_blob(&*store, "\"both\"").await);
    assert!(!store.sweep(1).await?, "there is nothing more to free");
    Ok(())
}

pub(super) async fn sweeping_takes_nothing_of_the_runs_that_are_there(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let step = StepId::new("build")?;
    // Runs that grow side by side, so that their rows lie between each other's.
    let mut leases = Vec::new();
    for n in 0..6 {
        leases.push(Sample::new(n).owned(&me).start(&*store).await?);
    }
    for round in 0..6 {
        for lease in &mut leases {
            let text = format!("round {round}\n");
            let line = LogLine { step: step.clone(), attempt: Attempt(1), line: 0, at: Timestamp::MIN, text };
            let (percent, message, at) = (round, String::new(), Timestamp::MIN);
            let progress = vec![Progress { step: step.clone(), percent, message, at }];
            let t = Transition { logs: vec![line], progress, ..lease.append("on") };
            commit(&*store, t).await?;
            store.put_entry(lease.run, entry(&format!("entry-{round}"))).await?;
        }
    }
    for lease in &mut leases {
        let waiting = store.entries(lease.no, 100).await?;
        let consumed = waiting.iter().take(5).map(|e| e.id).collect();
        commit(&*store, Transition { consumed, ..lease.nothing() }).await?;
    }
    let (go, stay): (Vec<&mut Lease>, Vec<&mut Lease>) =
        leases.iter_mut().partition(|lease| lease.no.0 % 2 == 0);
    for lease in go {
        commit(&*store, lease.settle()).await?;
        assert_eq!(remove(&*store, lease).await?, Removal::Removed);
    }
    let mut swept = 0;
    let mut is_more = true;
    while is_more {
        is_more = store.sweep(5).await?;
        swept += 1;
        for lease in &stay {
            assert_eq!(journal(&*store, lease).await?.len(), 8);
            assert_eq!(store.entries(lease.no, 100).await?.len(), 1);
            assert_eq!(store.logs(lease.no, &step, 0, 100).await?.len(), 6);
            assert_eq!(store.progress(lease.no).await?.len(), 1);
        }
        assert!(swept < 1_000, "sweeping does not come to an end");
    }
    let rows = store.list(&Filter::default(), Page { after: None, limit: 9 }).await?;
    assert_eq!(rows.len(), stay.len());
    Ok(())
}
