//! What follows for items.

use super::Items;
use crate::{Ix, Phase, RunState, StepState, UndoState, work::work};
use towpath_model::{
    CompensationDone, CompensationFailed, DoneBy, Event, Failure, FailureKind, StepFailed, SubRunsStarted,
    SubRunsUnwinding, Then, Timestamp, limits,
};

impl RunState {
    /// Begins items, as far as there is place: in the run, and in the transition.
    pub(crate) fn start_items(&mut self, events: &mut Vec<Event>, now: Timestamp) {
        while self.may_start_items() && self.live.starts.len() < limits::ITEMS_PER_TRANSITION {
            work(1);
            let Some(ix) = self.sets.items_begin.first().copied() else { return };
            if self.ask_for(events, now, ix) {
                continue;
            }
            let (Some(items), Some(for_each)) = (&self.node(ix).items, self.plan.for_each(ix)) else {
                return;
            };
            let Some(first) = items.pending() else { return };
            let room = (for_each.parallel as usize).saturating_sub(items.open.len()) as u64;
            let fit = (limits::ITEMS_PER_TRANSITION - self.live.starts.len()) as u64;
            let count = items.stretch(first).min(room).min(fit);
            let step = self.plan.step(ix).id.clone();
            self.record(events, now, SubRunsStarted { step, first, count }.into());
        }
    }

    fn may_start_items(&self) -> bool {
        self.phase == Phase::Forward && !self.starts_nothing()
    }

    /// Whether further items begin in a transition of their own, after one that began so many.
    pub(crate) fn starts_more_items(&self, begun: usize) -> bool {
        begun >= limits::ITEMS_PER_TRANSITION && self.may_start_items() && !self.sets.items_begin.is_empty()
    }

    /// Asks items to undo what they did, the last of the list first, and ends undoing the step when all have.
    pub(crate) fn undo_items(&mut self, events: &mut Vec<Event>, now: Timestamp) {
        if self.phase != Phase::Unwinding {
            return;
        }
        for ix in self.sets.undo_running.clone() {
            let (Some(items), Some(for_each)) = (&self.node(ix).items, self.plan.for_each(ix)) else {
                continue;
            };
            work(1);
            let step = self.plan.step(ix).id.clone();
            let most = if self.plan.record().unwind_one_at_a_time { 1 } else { for_each.parallel as usize };
            let room = most.saturating_sub(items.open.len());
            if items.undoable.is_empty() && items.open.is_empty() {
                let event = self.items_undone(ix);
                self.record(events, now, event);
            } else if !self.is_held() && room > 0 && !items.undoable.is_empty() {
                let items = items.undoable.iter().rev().take(room).copied().collect();
                self.record(events, now, SubRunsUnwinding { step, items }.into());
            }
        }
    }

    fn items_undone(&self, ix: Ix) -> Event {
        let node = self.node(ix);
        let step = self.plan.step(ix).id.clone();
        if node.items.as_ref().is_none_or(|items| !items.left) {
            return CompensationDone { step, by: DoneBy::Body }.into();
        }
        let failure = Failure::new(FailureKind::Permanent, "something that its items did was left in place");
        CompensationFailed { step, attempt: node.undo_attempt, failure, then: Then::Fail }.into()
    }

    /// What follows the report of an item for the step: at the first that fails the run leaves its way; a step whose
    /// failure does not make it do so fails when nothing of it is under way any more.
    pub(crate) fn items_failed(&self, ix: Ix, because: Option<Failure>) -> Option<Event> {
        let node = self.node(ix);
        let items = node.items.as_ref().filter(|items| !items.failed.is_empty())?;
        if node.state != StepState::Items || self.phase != Phase::Forward {
            return None;
        }
        let step = self.plan.step(ix);
        let then = self.fail_or_rest(ix);
        let at_once = then == Then::Fail && !step.best_effort;
        if !at_once && !items.open.is_empty() {
            return None;
        }
        let n = items.failed.len();
        let text = || format!("{n} of its items did not succeed");
        let failure = because.unwrap_or_else(|| Failure::new(FailureKind::Permanent, text()));
        Some(StepFailed { step: step.id.clone(), attempt: node.attempt, failure, then }.into())
    }

    /// Whether items of a step are under way.
    pub(crate) fn has_open_items(&self, ix: Ix) -> bool {
        self.sets.items_open.contains(&ix)
    }

    /// Whether items are under way of which a report will come.
    pub fn awaits_items(&self) -> bool {
        !self.sets.items_open.is_empty()
    }

    /// What undoing a `for_each` begins with, instead of entering a body.
    pub(crate) fn is_undone_by_items(&self, ix: Ix) -> bool {
        self.plan.for_each(ix).is_some() && self.node(ix).undo == UndoState::Running
    }
}

impl Items {
    /// How many begin one after another from `first`.
    fn stretch(&self, first: u64) -> u64 {
        if first == self.next {
            return self.count() - first;
        }
        (first..).take_while(|index| self.again.contains(index)).count() as u64
    }
}
