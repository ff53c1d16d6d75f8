//! The state of a run: the fold of its events.

use crate::{Action, ItemStart, Ix, Node, Ordered, Plan, locks::Locks};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};
use towpath_model::{
    Actor, Below, Ended, Json, Name, Outcome, RunId, Section, Seq, StepId, Timestamp, Why, limits,
};

/// A run, folded from its events.
#[derive(Clone, Debug)]
pub struct RunState {
    pub(crate) run: RunId,
    pub(crate) plan: Arc<Plan>,
    pub(crate) seq: Seq,
    pub(crate) time: Timestamp,
    pub(crate) values: Arc<BTreeMap<String, Json>>,
    /// The run and step that it is an item of.
    pub(crate) below: Option<Below>,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) phase: Phase,
    pub(crate) leaving: Option<Leaving>,
    /// Since when an operator has it paused.
    pub(crate) paused: Option<Paused>,
    pub(crate) cut_short: bool,
    pub(crate) nodes: Vec<Node>,
    pub(crate) signals: VecDeque<Kept>,
    pub(crate) no_return: Option<Ix>,
    pub(crate) something_undone: bool,
    pub(crate) outcome: Option<Outcome>,
    /// Items that were listed, of all its steps: they raise the limit of its journal.
    pub(crate) listed_items: u64,
    /// Whether the run that it is an item of has it undone, though it has succeeded.
    pub(crate) recalled: bool,
    pub(crate) sets: Sets,
    pub(crate) locks: Locks,
    pub(crate) live: Live,
}

/// Which steps stand where: derived from their states, so that deciding costs what changed and not what there is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sets {
    /// Steps not at rest, by section.
    pub(crate) open: [u32; 3],
    /// Steps whose body runs, of whichever section.
    pub(crate) running: BTreeSet<Ix>,
    /// Steps that may start. Like the next five, only of the section that has its turn.
    pub(crate) ready: BTreeSet<Ix>,
    /// Steps that may start as soon as the run holds their locks, for which it queues.
    pub(crate) locked: BTreeSet<Ix>,
    pub(crate) parked: BTreeSet<Ix>,
    /// Parked steps by the signal that they wait for.
    pub(crate) listeners: BTreeSet<(Name, Ix)>,
    pub(crate) resting: BTreeSet<Ix>,
    /// Steps that come to something without an operator and without a wait.
    pub(crate) moving: u32,
    /// Steps whose undoing is not settled.
    pub(crate) undo_open: u32,
    /// Of them, those that come to something without an operator.
    pub(crate) undo_moving: u32,
    pub(crate) undo_ready: BTreeSet<(Reverse<Seq>, Ix)>,
    /// Steps that can be undone as soon as the run holds their locks, for which it queues.
    pub(crate) undo_locked: BTreeSet<(Reverse<Seq>, Ix)>,
    pub(crate) undo_running: BTreeSet<Ix>,
    pub(crate) undo_resting: BTreeSet<Ix>,
    /// Steps of which further items may begin.
    pub(crate) items_begin: BTreeSet<Ix>,
    /// Steps of which items are under way.
    pub(crate) items_open: BTreeSet<Ix>,
}

/// What this process has under way for the run. Not part of the fold, and never compared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    /// What the next decision gives out.
    pub(crate) actions: Vec<Action>,
    /// What the next decision starts, and whom it tells what.
    pub(crate) starts: Vec<ItemStart>,
    pub(crate) orders: Vec<Ordered>,
    /// Steps whose body nobody runs any more, and how it ended: the next decision puts them in doubt.
    pub(crate) lost: BTreeMap<Ix, Ended>,
    /// Steps whose before-image is being taken, or whose list is being read.
    pub(crate) asked: BTreeSet<Ix>,
    /// Steps whose items' outputs are being put together.
    pub(crate) gathering: BTreeSet<Ix>,
    /// Steps about which the world is being asked.
    pub(crate) observing: BTreeSet<Ix>,
    /// Times that were not reached yet.
    pub(crate) timers: BTreeSet<(Timestamp, Timer, Ix)>,
    /// Parked steps whose wait is over, once there is a free place.
    pub(crate) due_waits: BTreeSet<Ix>,
    /// Steps whose next attempt is due.
    pub(crate) due_tries: BTreeSet<Ix>,
    /// Steps whose next attempt at undoing is due.
    pub(crate) due_undo: BTreeSet<Ix>,
    /// Steps that were due in one of these ways while their locks were not there.
    pub(crate) shut_out: BTreeSet<Ix>,
    /// Whether kept signals may have met steps that wait for them while nothing was to begin.
    pub(crate) rematch: bool,
    pub(crate) held: bool,
    /// Whether the run is driven, and not just read.
    pub(crate) driven: bool,
}

