//! Lock scopes: what a run holds while its steps act, and when it takes and gives that.
//!
//! Locks whose scopes overlap are asked for at once and given back at once: a *scope* here is such a group. So a run that
//! waits for one scope never holds another whose end hangs on the first, and since a store queues a whole question in one
//! transaction, of two runs that wait the one that asked first always comes to its end. Nobody waits in a circle.

mod scopes;

pub(crate) use scopes::{Scope, ScopeNo, scopes};

use crate::{
    Ix, Mover, Phase, RunState, StepState, UndoState, Wait,
    apply::{Fold, illegal},
    transitions::visit,
    work::work,
};
use std::{cmp::Reverse, collections::BTreeMap};
use towpath_model::{
    Actor, Entry, EntryRefused, Event, LocksAsked, LocksReturned, LocksTaken, Name, Section, Seq, Timestamp,
};

/// Where a scope's locks stand.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum Held {
    /// Not asked for, or given back.
    #[default]
    No,
    /// Queued for. Some may be there already.
    Asked { seq: Seq, since: Timestamp, there: BTreeMap<Name, u64> },
    /// All of them are there, each with its fencing number.
    Yes { since: Timestamp, fences: BTreeMap<Name, u64> },
}

/// Where the locks of a scope stand, in one word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LockStateKind {
    /// The run neither holds nor wants them.
    Free,
    /// It queues for them.
    Asked,
    /// It holds all of them.
    Held,
}

impl Held {
    pub(crate) fn kind(&self) -> LockStateKind {
        match self {
            Held::No => LockStateKind::Free,
            Held::Asked { .. } => LockStateKind::Asked,
            Held::Yes { .. } => LockStateKind::Held,
        }
    }
}

/// What a run holds and waits for. Nothing, for a run that is an item: its root run holds for it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Locks {
    /// By scope.
    pub(crate) held: Vec<Held>,
    /// Steps of each scope that are not at rest, by section.
    open: Vec<[u32; 3]>,
    /// Steps of each scope whose undoing is not settled.
    undo_open: Vec<u32>,
    /// What its root run holds for it, when it is an item.
    pub(crate) given: BTreeMap<Name, u64>,
}

/// A lock that a run holds or waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LockHold<'a> {
    /// The lock.
    pub lock: &'a Name,
    /// Since when the run waits for all locks of the scope, or holds them.
    pub since: Timestamp,
    /// The fencing number, once the lock is there.
    pub fence: Option<u64>,
    /// Whether the run holds the whole scope. As long as it does not, it waits.
    pub held: bool,
}

impl Locks {
    pub(crate) fn new(scopes: &[Scope]) -> Self {
        Locks {
            held: vec![Held::No; scopes.len()],
            open: scopes.iter().map(|scope| scope.sizes).collect(),
            undo_open: vec![0; scopes.len()],
            given: BTreeMap::new(),
        }
    }

    /// Those of an item, for which its root run holds these.
    pub(crate) fn of_item(given: BTreeMap<Name, u64>) -> Self {
        Locks { given, ..Locks::default() }
    }

    /// A step came to rest.
    pub(crate) fn rests(&mut self, scope: Option<ScopeNo>, section: Section) {
        if let Some(open) = scope.and_then(|no| self.open.get_mut(no)) {
            open[section as usize] -= 1;
        }
    }

    /// The undoing of a step opens or is settled.
    pub(crate) fn undoes(&mut self, scope: Option<ScopeNo>, was_open: bool, is_open: bool) {
        if let Some(open) = scope.and_then(|no| self.undo_open.get_mut(no)) {
            *open = *open + u32::from(is_open) - u32::from(was_open);
        }
    }
}

impl RunState {
    /// The scope that a step acts in, when this run holds its locks by itself.
    fn scope_of(&self, ix: Ix) -> Option<ScopeNo> {
        self.plan.scope(ix).filter(|_| self.below.is_none())
    }

    fn held_of(&self, ix: Ix) -> Option<&Held> {
        self.scope_of(ix).and_then(|no| self.locks.held.get(no))
    }

