//! The state of a run: the fold of its events.

use crate::{Action, Ix, Plan, Rest, StepState, UndoState};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use towpath_model::{
    Actor, Attempt, Event, Failure, Json, Name, Outcome, Payload, RunId, Section, Seq, StepId, Timestamp,
    Why, limits,
};

/// A run, folded from its events.
#[derive(Clone, Debug)]
pub struct RunState {
    pub(crate) run: RunId,
    pub(crate) plan: Arc<Plan>,
    pub(crate) seq: Seq,
    pub(crate) time: Timestamp,
    pub(crate) values: Arc<BTreeMap<String, Json>>,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) phase: Phase,
    pub(crate) leaving: Option<Leaving>,
    pub(crate) paused: bool,
    pub(crate) cut_short: bool,
    pub(crate) nodes: Vec<Node>,
    pub(crate) signals: Vec<Kept>,
    pub(crate) no_return: Option<Ix>,
    pub(crate) something_undone: bool,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) sets: Sets,
    pub(crate) live: Live,
}

/// Which steps stand where: derived from the stages, so that deciding costs what changed and not what there is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sets {
    /// Steps not at rest, by section.
    pub(crate) open: [u32; 3],
    pub(crate) ready: BTreeSet<Ix>,
    pub(crate) running: BTreeSet<Ix>,
    pub(crate) parked: BTreeSet<Ix>,
    pub(crate) backoff: u32,
    pub(crate) in_doubt: BTreeSet<Ix>,
    pub(crate) resting: BTreeSet<Ix>,
    pub(crate) undo_open: u32,
    pub(crate) undo_ready: BTreeSet<(Reverse<Seq>, Ix)>,
    pub(crate) undo_running: BTreeSet<Ix>,
    pub(crate) undo_resting: BTreeSet<Ix>,
    pub(crate) timers: BTreeSet<(Timestamp, Timer, Ix)>,
}

/// What this process has under way for the run. Not part of the fold, and never compared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    pub(crate) actions: Vec<Action>,
    pub(crate) owed: Vec<Event>,
    pub(crate) asked: BTreeSet<Ix>,
    pub(crate) observing: BTreeSet<Ix>,
    pub(crate) due: BTreeSet<(Timer, Ix)>,
    pub(crate) rematch: bool,
    pub(crate) held: bool,
}

/// What a timer is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Timer {
    /// The state: the next attempt, the end of a wait, the next question.
    StepState,
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

/// A step of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    pub(crate) state: StepState,
    pub(crate) attempt: Attempt,
    pub(crate) tries: u32,
    pub(crate) asks: u32,
    pub(crate) intent: Option<Seq>,
    pub(crate) last_failure: Option<Failure>,
    pub(crate) before: Option<Payload>,
    pub(crate) checkpoint: Option<Payload>,
    pub(crate) waits: BTreeMap<Name, Waiting>,
    pub(crate) generation: u32,
    pub(crate) missing: u32,
    pub(crate) timer: Option<Timestamp>,
    pub(crate) within: Option<Timestamp>,
    pub(crate) since: Timestamp,
    pub(crate) undo: UndoState,
    pub(crate) undo_attempt: Attempt,
    pub(crate) undo_tries: u32,
    pub(crate) undo_missing: u32,
    pub(crate) undo_confirmed: bool,
}

/// A durable wait of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// When it is over at the latest.
    pub until: Option<Timestamp>,
    /// The signal that ends it.
    pub signal: Option<Name>,
    /// How it ended: by a signal's value, or by time. `None` while it lasts.
    pub over: Option<Option<Json>>,
}

