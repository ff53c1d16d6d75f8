//! Rules of [`Store::commit`](crate::Store::commit), without locks.

use super::fixture::{
    Fixture, LEASE, Lease, Outcome, Sample, claim, commit, entry, later, listing, name, numbers, register,
    waiting,
};
use crate::{Blob, LockChange, LogLine, Progress, Put, Refused, Store, StoreErrorKind, Transition, Wake};
use towpath_model::{Attempt, Digest, Epoch, RunNo, Seq, Status, StepId, limits};

/// A transition with something in every part of it.
async fn full(
    fixture: &dyn Fixture,
    store: &dyn Store,
    lease: &mut Lease,
    to: &Lease,
) -> Result<Transition, Box<dyn std::error::Error>> {
    let step = StepId::new("build")?;
    let at = store.now().await?;
    let mut t = lease.append("full");
    t.listing = Some(listing(Status::Waiting, "for a time"));
    t.wake = Wake::At(later(fixture, 600));
    t.consumed = store.entries(lease.no, 1).await?.iter().map(|e| e.id).collect();
    t.send = vec![(to.run, entry("sent"))];
    t.locks = vec![LockChange::Ask { lock: name("production"), asked: lease.chain.seq() }];
    t.blobs = vec![Blob { digest: Digest::of(b"\"large\""), text: "\"large\"".into() }];
    t.logs = vec![LogLine { step: step.clone(), attempt: Attempt(1), line: 0, at, text: "text\n".into() }];
    t.progress = vec![Progress { step, percent: 50, message: "half".into(), at }];
    t.release = true;
    Ok(t)
}

/// Everything that [`full`] changes, as text, so that two states can be compared.
async fn shown(store: &dyn Store, run: &Lease, to: &Lease) -> Result<String, Box<dyn std::error::Error>> {
    let step = StepId::new("build")?;
    Ok(format!(
        "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        store.head(run.no).await?,
        store.events(run.no, Seq(0), 100).await?,
        store.find(run.run).await?,
        waiting(store, run.no).await?,
        waiting(store, to.no).await?,
        store.blob(Digest::of(b"\"large\"")).await.ok(),
        store.logs(run.no, &step, 0, 100).await?,
        store.progress(run.no).await?,
        store.next_wake().await?,
    ))
}

pub(super) async fn a_transition_is_written_whole(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let to = Sample::new(2).owned(&me).start(&*store).await?;
    store.put_entry(lease.run, entry("consumed")).await?;
    let before = lease.clone();
    let t = full(fixture, &*store, &mut lease, &to).await?;

    let untouched = shown(&*store, &lease, &to).await?;
    let old = Transition { epoch: Epoch(0), ..t.clone() };
    let ahead = Transition { after: Seq(7), ..t.clone() };
    let answers = store.commit(vec![old, ahead]).await?;
    assert_eq!(answers, [Err(Refused::Fenced), Err(Refused::Sequence { found: before.chain.seq() })]);
    assert_eq!(shown(&*store, &lease, &to).await?, untouched, "a refused transition left something");

    assert_eq!(store.commit(vec![t.clone()]).await?, [Ok(lease.chain.seq())]);
    let head = store.head(lease.no).await?;
    assert_eq!((head.seq, head.hash, head.owner), (Seq(3), lease.chain.hash(), None));
    assert_eq!(store.events(lease.no, Seq(2), 10).await?, t.events);
    let row = store.find(lease.run).await?.ok_or("the run is not there")?;
    assert_eq!((Some(row.listing), row.wake_at), (t.listing, Some(later(fixture, 600))));
    let grant = waiting(&*store, lease.no).await?;
    assert!(matches!(&grant[..], [one] if one.starts_with("lock/")), "{grant:?}");
    assert_eq!(waiting(&*store, to.no).await?, ["sent"]);
    assert_eq!(store.blob(t.blobs[0].digest).await?, t.blobs[0].text);
    let lines = store.logs(lease.no, &t.logs[0].step, 0, 10).await?;
    assert_eq!(lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["text\n"]);
    assert_eq!(store.progress(lease.no).await?, t.progress);
    Ok(())
}

