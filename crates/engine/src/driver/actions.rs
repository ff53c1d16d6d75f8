//! Doing what was decided, once its intent is durable.

use super::core::{Driver, Live};
use crate::{
    body::{self, Body, Given, QUICK, Supervised, What},
    host::{self, BodyHost, Cancel, Secrets},
    plans::{Is, Prepared},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::Instant;
use towpath_machine::{Action, BodyEnd, Input, Ix, Rest, StepState};
use towpath_model::{Attempt, Ended, KeyPhase, Payload, Section, StepId, StepRecord};
use towpath_step::{ErasedStep, RunFailure, StepError, UndoEnded, host::Entry};
use tracing::Instrument as _;

impl Driver {
    /// Does what follows a transition that is durable.
    pub(super) fn act(&mut self, actions: Vec<Action>) {
        // A body that is alone may be polled here: nothing else of the run has to wait for it.
        let alone = actions.len() == 1 && self.bodies.is_empty();
        for action in actions {
            match action {
                Action::List(step) => self.list(&step),
                Action::Gather(step) => self.gather(&step),
                Action::TakeBefore(step) => self.begin_unless_draining(What::Before, &step, None, alone),
                Action::Enter(step, attempt) => {
                    if !self.go_on(&step) {
                        self.begin_unless_draining(What::Run, &step, Some(attempt), alone);
                    }
                }
                Action::Observe(step) => self.observe(&step, alone),
                Action::Compensate(step, attempt) => {
                    self.begin_unless_draining(What::Undo, &step, Some(attempt), alone);
                }
                Action::Stop(step) => self.stop(&step),
                Action::Expire(step) => self.expire(&step),
                Action::Forget(step) => self.forget(&step),
            }
        }
    }

    /// Whether nothing is begun, because this engine lacks something for the run: it leaves memory soon, and what was
    /// to be begun is told anew to whoever loads it.
    pub(super) fn withhold(&mut self) -> bool {
        let lacks = !self.lacking.is_empty();
        self.withheld |= lacks;
        lacks
    }

    pub(super) fn ix(&self, step: &StepId) -> Ix {
        self.plan.plan.find(step).expect("the machine names steps of its plan")
    }

    fn begin_unless_draining(&mut self, what: What, step: &StepId, attempt: Option<Attempt>, alone: bool) {
        // What is not begun now is in doubt, or ready, for whoever drives the run next.
        if !self.draining && !self.withhold() {
            let ix = self.ix(step);
            let attempt = attempt.unwrap_or_else(|| self.state.node(ix).attempt().next());
            self.begin(what, ix, attempt, alone);
        }
    }

    fn observe(&mut self, step: &StepId, alone: bool) {
        let ix = self.ix(step);
        if self.draining || self.withhold() {
            return;
        }
        let over = self.death_proven && self.plan.plan.step(ix).methods.local;
        if !over && self.observe_at.is_some_and(|at| at > Instant::now()) {
            self.deferred.push(ix);
        } else {
            self.begin(What::Observe, ix, self.state.node(ix).attempt(), alone);
        }
    }

    /// Asks the questions for which it was too early.
    pub(super) fn observe_deferred(&mut self) {
        self.observe_at = None;
        for ix in std::mem::take(&mut self.deferred) {
            self.begin(What::Observe, ix, self.state.node(ix).attempt(), false);
        }
    }

    /// Enters a method of a step.
    fn begin(&mut self, what: What, ix: Ix, attempt: Attempt, alone: bool) {
        let plan = self.plan.clone();
        let known = plan.known(ix);
        let host = self.host(what, ix, attempt);
        let step: Arc<dyn ErasedStep> = match &known.is {
            Ok(Is::Step(step)) => step.clone(),
            Ok(Is::Items(_)) => unreachable!("a for_each has no body to enter"),
            Err(why) => {
                // A run is held before it comes to a step that is not known; this is for what came to pass since.
                let error = StepError::needs_operator(format!("it cannot be entered here: {why}"));
                let (no, end) = (host.entry, body::failed(what, error, &host));
                self.keep_live(what, ix, attempt, host, None);
                self.ended.push_back((no, end));
                return;
            }
        };
        let given = self.given(what, ix, attempt);
        let mut body = body::body(what, step, given, host.clone(), plan.clone(), ix);
        let span = self.span_of(what, ix, attempt);
        if alone && known.habit.is_quick() {
            let began = std::time::Instant::now();
            // Whatever wakes the body between this poll and the next is not lost: its task polls it at once.
            let poll = span.in_scope(|| body.as_mut().poll(&mut Context::from_waker(Waker::noop())));
            known.habit.learn(poll.is_ready() && began.elapsed() < QUICK);
            if let Poll::Ready(end) = poll {
                let no = host.entry;
                self.keep_live(what, ix, attempt, host, None);
                self.ended.push_back((no, end));
                return;
            }
        }
        let learner = (what == What::Run && known.habit.is_open()).then(|| (plan.clone(), ix));
        self.spawn(what, ix, attempt, host, body, learner);
    }

    /// Runs an entry in a task of its own.
    pub(super) fn spawn(
        &mut self,
        what: What,
        ix: Ix,
        attempt: Attempt,
        host: Arc<BodyHost>,
        body: Body,
        learner: Option<(Arc<Prepared>, Ix)>,
    ) {
        let span = self.span_of(what, ix, attempt);
        let task = Supervised::new(body, host.entry, host.mailbox.clone(), learner).instrument(span);
        let task = tokio::spawn(task).abort_handle();
        self.keep_live(what, ix, attempt, host, Some(task));
    }

    fn keep_live(
        &mut self,
        what: What,
        ix: Ix,
        attempt: Attempt,
        host: Arc<BodyHost>,
        task: Option<tokio::task::AbortHandle>,
    ) {
        let timeout = self.plan.plan.step(ix).timeout_ms.map(Duration::from_millis);
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let no = host.entry;
        self.bodies.push(Live {
            no,
            ix,
            what,
            attempt,
            host,
            task,
            deadline,
            drop_at: None,
            ending: None,
            waiting: None,
        });
    }

    pub(super) fn host(&mut self, what: What, ix: Ix, attempt: Attempt) -> Arc<BodyHost> {
        self.last_entry += 1;
        let over = if what == What::Run { host::over(self.state.node(ix)) } else { BTreeMap::new() };
        Arc::new(BodyHost {
            shared: self.shared.clone(),
            entry: self.last_entry,
            mailbox: self.slot.mailbox.clone(),
            step: self.plan.plan.step(ix).id.clone(),
            attempt,
            may_wait: what == What::Run,
            over,
            side: self.side.clone(),
            secrets: Secrets::default(),
            cancel: Cancel::default(),
        })
    }

    /// What an entry is given: from the journal, or a reference to what its body will fetch.
    fn given(&self, what: What, ix: Ix, attempt: Attempt) -> Given {
        let (node, step) = (self.state.node(ix), self.plan.plan.step(ix));
        let (mut inline, mut outputs) = (Vec::with_capacity(step.reads.len()), Vec::new());
        for read in &step.reads {
            let Some(StepState::Done { output, .. }) = self.state.find(&read.step).map(|n| n.state()) else {
                continue;
            };
            match output {
                Payload::Inline(json) => inline.push((read.step.clone(), json.clone())),
                Payload::Blob(_) => outputs.push((read.step.clone(), output.clone())),
            }
        }
        let undo = (what == What::Undo).then(|| {
            let output = match node.state() {
                StepState::Done { output, unreadable: None, .. } => Some(output.clone()),
                _ => None,
            };
            (output, ended(node.state()))
        });
        Given {
            entry: Entry {
                run: self.slot.run,
                step: self.path_of(ix),
                attempt,
                phase: if what == What::Undo { KeyPhase::Undo } else { KeyPhase::Run },
                generation: node.generation(),
                outputs: inline,
                params: self.state.values().clone(),
                checkpoint: None,
                before: None,
                failure: self.failure_for(step),
                providers: self.shared.providers.clone(),
                fencing: self.state.fencing(ix),
            },
            outputs,
            checkpoint: node.checkpoint().cloned(),
            before: node.before().cloned(),
            undo,
        }
    }

    /// What the steps of a run's end are told of how it left its way.
    fn failure_for(&self, step: &StepRecord) -> Option<Arc<RunFailure>> {
        let (why, aftermath) = if step.section == Section::Main { None } else { self.state.failure() }?;
        Some(Arc::new(RunFailure { why, aftermath }))
    }

    fn span_of(&self, what: What, ix: Ix, attempt: Attempt) -> tracing::Span {
        let (run, step) = (self.slot.run, self.path_of(ix));
        tracing::info_span!("step", %run, %step, %attempt, entry = ?what)
    }

    /// Lets a body go on that waits in memory; whether there is one.
    fn go_on(&mut self, step: &StepId) -> bool {
        let ix = self.ix(step);
        let Some(live) = self.bodies.iter_mut().find(|b| b.ix == ix && b.waiting.is_some()) else {
            return false;
        };
        let Some((wait, reply)) = live.waiting.take() else { return false };
        let over = self.state.node(ix).waits().get(&wait).and_then(|w| w.over.clone());
        let timeout = self.plan.plan.step(ix).timeout_ms.map(Duration::from_millis);
        live.deadline = timeout.map(|timeout| Instant::now() + timeout);
        // A body that was dropped meanwhile tells its end itself.
        let _ = reply.send(Ok(host::waited(over.flatten())));
        true
    }

    /// Asks a body to stop. It has its grace, and is dropped then.
    fn stop(&mut self, step: &StepId) {
        let (ix, grace) = (self.ix(step), self.shared.config.grace);
        match self.bodies.iter_mut().find(|b| b.ix == ix && b.what == What::Run) {
            Some(live) => live.ask_to_stop(grace),
            None => self.owe_lost(step, Ended::Dropped),
        }
    }

    /// Drops a body whose time is over.
    fn expire(&mut self, step: &StepId) {
        let ix = self.ix(step);
        match self.bodies.iter_mut().find(|b| b.ix == ix && b.what == What::Run) {
            Some(live) => live.drop_as(Ended::TimedOut),
            None => self.owe_lost(step, Ended::TimedOut),
        }
    }

    /// Drops a body that waits in memory at a durable wait: it has nothing to say.
    fn forget(&mut self, step: &StepId) {
        let ix = self.ix(step);
        self.bodies.retain(|b| b.ix != ix || b.what != What::Run || b.waiting.is_none());
    }

    /// A body that nobody runs has ended all the same.
    fn owe_lost(&mut self, step: &StepId, ended: Ended) {
        let attempt = self.state.node(self.ix(step)).attempt();
        let end = BodyEnd::Lost { ended, failure: None };
        self.owed.push(Input::Ended { step: step.clone(), attempt, end });
    }
}

impl Live {
    pub(super) fn ask_to_stop(&mut self, grace: Duration) {
        self.host.cancel.ask();
        self.drop_at.get_or_insert_with(|| Instant::now() + grace);
    }

    /// Drops it; its end is told once it is gone.
    pub(super) fn drop_as(&mut self, ended: Ended) {
        self.ending.get_or_insert(ended);
        self.deadline = None;
        self.drop_at = None;
        self.abort();
    }

    pub(super) fn abort(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Drop for Live {
    /// A body that nobody supervises any more must not go on; for one that has ended this does nothing.
    fn drop(&mut self) {
        self.abort();
    }
}

/// How a step ended that is to be undone.
fn ended(state: &StepState) -> UndoEnded {
    match state {
        StepState::Done { .. } => UndoEnded::Done,
        StepState::InDoubt { ended, .. } | StepState::Resting(Rest::InDoubt(ended, _)) => {
            UndoEnded::InDoubt(*ended)
        }
        StepState::Resting(Rest::Unknown(_) | Rest::TakenOver(_)) => UndoEnded::InDoubt(Ended::Unknown),
        StepState::Parked { .. } => UndoEnded::Parked,
        _ => UndoEnded::Failed,
    }
}
