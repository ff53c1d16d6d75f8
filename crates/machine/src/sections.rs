//! How steps move from state to state, the sets derived from that, and the sections of a plan.

use crate::{Action, Ix, Leaving, Phase, RunState, StepState, state::Timer, transitions::visit, work::work};
use towpath_model::{Ended, Section, Timestamp, Why};

impl RunState {
    /// Moves a step to another state and keeps every derived set right. The only place where a state changes.
    pub(crate) fn set_state(&mut self, ix: Ix, state: StepState) {
        work(1);
        visit::step(&self.node(ix).state, &state);
        self.discount(ix);
        let at_rest = state.is_at_rest();
        let node = &mut self.nodes[ix as usize];
        node.since = self.time;
        node.state = state;
        self.count(ix);
        self.place_items(ix);
        if at_rest {
            self.come_to_rest(ix);
        }
    }

    /// Puts a step into the sets in which its state belongs, and sets its timers.
    fn count(&mut self, ix: Ix) {
        let (active, locked) = (self.is_active(ix), self.is_locked_out(ix));
        let (node, sets) = (&self.nodes[ix as usize], &mut self.sets);
        if node.state == StepState::Running {
            sets.running.insert(ix);
        }
        if !active {
            return;
        }
        let waits = locked && node.state == StepState::Ready;
        sets.moving += u32::from(node.state.is_moving() && !waits);
        match &node.state {
            StepState::Ready if locked => drop(sets.locked.insert(ix)),
            StepState::Ready => drop(sets.ready.insert(ix)),
            StepState::Resting(_) => drop(sets.resting.insert(ix)),
            StepState::Parked { .. } => {
                sets.parked.insert(ix);
                if let Some(signal) = node.open_wait().and_then(|(_, wait)| wait.signal.clone()) {
                    sets.listeners.insert((signal, ix));
                }
            }
            _ => {}
        }
        self.set_timers(ix);
    }

    /// Undoes what [`count`](Self::count) did.
    fn discount(&mut self, ix: Ix) {
        let (active, locked) = (self.is_active(ix), self.is_locked_out(ix));
        let (node, sets) = (&self.nodes[ix as usize], &mut self.sets);
        if node.state == StepState::Running {
            sets.running.remove(&ix);
            // What was to be done with its body has no object any more.
            let id = &self.plan.step(ix).id;
            self.live.actions.retain(|action| action.body() != Some(id));
        }
        if !active {
            return;
        }
        let waits = locked && node.state == StepState::Ready;
        sets.moving -= u32::from(node.state.is_moving() && !waits);
        match &node.state {
            StepState::Ready if locked => drop(sets.locked.remove(&ix)),
            StepState::Ready => drop(sets.ready.remove(&ix)),
            StepState::Resting(_) => drop(sets.resting.remove(&ix)),
            StepState::Parked { .. } => {
                sets.parked.remove(&ix);
                if let Some(signal) = node.open_wait().and_then(|(_, wait)| wait.signal.clone()) {
                    sets.listeners.remove(&(signal, ix));
                }
                self.live.due_waits.remove(&ix);
                self.live.shut_out.remove(&ix);
            }
            StepState::Backoff { .. } => {
                self.live.due_tries.remove(&ix);
                self.live.shut_out.remove(&ix);
            }
            _ => {}
        }
        if let Some(at) = node.timer() {
            self.live.timers.remove(&(at, Timer::State, ix));
        }
        if let Some(at) = node.within_timer() {
            self.live.timers.remove(&(at, Timer::Within, ix));
        }
    }

    /// Sets the timers of a step of the section that has its turn.
    pub(crate) fn set_timers(&mut self, ix: Ix) {
        let node = &self.nodes[ix as usize];
        if let Some(at) = node.timer() {
            self.live.timers.insert((at, Timer::State, ix));
        }
        if let Some(at) = node.within_timer() {
            self.live.timers.insert((at, Timer::Within, ix));
        }
    }

    /// Steps of the same section that waited for this one may be ready now.
    fn come_to_rest(&mut self, ix: Ix) {
        let plan = self.plan.clone();
        let section = plan.step(ix).section;
        self.sets.open[section as usize] -= 1;
        self.locks.rests(plan.scope(ix), section);
        for d in plan.dependents(ix).iter().copied().filter(|d| plan.step(*d).section == section) {
            work(1);
            let node = &mut self.nodes[d as usize];
            node.missing -= 1;
            if node.missing == 0 && node.state == StepState::Pending && self.is_active(d) {
                self.set_state(d, StepState::Ready);
            }
        }
    }