pub(super) async fn a_transition_with_an_old_epoch_is_refused_as_fenced(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let (me, other) = (register(&*store, "me").await?, register(&*store, "other").await?);
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    fixture.clock().advance(LEASE);
    store.heartbeat(&other, LEASE).await?;
    let claimed = claim(&*store, &other).await?;
    let mut taken = lease.claimed(&claimed[0]);
    assert_eq!(store.commit(vec![lease.append("late")]).await?, [Err(Refused::Fenced)]);
    commit(&*store, taken.append("third")).await
}

pub(super) async fn a_transition_after_another_event_is_refused_with_the_number_found(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let third = lease.append("third");
    assert_eq!(store.commit(vec![third.clone()]).await?, [Ok(Seq(3))]);
    assert_eq!(store.commit(vec![third]).await?, [Err(Refused::Sequence { found: Seq(3) })]);
    let mut ahead = lease.clone();
    drop(ahead.append("never written"));
    assert_eq!(store.commit(vec![ahead.append("fifth")]).await?, [Err(Refused::Sequence { found: Seq(3) })]);
    Ok(())
}

pub(super) async fn a_transition_of_a_run_that_is_not_there_is_refused_as_fenced(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let lease = Sample::new(1).owned(&me).start(&*store).await?;
    for no in [-1, 0, lease.no.0 + 1] {
        let lost = Lease { no: RunNo(no), ..lease.clone() }.append("lost");
        assert_eq!(store.commit(vec![lost]).await?, [Err(Refused::Fenced)], "run {no}");
    }
    Ok(())
}

pub(super) async fn a_run_that_was_given_back_takes_no_transition_of_its_old_epoch(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let answers = store.commit(vec![lease.release(), lease.append("late")]).await?;
    assert_eq!(answers, [Ok(Seq(2)), Err(Refused::Fenced)]);
    Ok(())
}

pub(super) async fn a_refused_transition_leaves_the_others_of_its_batch_untouched(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut leases = Vec::new();
    for n in 0..5 {
        leases.push(Sample::new(n).owned(&me).start(&*store).await?);
    }
    let mut batch: Vec<Transition> = leases.iter_mut().map(|l| l.append("third")).collect();
    batch[1].epoch = Epoch(0);
    batch[3].after = Seq(1);
    let answers = store.commit(batch).await?;
    let found = Err(Refused::Sequence { found: Seq(2) });
    assert_eq!(answers, [Ok(Seq(3)), Err(Refused::Fenced), Ok(Seq(3)), found, Ok(Seq(3))]);
    for (lease, seq) in leases.iter().zip([3, 2, 3, 2, 3]) {
        assert_eq!(store.head(lease.no).await?.seq, Seq(seq));
        assert_eq!(store.events(lease.no, Seq(0), 10).await?.len() as u64, seq);
    }
    Ok(())
}

pub(super) async fn two_transitions_of_one_run_in_one_batch_are_written_in_order(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let (third, fourth) = (lease.append("third"), lease.append("fourth"));
    let events = [third.events.clone(), fourth.events.clone()].concat();
    assert_eq!(store.commit(vec![third, fourth]).await?, [Ok(Seq(3)), Ok(Seq(4))]);
    assert_eq!(store.events(lease.no, Seq(2), 10).await?, events);
    let (fifth, sixth) = (lease.append("fifth"), lease.append("sixth"));
    let answers = store.commit(vec![sixth, fifth]).await?;
    assert_eq!(answers, [Err(Refused::Sequence { found: Seq(4) }), Ok(Seq(5))]);
    Ok(())
}

