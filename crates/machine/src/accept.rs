//! What came from outside, turned into events.

use crate::{BodyEnd, Input, Ix, Observation, Phase, RunState, StepState, UndoEnd, UndoState, full_jitter};
use std::time::Duration;
use towpath_model::{
    Answer, Attempt, Checkpointed, CompensationDone, CompensationFailed, DoneBy, Doubt, Ended, Event,
    Failure, FailureKind, InDoubt, Payload, RetryPolicy, Section, StepDone, StepFailed, StepId, StepInDoubt,
    StepObserved, StepStarted, Then, Timestamp, WaitOver, WaitStarted, limits,
};

type Answered = Result<Vec<Event>, Failure>;

impl RunState {
    /// Takes what came from outside: gives the events that it makes, which are folded already.
    ///
    /// What comes too late, from a body of an attempt that is over, makes no event.
    ///
    /// # Errors
    /// What the body that asked has to be told: a wait or a checkpoint that may not be.
    pub fn take(&mut self, input: Input, now: Timestamp) -> Answered {
        let now = now.max(self.time);
        if self.phase == Phase::Settled {
            return match input {
                Input::Checkpoint { .. } | Input::Wait { .. } => {
                    Err(Failure::new(FailureKind::Permanent, "the run has settled"))
                }
                Input::Entry(entry) => {
                    self.live.driven = true;
                    Ok(self.record_all(self.entry_after_the_end(&entry), now))
                }
                _ => Ok(Vec::new()),
            };
        }
        self.live.driven = true;
        let accepted = self.accept(input, now)?;
        Ok(self.record_all(accepted, now))
    }

    fn record_all(&mut self, accepted: Vec<Event>, now: Timestamp) -> Vec<Event> {
        let mut events = Vec::new();
        for event in accepted {
            let follows = match &event {
                Event::SubRunSettled(e) => Some(e.clone()),
                _ => None,
            };
            self.record(&mut events, now, event);
            let follows = follows.and_then(|report| self.after_report(&report));
            if let Some(event) = follows.or_else(|| self.begin_recall()) {
                self.record(&mut events, now, event);
            }
        }
        events
    }

    fn accept(&mut self, input: Input, now: Timestamp) -> Answered {
        match input {
            Input::Before { step, result } => Ok(self.before_taken(&step, result, now)),
            Input::Ended { step, attempt, end } => Ok(self.body_ended(&step, attempt, end, now)),
            Input::Checkpoint { step, undoing, value } => self.checkpoint_asked(step, undoing, value),
            Input::Wait { step, wait, until, signal, checkpoint } => {
                self.wait_asked(WaitStarted { step, wait, until, signal, checkpoint })
            }
            Input::Observed { step, answer } => Ok(self.observed(&step, answer, now)),
            Input::Undone { step, attempt, end } => Ok(self.undone(&step, attempt, end, now)),
            Input::Listed { step, result } => Ok(self.list_read(&step, result, now)),
            Input::Entry(entry) => Ok(self.entry(entry)),
        }
    }

    fn before_taken(
        &mut self,
        step: &StepId,
        result: Result<Payload, (Failure, Option<Duration>)>,
        now: Timestamp,
    ) -> Vec<Event> {
        let Some(ix) = self.plan.find(step) else { return Vec::new() };
        if !self.live.asked.remove(&ix) || self.starts_nothing() || !self.may_act(ix) {
            return Vec::new();
        }
        let attempt = self.node(ix).attempt.next();
        match result {
            Ok(before) => vec![StepStarted { step: step.clone(), attempt, before: Some(before) }.into()],
            Err((failure, after)) => {
                let then = self.after_failure(ix, self.node(ix).tries + 1, &failure, after, now);
                vec![StepFailed { step: step.clone(), attempt, failure, then }.into()]
            }
        }
    }