    /// The run goes on to another part of its life. The only place where its phase changes.
    pub(crate) fn set_phase(&mut self, phase: Phase) {
        visit::phase(self.phase, phase);
        self.phase = phase;
    }

    /// A section has its turn.
    pub(crate) fn enter_section(&mut self, phase: Phase, section: Section) {
        self.set_phase(phase);
        self.open_section(section);
    }

    /// What waits for nothing may start. Costs O(steps), once for each section.
    pub(crate) fn open_section(&mut self, section: Section) {
        let plan = self.plan.clone();
        work(plan.len());
        for ix in plan.section(section) {
            let node = self.node(ix);
            if node.missing == 0 && node.state == StepState::Pending {
                self.set_state(ix, StepState::Ready);
            }
        }
    }

    /// The section that had its turn has it no more, though it may not be over: nothing of it is due or asked any more.
    /// To be followed by another phase.
    pub(crate) fn close_section(&mut self) {
        let sets = &mut self.sets;
        work(sets.ready.len() + sets.parked.len() + sets.resting.len());
        sets.ready.clear();
        sets.locked.clear();
        sets.resting.clear();
        sets.listeners.clear();
        sets.moving = 0;
        let parked = std::mem::take(&mut sets.parked);
        let live = &mut self.live;
        live.timers.clear();
        live.due_waits.clear();
        live.due_tries.clear();
        live.shut_out.clear();
        live.asked.clear();
        live.gathering.clear();
        let begins = |a: &Action| matches!(a, Action::TakeBefore(_) | Action::List(_) | Action::Gather(_));
        live.actions.retain(|a| !begins(a));
        live.actions.extend(parked.into_iter().map(|ix| Action::Forget(self.plan.step(ix).id.clone())));
    }

    /// Goes on to the next part of the run's life when a section has nothing open any more.
    pub(crate) fn next_section(&mut self) {
        let open = |s: &Self, section: Section| s.sets.open[section as usize] > 0;
        if self.phase == Phase::Forward && !open(self, Section::Main) {
            self.enter_section(Phase::Finally, Section::Finally);
        }
        if self.phase == Phase::OnFailure && !open(self, Section::OnFailure) {
            self.enter_section(Phase::Finally, Section::Finally);
        }
    }

    /// The run leaves its way: nothing of it starts any more, and what runs is asked to stop. Costs O(what is open).
    pub(crate) fn leave(&mut self, leaving: Leaving) {
        self.leaving = Some(leaving);
        self.order_items();
        if self.phase != Phase::Forward {
            return;
        }
        self.close_section();
        self.set_phase(Phase::Draining);
        for ix in self.sets.running.clone() {
            if self.withdraw_entry(ix) {
                self.live.lost.insert(ix, Ended::Dropped);
            } else if self.live.observing.contains(&ix) {
                self.live.lost.insert(ix, Ended::Died);
            } else if !self.live.lost.contains_key(&ix) {
                self.live.actions.push(Action::Stop(self.plan.step(ix).id.clone()));
            }
        }
    }

    /// Takes back the order to enter a body, when it was not given yet: whether there was one. What waits in memory for
    /// it must not wait for ever.
    pub(crate) fn withdraw_entry(&mut self, ix: Ix) -> bool {
        let id = &self.plan.step(ix).id;
        let before = self.live.actions.len();
        self.live.actions.retain(|a| !matches!(a, Action::Enter(step, _) if step == id));
        let withdrawn = self.live.actions.len() < before;
        if withdrawn {
            self.live.actions.push(Action::Forget(id.clone()));
        }
        withdrawn
    }

    /// The `on_failure` steps that are left have no turn any more: the run was given up.
    pub(crate) fn leave_on_failure(&mut self) {
        self.close_section();
        self.live.observing.clear();
        self.enter_section(Phase::Finally, Section::Finally);
    }

    /// Whether the run undoes what it did before it settles.
    pub(crate) fn will_unwind(&self) -> bool {
        matches!(self.leaving, Some(Leaving::For { unwind: true, .. }))
    }

    /// Whether the run failed, and its `on_failure` steps have their turn.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.leaving, Some(Leaving::For { why: Why::StepFailed { .. } | Why::Deadline, .. }))
    }

    /// Whether a step may no longer be tried at this time.
    pub(crate) fn is_out_of_time(&self, ix: Ix, at: Timestamp) -> bool {
        self.node(ix).within.is_some_and(|within| at >= within)
    }
}