pub(super) async fn a_batch_above_the_limits_is_invalid_and_writes_nothing(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let invalid = Err(StoreErrorKind::Invalid);

    let most: Vec<Transition> = (0..limits::BATCH_TRANSITIONS).map(|_| lease.append("one more")).collect();
    let mut above = most.clone();
    above.push(lease.append("above"));
    assert_eq!(store.commit(above).await.map_err(|e| e.kind()), invalid);
    assert_eq!(store.head(lease.no).await?.seq, Seq(2));
    assert!(store.commit(most).await?.iter().all(Result::is_ok));

    let mut lease = Sample::new(2).owned(&me).start(&*store).await?;
    let header = lease.clone().append("").event_bytes();
    let fits = lease.clone().append(&"x".repeat(limits::BATCH_BYTES - header));
    let above = lease.append(&"x".repeat(limits::BATCH_BYTES - header + 1));
    assert_eq!(store.commit(vec![above]).await.map_err(|e| e.kind()), invalid);
    assert_eq!(store.commit(vec![fits]).await?, [Ok(Seq(3))]);

    let lease = Sample::new(3).owned(&me).start(&*store).await?;
    let with_blob = |bytes| {
        let text = "1".repeat(bytes);
        let blobs = vec![Blob { digest: Digest::of(text.as_bytes()), text }];
        Transition { blobs, ..lease.clone().append("third") }
    };
    let above = with_blob(limits::BLOB_BYTES + 1);
    let digest = above.blobs[0].digest;
    assert_eq!(store.commit(vec![above]).await.map_err(|e| e.kind()), invalid);
    assert!(store.blob(digest).await.is_err());
    commit(&*store, with_blob(limits::BLOB_BYTES)).await?;
    assert_eq!(store.commit(Vec::new()).await?, []);
    Ok(())
}

pub(super) async fn a_released_run_can_be_claimed_when_it_is_due_or_has_an_entry(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let nothing = Sample::new(1).owned(&me).start(&*store).await?;
    let due = Sample::new(2).owned(&me).start(&*store).await?;
    let told = Sample::new(3).owned(&me).start(&*store).await?;
    assert_eq!(store.put_entry(told.run, entry("go")).await?, Put::Accepted);
    let at = later(fixture, 5);
    let sleep = Transition { wake: Wake::At(at), ..due.release() };
    for t in [nothing.release(), sleep, told.release()] {
        commit(&*store, t).await?;
    }
    assert_eq!(numbers(&claim(&*store, &me).await?), [told.no]);
    fixture.clock().set(at);
    assert_eq!(numbers(&claim(&*store, &me).await?), [due.no]);
    Ok(())
}

pub(super) async fn an_entry_sent_to_another_run_arrives_with_the_transition_or_not_at_all(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let mut to = Sample::new(2).owned(&me).start(&*store).await?;
    commit(&*store, to.release()).await?;
    let send = vec![(to.run, entry("result"))];
    let lost = Transition { send: send.clone(), epoch: Epoch(9), ..lease.nothing() };
    assert_eq!(store.commit(vec![lost]).await?, [Err(Refused::Fenced)]);
    assert_eq!(waiting(&*store, to.no).await?, [""; 0]);
    assert_eq!(claim(&*store, &me).await?, []);

    commit(&*store, Transition { send: send.clone(), ..lease.append("third") }).await?;
    commit(&*store, Transition { send: send.clone(), ..lease.append("the same again") }).await?;
    assert_eq!(waiting(&*store, to.no).await?, ["result"]);
    let claimed = claim(&*store, &me).await?;
    assert_eq!(numbers(&claimed), [to.no]);

    to = to.claimed(&claimed[0]);
    commit(&*store, to.settle()).await?;
    let unread = vec![(to.run, entry("too late")), (Sample::new(9).new.run, entry("to nobody"))];
    commit(&*store, Transition { send: unread, ..lease.append("for nobody") }).await?;
    assert_eq!(waiting(&*store, to.no).await?, ["result"]);
    Ok(())
}

pub(super) async fn an_entry_sent_to_a_run_whose_inbox_is_full_arrives_all_the_same(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let to = Sample::new(2).owned(&me).start(&*store).await?;
    let all = limits::INBOX_ENTRIES + 1;
    let send = (0..all).map(|i| (to.run, entry(&format!("item-{i}")))).collect();
    commit(&*store, Transition { send, ..lease.append("third") }).await?;
    assert_eq!(waiting(&*store, to.no).await?.len(), all);
    assert_eq!(store.put_entry(to.run, entry("from outside")).await?, Put::Full);
    Ok(())
}

/// A transition that starts a run with something in every part of it.
fn starting(lease: &mut Lease, sample: &Sample) -> Transition {
    Transition { start: vec![sample.new.clone()], ..lease.append("started others") }
}

