//! Folding what happens to items, and to a run that is an item.

use super::{ItemStart, ItemState, Items, Ordered};
use crate::{
    Action, Ix, Leaving, Phase, RunState, StepState, UndoState,
    apply::{Fold, illegal},
    work::work,
};
use towpath_model::{
    Attempt, Event, ItemsListed, Order, Outcome, ParentOrdered, RunId, StepId, SubRunSettled, SubRunsStarted,
    SubRunsUnwinding, UnwindStarted, Why, limits,
};

impl RunState {
    pub(crate) fn items_listed(&mut self, e: &ItemsListed) -> Fold {
        let ix = self.ix(&e.step)?;
        let node = self.node(ix);
        let may_start = matches!(node.state, StepState::Ready | StepState::Backoff { .. });
        if !may_start
            || !self.may_act(ix)
            || !self.is_active(ix)
            || node.items.is_some()
            || self.plan.for_each(ix).is_none()
        {
            return Err(illegal("the items of the step cannot be listed now"));
        }
        if e.count > limits::ITEMS_PER_FOR_EACH as u64 {
            return Err(illegal("there are more items than a step may have"));
        }
        work(1);
        self.listed_items += e.count;
        let node = &mut self.nodes[ix as usize];
        node.items = Some(Box::new(Items::new(e.items.clone(), e.given.clone(), e.count)));
        node.attempt = Attempt(1);
        node.tries = 1;
        node.intent = Some(self.seq);
        self.live.asked.remove(&ix);
        self.set_state(ix, StepState::Items);
        Ok(())
    }

    /// A `for_each` that rested is tried again: the items that failed begin anew.
    pub(crate) fn items_again(&mut self, ix: Ix) {
        if let Some(items) = &mut self.nodes[ix as usize].items {
            for index in std::mem::take(&mut items.failed) {
                work(1);
                if let Some(item) = items.item_mut(index) {
                    (item.state, item.ordered, item.told_unwind) = (ItemState::Waiting, None, false);
                }
                items.again.insert(index);
            }
        }
        self.set_state(ix, StepState::Items);
    }

    fn items_mut(&mut self, step: &StepId) -> Result<(Ix, &mut Items), crate::apply::CorruptKind> {
        let ix = self.ix(step)?;
        let items = self.nodes[ix as usize].items.as_deref_mut();
        items.map(|items| (ix, items)).ok_or(illegal("the items of the step were not listed"))
    }

    pub(crate) fn sub_runs_started(&mut self, e: &SubRunsStarted) -> Fold {
        let run = self.run;
        let is_forward = self.phase == Phase::Forward;
        let ix = self.ix(&e.step)?;
        let goes = self.node(ix).state == StepState::Items && is_forward && self.may_act(ix);
        let (_, items) = self.items_mut(&e.step)?;
        let end = e.first.checked_add(e.count).filter(|end| *end <= items.count() && e.count > 0);
        let Some(end) = end.filter(|_| goes) else { return Err(illegal("such items cannot begin now")) };
        let mut starts = Vec::new();
        for index in e.first..end {
            work(1);
            let is_next = index == items.next;
            if !is_next && !items.again.remove(&index) {
                return Err(illegal("an item begins that has begun"));
            }
            items.next += u64::from(is_next);
            items.open.insert(index);
            let Some(item) = items.item_mut(index) else { continue };
            item.state = ItemState::Running;
            item.tries += 1;
            let run = RunId::of_item(run, &e.step, index, item.tries);
            starts.push(ItemStart { step: e.step.clone(), index, run });
        }
        self.live.starts.extend(starts);
        self.place_items(ix);
        Ok(())
    }

    pub(crate) fn sub_run_settled(&mut self, e: &SubRunSettled) -> Fold {
        let (ix, items) = self.items_mut(&e.step)?;
        if !items.open.contains(&e.index) {
            return Err(illegal("the item is not under way"));
        }
        work(1);
        items.settle(e);
        self.place_items(ix);
        self.gather(ix);
        Ok(())
    }

    /// When all items have succeeded, what they gave back is put together.
    pub(crate) fn gather(&mut self, ix: Ix) {
        let node = self.node(ix);
        let is_complete = node.items.as_ref().is_some_and(|items| items.is_complete());
        if is_complete
            && node.state == StepState::Items
            && self.is_active(ix)
            && self.live.gathering.insert(ix)
        {
            self.live.actions.push(Action::Gather(self.plan.step(ix).id.clone()));
        }
    }

    pub(crate) fn sub_runs_unwinding(&mut self, e: &SubRunsUnwinding) -> Fold {
        let run = self.run;
        let ix = self.ix(&e.step)?;
        if self.node(ix).undo != UndoState::Running {
            return Err(illegal("the step is not being undone"));
        }
        let fencing = self.fencing(ix);
        let (_, items) = self.items_mut(&e.step)?;
        let mut orders = Vec::new();
        for index in &e.items {
            work(1);
            if !items.undoable.remove(index) {
                return Err(illegal("the item has nothing to undo"));
            }
            items.open.insert(*index);
            let Some(item) = items.item_mut(*index) else { continue };
            item.state = ItemState::Unwinding;
            (item.ordered, item.told_unwind) = (Some(Order::Unwind), true);
            let run = RunId::of_item(run, &e.step, *index, item.tries);
            orders.push(Ordered { run, order: Order::Unwind, fencing: fencing.clone() });
        }
        self.live.orders.extend(orders);
        self.place_items(ix);
        Ok(())
    }

