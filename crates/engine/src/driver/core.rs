//! The driver and its loop.

use super::draft::Draft;
use crate::{
    body::{End, What},
    host::BodyHost,
    mailbox::{EntryNo, Msg, Reply},
    plans::Prepared,
    runs::Slot,
    shared::Shared,
    side::{Flushes, Side},
    tally::Left,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};
use tokio::{sync::mpsc::UnboundedReceiver, task::AbortHandle, time::Instant};
use towpath_machine::{Action, Input, Ix, Listed, RunState};
use towpath_model::{Attempt, Chain, Ended, Epoch, Listing, Name, Timestamp};
use towpath_step::host::Waited;

/// Loops after which a driver lets others have a turn, though it could go on.
const TURNS: u32 = 32;

/// A run in memory.
pub(crate) struct Driver {
    pub(super) shared: Arc<Shared>,
    pub(super) slot: Arc<Slot>,
    pub(super) mail: UnboundedReceiver<Msg>,
    /// What was received while the driver rested.
    pub(super) received: Option<Msg>,
    pub(super) plan: Arc<Prepared>,
    pub(super) state: RunState,
    pub(super) chain: Chain,
    pub(super) epoch: Epoch,
    /// The row as it was written last, if that is known.
    pub(super) listing: Option<Listing>,
    pub(super) bodies: Vec<Live>,
    /// Ends of bodies that the driver polled itself.
    pub(super) ended: VecDeque<(EntryNo, End)>,
    /// What the machine has to be told though no body says it.
    pub(super) owed: Vec<Input>,
    pub(super) last_entry: EntryNo,
    /// When a time makes the state move, as of the last decision.
    pub(super) wake: Option<Timestamp>,
    /// Whether the machine has more to decide at once.
    pub(super) more: bool,
    /// Whether the inbox is to be read.
    pub(super) inbox: bool,
    pub(super) inbox_read: Instant,
    /// When it is to be read because something was written somewhere.
    pub(super) look_at: Option<Instant>,
    /// Questions that are not asked yet, because a request of a dead worker may still be under way.
    pub(super) deferred: Vec<Ix>,
    pub(super) observe_at: Option<Instant>,
    /// Whether the worker before is known to be dead: what cannot outlive its process is over then.
    pub(super) death_proven: bool,
    pub(super) side: Arc<Side>,
    pub(super) flushes: Flushes,
    pub(super) draining: bool,
    /// What this engine lacks to drive the run.
    pub(super) lacking: Vec<String>,
    /// Whether something was to be begun while something lacked.
    pub(super) withheld: bool,
    /// The lists of its steps that are a `for_each`, once they are needed.
    pub(super) lists: HashMap<Ix, Arc<Listed>>,
    /// When something was written last.
    pub(super) moved: Instant,
    turns: u32,
}

/// A body that runs, or waits in memory.
pub(super) struct Live {
    pub(super) no: EntryNo,
    pub(super) ix: Ix,
    pub(super) what: What,
    pub(super) attempt: Attempt,
    pub(super) host: Arc<BodyHost>,
    /// Its task; none when it ended in the poll of the driver.
    pub(super) task: Option<AbortHandle>,
    /// When its time is over.
    pub(super) deadline: Option<Instant>,
    /// When it is dropped, though it was only asked to stop.
    pub(super) drop_at: Option<Instant>,
    /// How it ended, if it is being dropped.
    pub(super) ending: Option<Ended>,
    /// The durable wait at which it waits in memory.
    pub(super) waiting: Option<(Name, Reply<Waited>)>,
}

/// What a driver begins with.
pub(crate) struct Begin {
    pub(crate) slot: Arc<Slot>,
    pub(crate) plan: Arc<Prepared>,
    pub(crate) state: RunState,
    pub(crate) chain: Chain,
    pub(crate) epoch: Epoch,
    pub(crate) listing: Option<Listing>,
    /// What is to be done at once: the first intents are durable.
    pub(crate) actions: Vec<Action>,
    /// Whether the inbox is read first.
    pub(crate) inbox: bool,
    /// When the world may be asked at the earliest.
    pub(crate) observe_at: Option<Instant>,
    /// Whether the worker before is known to be dead.
    pub(crate) death_proven: bool,
}

/// The run is not this engine's any more.
pub(super) struct Gone;

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        mail: UnboundedReceiver<Msg>,
        begin: Begin,
    ) -> (Box<Self>, Vec<Action>) {
        let Begin { slot, plan, state, chain, epoch, listing, actions, inbox, observe_at, death_proven } =
            begin;
        // Boxed, because it goes through several futures, each of which would hold a copy.
        let driver = Box::new(Driver {
            shared,
            slot,
            mail,
            received: None,
            plan,
            wake: state.wake(),
            state,
            chain,
            epoch,
            listing,
            bodies: Vec::new(),
            ended: VecDeque::new(),
            owed: Vec::new(),
            last_entry: 0,
            more: false,
            inbox,
            inbox_read: Instant::now(),
            look_at: None,
            deferred: Vec::new(),
            observe_at,
            death_proven,
            side: Arc::default(),
            flushes: Flushes::default(),
            draining: false,
            lacking: Vec::new(),
            withheld: false,
            lists: HashMap::new(),
            moved: Instant::now(),
            turns: 0,
        });
        (driver, actions)
    }

    /// Drives the run until it leaves memory.
    pub(crate) async fn drive(mut self: Box<Self>, first: Vec<Action>) {
        self.shared.tally.entered(self.slot.run);
        self.act(first);
        let left = match self.go().await {
            Ok(left) => left,
            Err(Gone) => {
                self.let_go().await;
                Left::Lost
            }
        };
        self.shared.leave(&self.slot, left);
        self.forward_mail();
    }

    async fn go(&mut self) -> Result<Left, Gone> {
        loop {
            let mut draft = Draft::new(self.shared.now().max(self.chain.time()));
            self.collect(&mut draft);
            self.read_inbox(&mut draft).await?;
            self.decide(&mut draft);
            if let Some(left) = self.write(draft).await? {
                return Ok(left);
            }
            if self.has_more() {
                self.give_way().await;
            } else {
                self.rest().await?;
            }
        }
    }

    /// Asks the machine what follows.
    fn decide(&mut self, draft: &mut Draft) {
        self.hold_as_needed();
        let decision = self.state.decide(draft.now);
        draft.push(decision.events);
        draft.actions.extend(decision.actions);
        draft.starts.extend(decision.starts);
        draft.orders.extend(decision.orders);
        self.more = decision.more;
        self.wake = self.state.wake();
    }

    /// Whether there is something to be done at once.
    fn has_more(&self) -> bool {
        !self.ended.is_empty() || !self.owed.is_empty() || self.inbox || self.more
    }

    /// Lets others have a turn: other runs, so that their transitions are ready for the same commit, or whatever else
    /// shares this thread.
    async fn give_way(&mut self) {
        self.turns += 1;
        if self.shared.runs.is_busy() || self.turns.is_multiple_of(TURNS) {
            tokio::task::yield_now().await;
        }
    }

    /// What came after the last look is told to whoever drives the run next.
    fn forward_mail(&mut self) {
        self.mail.close();
        while let Ok(msg) = self.mail.try_recv() {
            if matches!(msg, Msg::Inbox) {
                self.shared.poke();
            }
        }
    }
}