/// What a timer is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Timer {
    /// Its state: the next attempt, the end of a wait, the next question.
    State,
    /// The limit over all attempts and waits.
    Within,
    /// The next attempt at undoing.
    Undo,
}

/// A signal for which nobody waited when it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    pub(crate) seq: Seq,
    pub(crate) signal: Name,
    pub(crate) step: Option<StepId>,
    pub(crate) value: Json,
    pub(crate) from: Actor,
    pub(crate) received_at: Timestamp,
}

/// The part of its life that a run is in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// On its way.
    Forward,
    /// It leaves its way: what runs comes to an end, and nothing new begins.
    Draining,
    /// It undoes what it did.
    Unwinding,
    /// Its `on_failure` steps have their turn.
    OnFailure,
    /// Its `finally` steps have their turn.
    Finally,
    /// It is over.
    Settled,
}

/// Why and how a run leaves its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Leaving {
    /// It failed, was cancelled, or ran out of time.
    For {
        /// Why.
        why: Why,
        /// Whether it undoes what it did.
        unwind: bool,
    },
    /// It was given up.
    Abandoned {
        /// Who gave it up.
        by: Actor,
        /// Why, in their words.
        reason: String,
    },
}

/// Who has paused a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Paused {
    pub(crate) since: Timestamp,
    pub(crate) by: Actor,
    /// Why, in their words.
    pub(crate) reason: String,
}

impl PartialEq for RunState {
    /// Equal folds. What a process has under way is not compared.
    fn eq(&self, other: &Self) -> bool {
        let parts = |s: &Self| {
            (s.run, s.seq, s.time, s.deadline, s.phase, s.paused.clone(), s.cut_short, s.no_return)
        };
        let below = |s: &Self| (s.below.clone(), s.listed_items, s.recalled);
        parts(self) == parts(other)
            && below(self) == below(other)
            && self.values == other.values
            && self.leaving == other.leaving
            && self.nodes == other.nodes
            && self.signals == other.signals
            && self.something_undone == other.something_undone
            && self.outcome == other.outcome
            && self.sets == other.sets
            && self.locks == other.locks
    }
}

impl RunState {
    /// A run before its first event.
    pub fn new(run: RunId, plan: Arc<Plan>) -> Self {
        let section = |ix: Ix| plan.step(ix).section;
        let nodes: Vec<Node> = (0..plan.len() as Ix)
            .map(|ix| {
                let here = plan.predecessors(ix).iter().filter(|p| section(**p) == section(ix)).count();
                Node::new(here as u32)
            })
            .collect();
        let mut sets = Sets::default();
        for ix in 0..plan.len() as Ix {
            sets.open[section(ix) as usize] += 1;
        }
        let locks = Locks::new(plan.scopes());
        RunState {
            run,
            plan,
            locks,
            seq: Seq(0),
            time: Timestamp::MIN,
            values: Arc::default(),
            below: None,
            deadline: None,
            phase: Phase::Forward,
            leaving: None,
            paused: None,
            cut_short: false,
            nodes,
            signals: VecDeque::new(),
            no_return: None,
            something_undone: false,
            outcome: None,
            listed_items: 0,
            recalled: false,
            sets,
            live: Live::default(),
        }
    }

