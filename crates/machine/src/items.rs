//! The items of a `for_each`: runs of their own, of which the parent knows where each stands.

mod decide;
mod fold;
mod list;
mod report;

pub use list::{Foreseen, Listed, Seen, foresee_items, list_items, read_items};
pub(crate) use list::{Source, With};

use std::collections::{BTreeMap, BTreeSet};
use towpath_model::{BlobRef, Name, Order, Outcome, Payload, RunId, StepId, SubRunSettled};

/// The items of a step that is a `for_each`, once they are listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Items {
    pub(crate) listed: Payload,
    pub(crate) given: Payload,
    pub(crate) all: Vec<Item>,
    /// The first that has not begun yet.
    pub(crate) next: u64,
    /// Those that begin again, after an operator's retry.
    pub(crate) again: BTreeSet<u64>,
    /// Those whose run is under way: on its way, or undoing what it did.
    pub(crate) open: BTreeSet<u64>,
    /// Those that ended otherwise than well.
    pub(crate) failed: BTreeSet<u64>,
    /// Those that did something that is not undone, nor asked for.
    pub(crate) undoable: BTreeSet<u64>,
    /// Whether something of an item, or of an earlier try of it, stays in place though the step is undone.
    pub(crate) left: bool,
    pub(crate) done: u64,
}

/// One item.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Item {
    pub(crate) state: ItemState,
    /// Runs that were begun for it.
    pub(crate) tries: u32,
    pub(crate) ordered: Option<Order>,
    /// Whether its run was ever told to undo what it did, whatever else it was told since.
    pub(crate) told_unwind: bool,
    pub(crate) output: Option<Payload>,
}

/// Where an item stands, as its parent knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ItemState {
    /// It has not begun.
    #[default]
    Waiting,
    /// Its run is on its way.
    Running,
    /// Its run has succeeded.
    Done,
    /// Its run has ended otherwise.
    Failed,
    /// Its run undoes what it did.
    Unwinding,
    /// Its run has undone what it did.
    Undone,
    /// Its run was to undo what it did, and ended otherwise.
    Left,
}

/// Items of a step that begin with the transition that holds the decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ItemStart {
    /// The step.
    pub step: StepId,
    /// Place of the item in its list.
    pub index: u64,
    /// The id of its run.
    pub run: RunId,
}

/// What an item's run is told with the transition that holds the decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ordered {
    /// The run.
    pub run: RunId,
    /// What it is to do.
    pub order: Order,
    /// The locks that are held for it from now on, each with its fencing number.
    pub fencing: BTreeMap<Name, u64>,
}

impl Items {
    pub(crate) fn new(listed: Payload, given: Payload, count: u64) -> Self {
        let all = vec![Item::default(); usize::try_from(count).unwrap_or(0)];
        let none = BTreeSet::new;
        Items {
            listed,
            given,
            all,
            next: 0,
            again: none(),
            open: none(),
            failed: none(),
            undoable: none(),
            left: false,
            done: 0,
        }
    }

    /// Key and value of each item, as they were listed.
    pub fn listed(&self) -> &Payload {
        &self.listed
    }

    /// The values of the other parameters of the items' plan.
    pub fn given(&self) -> &Payload {
        &self.given
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.all.len() as u64
    }

    /// How many have succeeded.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// The items that ended otherwise than well, or had something left in place.
    pub fn failed(&self) -> impl Iterator<Item = u64> + '_ {
        let left = |index: &u64| self.state(*index) == Some(ItemState::Left);
        let left = (0..self.count()).filter(move |index| self.left && left(index));
        self.failed.iter().copied().chain(left.filter(|index| !self.failed.contains(index)))
    }

    /// Where an item stands.
    pub fn state(&self, index: u64) -> Option<ItemState> {
        self.item(index).map(|item| item.state)
    }

    /// The items whose run is under way.
    pub fn open(&self) -> impl Iterator<Item = u64> + '_ {
        self.open.iter().copied()
    }

    /// The last run of an item of step `step` of run `parent`, when it has begun.
    pub fn run(&self, parent: RunId, step: &StepId, index: u64) -> Option<RunId> {
        let tries = self.item(index)?.tries;
        (tries > 0).then(|| RunId::of_item(parent, step, index, tries))
    }

    /// What the items that succeeded gave back, in order; `None` for those without an output.
    pub fn outputs(&self) -> impl Iterator<Item = Option<&Payload>> + '_ {
        self.all.iter().map(|item| item.output.as_ref())
    }

    /// The outputs that are not in the journal.
    pub fn blobs(&self) -> impl Iterator<Item = &BlobRef> + '_ {
        self.outputs().flatten().filter_map(|output| match output {
            Payload::Blob(blob) => Some(blob),
            Payload::Inline(_) => None,
        })
    }

    pub(crate) fn item(&self, index: u64) -> Option<&Item> {
        self.all.get(usize::try_from(index).ok()?)
    }

    fn item_mut(&mut self, index: u64) -> Option<&mut Item> {
        self.all.get_mut(usize::try_from(index).ok()?)
    }

    /// The next that begins, if another one does.
    fn pending(&self) -> Option<u64> {
        self.again.first().copied().or_else(|| (self.next < self.count()).then_some(self.next))
    }

    /// Whether all have succeeded.
    pub(crate) fn is_complete(&self) -> bool {
        self.done == self.count()
    }

    /// Notes what a report says of an item.
    pub(crate) fn settle(&mut self, report: &SubRunSettled) {
        let SubRunSettled { index, outcome, undoable, left, .. } = report;
        let (index, undoable) = (*index, *undoable);
        self.left |= left;
        let Some(item) = self.item_mut(index) else { return };
        let succeeded = matches!(outcome, Outcome::Succeeded { .. });
        let goes_on = succeeded && undoable && item.told_unwind;
        item.state = match item.state {
            // It had ended when it was told to undo what it did: it does so now.
            ItemState::Running if goes_on => ItemState::Unwinding,
            ItemState::Running if succeeded => ItemState::Done,
            ItemState::Running => ItemState::Failed,
            _ if matches!(outcome, Outcome::Compensated { .. }) => ItemState::Undone,
            _ => ItemState::Left,
        };
        let state = item.state;
        match state {
            ItemState::Unwinding => return,
            ItemState::Done => {
                if let Outcome::Succeeded { output } = outcome {
                    item.output.clone_from(output);
                }
                self.done += 1;
                if undoable {
                    self.undoable.insert(index);
                }
            }
            ItemState::Failed => drop(self.failed.insert(index)),
            ItemState::Left => self.left = true,
            _ => {}
        }
        self.open.remove(&index);
    }
}
