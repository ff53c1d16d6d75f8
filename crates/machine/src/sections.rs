//! Stages, the sets derived from them, and the sections of a plan.

use crate::{Action, Ix, Leaving, Phase, RunState, StepState, state::Timer};
use towpath_model::{Section, Timestamp, Why};

impl RunState {
    /// Moves a step to another state and keeps every derived set right. The only place where a state changes.
    pub(crate) fn set_state(&mut self, ix: Ix, state: StepState) {
        let section = self.plan.step(ix).section;
        let until = match &state {
            StepState::Backoff { at } => Some(*at),
            StepState::InDoubt { again, .. } => *again,
            StepState::Parked { wait } => self.nodes[ix as usize].waits.get(wait).and_then(|w| w.until),
            _ => None,
        };
        let at_rest = state.is_at_rest();
        let active = self.is_active(ix);
        let node = &mut self.nodes[ix as usize];
        node.since = self.time;
        if let Some(at) = node.timer.take() {
            self.sets.timers.remove(&(at, Timer::StepState, ix));
        }
        self.live.due.remove(&(Timer::StepState, ix));
        let old = std::mem::replace(&mut node.state, state);
        match old {
            StepState::Ready => drop(self.sets.ready.remove(&ix)),
            StepState::Running => drop(self.sets.running.remove(&ix)),
            StepState::Parked { .. } => drop(self.sets.parked.remove(&ix)),
            StepState::Backoff { .. } => self.sets.backoff -= 1,
            StepState::InDoubt { .. } => drop(self.sets.in_doubt.remove(&ix)),
            StepState::Resting(_) => drop(self.sets.resting.remove(&ix)),
            _ => {}
        }
        match &node.state {
            StepState::Ready if active => drop(self.sets.ready.insert(ix)),
            StepState::Running => drop(self.sets.running.insert(ix)),
            StepState::Parked { .. } => drop(self.sets.parked.insert(ix)),
            StepState::Backoff { .. } => self.sets.backoff += 1,
            StepState::InDoubt { .. } => drop(self.sets.in_doubt.insert(ix)),
            StepState::Resting(_) => drop(self.sets.resting.insert(ix)),
            _ => {}
        }
        if let Some(at) = until.filter(|_| active || matches!(node.state, StepState::InDoubt { .. })) {
            node.timer = Some(at);
            self.sets.timers.insert((at, Timer::StepState, ix));
        }
        if at_rest {
            self.drop_within(ix);
            self.come_to_rest(ix, section);
        }
    }

    pub(crate) fn drop_within(&mut self, ix: Ix) {
        if let Some(at) = self.nodes[ix as usize].within {
            self.sets.timers.remove(&(at, Timer::Within, ix));
            self.live.due.remove(&(Timer::Within, ix));
        }
    }

    /// Steps of the same section that waited for this one may be ready now.
    fn come_to_rest(&mut self, ix: Ix, section: Section) {
        self.sets.open[section as usize] -= 1;
        let plan = self.plan.clone();
        for d in plan.dependents(ix).iter().copied().filter(|d| plan.step(*d).section == section) {
            let node = &mut self.nodes[d as usize];
            node.missing -= 1;
            if node.missing == 0 && node.state == StepState::Pending && self.is_active(d) {
                self.set_state(d, StepState::Ready);
            }
        }
    }

    /// A section has its turn.
    pub(crate) fn enter_section(&mut self, phase: Phase, section: Section) {
        self.phase = phase;
        let plan = self.plan.clone();
        for ix in plan.section(section) {
            let node = self.node(ix);
            if node.missing == 0 && node.state == StepState::Pending {
                self.set_state(ix, StepState::Ready);
            }
        }
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

    /// The run leaves its way: nothing of it starts any more, and what runs is asked to stop.
    pub(crate) fn leave(&mut self, leaving: Leaving) {
        self.leaving = Some(leaving);
        if self.phase != Phase::Forward {
            return;
        }
        self.phase = Phase::Draining;
        self.sets.ready.clear();
        self.live.asked.clear();
        // An entry that waits for a resume will not come any more; the body that it was for is in doubt.
        let held: Vec<Action> = std::mem::take(&mut self.live.actions);
        let (entries, rest) = held.into_iter().partition(|a| matches!(a, Action::Enter(..)));
        self.live.actions = rest;
        let plan = self.plan.clone();
        for ix in plan.section(Section::Main) {
            self.drop_within(ix);
            let node = &mut self.nodes[ix as usize];
            if let Some(at) = node.timer.take() {
                self.sets.timers.remove(&(at, Timer::StepState, ix));
                self.live.due.remove(&(Timer::StepState, ix));
            }
            let id = plan.step(ix).id.clone();
            match node.state {
                StepState::Running
                    if !entries.iter().any(|a| matches!(a, Action::Enter(step, _) if *step == id)) =>
                {
                    self.live.actions.push(Action::Stop(id));
                }
                StepState::Running => self.live.owed.push(self.lost_in_drain(ix)),
                StepState::Parked { .. } => self.live.actions.push(Action::Forget(id)),
                _ => {}
            }
        }
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
