//! Folding events.

use crate::{
    Action, Ix, Leaving, Phase, Rest, RunState, StepState, UndoState,
    state::{Kept, Timer, Waiting},
};
use std::{fmt, sync::Arc, time::Duration};
use towpath_model::{
    Answer, Attempt, Checkpointed, Doubt, Event, EventKind, InDoubt, RunSettled, RunStarted, Section, Seq,
    SkipWhy, StepDone, StepFailed, StepId, StepInDoubt, StepObserved, StepReset, StepStarted, Then,
    Timestamp, Verb, VerbAnswered, WaitOver, WaitStarted, Why,
};

/// An event that does not fit the state before it: the run cannot be folded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Corrupt {
    /// Number of the event.
    pub seq: Seq,
    /// What it is.
    pub event: EventKind,
    /// What is wrong.
    pub kind: CorruptKind,
}

/// What is wrong with an event.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CorruptKind {
    /// It is not the next one.
    Number {
        /// The number that was expected.
        expected: Seq,
    },
    /// It names a step that the plan does not have.
    NoStep(StepId),
    /// It cannot follow: the text says why.
    Illegal(&'static str),
    /// This release does not drive what it stands for.
    NotDriven,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} ({}): ", self.seq, self.event)?;
        match &self.kind {
            CorruptKind::Number { expected } => write!(f, "event {expected} was expected"),
            CorruptKind::NoStep(step) => write!(f, "the plan has no step {step}"),
            CorruptKind::Illegal(why) => f.write_str(why),
            CorruptKind::NotDriven => f.write_str("this release does not drive it: upgrade, then retry"),
        }
    }
}

impl std::error::Error for Corrupt {}

type Fold = Result<(), CorruptKind>;

pub(crate) fn illegal(why: &'static str) -> CorruptKind {
    CorruptKind::Illegal(why)
}

impl RunState {
    /// Folds the next event.
    ///
    /// # Errors
    /// When it is not the next one or cannot follow. The state must not be used any more then.
    pub fn apply(&mut self, seq: Seq, at: Timestamp, event: &Event) -> Result<(), Corrupt> {
        let corrupt = |kind| Corrupt { seq, event: event.kind(), kind };
        if seq != self.seq.next() {
            return Err(corrupt(CorruptKind::Number { expected: self.seq.next() }));
        }
        let begins = matches!(event, Event::RunStarted(_));
        if begins != (seq == Seq(1)) {
            return Err(corrupt(illegal("a journal begins with run-started, and only there")));
        }
        if self.phase == Phase::Settled && !matches!(event, Event::Redacted(_)) {
            return Err(corrupt(illegal("the run has settled")));
        }
        self.seq = seq;
        self.time = at.max(self.time);
        self.fold(event).map_err(corrupt)?;
        self.next_section();
        Ok(())
    }

    /// Journals an event that follows from the state: folds it as the next one.
    pub(crate) fn record(&mut self, events: &mut Vec<Event>, now: Timestamp, event: Event) {
        let folded = self.apply(self.seq.next(), now, &event);
        debug_assert_eq!(folded, Ok(()), "the machine decided an event that it cannot fold");
        events.push(event);
    }

