//! Writing one transition.

use super::{
    core::{Driver, Gone},
    draft::{Asked, Draft, Drafted},
    family::Family,
    leave::Leaving,
};
use crate::{evidence, tally::Left, time::Backoff};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use towpath_machine::{Action, Phase};
use towpath_model::{
    Actor, Chain, Digest, Epoch, Event, Listing, Name, Seq, SignedHead, Status, StoredEvent, Timestamp,
    limits,
};
use towpath_store::{Blob, LockChange, LogLine, Progress, Refused, StoreError, Transition, Wake};

/// Errors that trying again does not help, after which a run is set aside.
const HOPELESS: u32 = 5;

/// Everything that a transition is made of beside the draft, kept until it is known to be written.
struct Parts {
    listing: Option<Listing>,
    wake: Wake,
    release: bool,
    logs: Vec<LogLine>,
    progress: Vec<Progress>,
    blobs: Vec<Blob>,
    family: Family,
}

impl Driver {
    /// Writes what was drafted and does what follows; how the run leaves memory, when it does.
    pub(super) async fn write(&mut self, mut draft: Draft) -> Result<Option<Left>, Gone> {
        let leaving = self.leaving(&draft);
        let listing = self.new_listing(&leaving);
        let is_last = leaving.is_some();
        let flush = self.flushes.due(&self.side).is_some_and(|at| at <= Instant::now());
        if draft.is_empty() && listing.is_none() && !is_last && !flush {
            self.after(draft);
            return Ok(None);
        }
        let (logs, progress) = self.flushes.take(&self.side, is_last);
        let mut family = self.family(&mut draft).await?;
        draft.blobs.append(&mut family.blobs);
        let parts = Parts {
            family,
            wake: leaving.as_ref().map_or(Wake::Keep, |l| l.wake),
            release: is_last,
            listing,
            logs,
            progress,
            blobs: std::mem::take(&mut draft.blobs),
        };
        self.commit(&draft, &parts).await?;
        // A lock that is free is granted with the question.
        self.inbox |= draft.asks_for_locks();
        self.moved = Instant::now();
        self.tell_family(&parts.family);
        self.tell(&draft, parts.listing);
        match leaving {
            None => {
                self.after(draft);
                Ok(None)
            }
            Some(leaving) => {
                self.dismiss(draft);
                if let Wake::At(at) = leaving.wake {
                    if leaving.left == Left::Blocked {
                        self.shared.blocked_until(at);
                    }
                    self.shared.wakes_at(at);
                }
                Ok(Some(leaving.left))
            }
        }
    }

    /// The row, when it is not what is written already.
    fn new_listing(&self, leaving: &Option<Leaving>) -> Option<Listing> {
        // The row of a run that is over gives it back, which is for the transition with which it leaves.
        if leaving.is_none() && self.state.phase() == Phase::Settled {
            return None;
        }
        let listing = match leaving {
            Some(Leaving { left: Left::Blocked, .. }) => {
                Listing { status: Status::Blocked, note: self.lacking.join("; "), outcome: None }
            }
            _ => self.state.listing(),
        };
        (Some(&listing) != self.listing.as_ref()).then_some(listing)
    }

    /// Commits, whatever it takes: an error of the store says only that it is not known what was written.
    async fn commit(&mut self, draft: &Draft, parts: &Parts) -> Result<(), Gone> {
        let mut chain = self.chain.clone();
        let events = seal(&mut chain, self.epoch, draft);
        let transition = self.transition(draft, parts, events, chain.hash());
        if let Err(error) = self.send(transition).await? {
            // Boxed, because it is rare and its room is not.
            Box::pin(self.find_out(error, &chain, draft, parts)).await?;
        }
        let warning = limits::EVENTS_WARNING + self.state.events_of_items();
        let warns = self.chain.seq().0 < warning && chain.seq().0 >= warning;
        if warns {
            let (run, events) = (self.slot.run, chain.seq());
            let most = limits::EVENTS_PER_JOURNAL + self.state.events_of_items();
            tracing::warn!(%run, %events, most, "the journal is long; the run rests when it reaches the limit");
        }
        self.chain = chain;
        Ok(())
    }