    /// Puts a `for_each` into the sets in which its items belong.
    pub(crate) fn place_items(&mut self, ix: Ix) {
        let Some(for_each) = self.plan.for_each(ix) else { return };
        let parallel = for_each.parallel as usize;
        let locked = self.is_locked_out(ix);
        let node = &self.nodes[ix as usize];
        let Some(items) = &node.items else { return };
        let begins = node.state == StepState::Items
            && !locked
            && items.failed.is_empty()
            && items.open.len() < parallel
            && items.pending().is_some();
        let place = |set: &mut std::collections::BTreeSet<Ix>, is_in| {
            if is_in {
                set.insert(ix)
            } else {
                set.remove(&ix)
            };
        };
        let is_open = !items.open.is_empty();
        place(&mut self.sets.items_begin, begins);
        place(&mut self.sets.items_open, is_open);
    }

    /// The run leaves its way, or does so in another way than before: its items are told. Costs O(items under way).
    pub(crate) fn order_items(&mut self) {
        let unwinds = self.will_unwind();
        for ix in self.sets.items_open.clone() {
            let plan = self.plan.clone();
            let (step, run) = (plan.step(ix), self.run);
            let order = match &self.leaving {
                Some(Leaving::Abandoned { by, reason }) => {
                    Order::Abandon { by: by.clone(), reason: reason.clone() }
                }
                _ if unwinds && step.undo != towpath_model::UndoPolicy::Keep => Order::Unwind,
                _ => Order::Cancel,
            };
            let fencing = self.fencing(ix);
            let Some(items) = &mut self.nodes[ix as usize].items else { continue };
            for index in items.open.clone() {
                work(1);
                let Some(item) = items.item_mut(index).filter(|i| i.ordered.as_ref() != Some(&order)) else {
                    continue;
                };
                item.told_unwind |= order == Order::Unwind;
                item.ordered = Some(order.clone());
                let run = RunId::of_item(run, &step.id, index, item.tries);
                self.live.orders.push(Ordered { run, order: order.clone(), fencing: fencing.clone() });
            }
        }
    }

    /// Unwinding was stopped: what was not asked for yet is left in place.
    pub(crate) fn leave_items(&mut self, ix: Ix) {
        if let Some(items) = &mut self.nodes[ix as usize].items {
            items.left |= !items.undoable.is_empty();
            items.undoable.clear();
        }
    }

    /// What the run that this one is an item of has it do.
    pub(crate) fn parent_ordered(&mut self, e: &ParentOrdered) -> Fold {
        if self.below.is_none() {
            return Err(illegal("the run is no item of another"));
        }
        if !self.follows(&e.order) {
            return Err(illegal("the order comes too late"));
        }
        if !e.fencing.is_empty() {
            self.locks.given.clone_from(&e.fencing);
        }
        self.resume();
        if matches!(self.phase, Phase::Settled | Phase::Finally) && e.order == Order::Unwind {
            self.recalled = true;
            return Ok(());
        }
        let why = Why::WithParent;
        self.leave(match &e.order {
            Order::Unwind => Leaving::For { why, unwind: true },
            Order::Cancel => Leaving::For { why, unwind: false },
            Order::Abandon { by, reason } => Leaving::Abandoned { by: by.clone(), reason: reason.clone() },
        });
        match self.phase {
            Phase::Unwinding => self.stop_unwinding(),
            Phase::OnFailure => self.leave_on_failure(),
            Phase::Finally => self.cut_short = true,
            _ => {}
        }
        Ok(())
    }

    /// Whether an order from above changes anything now.
    pub(crate) fn follows(&self, order: &Order) -> bool {
        let given_up = matches!(self.leaving, Some(Leaving::Abandoned { .. }));
        match (self.phase, order) {
            // Past its point of no return it only goes forward, to an end that its parent waits for.
            (Phase::Forward, Order::Unwind) => self.no_return.is_none(),
            (Phase::Forward, _) => true,
            (Phase::Draining | Phase::Unwinding, Order::Cancel) => self.will_unwind(),
            (Phase::Draining | Phase::Unwinding, Order::Abandon { .. }) => !given_up,
            (Phase::Finally, Order::Unwind) => self.leaving.is_none() && !self.recalled && self.is_undoable(),
            (Phase::OnFailure | Phase::Finally, Order::Abandon { .. }) => {
                self.sets.running.is_empty() && !given_up && !self.cut_short
            }
            (Phase::Settled, Order::Unwind) => {
                matches!(self.outcome, Some(Outcome::Succeeded { .. }))
                    && !self.recalled
                    && self.is_undoable()
            }
            _ => false,
        }
    }

    /// Whether the run did something that it can undo. Costs O(steps), once for each time that it ends.
    pub(crate) fn is_undoable(&self) -> bool {
        self.no_return.is_none() && self.has_something_to_undo()
    }

    /// Costs O(steps).
    pub(crate) fn has_something_to_undo(&self) -> bool {
        work(self.plan.len());
        (0..self.plan.len() as Ix).any(|ix| self.needs_undo(ix))
    }

    /// Whether the run that this one is an item of has it undone, though it has succeeded, and it does not do so yet.
    pub fn is_recalled(&self) -> bool {
        self.recalled
    }

    /// What follows at once when a run that is over is told to undo what it did: it can be told otherwise from then on.
    pub(crate) fn begin_recall(&self) -> Option<Event> {
        let begins = self.phase == Phase::Settled
            && self.recalled
            && matches!(self.outcome, Some(Outcome::Succeeded { .. }));
        begins.then(|| UnwindStarted { why: Why::WithParent }.into())
    }
}