    fn fold(&mut self, event: &Event) -> Fold {
        match event {
            Event::RunStarted(e) => self.run_started(e),
            Event::StepStarted(e) => self.step_started(e),
            Event::StepDone(e) => self.step_done(e),
            Event::StepFailed(e) => self.step_failed(e),
            Event::StepInDoubt(e) => self.step_in_doubt(e),
            Event::StepObserved(e) => self.step_observed(e),
            Event::Checkpointed(e) => self.checkpointed(e),
            Event::WaitStarted(e) => self.wait_started(e),
            Event::WaitOver(e) => self.wait_over(e),
            Event::StepSkipped(e) => self.step_skipped(&e.step, &e.why),
            Event::StepReset(e) => self.step_reset(e),
            Event::SignalKept(e) => {
                self.signals.push(Kept {
                    seq: self.seq,
                    signal: e.signal.clone(),
                    step: e.step.clone(),
                    value: e.value.clone(),
                    from: e.from.clone(),
                    received_at: e.received_at,
                });
                Ok(())
            }
            Event::VerbAnswered(e) => self.verb_answered(e),
            Event::DeadlinePassed(_) => {
                self.leave(Leaving::For { why: Why::Deadline, unwind: true });
                Ok(())
            }
            Event::UnwindStarted(_) => self.unwind_started(),
            Event::CompensationStarted(e) => self.compensation_started(&e.step, e.attempt),
            Event::CompensationDone(e) => self.compensation_done(&e.step),
            Event::CompensationFailed(e) => self.compensation_failed(&e.step, &e.failure, &e.then),
            Event::CompensationAsked(e) => self.compensation_asked(&e.step),
            Event::CompensationReset(e) => self.compensation_reset(&e.step, e.new_key),
            Event::CompensationSkipped(e) => self.compensation_skipped(&e.step),
            Event::Unwound(_) => self.unwound(),
            Event::RunSettled(e) => self.run_settled(e),
            Event::Redacted(_) | Event::EntryRefused(_) | Event::Overridden(_) => Ok(()),
            Event::PlanReplaced(_)
            | Event::Imported(_)
            | Event::LocksAsked(_)
            | Event::LocksTaken(_)
            | Event::LocksReturned(_)
            | Event::ItemsListed(_)
            | Event::SubRunStarted(_)
            | Event::SubRunSettled(_)
            | Event::SubRunUnwinding(_) => Err(CorruptKind::NotDriven),
        }
    }

    pub(crate) fn ix(&self, step: &StepId) -> Result<Ix, CorruptKind> {
        self.plan.find(step).ok_or_else(|| CorruptKind::NoStep(step.clone()))
    }

    fn run_started(&mut self, e: &RunStarted) -> Fold {
        self.values = Arc::new(e.values.clone());
        self.deadline = e.deadline;
        self.enter_section(Phase::Forward, Section::Main);
        Ok(())
    }

    fn step_started(&mut self, e: &StepStarted) -> Fold {
        let ix = self.ix(&e.step)?;
        let node = self.node(ix);
        if !matches!(node.state, StepState::Ready | StepState::Backoff { .. }) || !self.is_active(ix) {
            return Err(illegal("the step cannot start now"));
        }
        if e.attempt != node.attempt.next() {
            return Err(illegal("the attempt is not the next one"));
        }
        let within = Duration::from_millis(self.plan.step(ix).within_ms.unwrap_or(u64::MAX));
        let (seq, time) = (self.seq, self.time);
        let node = &mut self.nodes[ix as usize];
        node.attempt = e.attempt;
        node.tries += 1;
        node.asks = 0;
        node.before = node.before.take().or_else(|| e.before.clone());
        if node.intent.is_none() {
            node.intent = Some(seq);
            if self.plan.step(ix).within_ms.is_some() {
                let until = time.plus(within);
                node.within = Some(until);
                self.sets.timers.insert((until, Timer::Within, ix));
            }
        }
        self.set_state(ix, StepState::Running);
        self.live.asked.remove(&ix);
        self.live.actions.push(Action::Enter(e.step.clone(), e.attempt));
        Ok(())
    }

    fn step_done(&mut self, e: &StepDone) -> Fold {
        let ix = self.ix(&e.step)?;
        match self.node(ix).state {
            StepState::Running
            | StepState::Parked { .. }
            | StepState::InDoubt { .. }
            | StepState::Resting(_) => {}
            _ => return Err(illegal("the step is not under way")),
        }
        self.live.observing.remove(&ix);
        let state = StepState::Done {
            output: e.output.clone(),
            facts: e.facts.clone(),
            unreadable: e.output_error.clone(),
        };
        self.set_state(ix, state);
        let step = self.plan.step(ix);
        if step.point_of_no_return {
            self.no_return = Some(ix);
        }
        self.observed_for_undo(ix);
        Ok(())
    }

