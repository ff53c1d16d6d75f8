//! Taking a claimed run up: from its journal into memory.

use crate::{
    body,
    config::{BLOCKED_FOR, TAKEOVERS_MOST},
    driver::{Begin, Driver},
    fold::{Folded, Unfolded, fold},
    mailbox::Msg,
    quarantine,
    runs::Slot,
    shared::{Phase, Shared},
    tally::Left,
    time::Backoff,
};
use std::sync::Arc;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::Instant,
};
use towpath_machine::{Action, RunState, StepState};
use towpath_model::{Listing, Seq, Status, Timestamp};
use towpath_store::{Claimed, Transition, Wake};
use tracing::Instrument as _;

/// Drives a claimed run in a task of its own.
pub(crate) fn take_up(shared: &Arc<Shared>, claimed: Claimed) {
    let (mailbox, mail) = unbounded_channel();
    let (slot, before) = shared.runs.enter(claimed.run, claimed.no, mailbox);
    drain_if_late(shared, &slot);
    let span = tracing::info_span!("run", run = %claimed.run);
    let shared = shared.clone();
    let task = async move {
        if let Some(before) = before {
            // Our own lease was taken for lost: what we still had under way has to be gone first.
            before.lose();
            before.gone().await;
        }
        slot.watch.change(|view| view.here = true);
        // Boxed, so that the task does not keep the room for as long as the run is in memory.
        match body::caught(Box::pin(load(&shared, &slot, mail, &claimed))).await {
            Ok(Ok((driver, first))) => drive(&shared, driver, first, &slot, &claimed).await,
            Ok(Err(left)) => shared.leave(&slot, left),
            Err(panic) => panicked(&shared, &slot, &claimed, "loading it", &panic).await,
        }
    };
    tokio::spawn(task.instrument(span));
}

/// Drives a run that was just started by this engine: its first intents are durable.
pub(crate) fn drive_new(shared: &Arc<Shared>, mail: UnboundedReceiver<Msg>, fresh: Begin) {
    drain_if_late(shared, &fresh.slot);
    let span = tracing::info_span!("run", run = %fresh.slot.run);
    fresh.slot.watch.change(|view| {
        view.here = true;
        view.status = Some(Status::Running);
    });
    let slot = fresh.slot.clone();
    let claimed = Claimed {
        no: slot.no,
        run: slot.run,
        epoch: fresh.epoch,
        taken_over: false,
        predecessor_alive_at: None,
        death_proven: false,
        takeovers_without_progress: 0,
    };
    let (driver, first) = Driver::new(shared.clone(), mail, fresh);
    let shared = shared.clone();
    tokio::spawn(async move { drive(&shared, driver, first, &slot, &claimed).await }.instrument(span));
}

/// Drives a run. Should driving it ever panic, the run is set aside, and others go on.
async fn drive(
    shared: &Arc<Shared>,
    driver: Box<Driver>,
    first: Vec<Action>,
    slot: &Arc<Slot>,
    claimed: &Claimed,
) {
    if let Err(panic) = body::caught(driver.drive(first)).await {
        panicked(shared, slot, claimed, "driving it", &panic).await;
    }
}

/// A defect of ours: the run is set aside, and others go on.
async fn panicked(shared: &Arc<Shared>, slot: &Arc<Slot>, claimed: &Claimed, what: &str, panic: &str) {
    let why = format!("{what} panicked, which is a defect of this release: {panic}");
    let left = Box::pin(quarantine::set_aside(shared, slot, claimed, Seq(0), &why)).await;
    shared.leave(slot, left);
}

/// A run that comes into memory while the engine winds down leaves it again.
fn drain_if_late(shared: &Shared, slot: &Slot) {
    if shared.phase() > Phase::Open {
        // The driver is about to be made, so that its mailbox is open.
        let _ = slot.mailbox.send(Msg::Drain { grace: true });
    }
}

async fn load(
    shared: &Arc<Shared>,
    slot: &Arc<Slot>,
    mail: UnboundedReceiver<Msg>,
    claimed: &Claimed,
) -> Result<(Box<Driver>, Vec<Action>), Left> {
    if claimed.taken_over && claimed.takeovers_without_progress >= TAKEOVERS_MOST {
        let why = format!(
            "{} workers in a row died with it before they came to write anything: find out why, then retry",
            claimed.takeovers_without_progress
        );
        return Err(quarantine::set_aside(shared, slot, claimed, Seq(0), &why).await);
    }
    let Folded { plan, mut state, chain } = match folded(shared, slot).await? {
        Ok(folded) => folded,
        Err(Unfolded::Newer(why)) => return Err(leave_alone(shared, claimed, why).await),
        Err(Unfolded::Corrupt { seq, why }) => {
            return Err(quarantine::set_aside(shared, slot, claimed, seq, &why).await);
        }
        Err(Unfolded::Store(_)) => return Err(Left::Lost),
    };
    let observe_at = observe_at(shared, claimed, &state);
    state.recover();
    let begin = Begin {
        slot: slot.clone(),
        plan,
        state,
        chain,
        epoch: claimed.epoch,
        listing: None,
        actions: Vec::new(),
        inbox: true,
        observe_at,
        death_proven: claimed.death_proven,
    };
    Ok(Driver::new(shared.clone(), mail, begin))
}

/// Folds the run. A store that cannot be reached is tried again for as long as the lease holds.
async fn folded(shared: &Shared, slot: &Slot) -> Result<Result<Folded, Unfolded>, Left> {
    let mut backoff = Backoff::new();
    loop {
        let folded = tokio::select! {
            biased;
            folded = fold(shared, slot.run, slot.no) => folded,
            () = slot.lost() => return Err(Left::Lost),
        };
        match folded {
            Err(Unfolded::Store(error)) => {
                tracing::warn!(run = %slot.run, error = %error, "the journal cannot be read; trying again");
                tokio::select! {
                    () = backoff.wait() => {}
                    () = slot.lost() => return Err(Left::Lost),
                }
            }
            known => return Ok(known),
        }
    }
}

/// When the world may be asked: not as long as a request of somebody who drove the run may still be under way.
fn observe_at(shared: &Shared, claimed: &Claimed, state: &RunState) -> Option<Instant> {
    let doubts = (0..state.plan().len() as u32).filter_map(|ix| match state.node(ix).state() {
        StepState::InDoubt { answered: false, again: None, .. } => Some(state.node(ix).since()),
        _ => None,
    });
    let last: Timestamp = doubts.chain(claimed.predecessor_alive_at).max()?;
    let wait = last.plus(shared.config.settle_after).since(shared.now());
    (!wait.is_zero()).then(|| Instant::now() + wait)
}

/// Gives a run back that a newer release has to go on with.
async fn leave_alone(shared: &Shared, claimed: &Claimed, why: String) -> Left {
    let listing = Listing { status: Status::Blocked, note: why, outcome: None };
    let Ok(head) = shared.store.head(claimed.no).await else { return Left::Lost };
    let given_back = Transition {
        listing: Some(listing),
        wake: Wake::At(shared.now().plus(BLOCKED_FOR)),
        release: true,
        ..Transition::new(claimed.no, claimed.epoch, head.seq, head.hash)
    };
    match shared.store.commit(vec![given_back]).await {
        Ok(_) => Left::Blocked,
        Err(_) => Left::Lost,
    }
}