    fn body_ended(&self, step: &StepId, attempt: Attempt, end: BodyEnd, now: Timestamp) -> Vec<Event> {
        let Some(ix) = self.plan.find(step) else { return Vec::new() };
        let node = self.node(ix);
        let counts = match node.state {
            StepState::Running => true,
            StepState::Parked { .. } => self.counts_while_parked(&end),
            StepState::Items => self.live.gathering.contains(&ix) && matches!(end, BodyEnd::Done { .. }),
            _ => false,
        };
        if node.attempt != attempt || !counts {
            return Vec::new();
        }
        let step = step.clone();
        let event = match end {
            BodyEnd::Done { output, facts, unreadable } => {
                StepDone { step, output, by: DoneBy::Body, facts, output_error: unreadable }.into()
            }
            BodyEnd::Failed { failure, .. } if failure.kind == FailureKind::Unknown => {
                self.in_doubt(ix, Ended::Unknown, Some(failure), now)
            }
            BodyEnd::Failed { failure, retry_after } => {
                let then = self.after_failure(ix, node.tries, &failure, retry_after, now);
                StepFailed { step, attempt, failure, then }.into()
            }
            BodyEnd::TakenOver(seen) => StepObserved { step, answer: Answer::TakenOver { seen } }.into(),
            BodyEnd::Lost { ended, failure } => self.in_doubt(ix, ended, failure, now),
        };
        vec![event]
    }

    /// Whether a parked body's end is one. A body in memory that was dropped has nothing to say: it had ended at its
    /// wait. One that went on instead of waiting counts, as long as nothing was made of its wait.
    fn counts_while_parked(&self, end: &BodyEnd) -> bool {
        let dropped = matches!(
            end,
            BodyEnd::TakenOver(_)
                | BodyEnd::Lost { ended: Ended::Dropped | Ended::TimedOut | Ended::Died, .. }
        );
        !dropped && matches!(self.phase, Phase::Forward | Phase::OnFailure | Phase::Finally | Phase::Draining)
    }

    /// An attempt that ended without saying whether it took effect.
    pub(crate) fn in_doubt(&self, ix: Ix, ended: Ended, failure: Option<Failure>, now: Timestamp) -> Event {
        let step = self.plan.step(ix);
        let node = self.node(ix);
        let then = match step.in_doubt {
            InDoubt::Observe => Doubt::Observe,
            _ if !self.is_active(ix) => Doubt::Fail,
            InDoubt::AskOperator if step.section == Section::Main => Doubt::Rest,
            InDoubt::AskOperator => Doubt::Fail,
            InDoubt::NoEffect | InDoubt::Idempotent => match self.next_try(ix, node.tries, None, now) {
                Some(at) => Doubt::Retry { at },
                None if self.exhausted(ix) == Then::Rest => Doubt::Rest,
                None => Doubt::Fail,
            },
        };
        StepInDoubt { step: step.id.clone(), attempt: node.attempt, ended, failure, then }.into()
    }

    /// What follows a failure: another try, an operator, or nothing.
    pub(crate) fn after_failure(
        &self,
        ix: Ix,
        tries: u32,
        failure: &Failure,
        retry_after: Option<Duration>,
        now: Timestamp,
    ) -> Then {
        if !self.is_active(ix) {
            return Then::Fail;
        }
        match failure.kind {
            FailureKind::NeedsOperator => self.rest_or_fail(ix),
            FailureKind::Rejected | FailureKind::Permanent | FailureKind::Cancelled => self.fail_or_rest(ix),
            FailureKind::Transient | FailureKind::Unknown => match self.next_try(ix, tries, retry_after, now)
            {
                Some(at) => Then::Retry { at },
                None => self.exhausted(ix),
            },
        }
    }

    /// What follows when a step may not be tried again: at the limit of attempts it rests, whatever its policy says.
    fn exhausted(&self, ix: Ix) -> Then {
        if self.node(ix).attempt.0 >= limits::ATTEMPTS {
            self.rest_or_fail(ix)
        } else {
            self.fail_or_rest(ix)
        }
    }