    fn step_failed(&mut self, e: &StepFailed) -> Fold {
        let ix = self.ix(&e.step)?;
        let before_intent = match self.node(ix).state {
            StepState::Running | StepState::InDoubt { .. } => false,
            StepState::Parked { .. } => {
                self.live.actions.push(Action::Forget(e.step.clone()));
                false
            }
            StepState::Ready | StepState::Backoff { .. } => true,
            _ => return Err(illegal("the step is not under way")),
        };
        self.live.asked.remove(&ix);
        let node = &mut self.nodes[ix as usize];
        node.last_failure = Some(e.failure.clone());
        if before_intent {
            node.tries += 1;
        }
        match &e.then {
            Then::Retry { at } => self.set_state(ix, StepState::Backoff { at: *at }),
            Then::Rest => self.set_state(ix, StepState::Resting(Rest::Failed(e.failure.clone()))),
            Then::Fail => self.fail(ix, e.failure.clone()),
        }
        Ok(())
    }

    /// A step has failed for good: the run leaves its way, unless it goes on without the step.
    fn fail(&mut self, ix: Ix, failure: towpath_model::Failure) {
        let plan = self.plan.clone();
        let step = plan.step(ix);
        self.set_state(ix, StepState::Failed { failure: failure.clone() });
        if step.section == Section::Main && !step.best_effort && self.phase == Phase::Forward {
            self.leave(Leaving::For {
                why: Why::StepFailed { step: step.id.clone(), failure },
                unwind: true,
            });
        }
    }

