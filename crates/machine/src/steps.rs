//! Folding the events of a step on its way forward.

use crate::{
    Action, Ix, Leaving, Phase, Rest, RunState, StepState, UndoState, Waiting,
    apply::{Fold, illegal},
};
use std::time::Duration;
use towpath_model::{
    Answer, Checkpointed, Doubt, Ended, Failure, FailureKind, Section, SkipWhy, StepDone, StepFailed, StepId,
    StepInDoubt, StepObserved, StepReset, StepStarted, Then, WaitOver, WaitStarted, Why,
};

impl RunState {
    pub(crate) fn step_started(&mut self, e: &StepStarted) -> Fold {
        let ix = self.ix(&e.step)?;
        let node = self.node(ix);
        if !matches!(node.state, StepState::Ready | StepState::Backoff { .. }) || !self.is_active(ix) {
            return Err(illegal("the step cannot start now"));
        }
        if e.attempt != node.attempt.next() {
            return Err(illegal("the attempt is not the next one"));
        }
        if !self.may_act(ix) {
            return Err(illegal("the run does not hold the step's locks"));
        }
        if self.plan.for_each(ix).is_some() {
            if node.items.is_none() {
                return Err(illegal("the items of the step were not listed"));
            }
            self.nodes[ix as usize].attempt = e.attempt;
            self.items_again(ix);
            return Ok(());
        }
        self.set_state(ix, StepState::Running);
        let within = self.plan.step(ix).within_ms.map(|ms| self.time.plus(Duration::from_millis(ms)));
        let node = &mut self.nodes[ix as usize];
        node.attempt = e.attempt;
        node.tries += 1;
        node.asks = 0;
        (node.doubt, node.taken_over) = (None, None);
        node.before = node.before.take().or_else(|| e.before.clone());
        node.intent = node.intent.or(Some(self.seq));
        if node.within.is_none() {
            node.within = within;
            self.set_timers(ix);
        }
        self.live.asked.remove(&ix);
        self.live.actions.push(Action::Enter(e.step.clone(), e.attempt));
        Ok(())
    }

    pub(crate) fn step_done(&mut self, e: &StepDone) -> Fold {
        let ix = self.ix(&e.step)?;
        match self.node(ix).state {
            StepState::Running
            | StepState::Parked { .. }
            | StepState::InDoubt { .. }
            | StepState::Resting(_) => {}
            StepState::Items if self.node(ix).items.as_ref().is_some_and(|items| items.is_complete()) => {}
            _ => return Err(illegal("the step is not under way")),
        }
        self.live.gathering.remove(&ix);
        self.live.observing.remove(&ix);
        let node = &mut self.nodes[ix as usize];
        (node.doubt, node.taken_over) = (None, None);
        let state = StepState::Done {
            output: e.output.clone(),
            facts: e.facts.clone(),
            unreadable: e.output_error.clone(),
        };
        self.set_state(ix, state);
        if self.plan.step(ix).point_of_no_return {
            self.no_return = Some(ix);
        }
        self.observed_for_undo(ix);
        Ok(())
    }

    pub(crate) fn step_failed(&mut self, e: &StepFailed) -> Fold {
        let ix = self.ix(&e.step)?;
        match self.node(ix).state {
            StepState::Ready | StepState::Running | StepState::Backoff { .. } => {}
            StepState::Parked { .. } => self.live.actions.push(Action::Forget(e.step.clone())),
            StepState::Items if !matches!(e.then, Then::Retry { .. }) => {}
            _ => return Err(illegal("the step is not under way")),
        }
        self.live.asked.remove(&ix);
        let node = &mut self.nodes[ix as usize];
        node.last_failure = Some(e.failure.clone());
        // A try that failed before its intent.
        node.tries += u32::from(e.attempt == node.attempt.next());
        if node.state == StepState::Running {
            node.doubt = None;
        }
        match &e.then {
            Then::Retry { at } => self.set_state(ix, StepState::Backoff { at: *at }),
            Then::Rest => self.set_state(ix, StepState::Resting(Rest::Failed(e.failure.clone()))),
            Then::Fail => self.fail(ix, e.failure.clone()),
        }
        Ok(())
    }

