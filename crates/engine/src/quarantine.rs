//! Runs that cannot be folded: set aside with their reason, and the verbs that work on them all the same.

use crate::{
    driver::{engine_actor, order_entry, report},
    evidence,
    runs::Slot,
    shared::Shared,
    tally::Left,
    time::Backoff,
};
use std::sync::Arc;
use towpath_model::{
    Actor, Aftermath, Below, Digest, Entry, EntryId, Event, FORMAT, Header, Listing, Message, Order, Outcome,
    RunSettled, Seq, Status, StoredEvent, Timestamp, Verb, VerbAnswered, limits,
};
use towpath_store::{Claimed, Cursor, Filter, Head, Level, Page, StoreError, Transition, Wake};

/// Sets a run aside, after answering the verbs that are in its inbox.
pub(crate) async fn set_aside(shared: &Shared, slot: &Slot, claimed: &Claimed, seq: Seq, why: &str) -> Left {
    tracing::error!(run = %slot.run, why, "the run cannot be folded and is set aside");
    let mut backoff = Backoff::new();
    loop {
        match try_set_aside(shared, slot, claimed, seq, why).await {
            Ok(left) => return left,
            Err(error) if error.is_transient() => {
                tokio::select! {
                    () = backoff.wait() => {}
                    () = slot.lost() => return Left::Lost,
                }
            }
            Err(error) => {
                tracing::error!(run = %slot.run, error = %error, "the run cannot be set aside");
                return Left::Lost;
            }
        }
    }
}

async fn try_set_aside(
    shared: &Shared,
    slot: &Slot,
    claimed: &Claimed,
    seq: Seq,
    why: &str,
) -> Result<Left, StoreError> {
    // All of them: a verb may stand behind any number of signals that nobody can follow.
    let entries = shared.store.entries(claimed.no, limits::INBOX_ENTRIES).await?;
    if let Some(over) = given_up(shared, slot).await? {
        return stay_over(shared, claimed, &entries, over).await;
    }
    let answers = answer(&entries, why);
    let mut settled = None;
    if !answers.is_empty() {
        let head = shared.store.head(claimed.no).await?;
        let time = shared.now().max(last_time(shared, claimed, &head).await?);
        let mut transition = Transition::new(claimed.no, claimed.epoch, head.seq, head.hash);
        for Answer { id, events } in answers {
            transition.consumed.push(id);
            for event in events {
                if let Event::RunSettled(e) = &event {
                    settled = Some(e.outcome.clone());
                }
                seal(&mut transition, slot, claimed, time, &event);
            }
        }
        if let Some(outcome) = &settled {
            let note = String::new();
            transition.listing =
                Some(Listing { status: Status::Settled, note, outcome: Some(outcome.clone()) });
            transition.wake = Wake::Never;
            transition.release = true;
            // Nothing else is answered any more; an order that stayed would have the run claimed once more.
            transition.consumed = entries.iter().map(|entry| entry.id).collect();
            tell_parent(shared, slot, claimed, &mut transition, outcome).await?;
            tell_items(shared, slot, &mut transition, outcome).await?;
            let seq = Seq(transition.after.0 + transition.events.len() as u64);
            transition.signed = evidence::signed_head(shared, slot.run, seq, transition.head_hash);
        }
        if shared.store.commit(vec![transition]).await?.iter().any(Result::is_err) {
            return Ok(Left::Lost);
        }
    }
    let status = match settled {
        Some(outcome) => {
            slot.watch.change(|view| view.outcome = Some(Arc::new(outcome)));
            Status::Settled
        }
        None => {
            let seen = entries.iter().map(|entry| entry.id).max();
            shared.store.quarantine(claimed.no, claimed.epoch, seq, why, seen).await?;
            Status::Quarantined
        }
    };
    slot.watch.change(|view| {
        view.version += 1;
        view.status = Some(status);
    });
    Ok(if status == Status::Settled { Left::Failed } else { Left::Stuck })
}

/// The row of a run that was given up already, by number and hash alone.
async fn given_up(shared: &Shared, slot: &Slot) -> Result<Option<Listing>, StoreError> {
    let row = shared.store.find(slot.run).await?;
    let given_up = |listing: &Listing| {
        listing.status == Status::Settled && matches!(listing.outcome, Some(Outcome::Abandoned { .. }))
    };
    Ok(row.map(|row| row.listing).filter(given_up))
}

/// What a run that was given up is told still changes nothing.
async fn stay_over(
    shared: &Shared,
    claimed: &Claimed,
    entries: &[Entry],
    listing: Listing,
) -> Result<Left, StoreError> {
    let head = shared.store.head(claimed.no).await?;
    let transition = Transition {
        consumed: entries.iter().map(|entry| entry.id).collect(),
        listing: Some(listing),
        wake: Wake::Never,
        release: true,
        ..Transition::new(claimed.no, claimed.epoch, head.seq, head.hash)
    };
    let written = shared.store.commit(vec![transition]).await?.iter().all(Result::is_ok);
    Ok(if written { Left::Failed } else { Left::Lost })
}