    fn step_in_doubt(&mut self, e: &StepInDoubt) -> Fold {
        let ix = self.ix(&e.step)?;
        if !matches!(self.node(ix).state, StepState::Running | StepState::Parked { .. }) {
            return Err(illegal("the step is not under way"));
        }
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

    fn step_observed(&mut self, e: &StepObserved) -> Fold {
        let ix = self.ix(&e.step)?;
        let ended = match self.node(ix).state {
            StepState::Running => towpath_model::Ended::Died,
            StepState::InDoubt { ended, .. } => ended,
            _ => return Err(illegal("the step is not in doubt")),
        };
        self.live.observing.remove(&ix);
        let active = self.is_active(ix);
        match &e.answer {
            Answer::NotDone if active => self.set_state(ix, StepState::Backoff { at: self.time }),
            Answer::NotDone | Answer::Unknown { again: None, .. } if !active => {
                self.set_state(ix, StepState::InDoubt { ended, again: None, answered: true });
            }
            Answer::TakenOver { seen } if self.plan.step(ix).section == Section::Main => {
                self.set_state(ix, StepState::Resting(Rest::TakenOver(seen.clone())));
            }
            Answer::TakenOver { seen } => {
                let text = format!("somebody else changed what it owns; seen: {}", seen.as_str());
                self.fail(ix, towpath_model::Failure::new(towpath_model::FailureKind::NeedsOperator, text));
            }
            Answer::Unknown { failure, again } => {
                let node = &mut self.nodes[ix as usize];
                node.asks += 1;
                match again {
                    Some(_) => {
                        self.set_state(ix, StepState::InDoubt { ended, again: *again, answered: false })
                    }
                    None if self.plan.step(ix).section == Section::Main => {
                        self.set_state(ix, StepState::Resting(Rest::Unknown(failure.clone())));
                    }
                    None => self.fail(ix, failure.clone()),
                }
            }
            Answer::NotDone => return Err(illegal("the step is not in doubt")),
        }
        self.observed_for_undo(ix);
        Ok(())
    }

    fn checkpointed(&mut self, e: &Checkpointed) -> Fold {
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

    fn wait_started(&mut self, e: &WaitStarted) -> Fold {
        let ix = self.ix(&e.step)?;
        let node = &mut self.nodes[ix as usize];
        if node.state != StepState::Running {
            return Err(illegal("the step is not under way"));
        }
        if node.waits.contains_key(&e.wait) {
            return Err(illegal("the wait has begun already"));
        }
        node.waits.insert(e.wait.clone(), Waiting { until: e.until, signal: e.signal.clone(), over: None });
        if e.checkpoint.is_some() {
            node.checkpoint.clone_from(&e.checkpoint);
        }
        self.set_state(ix, StepState::Parked { wait: e.wait.clone() });
        Ok(())
    }

    fn wait_over(&mut self, e: &WaitOver) -> Fold {
        let ix = self.ix(&e.step)?;
        let node = &mut self.nodes[ix as usize];
        if !matches!(&node.state, StepState::Parked { wait } if *wait == e.wait) {
            return Err(illegal("the step is not at this wait"));
        }
        let attempt = node.attempt;
        node.waits.get_mut(&e.wait).ok_or(illegal("the wait has not begun"))?.over = Some(e.value.clone());
        if let Some(kept) = e.kept {
            let at = self.signals.iter().position(|k| k.seq == kept);
            self.signals.remove(at.ok_or(illegal("the kept signal is not there"))?);
        }
        self.set_state(ix, StepState::Running);
        self.live.actions.push(Action::Enter(e.step.clone(), attempt));
        Ok(())
    }

    fn step_skipped(&mut self, step: &StepId, why: &SkipWhy) -> Fold {
        let ix = self.ix(step)?;
        match self.node(ix).state {
            StepState::Ready | StepState::Resting(_) => {}
            _ => return Err(illegal("the step cannot be skipped now")),
        }
        self.set_state(ix, StepState::Skipped { why: why.clone() });
        self.observed_for_undo(ix);
        Ok(())
    }

    fn step_reset(&mut self, e: &StepReset) -> Fold {
        let ix = self.ix(&e.step)?;
        if !matches!(self.node(ix).state, StepState::Resting(_)) || !self.is_active(ix) {
            return Err(illegal("the step does not rest"));
        }
        let node = &mut self.nodes[ix as usize];
        node.tries = 0;
        node.asks = 0;
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

    fn verb_answered(&mut self, e: &VerbAnswered) -> Fold {
        if e.refused.is_some() {
            return Ok(());
        }
        match &e.verb {
            Verb::Pause => self.paused = true,
            Verb::Resume => {
                self.paused = false;
                self.live.rematch = true;
            }
            Verb::Cancel { unwind } => {
                let why = Why::Cancelled { by: e.by.clone(), reason: e.reason.clone() };
                match self.phase {
                    Phase::Forward => self.leave(Leaving::For { why, unwind: *unwind }),
                    Phase::Draining | Phase::Unwinding if !unwind => {
                        self.leave(Leaving::For { why, unwind: false });
                        self.stop_unwinding();
                    }
                    _ => {}
                }
                self.paused = false;
            }
            Verb::Abandon => {
                self.leave(Leaving::Abandoned { by: e.by.clone(), reason: e.reason.clone() });
                self.paused = false;
                match self.phase {
                    Phase::Unwinding => self.stop_unwinding(),
                    Phase::OnFailure | Phase::Finally => self.cut_short = true,
                    _ => {}
                }
            }
            Verb::Retry { .. } | Verb::Skip { .. } | Verb::Resolve { .. } | Verb::Handback { .. } => {}
        }
        Ok(())
    }

    fn run_settled(&mut self, e: &RunSettled) -> Fold {
        self.phase = Phase::Settled;
        self.outcome = Some(e.outcome.clone());
        self.sets.timers.clear();
        self.live = crate::state::Live::default();
        Ok(())
    }

    /// What to do about a step that nobody runs, when its process died.
    pub(crate) fn lost_in_drain(&self, ix: Ix) -> Event {
        let step = self.plan.step(ix);
        let then = if step.in_doubt == InDoubt::Observe { Doubt::Observe } else { Doubt::Fail };
        let attempt: Attempt = self.node(ix).attempt;
        let ended = towpath_model::Ended::Dropped;
        StepInDoubt { step: step.id.clone(), attempt, ended, failure: None, then }.into()
    }
}

fn doubt_failure(e: &StepInDoubt) -> towpath_model::Failure {
    let failure = towpath_model::Failure::new(towpath_model::FailureKind::Unknown, e.ended.to_string());
    match &e.failure {
        Some(beneath) => failure.caused_by(beneath.to_string()),
        None => failure,
    }
}