    /// The run.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Number of the last event.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Time of the last event.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The values of the plan's parameters.
    pub fn values(&self) -> &Arc<BTreeMap<String, Json>> {
        &self.values
    }

    /// The run and step that it is an item of.
    pub fn below(&self) -> Option<&Below> {
        self.below.as_ref()
    }

    /// The part of its life that the run is in.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Why the run leaves its way, when it does.
    pub fn leaving(&self) -> Option<&Leaving> {
        self.leaving.as_ref()
    }

    /// Whether an operator has paused it.
    pub fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// How it ended, when it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// A step.
    pub fn node(&self, ix: Ix) -> &Node {
        &self.nodes[ix as usize]
    }

    /// A step, by its id.
    pub fn find(&self, id: &StepId) -> Option<&Node> {
        self.plan.find(id).map(|ix| self.node(ix))
    }

    /// Steps for which an operator has to decide, on the way forward or while unwinding.
    pub fn resting(&self) -> impl Iterator<Item = Ix> + '_ {
        self.sets.resting.iter().chain(&self.sets.undo_resting).copied()
    }

    /// Holds starts back: nothing new begins until released, while what is under way is folded as ever. For draining a
    /// process; it is not part of the fold.
    pub fn hold(&mut self, held: bool) {
        self.live.rematch |= self.live.held && !held;
        self.live.held = held;
    }

    /// The section that has its turn, if one has.
    pub(crate) fn active(&self) -> Option<Section> {
        match self.phase {
            Phase::Forward => Some(Section::Main),
            Phase::OnFailure => Some(Section::OnFailure),
            Phase::Finally => Some(Section::Finally),
            Phase::Draining | Phase::Unwinding | Phase::Settled => None,
        }
    }

    pub(crate) fn is_active(&self, ix: Ix) -> bool {
        self.active() == Some(self.plan.step(ix).section)
    }

    /// Whether the journal has reached its limit. Then nothing starts on the way forward any more; a run that leaves its
    /// way is undone and settled all the same.
    pub fn is_full(&self) -> bool {
        self.seq.0 >= limits::EVENTS_PER_JOURNAL + self.events_of_items()
    }

    /// By how many events the items that were listed raise the limits of the journal.
    pub fn events_of_items(&self) -> u64 {
        self.listed_items.saturating_mul(limits::EVENTS_PER_ITEM)
    }

    /// Whether an operator or the process holds everything back.
    pub(crate) fn is_held(&self) -> bool {
        self.paused.is_some() || self.live.held
    }

    /// Whether no step may begin, whatever is ready or due.
    pub(crate) fn starts_nothing(&self) -> bool {
        self.is_held() || self.cut_short || self.is_overfull()
    }

    /// Whether the run is on its way forward and its journal has no place for that.
    pub(crate) fn is_overfull(&self) -> bool {
        self.phase == Phase::Forward && self.is_full()
    }

    /// Whether an operator has to decide: nothing else comes to something by itself, except for waits.
    pub fn is_stuck(&self) -> bool {
        let sets = &self.sets;
        match self.phase {
            Phase::Forward if self.is_full() => sets.running.is_empty() && sets.items_open.is_empty(),
            Phase::Forward | Phase::OnFailure | Phase::Finally => {
                !sets.resting.is_empty() && sets.moving == 0
            }
            Phase::Unwinding => !sets.undo_resting.is_empty() && sets.undo_moving == 0,
            Phase::Draining | Phase::Settled => false,
        }
    }

    /// Whether nothing of the run is under way in this process or due, so that it may leave memory.
    pub fn is_idle(&self) -> bool {
        let live = &self.live;
        live.asked.is_empty()
            && live.observing.is_empty()
            && live.gathering.is_empty()
            && live.actions.is_empty()
            && live.lost.is_empty()
            && self.sets.running.is_empty()
            && self.sets.undo_running.iter().all(|ix| self.is_undone_by_items(*ix))
    }
}