/// The items of a run that is given up come to their end, too: nobody can read which of them are under way, so all are
/// told that are not over.
async fn tell_items(
    shared: &Shared,
    slot: &Slot,
    transition: &mut Transition,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    let Outcome::Abandoned { by, reason } = outcome else { return Ok(()) };
    let order = Order::Abandon { by: by.clone(), reason: reason.clone() };
    let status = Status::ALL.into_iter().filter(|status| *status != Status::Settled).collect();
    let filter = Filter { level: Level::ItemsOf(slot.run), status, ..Filter::default() };
    let mut after = None;
    loop {
        let page = shared.store.list(&filter, Page { after, limit: 1_000 }).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(Cursor(last.no));
        transition
            .recall
            .extend(page.iter().map(|row| (row.run, order_entry(slot.run, &order, Default::default()))));
    }
}

/// A run that is an item tells how it ended, as far as it can be read whose item it is. What it did is in place, for all
/// that is known.
async fn tell_parent(
    shared: &Shared,
    slot: &Slot,
    claimed: &Claimed,
    transition: &mut Transition,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    let first = shared.store.events(claimed.no, Seq(0), 1).await?;
    let Some(Below { run: parent, step, item, index, .. }) = first.first().and_then(below) else {
        return Ok(());
    };
    let (run, outcome) = (slot.run, outcome.clone());
    let message = Message::SubRunSettled { step, index, item, run, outcome, undoable: false, left: true };
    let seq = Seq(transition.after.0 + transition.events.len() as u64);
    transition.send.push((parent, report(run, seq, message, &mut transition.blobs)));
    Ok(())
}

fn below(first: &StoredEvent) -> Option<Below> {
    let header = Header::decode(&first.header).ok()?;
    match Event::decode(header.kind, first.payload.as_ref()?) {
        Ok(Event::RunStarted(started)) => started.parent,
        _ => None,
    }
}

/// What is journaled for an entry.
struct Answer {
    id: EntryId,
    events: Vec<Event>,
}

/// The verbs among the entries, up to the one that gives the run up.
fn answer(entries: &[Entry], why: &str) -> Vec<Answer> {
    let mut answers = Vec::new();
    for entry in entries {
        let (verb, reason) = match entry.message.read::<Message>() {
            Ok(Message::Verb { verb, reason }) => (verb, reason),
            Ok(Message::Parent { order: Order::Abandon { by, reason }, .. })
                if entry.actor == Actor::engine() =>
            {
                let outcome = Outcome::Abandoned { by, reason };
                let events = vec![RunSettled { outcome, aftermath: Aftermath::default() }.into()];
                answers.push(Answer { id: entry.id, events });
                break;
            }
            _ => continue,
        };
        let (by, abandons) = (entry.actor.clone(), verb == Verb::Abandon);
        let refused = (!abandons).then(|| {
            format!("the run is quarantined: {why}; what applies: retry, after an upgrade or a repair, and abandon")
        });
        let answered =
            VerbAnswered { id: entry.dedupe_id.clone(), verb, by, reason: reason.clone(), refused };
        let mut events = vec![Event::from(answered)];
        if abandons {
            let outcome = Outcome::Abandoned { by: entry.actor.clone(), reason };
            events.push(RunSettled { outcome, aftermath: Aftermath::default() }.into());
        }
        answers.push(Answer { id: entry.id, events });
        if abandons {
            break;
        }
    }
    answers
}

/// The time of the last event, as far as its header can be read.
async fn last_time(shared: &Shared, claimed: &Claimed, head: &Head) -> Result<Timestamp, StoreError> {
    let before = Seq(head.seq.0.saturating_sub(1));
    let last = shared.store.events(claimed.no, before, 1).await?;
    let header = last.first().and_then(|stored| Header::decode(&stored.header).ok());
    Ok(header.map_or(Timestamp::MIN, |h| h.time))
}

/// Appends by number and hash of the head alone: nothing before it can be trusted.
fn seal(transition: &mut Transition, slot: &Slot, claimed: &Claimed, time: Timestamp, event: &Event) {
    let payload = event.encode().expect("an event is made of ids, numbers and JSON, and can be encoded");
    let header = Header {
        format: FORMAT,
        run: slot.run,
        seq: Seq(transition.after.0 + transition.events.len() as u64 + 1),
        kind: event.kind().code(),
        time,
        epoch: claimed.epoch,
        actor: event.caused_by().unwrap_or(engine_actor()).clone(),
        payload_digest: Digest::of(&payload),
        prev_hash: transition.head_hash,
    };
    let header = header.encode();
    transition.head_hash = Digest::of(&header);
    transition.events.push(StoredEvent { header, payload: Some(payload) });
}
