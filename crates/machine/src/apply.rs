//! Folding events.

use crate::{
    Action, Ix, Leaving, Phase, Rest, RunState, StepState, UndoState, Waiting, state::Kept,
    transitions::visit,
};
use std::{fmt, sync::Arc, time::Duration};
use towpath_model::{
    Answer, Checkpointed, Doubt, Ended, Event, EventKind, Failure, FailureKind, Outcome, RunSettled,
    RunStarted, Section, Seq, SignalKept, SkipWhy, StepDone, StepFailed, StepId, StepInDoubt, StepObserved,
    StepReset, StepStarted, Then, Timestamp, Verb, VerbAnswered, WaitOver, WaitStarted, Why,
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
    /// Folds the next event of a journal. When all are folded, [`recover`](Self::recover) makes the state ready to be
    /// driven.
    ///
    /// # Errors
    /// When it is not the next one or cannot follow. The state must not be used any more then.
    pub fn apply(&mut self, seq: Seq, at: Timestamp, event: &Event) -> Result<(), Corrupt> {
        let folded = self.fold_next(seq, at, event);
        if !self.live.driven {
            // What followed an event of the journal was done when it was written.
            self.live.actions.clear();
        }
        folded
    }

    fn fold_next(&mut self, seq: Seq, at: Timestamp, event: &Event) -> Result<(), Corrupt> {
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
        visit::event(event.kind());
        self.seq = seq;
        self.time = at.max(self.time);
        self.fold(event).map_err(corrupt)?;
        self.next_section();
        Ok(())
    }

    /// Journals an event that follows from the state: folds it as the next one.
    pub(crate) fn record(&mut self, events: &mut Vec<Event>, now: Timestamp, event: Event) {
        self.fold_next(self.seq.next(), now, &event).expect("the machine makes only events that can follow");
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
            Event::SignalKept(e) => self.signal_kept(e),
            Event::VerbAnswered(e) => self.verb_answered(e),
            Event::DeadlinePassed(_) => self.deadline_passed(),
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
        self.open_section(Section::Main);
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

    fn step_failed(&mut self, e: &StepFailed) -> Fold {
        let ix = self.ix(&e.step)?;
        let forget = match self.node(ix).state {
            StepState::Ready | StepState::Running | StepState::Backoff { .. } => false,
            StepState::Parked { .. } => true,
            _ => return Err(illegal("the step is not under way")),
        };
        if forget {
            self.live.actions.push(Action::Forget(e.step.clone()));
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

    fn step_observed(&mut self, e: &StepObserved) -> Fold {
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

    fn wait_over(&mut self, e: &WaitOver) -> Fold {
        let ix = self.ix(&e.step)?;
        let node = self.node(ix);
        if node.open_wait().is_none_or(|(wait, _)| *wait != e.wait) || !self.is_active(ix) {
            return Err(illegal("the step is not at this wait"));
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

    fn step_skipped(&mut self, step: &StepId, why: &SkipWhy) -> Fold {
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

    fn step_reset(&mut self, e: &StepReset) -> Fold {
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

    fn signal_kept(&mut self, e: &SignalKept) -> Fold {
        self.signals.push_back(Kept {
            seq: self.seq,
            signal: e.signal.clone(),
            step: e.step.clone(),
            value: e.value.clone(),
            from: e.from.clone(),
            received_at: e.received_at,
        });
        // Somebody may wait for it who has no place to run in.
        if let Some(ix) = self.listener(&e.signal, e.step.as_ref(), e.received_at) {
            self.wait_is_due(ix);
        }
        Ok(())
    }

    /// The run's time is over. A run that is past its point of no return, or stuck, goes on without a limit: only an
    /// operator moves it, and who does so knows how late it is.
    fn deadline_passed(&mut self) -> Fold {
        if self.phase != Phase::Forward || self.deadline.is_none() {
            return Err(illegal("the run has no time limit now"));
        }
        self.deadline = None;
        if self.no_return.is_none() && !self.is_stuck() {
            self.leave(Leaving::For { why: Why::Deadline, unwind: true });
        }
        Ok(())
    }

    fn verb_answered(&mut self, e: &VerbAnswered) -> Fold {
        if e.refused.is_some() {
            return Ok(());
        }
        match &e.verb {
            Verb::Pause => self.paused = self.paused.or(Some(self.time)),
            Verb::Resume => self.resume(),
            Verb::Cancel { unwind } => {
                let why = Why::Cancelled { by: e.by.clone(), reason: e.reason.clone() };
                match self.phase {
                    Phase::Forward => {
                        self.resume();
                        self.leave(Leaving::For { why, unwind: *unwind });
                    }
                    Phase::Draining | Phase::Unwinding if !unwind => {
                        self.resume();
                        self.leave(Leaving::For { why, unwind: false });
                        self.stop_unwinding();
                    }
                    _ => {}
                }
            }
            Verb::Abandon => {
                if self.phase == Phase::OnFailure && !self.sets.running.is_empty() {
                    return Err(illegal("a step of the run is under way"));
                }
                self.resume();
                self.leave(Leaving::Abandoned { by: e.by.clone(), reason: e.reason.clone() });
                match self.phase {
                    Phase::Unwinding => self.stop_unwinding(),
                    Phase::OnFailure => self.leave_on_failure(),
                    Phase::Finally => self.cut_short = true,
                    _ => {}
                }
            }
            Verb::Retry { .. } | Verb::Skip { .. } | Verb::Resolve { .. } | Verb::Handback { .. } => {}
        }
        Ok(())
    }

    fn resume(&mut self) {
        self.live.rematch |= self.paused.is_some();
        self.paused = None;
    }

    /// A run that nobody could fold may have been given up wherever it stood, and one that waited superseded.
    fn run_settled(&mut self, e: &RunSettled) -> Fold {
        let anywhere = matches!(e.outcome, Outcome::Abandoned { .. } | Outcome::Superseded { .. });
        if self.phase != Phase::Finally && !anywhere {
            return Err(illegal("the run is not at its end"));
        }
        self.close_section();
        self.set_phase(Phase::Settled);
        self.outcome = Some(e.outcome.clone());
        self.live.observing.clear();
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