    /// When a step is tried again after `tries` tries, if it is.
    fn next_try(&self, ix: Ix, tries: u32, after: Option<Duration>, now: Timestamp) -> Option<Timestamp> {
        let step = self.plan.step(ix);
        let node = self.node(ix);
        if tries >= step.retry.attempts_max || node.attempt.0 >= limits::ATTEMPTS {
            return None;
        }
        let at =
            now.plus(self.delay(&step.id, &step.retry, tries, node.attempt.0).max(after.unwrap_or_default()));
        (!self.is_out_of_time(ix, at)).then_some(at)
    }

    fn delay(&self, step: &StepId, policy: &RetryPolicy, tries: u32, draw: u32) -> Duration {
        let ceiling = policy.ceiling(tries.max(1));
        if policy.jitter { full_jitter(self.run, step, draw, ceiling) } else { ceiling }
    }

    /// What follows a failure for good: past the point of no return it may not unwind the run, so the step rests.
    pub(crate) fn fail_or_rest(&self, ix: Ix) -> Then {
        if self.no_return.is_some() { self.rest_or_fail(ix) } else { Then::Fail }
    }

    /// The failure of a step beside the way forward, or of a best effort, never waits for an operator.
    pub(crate) fn rest_or_fail(&self, ix: Ix) -> Then {
        let step = self.plan.step(ix);
        if step.section == Section::Main && !step.best_effort { Then::Rest } else { Then::Fail }
    }

    fn checkpoint_asked(&self, step: StepId, undoing: bool, value: Payload) -> Answered {
        let node = self.find(&step);
        let under_way = node.is_some_and(|n| {
            if undoing {
                n.undo == UndoState::Running
            } else {
                matches!(n.state, StepState::Running | StepState::Parked { .. })
            }
        });
        if !undoing && self.is_overfull() {
            return Err(self.no_place());
        }
        if !under_way {
            return Err(Failure::new(
                FailureKind::Permanent,
                "the step is over: nothing can be saved for it any more",
            ));
        }
        Ok(vec![Checkpointed { step, undoing, value }.into()])
    }

    fn no_place(&self) -> Failure {
        let text = format!(
            "the journal holds {} events, as many as it may: cancel the run, or abandon it",
            limits::EVENTS_PER_JOURNAL
        );
        Failure::new(FailureKind::NeedsOperator, text)
    }

    fn wait_asked(&self, mut wait: WaitStarted) -> Answered {
        let refuse = |text: String| Err(Failure::new(FailureKind::Permanent, text));
        let Some(ix) = self.plan.find(&wait.step) else { return refuse("the step is over".into()) };
        let node = self.node(ix);
        if let StepState::Parked { wait: open } = &node.state {
            return refuse(format!(
                "wait {:?} begins while {open:?} lasts: await one after the other",
                wait.wait
            ));
        }
        if node.state != StepState::Running {
            return refuse("the step is over: nothing can be waited for any more".into());
        }
        match node.waits.get(&wait.wait) {
            Some(first) if first.over.is_some() => {
                return refuse(format!("the wait {:?} is over already", wait.wait));
            }
            // Another attempt has come to it before it is over: its first deadline counts.
            Some(first) => (wait.until, wait.signal) = (first.until, first.signal.clone()),
            None if node.waits.len() >= limits::WAITS_PER_STEP => {
                let most = limits::WAITS_PER_STEP;
                return refuse(format!("a step may have {most} waits, and this one has as many"));
            }
            None => {}
        }
        if wait.until.is_none() && wait.signal.is_none() {
            return refuse(format!("the wait {:?} would never end: give it a time or a signal", wait.wait));
        }
        let goes_on = self.is_active(ix) && !self.starts_nothing();
        let kept = self.kept_for(&wait.step, wait.signal.as_ref(), wait.until).filter(|_| goes_on);
        let over = kept.map(|k| WaitOver {
            step: wait.step.clone(),
            wait: wait.wait.clone(),
            value: Some(k.value.clone()),
            from: Some(k.from.clone()),
            kept: Some(k.seq),
        });
        Ok(std::iter::once(wait.into()).chain(over.map(Event::from)).collect())
    }