    /// A step has failed for good: the run leaves its way, unless it goes on without the step.
    fn fail(&mut self, ix: Ix, failure: Failure) {
        let plan = self.plan.clone();
        let step = plan.step(ix);
        self.set_state(ix, StepState::Failed { failure: failure.clone() });
        if step.section == Section::Main && !step.best_effort && self.phase == Phase::Forward {
            let id = step.id.clone();
            self.leave(match failure.kind {
                // Nothing was wrong, so that nothing is undone.
                FailureKind::Cancelled => {
                    Leaving::For { why: Why::StepCancelled { step: id, failure }, unwind: false }
                }
                _ => Leaving::For { why: Why::StepFailed { step: id, failure }, unwind: true },
            });
        }
    }

    pub(crate) fn step_in_doubt(&mut self, e: &StepInDoubt) -> Fold {
        let ix = self.ix(&e.step)?;
        if !matches!(self.node(ix).state, StepState::Running | StepState::Parked { .. }) {
            return Err(illegal("the step is not under way"));
        }
        self.nodes[ix as usize].doubt = Some(e.ended);
        if e.failure.is_some() {
            self.nodes[ix as usize].last_failure.clone_from(&e.failure);
        }
        match &e.then {
            Doubt::Observe => {
                self.set_state(ix, StepState::InDoubt { ended: e.ended, again: None, answered: false });
                if self.is_active(ix) {
                    self.ask_world(ix);
                }
            }
            Doubt::Retry { at } => self.set_state(ix, StepState::Backoff { at: *at }),
            Doubt::Rest => self.set_state(ix, StepState::Resting(Rest::InDoubt(e.ended, e.failure.clone()))),
            Doubt::Fail => {
                let plan = self.plan.clone();
                let step = plan.step(ix);
                let failure = doubt_failure(e);
                if step.section != Section::Main || step.best_effort {
                    self.fail(ix, failure);
                } else {
                    self.set_state(ix, StepState::InDoubt { ended: e.ended, again: None, answered: true });
                    if self.phase == Phase::Forward {
                        let why = Why::StepFailed { step: step.id.clone(), failure };
                        self.leave(Leaving::For { why, unwind: true });
                    }
                }
            }
        }
        Ok(())
    }

    pub(crate) fn ask_world(&mut self, ix: Ix) {
        if self.live.observing.insert(ix) {
            self.live.actions.push(Action::Observe(self.plan.step(ix).id.clone()));
        }
    }

    pub(crate) fn step_observed(&mut self, e: &StepObserved) -> Fold {
        let ix = self.ix(&e.step)?;
        let ended = match self.node(ix).state {
            StepState::Running => Ended::Died,
            StepState::InDoubt { ended, .. } => ended,
            _ => return Err(illegal("the step is not in doubt")),
        };
        self.live.observing.remove(&ix);
        let node = &mut self.nodes[ix as usize];
        node.doubt = (e.answer != Answer::NotDone).then_some(ended);
        node.asks += 1;
        if let Answer::TakenOver { seen } = &e.answer {
            node.taken_over = Some(seen.clone());
        }
        let (active, is_main) = (self.is_active(ix), self.plan.step(ix).section == Section::Main);
        match &e.answer {
            Answer::NotDone if active => self.set_state(ix, StepState::Backoff { at: self.time }),
            Answer::TakenOver { seen } if is_main => {
                self.set_state(ix, StepState::Resting(Rest::TakenOver(seen.clone())));
            }
            Answer::TakenOver { seen } => {
                let text = Rest::TakenOver(seen.clone()).to_string();
                self.fail(ix, Failure::new(FailureKind::NeedsOperator, text));
            }
            Answer::NotDone | Answer::Unknown { .. } if !active => {
                self.set_state(ix, StepState::InDoubt { ended, again: None, answered: true });
            }
            Answer::Unknown { again: Some(at), .. } => {
                self.set_state(ix, StepState::InDoubt { ended, again: Some(*at), answered: false });
            }
            Answer::Unknown { failure, again: None } if is_main => {
                self.set_state(ix, StepState::Resting(Rest::Unknown(failure.clone())));
            }
            Answer::Unknown { failure, again: None } => self.fail(ix, failure.clone()),
            Answer::NotDone => return Err(illegal("the step is not in doubt")),
        }
        self.observed_for_undo(ix);
        Ok(())
    }