    /// Whether a step holds every lock that it acts under.
    pub(crate) fn may_act(&self, ix: Ix) -> bool {
        self.held_of(ix).is_none_or(|held| matches!(held, Held::Yes { .. }))
    }

    /// Whether a step waits for its locks: they were asked for.
    pub(crate) fn is_locked_out(&self, ix: Ix) -> bool {
        self.held_of(ix).is_some_and(|held| matches!(held, Held::Asked { .. }))
    }

    /// The fencing numbers of the locks that a step acts under.
    pub fn fencing(&self, ix: Ix) -> BTreeMap<Name, u64> {
        let fences = match self.held_of(ix) {
            None => &self.locks.given,
            Some(Held::Yes { fences, .. } | Held::Asked { there: fences, .. }) => fences,
            Some(Held::No) => return BTreeMap::new(),
        };
        let of = |lock: &Name| fences.get(lock).map(|fence| (lock.clone(), *fence));
        self.plan.step(ix).locks.iter().filter_map(of).collect()
    }

    /// The locks that the run holds and waits for.
    pub fn locks(&self) -> impl Iterator<Item = LockHold<'_>> {
        let all = self.plan.scopes().iter().zip(&self.locks.held);
        all.flat_map(|(scope, held)| {
            let (since, fences, whole) = match held {
                Held::No => (self.time, None, false),
                Held::Asked { since, there, .. } => (*since, Some(there), false),
                Held::Yes { since, fences } => (*since, Some(fences), true),
            };
            scope.locks.iter().filter(move |_| fences.is_some()).map(move |lock| LockHold {
                lock,
                since,
                fence: fences.and_then(|fences| fences.get(lock)).copied(),
                held: whole,
            })
        })
    }

    /// What the run queues for, for an explanation.
    pub(crate) fn explain_locks(&self) -> impl Iterator<Item = Wait> {
        let all = self.plan.scopes().iter().zip(&self.locks.held);
        all.filter_map(|(scope, held)| {
            let Held::Asked { since, there, .. } = held else { return None };
            let missing = scope.locks.iter().filter(|lock| !there.contains_key(*lock));
            let missing: Vec<Name> = missing.cloned().collect();
            let names: Vec<&str> = missing.iter().map(Name::as_str).collect();
            let s = if names.len() == 1 { "" } else { "s" };
            let what = format!("waits for the lock{s} {}", names.join(", "));
            Some(Wait { step: None, what, since: *since, mover: Mover::Locks(missing) })
        })
    }

    // ---- deciding

    /// Asks for the locks of a step that is about to act, unless it has done so: `false` when the step may act.
    pub(crate) fn ask_for(&mut self, events: &mut Vec<Event>, now: Timestamp, ix: Ix) -> bool {
        let Some(no) = self.scope_of(ix).filter(|_| !self.may_act(ix)) else { return false };
        if self.locks.held[no] == Held::No {
            let locks = self.plan.scopes()[no].locks.clone();
            self.record(events, now, LocksAsked { locks }.into());
        }
        true
    }

    /// Gives back what is not needed any more. Costs O(scopes).
    pub(crate) fn return_locks(&mut self, events: &mut Vec<Event>, now: Timestamp) {
        for no in 0..self.locks.held.len() {
            if !self.is_needed(no) {
                let locks = self.plan.scopes()[no].locks.clone();
                self.record(events, now, LocksReturned { locks }.into());
            }
        }
    }

    /// Whether a scope's locks are held or asked for in vain.
    fn is_needed(&self, no: ScopeNo) -> bool {
        let open = |section: Section| self.locks.open[no][section as usize] > 0;
        let last = open(Section::Finally) && !self.cut_short;
        match (&self.locks.held[no], self.phase) {
            (Held::No, _) => true,
            (_, Phase::Forward) => open(Section::Main) || last,
            (Held::Asked { .. }, Phase::Draining) => false,
            (_, Phase::Draining) => true,
            (_, Phase::Unwinding) => {
                self.locks.undo_open[no] > 0 || (self.has_failed() && open(Section::OnFailure)) || last
            }
            (_, Phase::OnFailure) => open(Section::OnFailure) || last,
            (_, Phase::Finally) => last,
            (_, Phase::Settled) => false,
        }
    }

    /// Why a lock cannot be released, or the event that does it. What is under way has to end first: the lock is there
    /// to keep others from what it does.
    pub(crate) fn release_lock(&self, lock: &Name) -> Result<Event, String> {
        let scopes = self.plan.scopes().iter().zip(&self.locks.held);
        let held = scopes.filter(|(_, held)| matches!(held, Held::Yes { .. })).map(|(scope, _)| scope);
        let Some(scope) = held.into_iter().find(|scope| scope.locks.contains(lock)) else {
            return Err(format!("the run does not hold the lock {lock}"));
        };
        let busy = |ix: &Ix| self.node(*ix).state == StepState::Running || self.has_open_items(*ix);
        let acts = |ix: &&Ix| busy(ix) || self.node(**ix).undo == UndoState::Running;
        match scope.members.iter().find(acts) {
            Some(ix) => {
                let step = &self.plan.step(*ix).id;
                Err(format!(
                    "{step} is under way under the lock {lock}: pause or cancel the run, and wait until it rests"
                ))
            }
            None => Ok(LocksReturned { locks: scope.locks.clone() }.into()),
        }
    }

    /// The store says that a lock is there. What it says to a question that was taken back is nothing.
    pub(crate) fn lock_granted(&self, entry: &Entry, lock: Name, fence: u64, asked: Seq) -> Vec<Event> {
        if entry.actor != Actor::engine() {
            let why = "only a store can send this: locks are taken by the steps of their scope".to_owned();
            return vec![EntryRefused { id: entry.dedupe_id.clone(), from: entry.actor.clone(), why }.into()];
        }
        let waits = |held: &Held| match held {
            Held::Asked { seq, there, .. } => *seq == asked && !there.contains_key(&lock),
            Held::No | Held::Yes { .. } => false,
        };
        let mut scopes = self.plan.scopes().iter().zip(&self.locks.held);
        let is_awaited = scopes.any(|(scope, held)| waits(held) && scope.locks.contains(&lock));
        is_awaited.then(|| LocksTaken { locks: vec![(lock, fence)] }.into()).into_iter().collect()
    }

    // ---- folding

    pub(crate) fn locks_asked(&mut self, e: &LocksAsked) -> Fold {
        let no = self.scope_named(&e.locks)?;
        let moves = !matches!(self.phase, Phase::Draining | Phase::Settled);
        if self.locks.held[no] != Held::No || !moves {
            return Err(illegal("the locks cannot be asked for now"));
        }
        let (seq, since) = (self.seq, self.time);
        self.set_held(no, Held::Asked { seq, since, there: BTreeMap::new() });
        Ok(())
    }

    pub(crate) fn locks_taken(&mut self, e: &LocksTaken) -> Fold {
        let Some((first, _)) = e.locks.first() else { return Err(illegal("no lock is taken")) };
        let no = self.scope_with(first).ok_or(illegal("the plan has no such lock"))?;
        let names = self.plan.scopes()[no].locks.clone();
        let Held::Asked { seq, since, mut there } = self.locks.held[no].clone() else {
            return Err(illegal("the locks were not asked for"));
        };
        for (lock, fence) in &e.locks {
            if !names.contains(lock) || there.insert(lock.clone(), *fence).is_some() {
                return Err(illegal("a lock is taken that was not asked for"));
            }
        }
        let whole = there.len() == names.len();
        let held = if whole {
            Held::Yes { since: self.time, fences: there }
        } else {
            Held::Asked { seq, since, there }
        };
        self.set_held(no, held);
        Ok(())
    }

    pub(crate) fn locks_returned(&mut self, e: &LocksReturned) -> Fold {
        let no = self.scope_named(&e.locks)?;
        if self.locks.held[no] == Held::No {
            return Err(illegal("the locks are not held"));
        }
        let members = &self.plan.scopes()[no].members;
        let acts = |ix: &Ix| {
            let node = self.node(*ix);
            node.state == StepState::Running || node.undo == UndoState::Running || self.has_open_items(*ix)
        };
        if members.iter().any(acts) {
            return Err(illegal("a step is under way under the lock"));
        }
        self.set_held(no, Held::No);
        Ok(())
    }

    /// The run is over, and holds nothing any more.
    pub(crate) fn end_locks(&mut self) {
        for no in 0..self.locks.held.len() {
            if self.locks.held[no] != Held::No {
                self.set_held(no, Held::No);
            }
        }
    }

    fn scope_with(&self, lock: &Name) -> Option<ScopeNo> {
        let scopes = self.plan.scopes();
        scopes.iter().position(|scope| scope.locks.contains(lock)).filter(|_| self.below.is_none())
    }

    fn scope_named(&self, locks: &[Name]) -> Result<ScopeNo, crate::apply::CorruptKind> {
        let no = locks.first().and_then(|lock| self.scope_with(lock));
        no.filter(|no| self.plan.scopes()[*no].locks == locks)
            .ok_or(illegal("the plan has no scope of these locks"))
    }

    /// Moves a scope's locks, and its steps to the sets in which they belong then. Costs O(steps of the scope).
    fn set_held(&mut self, no: ScopeNo, held: Held) {
        let plan = self.plan.clone();
        let members = &plan.scopes()[no].members;
        work(members.len());
        visit::lock(self.locks.held[no].kind(), held.kind());
        members.iter().for_each(|ix| self.lift(*ix));
        self.locks.held[no] = held;
        members.iter().for_each(|ix| self.put(*ix));
        if matches!(self.locks.held[no], Held::Yes { .. }) {
            members.iter().for_each(|ix| self.look_again(*ix));
        }
    }

    /// Takes a step that may start, or may be undone, out of its sets.
    fn lift(&mut self, ix: Ix) {
        let (active, locked) = (self.is_active(ix), self.is_locked_out(ix));
        let (node, sets) = (&self.nodes[ix as usize], &mut self.sets);
        if active && node.state == StepState::Ready {
            let set = if locked { &mut sets.locked } else { &mut sets.ready };
            set.remove(&ix);
            sets.moving -= u32::from(!locked);
        }
        if node.undo == UndoState::Ready {
            let set = if locked { &mut sets.undo_locked } else { &mut sets.undo_ready };
            set.remove(&(Reverse(node.intent.unwrap_or_default()), ix));
            sets.undo_moving -= u32::from(!locked);
        }
    }

    /// Puts it back.
    fn put(&mut self, ix: Ix) {
        let (active, locked) = (self.is_active(ix), self.is_locked_out(ix));
        let (node, sets) = (&self.nodes[ix as usize], &mut self.sets);
        if active && node.state == StepState::Ready {
            let set = if locked { &mut sets.locked } else { &mut sets.ready };
            set.insert(ix);
            sets.moving += u32::from(!locked);
        }
        if node.undo == UndoState::Ready {
            let set = if locked { &mut sets.undo_locked } else { &mut sets.undo_ready };
            set.insert((Reverse(node.intent.unwrap_or_default()), ix));
            sets.undo_moving += u32::from(!locked);
        }
        self.place_items(ix);
    }

    /// What was due while the locks were not there is looked at again.
    fn look_again(&mut self, ix: Ix) {
        if !self.live.shut_out.remove(&ix) {
            return;
        }
        match (&self.node(ix).state, &self.node(ix).undo) {
            (_, UndoState::Backoff { .. }) => drop(self.live.due_undo.insert(ix)),
            (StepState::Parked { .. }, _) if self.is_active(ix) => self.wait_is_due(ix),
            (StepState::Backoff { .. }, _) if self.is_active(ix) => drop(self.live.due_tries.insert(ix)),
            _ => {}
        }
    }
}