    fn observed(&mut self, step: &StepId, answer: Observation, now: Timestamp) -> Vec<Event> {
        let Some(ix) = self.plan.find(step) else { return Vec::new() };
        if !self.live.observing.contains(&ix) {
            return Vec::new();
        }
        let node = self.node(ix);
        let (step, attempt) = (step.clone(), node.attempt);
        let said = |answer| StepObserved { step: step.clone(), answer }.into();
        match answer {
            Observation::Done { output, facts, unreadable } => {
                let by = DoneBy::Observed;
                vec![StepDone { step, output, by, facts, output_error: unreadable }.into()]
            }
            Observation::NotDone if !self.is_active(ix) => vec![said(Answer::NotDone)],
            Observation::NotDone => {
                let again = node.tries < self.plan.step(ix).retry.attempts_max
                    && attempt.0 < limits::ATTEMPTS
                    && !self.is_out_of_time(ix, now);
                let mut events = vec![said(Answer::NotDone)];
                if !again {
                    let text = "it did not take effect, and may not be tried again";
                    let mut failure = Failure::new(FailureKind::Permanent, text);
                    if let Some(last) = &node.last_failure {
                        failure = failure.caused_by(last.to_string());
                    }
                    // Processes that died are no verdict on the step: it rests rather than unwind the run.
                    let died = matches!(
                        node.state,
                        StepState::Running | StepState::InDoubt { ended: Ended::Died, .. }
                    );
                    let then = if died { self.rest_or_fail(ix) } else { self.exhausted(ix) };
                    events.push(StepFailed { step: step.clone(), attempt, failure, then }.into());
                }
                events
            }
            Observation::TakenOver(seen) => vec![said(Answer::TakenOver { seen })],
            Observation::Unknown { failure, retry_after } => {
                let (asks, record) = (node.asks + 1, self.plan.step(ix));
                let delay = |policy| self.delay(&record.id, policy, asks, asks);
                let again = (self.is_active(ix) && asks < record.observe_retry.attempts_max)
                    .then(|| now.plus(delay(&record.observe_retry).max(retry_after.unwrap_or_default())));
                vec![said(Answer::Unknown { failure, again })]
            }
        }
    }

    fn undone(&self, step: &StepId, attempt: Attempt, end: UndoEnd, now: Timestamp) -> Vec<Event> {
        let Some(ix) = self.plan.find(step) else { return Vec::new() };
        let node = self.node(ix);
        if node.undo != UndoState::Running || node.undo_attempt != attempt {
            return Vec::new();
        }
        let (failure, after) = match end {
            UndoEnd::Done => return vec![CompensationDone { step: step.clone(), by: DoneBy::Body }.into()],
            UndoEnd::Failed { failure, retry_after } => (failure, retry_after),
            UndoEnd::Lost(ended, failure) => {
                (failure.unwrap_or_else(|| Failure::new(FailureKind::Unknown, ended.to_string())), None)
            }
        };
        let policy = &self.plan.step(ix).undo_retry;
        let may_pass = matches!(failure.kind, FailureKind::Transient | FailureKind::Unknown);
        let again = may_pass && node.undo_tries < policy.attempts_max && attempt.0 < limits::ATTEMPTS;
        let delay = self.delay(step, policy, node.undo_tries, attempt.0).max(after.unwrap_or_default());
        let then = match again {
            // Unwinding was stopped while it was in flight: its effect is left in place.
            _ if !self.will_unwind() => Then::Fail,
            true => Then::Retry { at: now.plus(delay) },
            false => Then::Rest,
        };
        vec![CompensationFailed { step: step.clone(), attempt, failure, then }.into()]
    }
}