pub(super) async fn a_run_that_a_transition_starts_is_there_with_it_or_not_at_all(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let mut sample = Sample::new(2);
    sample.new.parent = Some(lease.run);
    sample.new.labels = vec![("owner".to_owned(), "shop".to_owned())];
    let text = "{}".to_owned();
    sample.new.blobs = vec![Blob { digest: Digest::of(text.as_bytes()), text }];
    let refused = [
        Transition { epoch: Epoch(9), ..starting(&mut lease.clone(), &sample) },
        Transition { after: Seq(9), ..starting(&mut lease.clone(), &sample) },
    ];
    for transition in refused {
        assert!(store.commit(vec![transition]).await?[0].is_err());
        assert_eq!(store.find(sample.new.run).await?, None);
    }
    commit(&*store, starting(&mut lease, &sample)).await?;
    let row = store.find(sample.new.run).await?.ok_or("it is not there")?;
    assert_eq!((row.parent, &row.labels, &row.key), (Some(lease.run), &sample.new.labels, &sample.new.key));
    assert_eq!((row.owner, row.listing), (None, sample.new.listing.clone()));
    assert_eq!(store.events(row.no, Seq(0), 10).await?, sample.new.events);
    assert_eq!(store.head(row.no).await?.hash, sample.new.head_hash);
    assert_eq!(store.blob(sample.new.blobs[0].digest).await?, "{}");
    let mut owned = Sample::new(3);
    owned.new.owner = Some(me);
    let answer = store.commit(vec![starting(&mut lease, &owned)]).await;
    assert_eq!(answer.map_err(|e| e.kind()), Err(StoreErrorKind::Invalid));
    Ok(())
}

pub(super) async fn a_run_that_a_transition_starts_and_that_is_there_already_stays_as_it_is(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let sample = Sample::new(2);
    commit(&*store, starting(&mut lease, &sample)).await?;
    let claimed = claim(&*store, &me).await?;
    let row = store.find(sample.new.run).await?;
    let mut again = sample.clone();
    again.new.listing = listing(Status::Stuck, "another");
    let both = vec![starting(&mut lease, &again), starting(&mut lease, &again)];
    assert!(store.commit(both).await?.iter().all(Result::is_ok));
    assert_eq!(store.find(sample.new.run).await?, row);
    assert_eq!(store.head(claimed[0].no).await?.epoch, claimed[0].epoch);
    assert_eq!(store.list(&crate::Filter::default(), PAGE).await?.len(), 2);
    Ok(())
}

const PAGE: crate::Page = crate::Page { after: None, limit: 10 };

pub(super) async fn a_run_that_a_transition_starts_can_be_claimed_at_once_or_at_its_wake(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let at = later(fixture, 5);
    let start = vec![Sample::new(2).new, Sample::new(3).waking(at).new];
    commit(&*store, Transition { start, ..lease.append("third") }).await?;
    let first = claim(&*store, &me).await?;
    assert_eq!(
        first.iter().map(|c| (c.run, c.epoch)).collect::<Vec<_>>(),
        [(Sample::new(2).new.run, Epoch(1))]
    );
    fixture.clock().set(at);
    let second = claim(&*store, &me).await?;
    assert_eq!(second.iter().map(|c| c.run).collect::<Vec<_>>(), [Sample::new(3).new.run]);
    Ok(())
}

pub(super) async fn a_run_started_under_the_key_of_another_makes_its_batch_invalid_and_writes_nothing(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let (mut taken, other) = (Sample::new(2), Sample::new(3));
    taken.new.key = Sample::new(1).new.key;
    let batch = vec![starting(&mut lease, &other), starting(&mut lease, &taken)];
    assert_eq!(store.commit(batch).await.map_err(|e| e.kind()), Err(StoreErrorKind::Invalid));
    assert_eq!(store.head(lease.no).await?.seq, Seq(2));
    assert_eq!(store.find(other.new.run).await?, None);
    Ok(())
}