    /// Finds out what was written, and writes it again when it was not.
    async fn find_out(
        &self,
        error: StoreError,
        chain: &Chain,
        draft: &Draft,
        parts: &Parts,
    ) -> Result<(), Gone> {
        let (mut written, mut backoff, mut hopeless) = (Err(error), Backoff::new(), 0);
        while let Err(error) = written {
            let run = self.slot.run;
            tracing::warn!(%run, error = %error, "a commit was answered by an error; looking what was written");
            hopeless += u32::from(!error.is_transient());
            if hopeless >= HOPELESS {
                return self.set_aside(&error, draft).await;
            }
            tokio::select! {
                () = backoff.wait() => {}
                () = self.slot.lost() => return Err(Gone),
            }
            if self.was_written(chain, draft).await? {
                break;
            }
            let events = seal(&mut self.chain.clone(), self.epoch, draft);
            written = self.send(self.transition(draft, parts, events, chain.hash())).await?;
        }
        Ok(())
    }

    fn transition(&self, draft: &Draft, parts: &Parts, events: Vec<StoredEvent>, hash: Digest) -> Transition {
        Transition {
            events,
            listing: parts.listing.clone(),
            wake: parts.wake,
            consumed: draft.consumed.clone(),
            locks: lock_changes(self.chain.seq(), draft.events.iter().map(|drafted| &drafted.event)),
            blobs: parts.blobs.clone(),
            refers: refers(draft, &parts.blobs),
            signed: self.signed(draft, parts, hash),
            start: parts.family.start.clone(),
            send: parts.family.send.clone(),
            recall: parts.family.recall.clone(),
            logs: parts.logs.clone(),
            progress: parts.progress.clone(),
            release: parts.release,
            ..Transition::new(self.slot.no, self.epoch, self.chain.seq(), hash)
        }
    }

    /// The head with which the run settles, signed when the engine has a signer.
    fn signed(&self, draft: &Draft, parts: &Parts, hash: Digest) -> Option<SignedHead> {
        let settles = parts.listing.as_ref().is_some_and(|listing| listing.status == Status::Settled);
        let seq = Seq(self.chain.seq().0 + draft.events.len() as u64);
        settles.then(|| evidence::signed_head(&self.shared, self.slot.run, seq, hash)).flatten()
    }

