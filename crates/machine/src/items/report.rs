//! Reports: what an item tells its parent, and what the parent makes of it.

use crate::RunState;
use std::collections::BTreeMap;
use towpath_model::{
    Actor, Entry, EntryRefused, Event, Failure, FailureKind, ItemsListed, Json, Message, Name, Order,
    Outcome, ParentOrdered, Payload, RunId, RunSettled, StepDone, StepFailed, StepId, SubRunSettled,
    Timestamp, Why,
};

impl RunState {
    /// What this run tells the run that it is an item of, when it settles so.
    pub fn report(&self, settled: &RunSettled) -> Option<(RunId, Message)> {
        let below = self.below.as_ref()?;
        let message = Message::SubRunSettled {
            step: below.step.clone(),
            index: below.index,
            item: below.item.clone(),
            run: self.run,
            outcome: settled.outcome.clone(),
            undoable: matches!(settled.outcome, Outcome::Succeeded { .. }) && self.is_undoable(),
            left: self.leaves_something(settled),
        };
        Some((below.run, message))
    }

    /// Whether something that the run could have undone stays in place: what a run that has left its way lists as left,
    /// and all of one that went past its point of no return.
    fn leaves_something(&self, settled: &RunSettled) -> bool {
        match settled.outcome {
            Outcome::Succeeded { .. } => self.no_return.is_some() && self.has_something_to_undo(),
            _ => !settled.aftermath.left.is_empty(),
        }
    }

    /// What comes from other runs is believed only to engines.
    pub(crate) fn told_by_a_run(&self, entry: &Entry, message: Message) -> Vec<Event> {
        if entry.actor != Actor::engine() {
            let why = "only a run can send this: send a signal or a verb instead".to_owned();
            return vec![EntryRefused { id: entry.dedupe_id.clone(), from: entry.actor.clone(), why }.into()];
        }
        match message {
            Message::Parent { order, fencing } => self.order(order, fencing),
            Message::SubRunSettled { step, index, item, run, outcome, undoable, left } => {
                self.item_settled(SubRunSettled { step, index, item, run, outcome, undoable, left })
            }
            _ => Vec::new(),
        }
    }

    fn order(&self, order: Order, fencing: BTreeMap<Name, u64>) -> Vec<Event> {
        let follows = self.below.is_some() && self.follows(&order);
        follows.then(|| ParentOrdered { order, fencing }.into()).into_iter().collect()
    }

    /// A report of a run that is not awaited any more makes no event.
    fn item_settled(&self, e: SubRunSettled) -> Vec<Event> {
        let items = self.find(&e.step).and_then(|node| node.items.as_ref());
        let awaited = items.is_some_and(|items| {
            items.open.contains(&e.index) && items.run(self.run, &e.step, e.index) == Some(e.run)
        });
        if awaited { vec![e.into()] } else { Vec::new() }
    }

    /// What follows for the step of an item whose report was folded.
    pub(crate) fn after_report(&self, e: &SubRunSettled) -> Option<Event> {
        let ix = self.plan.find(&e.step)?;
        let succeeded = matches!(e.outcome, Outcome::Succeeded { .. });
        let because = (!succeeded).then(|| {
            // What ends an item though nothing was wrong ends the run that it belongs to in the same way.
            let kind = match e.outcome {
                Outcome::Cancelled { why: Why::StepCancelled { .. } } => FailureKind::Cancelled,
                _ => FailureKind::Permanent,
            };
            let failure = Failure::new(kind, format!("item {} did not succeed", e.item));
            failure.caused_by(e.outcome.to_string())
        });
        self.items_failed(ix, because)
    }

    /// The list was read, or could not be.
    pub(crate) fn list_read(
        &mut self,
        step: &StepId,
        result: Result<(Payload, Payload, u64), Failure>,
        now: Timestamp,
    ) -> Vec<Event> {
        let Some(ix) = self.plan.find(step) else { return Vec::new() };
        if !self.live.asked.remove(&ix) || self.starts_nothing() || !self.may_act(ix) {
            return Vec::new();
        }
        let step = step.clone();
        match result {
            Ok((items, given, count)) => {
                let listed = ItemsListed { step: step.clone(), items, given, count };
                let done =
                    (count == 0).then(|| done(step, Json::parse("[]").expect("a constant is JSON").into()));
                std::iter::once(listed.into()).chain(done).collect()
            }
            Err(failure) => {
                let attempt = self.node(ix).attempt.next();
                let then = self.after_failure(ix, self.node(ix).tries + 1, &failure, None, now);
                vec![StepFailed { step, attempt, failure, then }.into()]
            }
        }
    }
}

fn done(step: StepId, output: Payload) -> Event {
    StepDone { step, output, by: Default::default(), facts: Default::default(), output_error: None }.into()
}