pub(super) async fn a_recalled_run_can_be_claimed_though_it_is_over(fixture: &dyn Fixture) -> Outcome {
    let (here, there) = (fixture.open(), fixture.open());
    let (me, other) = (register(&*here, "me").await?, register(&*there, "other").await?);
    let mut lease = Sample::new(1).owned(&me).start(&*here).await?;
    let mut over = Sample::new(2).owned(&me).start(&*here).await?;
    commit(&*here, over.settle()).await?;
    let recall = vec![(over.run, entry("undo")), (Sample::new(9).new.run, entry("to nobody"))];
    let lost = Transition { recall: recall.clone(), epoch: Epoch(9), ..lease.nothing() };
    assert_eq!(here.commit(vec![lost]).await?, [Err(Refused::Fenced)]);
    assert_eq!(claim(&*here, &me).await?, []);
    commit(&*here, Transition { recall: recall.clone(), ..lease.append("third") }).await?;
    commit(&*here, Transition { recall, ..lease.append("the same again") }).await?;
    assert_eq!(waiting(&*here, over.no).await?, ["undo"]);
    // Its row says what it is until it is driven, and nobody else may write to it.
    assert_eq!(here.put_entry(over.run, entry("too late")).await?, Put::Settled);
    let claimed = claim(&*here, &me).await?;
    assert_eq!(numbers(&claimed), [over.no]);
    // Whoever drives it may die.
    drop(here);
    let claimed = claim(&*there, &other).await?;
    let mine = claimed.iter().find(|c| c.no == over.no).ok_or("it is lost")?;
    over = over.claimed(mine);
    let entries = there.entries(over.no, 10).await?;
    let consumed = entries.iter().map(|e| e.id).collect();
    let listing = Some(listing(Status::Unwinding, ""));
    commit(&*there, Transition { consumed, listing, ..over.append("unwinding") }).await?;
    assert_eq!(there.put_entry(over.run, entry("in time")).await?, Put::Accepted);
    commit(&*there, over.settle()).await?;
    assert_eq!(claim(&*there, &other).await?, []);
    Ok(())
}

pub(super) async fn a_recall_that_comes_before_its_run_settles_survives_the_settling(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let mut meets = Sample::new(2).owned(&me).start(&*store).await?;
    store.put_entry(meets.run, entry("a signal")).await?;
    let recall = vec![(meets.run, entry("undo"))];
    commit(&*store, Transition { recall, ..lease.append("third") }).await?;
    commit(&*store, meets.settle()).await?;
    let claimed = claim(&*store, &me).await?;
    assert_eq!(numbers(&claimed), [meets.no], "the recall was not read");
    meets = meets.claimed(&claimed[0]);
    // As many as may stand before it: what is left unread makes the run ready, whatever was read first.
    let entries = store.entries(meets.no, 9).await?;
    assert_eq!(entries.iter().map(|e| e.dedupe_id.as_str()).collect::<Vec<_>>(), ["a signal", "undo"]);
    commit(&*store, Transition { consumed: vec![entries[0].id], ..meets.settle() }).await?;
    let claimed = claim(&*store, &me).await?;
    assert_eq!(numbers(&claimed), [meets.no]);
    meets = meets.claimed(&claimed[0]);
    commit(&*store, Transition { consumed: vec![entries[1].id], ..meets.settle() }).await?;
    assert_eq!(claim(&*store, &me).await?, []);
    Ok(())
}

pub(super) async fn any_append_resets_the_count_of_takeovers_without_progress(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let workers = [register(&*store, "one").await?, register(&*store, "two").await?];
    let mut lease = Sample::new(1).owned(&workers[0]).start(&*store).await?;
    for (round, counted) in [1, 2, 3, 1, 2].into_iter().enumerate() {
        let me = &workers[(round + 1) % 2];
        fixture.clock().advance(LEASE);
        let me = match store.heartbeat(me, LEASE).await {
            Ok(_) => me.clone(),
            Err(_) => register(&*store, &format!("round-{round}")).await?,
        };
        let claimed = claim(&*store, &me).await?;
        assert_eq!(claimed[0].takeovers_without_progress, counted, "round {round}");
        if round == 2 {
            lease = lease.claimed(&claimed[0]);
            commit(&*store, lease.append("progress")).await?;
        }
    }
    Ok(())
}

pub(super) async fn a_run_that_settles_is_given_back(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    commit(&*store, Transition { release: false, ..lease.settle() }).await?;
    assert_eq!(store.head(lease.no).await?.owner, None);
    assert_eq!(store.commit(vec![lease.append("late")]).await?, [Err(Refused::Fenced)]);
    Ok(())
}