impl PartialEq for RunState {
    /// Equal folds. What a process has under way is not compared.
    fn eq(&self, other: &Self) -> bool {
        let parts =
            |s: &Self| (s.run, s.seq, s.time, s.deadline, s.phase, s.paused, s.cut_short, s.no_return);
        parts(self) == parts(other)
            && self.values == other.values
            && self.leaving == other.leaving
            && self.nodes == other.nodes
            && self.signals == other.signals
            && self.something_undone == other.something_undone
            && self.outcome == other.outcome
            && self.sets == other.sets
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
        RunState {
            run,
            plan,
            seq: Seq(0),
            time: Timestamp::MIN,
            values: Arc::default(),
            deadline: None,
            phase: Phase::Forward,
            leaving: None,
            paused: false,
            cut_short: false,
            nodes,
            signals: Vec::new(),
            no_return: None,
            something_undone: false,
            outcome: None,
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
        self.paused
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
        let forward = self.sets.resting.iter().filter(|ix| self.is_active(**ix));
        forward.chain(&self.sets.undo_resting).copied()
    }

    /// Holds starts back: nothing new begins until released, while what is under way is folded as ever. For draining a
    /// process; it is not part of the fold.
    pub fn hold(&mut self, held: bool) {
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

    /// Whether the journal has reached its limit.
    pub fn is_full(&self) -> bool {
        self.seq.0 >= limits::EVENTS_PER_JOURNAL
    }

    /// Whether nothing new may begin, whatever is ready.
    pub(crate) fn is_held(&self) -> bool {
        self.paused || self.live.held || self.is_full()
    }

    /// Whether an operator has to decide before anything else can happen.
    pub fn is_stuck(&self) -> bool {
        let waits_for_operator = self.resting().next().is_some() || self.is_full();
        waits_for_operator
            && self.phase != Phase::Settled
            && self.sets.running.is_empty()
            && self.sets.undo_running.is_empty()
            && (self.sets.backoff == 0 || self.is_full())
            && self.sets.in_doubt.iter().all(|ix| self.phase == Phase::Unwinding || self.is_answered(*ix))
            && (self.sets.ready.is_empty() || self.is_full())
            && !self.sets.timers.iter().any(|(_, timer, _)| *timer == Timer::Undo)
            && self.sets.undo_ready.is_empty()
    }

    fn is_answered(&self, ix: Ix) -> bool {
        matches!(self.node(ix).state, StepState::InDoubt { answered: true, .. })
    }

    /// Whether nothing of the run is under way in this process or due, so that it may leave memory.
    pub fn is_idle(&self) -> bool {
        let live = &self.live;
        live.asked.is_empty()
            && live.observing.is_empty()
            && live.actions.is_empty()
            && live.owed.is_empty()
            && self.sets.running.is_empty()
            && self.sets.undo_running.is_empty()
    }
}

impl Node {
    fn new(missing: u32) -> Self {
        Node {
            state: StepState::Pending,
            attempt: Attempt(0),
            tries: 0,
            asks: 0,
            intent: None,
            last_failure: None,
            before: None,
            checkpoint: None,
            waits: BTreeMap::new(),
            generation: 0,
            missing,
            timer: None,
            within: None,
            since: Timestamp::MIN,
            undo: UndoState::No,
            undo_attempt: Attempt(0),
            undo_tries: 0,
            undo_missing: 0,
            undo_confirmed: false,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> &StepState {
        &self.state
    }

    /// The last attempt that was started; 0 before the first.
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// Number of the event that was its first intent.
    pub fn intent(&self) -> Option<Seq> {
        self.intent
    }

    /// What was there before it.
    pub fn before(&self) -> Option<&Payload> {
        self.before.as_ref()
    }

    /// What it saved last.
    pub fn checkpoint(&self) -> Option<&Payload> {
        self.checkpoint.as_ref()
    }

    /// Its durable waits, over or not.
    pub fn waits(&self) -> &BTreeMap<Name, Waiting> {
        &self.waits
    }

    /// How often an operator gave its effects new keys.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The error of its last attempt, when it had one.
    pub fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref()
    }

    /// Since when it stands where it stands.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Where its undoing stands.
    pub fn undo_state(&self) -> &UndoState {
        &self.undo
    }

    /// The last attempt at undoing it.
    pub fn undo_attempt(&self) -> Attempt {
        self.undo_attempt
    }

    /// How it ended, as a compensation sees it: `None` when it is done, the way it got in doubt when it is.
    pub fn doubt(&self) -> Option<towpath_model::Ended> {
        match &self.state {
            StepState::InDoubt { ended, .. } | StepState::Resting(Rest::InDoubt(ended, _)) => Some(*ended),
            StepState::Resting(Rest::Unknown(_)) => Some(towpath_model::Ended::Unknown),
            _ => None,
        }
    }
}