    pub(crate) fn checkpointed(&mut self, e: &Checkpointed) -> Fold {
        let ix = self.ix(&e.step)?;
        let node = &mut self.nodes[ix as usize];
        let under_way = if e.undoing {
            node.undo == UndoState::Running
        } else {
            matches!(node.state, StepState::Running | StepState::Parked { .. })
        };
        if !under_way {
            return Err(illegal("the step is not under way"));
        }
        node.checkpoint = Some(e.value.clone());
        Ok(())
    }

    pub(crate) fn wait_started(&mut self, e: &WaitStarted) -> Fold {
        let ix = self.ix(&e.step)?;
        let node = &mut self.nodes[ix as usize];
        if node.state != StepState::Running {
            return Err(illegal("the step is not under way"));
        }
        if node.waits.get(&e.wait).is_some_and(|wait| wait.over.is_some()) {
            return Err(illegal("the wait is over already"));
        }
        if e.until.is_none() && e.signal.is_none() {
            return Err(illegal("the wait would never end"));
        }
        let first = || Waiting { until: e.until, signal: e.signal.clone(), over: None };
        node.waits.entry(e.wait.clone()).or_insert_with(first);
        if e.checkpoint.is_some() {
            node.checkpoint.clone_from(&e.checkpoint);
        }
        self.set_state(ix, StepState::Parked { wait: e.wait.clone() });
        if !self.is_active(ix) {
            self.live.actions.push(Action::Forget(e.step.clone()));
        }
        Ok(())
    }

    pub(crate) fn wait_over(&mut self, e: &WaitOver) -> Fold {
        let ix = self.ix(&e.step)?;
        let node = self.node(ix);
        if node.open_wait().is_none_or(|(wait, _)| *wait != e.wait) || !self.is_active(ix) {
            return Err(illegal("the step is not at this wait"));
        }
        if !self.may_act(ix) {
            return Err(illegal("the run does not hold the step's locks"));
        }
        let attempt = node.attempt;
        if let Some(kept) = e.kept {
            let at = self.signals.iter().position(|k| k.seq == kept);
            self.signals.remove(at.ok_or(illegal("the kept signal is not there"))?);
        }
        self.set_state(ix, StepState::Running);
        if let Some(wait) = self.nodes[ix as usize].waits.get_mut(&e.wait) {
            wait.over = Some(e.value.clone());
        }
        self.live.actions.push(Action::Enter(e.step.clone(), attempt));
        Ok(())
    }

    pub(crate) fn step_skipped(&mut self, step: &StepId, why: &SkipWhy) -> Fold {
        let ix = self.ix(step)?;
        match self.node(ix).state {
            StepState::Ready | StepState::Resting(_) => {}
            _ => return Err(illegal("the step cannot be skipped now")),
        }
        if !self.is_active(ix) {
            return Err(illegal("the step cannot be skipped now"));
        }
        self.set_state(ix, StepState::Skipped { why: why.clone() });
        Ok(())
    }

    pub(crate) fn step_reset(&mut self, e: &StepReset) -> Fold {
        let ix = self.ix(&e.step)?;
        if !matches!(self.node(ix).state, StepState::Resting(_)) || !self.is_active(ix) {
            return Err(illegal("the step does not rest"));
        }
        let node = &mut self.nodes[ix as usize];
        node.tries = 0;
        node.asks = 0;
        node.within = None;
        node.generation += u32::from(e.new_key);
        if e.from_scratch {
            node.checkpoint = None;
            node.waits.clear();
        }
        if e.new_before {
            node.before = None;
        }
        self.set_state(ix, StepState::Backoff { at: self.time });
        Ok(())
    }
}

fn doubt_failure(e: &StepInDoubt) -> Failure {
    let failure = Failure::new(FailureKind::Unknown, e.ended.to_string());
    match &e.failure {
        Some(beneath) => failure.caused_by(beneath.to_string()),
        None => failure,
    }
}