    /// One try. Without the lease there is no other.
    async fn send(&self, transition: Transition) -> Result<Result<(), StoreError>, Gone> {
        let answers = tokio::select! {
            biased;
            answers = self.shared.store.commit(vec![transition]) => answers,
            () = self.slot.lost() => return Err(Gone),
        };
        match answers.map(|answers| answers.into_iter().next()) {
            Ok(Some(Ok(_))) => Ok(Ok(())),
            Ok(Some(Err(refused @ (Refused::Fenced | Refused::Sequence { .. })))) => {
                tracing::info!(run = %self.slot.run, refused = %refused, "the run is driven elsewhere");
                Err(Gone)
            }
            Ok(None) => Err(Gone),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Whether a commit whose answer was lost is in the journal.
    async fn was_written(&self, chain: &Chain, draft: &Draft) -> Result<bool, Gone> {
        let mut backoff = Backoff::new();
        loop {
            let head = tokio::select! {
                head = self.shared.store.head(self.slot.no) => head,
                () = self.slot.lost() => return Err(Gone),
            };
            match head {
                Ok(head) if head.epoch != self.epoch => return Err(Gone),
                // Without events nothing tells, and writing it again changes nothing.
                Ok(_) if draft.events.is_empty() => return Ok(false),
                Ok(head) if head.hash == chain.hash() => return Ok(true),
                Ok(head) if head.hash == self.chain.hash() => return Ok(false),
                Ok(_) => return Err(Gone),
                Err(error) => {
                    tracing::warn!(run = %self.slot.run, error = %error, "the journal's head cannot be read; trying again");
                    tokio::select! {
                        () = backoff.wait() => {}
                        () = self.slot.lost() => return Err(Gone),
                    }
                }
            }
        }
    }

    /// A store that refuses a transition for good would do so for ever: the run is set aside, and others go on.
    /// What it was told up to here it has read, and reading that again would end in the same refusal: it waits for the next word.
    async fn set_aside(&self, error: &StoreError, draft: &Draft) -> Result<(), Gone> {
        let reason = format!("its next transition cannot be written: {error}");
        let (no, epoch, seq) = (self.slot.no, self.epoch, self.chain.seq());
        let seen = draft.consumed.iter().copied().max();
        if let Err(error) = self.shared.store.quarantine(no, epoch, seq, &reason, seen).await {
            tracing::error!(run = %self.slot.run, error = %error, "the run can neither be driven nor set aside");
        }
        Err(Gone)
    }

    /// Tells those who look at the run.
    fn tell(&mut self, draft: &Draft, listing: Option<Listing>) {
        if let Some(listing) = listing {
            let outcome = listing.outcome.clone().map(Arc::new);
            self.slot.watch.change(|view| {
                view.version += 1;
                view.status = Some(listing.status);
                view.outcome = outcome;
            });
            self.listing = Some(listing);
        } else if !draft.events.is_empty() {
            self.slot.watch.appended();
        }
    }

    /// What follows a transition that is durable: bodies are told, and go on or begin.
    fn after(&mut self, draft: Draft) {
        for reply in draft.saved {
            // A body that was dropped needs no answer.
            let _ = reply.send(Ok(()));
        }
        for asked in draft.waits {
            self.park(asked, draft.now, &draft.actions);
        }
        self.act(draft.actions);
    }

    /// The wait of a body is durable: it goes on waiting in memory, or is dropped.
    fn park(&mut self, asked: Asked, now: Timestamp, actions: &[Action]) {
        let Asked { entry, wait, until, reply } = asked;
        let Some(i) = self.bodies.iter().position(|b| b.no == entry) else { return };
        let step = &self.plan.plan.step(self.bodies[i].ix).id;
        let is_over = actions.iter().any(|a| matches!(a, Action::Enter(of, _) if of == step));
        if is_over || self.stays(until, now) {
            let live = &mut self.bodies[i];
            live.deadline = None;
            live.waiting = Some((wait, reply));
        } else {
            self.bodies.swap_remove(i);
        }
    }

    /// Whether a body may wait in memory for what is over at `until`.
    pub(super) fn stays(&self, until: Option<Timestamp>, now: Timestamp) -> bool {
        let limit = self.shared.config.park_after;
        !self.draining && limit > Duration::ZERO && until.is_some_and(|until| until.since(now) <= limit)
    }

    /// The run has left: bodies that wait are dropped, and whoever asked for a checkpoint has it.
    fn dismiss(&mut self, draft: Draft) {
        for reply in draft.saved {
            let _ = reply.send(Ok(()));
        }
        self.bodies.clear();
    }
}

/// The blobs that the events of a draft refer to, beside those that are stored with it.
fn refers(draft: &Draft, stored: &[Blob]) -> Vec<Digest> {
    let refers = draft.events.iter().flat_map(|drafted| drafted.event.blobs()).map(|blob| blob.digest);
    refers.filter(|digest| stored.iter().all(|blob| blob.digest != *digest)).collect()
}

/// Seals the events of a draft onto a chain.
fn seal(chain: &mut Chain, epoch: Epoch, draft: &Draft) -> Vec<StoredEvent> {
    let seal = |drafted: &Drafted| {
        let Drafted { event, actor } = drafted;
        let payload = event.encode().expect("an event is made of ids, numbers and JSON, and can be encoded");
        let engine = engine_actor();
        let actor = actor.as_ref().or(event.caused_by()).unwrap_or(engine);
        chain.seal(event.kind().code(), draft.now, epoch, actor, payload).stored
    };
    draft.events.iter().map(seal).collect()
}

/// What events that follow this number do to locks.
pub(crate) fn lock_changes<'e>(after: Seq, events: impl Iterator<Item = &'e Event>) -> Vec<LockChange> {
    let changes = events.zip(1..).flat_map(|(event, n)| match event {
        Event::LocksAsked(e) => {
            let ask = |lock: &Name| LockChange::Ask { lock: lock.clone(), asked: Seq(after.0 + n) };
            e.locks.iter().map(ask).collect()
        }
        Event::LocksReturned(e) => e.locks.iter().cloned().map(LockChange::Return).collect(),
        _ => Vec::new(),
    });
    changes.collect()
}

/// The engine as an actor, made once.
pub(crate) fn engine_actor() -> &'static Actor {
    static ENGINE: std::sync::OnceLock<Actor> = std::sync::OnceLock::new();
    ENGINE.get_or_init(Actor::engine)
}
