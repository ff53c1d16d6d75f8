//! Leaving memory: at rest, at the end, when the process stops, and when the lease is lost.

use super::{
    core::{Driver, Live},
    draft::Draft,
};
use crate::{
    body::What,
    config::BLOCKED_FOR,
    mailbox::{EntryNo, Msg},
    tally::Left,
};
use std::time::Duration;
use tokio::time::Instant;
use towpath_machine::Phase;
use towpath_model::{Ended, Outcome, Status};
use towpath_store::Wake;

/// How long a driver without its lease waits for its bodies to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// How a run leaves memory.
pub(super) struct Leaving {
    pub(super) wake: Wake,
    pub(super) left: Left,
}

impl Driver {
    /// Whether the run leaves memory with this transition, and how.
    pub(super) fn leaving(&mut self, draft: &Draft) -> Option<Leaving> {
        if !self.ended.is_empty() || !self.owed.is_empty() {
            return None;
        }
        if self.state.phase() == Phase::Settled {
            if self.inbox && !self.draining {
                // What has not been read may have the run undo what it did.
                return None;
            }
            let left = match self.state.outcome() {
                Some(Outcome::Succeeded { .. }) => Left::Succeeded,
                _ => Left::Failed,
            };
            return Some(Leaving { wake: Wake::Never, left });
        }
        if self.state.is_idle() {
            // Nobody waits for the answers of those any more.
            self.drop_quietly(What::is_quiet);
        }
        let parks = |no| draft.waits.iter().any(|w| w.entry == no && !self.stays(w.until, draft.now));
        let at_work = self.bodies.iter().any(|b| !parks(b.no));
        if at_work {
            return None;
        }
        if self.draining {
            return Some(self.given_back(draft));
        }
        if self.more {
            return None;
        }
        if draft.asks_for_locks() {
            // They may be free, and the run goes on at once.
            return None;
        }
        if self.inbox || !self.deferred.is_empty() || !self.mail.is_empty() {
            return None;
        }
        if !self.lacking.is_empty() {
            let wake = Wake::At(draft.now.plus(BLOCKED_FOR));
            return Some(Leaving { wake, left: Left::Blocked });
        }
        if self.withheld {
            // What lacked is not needed any more: loaded anew, the run is told again what is to be begun.
            return Some(Leaving { wake: Wake::At(draft.now), left: Left::Parked });
        }
        if !draft.actions.is_empty() || self.stays(self.wake, draft.now) || self.stays_for_items() {
            return None;
        }
        Some(self.at_rest(draft))
    }

    fn at_rest(&self, draft: &Draft) -> Leaving {
        let left = if self.state.is_stuck() { Left::Stuck } else { Left::Parked };
        let wake = match self.wake {
            Some(at) => Wake::At(at),
            // Everything that is not at rest is moved by a body, and there is none: somebody has to look again.
            None if !self.state.is_idle() && !self.state.is_paused() && left != Left::Stuck => {
                Wake::At(draft.now.plus(Duration::from_secs(1)))
            }
            None => Wake::Never,
        };
        Leaving { wake, left }
    }

    /// The process stops: whoever takes the run up next goes on at once.
    fn given_back(&mut self, draft: &Draft) -> Leaving {
        self.state.hold(false);
        let rests = self.state.is_idle() && matches!(self.state.status(), Status::Stuck | Status::Paused);
        let wake = match self.state.wake() {
            _ if !rests => Wake::At(draft.now),
            Some(at) => Wake::At(at),
            None => Wake::Never,
        };
        Leaving { wake, left: Left::Parked }
    }

    /// Brings what runs to an end, and lets nothing new begin.
    pub(super) fn drain(&mut self, grace: bool) {
        let grace = if grace { self.shared.config.grace } else { Duration::ZERO };
        self.draining = true;
        self.deferred.clear();
        self.state.hold(true);
        // What looks, and what waits durably, has nothing to tell.
        self.drop_quietly(What::is_quiet);
        self.bodies.retain(|b| b.waiting.is_none());
        for body in &mut self.bodies {
            body.ask_to_stop(grace);
            body.drop_at = body.drop_at.map(|at| at.min(Instant::now() + grace));
        }
    }

    fn drop_quietly(&mut self, which: impl Fn(What) -> bool) {
        self.bodies.retain(|b| !which(b.what));
    }

    /// Holds a run back that this engine cannot drive, and lets it go when it can.
    pub(super) fn hold_as_needed(&mut self) {
        self.lacking = self.plan.lacking_for(&self.state);
        if self.draining {
            return;
        }
        self.state.hold(!self.lacking.is_empty());
    }

    /// The lease is lost: every body is dropped, and nothing is written.
    pub(super) async fn let_go(&mut self) {
        let mut open = 0;
        for body in &self.bodies {
            body.abort();
            open += usize::from(body.task.is_some());
        }
        let is_open = |bodies: &[Live], no: EntryNo| bodies.iter().any(|b| b.no == no && b.task.is_some());
        if let Some(Msg::End(no, _)) = self.received.take() {
            open -= usize::from(is_open(&self.bodies, no));
        }
        let until = Instant::now() + GONE_WITHIN;
        while open > 0 {
            match tokio::time::timeout_at(until, self.mail.recv()).await {
                Ok(Some(Msg::End(no, _))) => open -= usize::from(is_open(&self.bodies, no)),
                Ok(Some(_)) => {}
                // A body that does not come to an await cannot be dropped: it is left behind, without its lease.
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Drops what is over its time.
    pub(super) fn drop_expired(&mut self) {
        let now = Instant::now();
        for body in &mut self.bodies {
            if body.drop_at.is_some_and(|at| at <= now) {
                body.drop_as(Ended::Dropped);
            } else if body.deadline.is_some_and(|at| at <= now) {
                body.drop_as(Ended::TimedOut);
            }
        }
    }
}
