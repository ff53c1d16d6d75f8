//! Rules of [`Store::redact`](crate::Store::redact).

use super::fixture::{Fixture, Lease, Outcome, Sample, commit, register};
use crate::{Blob, Redaction, Removal, Transition};
use towpath_model::{Digest, Seq};

/// The redaction of an event, with an event that says so, at the end of the journal as this lease knows it.
fn redaction(lease: &Lease, at: Seq, frees: Vec<Digest>) -> (Redaction, Lease) {
    let mut moved = lease.clone();
    let t = moved.append("redacted");
    let (after, after_hash) = (lease.chain.seq(), lease.chain.hash());
    let event = t.events[0].clone();
    (Redaction { run: lease.run, at, after, after_hash, event, head_hash: t.head_hash, frees }, moved)
}

pub(super) async fn a_payload_of_a_run_that_is_over_is_redacted_with_the_event_that_says_so(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let blob = |text: &str| Blob { digest: Digest::of(text.as_bytes()), text: text.to_owned() };
    let blobs = vec![blob("\"goes\""), blob("\"stays\"")];
    commit(&*store, Transition { blobs: blobs.clone(), ..lease.append("third") }).await?;
    commit(&*store, lease.settle()).await?;
    let before = store.events(lease.no, Seq(0), 9).await?;
    let (redaction, moved) = redaction(&lease, Seq(3), vec![blobs[0].digest]);
    assert_eq!(store.redact(redaction.clone()).await?, Removal::Removed);
    while store.sweep(9).await? {}
    let after = fixture.open().events(lease.no, Seq(0), 9).await?;
    for (n, event) in before.iter().enumerate() {
        assert_eq!(after[n].header, event.header, "headers stay");
        let payload = if n == 2 { &None } else { &event.payload };
        assert_eq!(&after[n].payload, payload);
    }
    assert_eq!(after[before.len()..], *std::slice::from_ref(&redaction.event));
    let head = store.head(lease.no).await?;
    assert_eq!((head.seq, head.hash), (moved.chain.seq(), moved.chain.hash()));
    let mut chain = towpath_model::Chain::new(lease.run);
    after.iter().try_for_each(|event| chain.verify(event).map(drop))?;
    assert!(store.blob(blobs[0].digest).await.is_err() && store.blob(blobs[1].digest).await.is_ok());
    // Nothing else of the run has moved.
    let row = store.find(lease.run).await?.ok_or("it is gone")?;
    assert_eq!(row.listing.status, towpath_model::Status::Settled);
    Ok(())
}

pub(super) async fn nothing_is_redacted_of_a_run_that_goes_on_or_whose_journal_ends_elsewhere(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let mut below = Sample::new(2).owned(&me);
    below.new.parent = Some(lease.run);
    let mut below = below.start(&*store).await?;
    let (open, _) = redaction(&lease, Seq(1), Vec::new());
    assert_eq!(store.redact(open).await?, Removal::Open);
    commit(&*store, below.settle()).await?;
    assert_eq!(store.redact(redaction(&below, Seq(1), Vec::new()).0).await?, Removal::Needed);
    let (early, _) = redaction(&lease, Seq(1), Vec::new());
    commit(&*store, lease.settle()).await?;
    assert_eq!(store.redact(early).await?, Removal::Moved);
    assert_eq!(store.redact(redaction(&lease, Seq(9), Vec::new()).0).await?, Removal::NotThere);
    assert_eq!(store.redact(redaction(&lease, Seq(0), Vec::new()).0).await?, Removal::NotThere);
    let (nobody, _) = redaction(&Lease { run: Sample::new(7).new.run, ..lease.clone() }, Seq(1), Vec::new());
    assert_eq!(store.redact(nobody).await?, Removal::NotThere);
    assert!(store.events(lease.no, Seq(0), 9).await?.iter().all(|event| event.payload.is_some()));
    Ok(())
}
