//! What follows from the state.

use crate::{
    Action, Decision, Ix, Leaving, Phase, RunState, StepState, UndoState, state::Timer, state_of::Found,
};
use towpath_model::{
    CompensationAsked, CompensationStarted, DeadlinePassed, Event, Failure, FailureKind, InDoubt, ReadMode,
    SkipWhy, StepFailed, StepId, StepSkipped, StepStarted, Then, Timestamp, UndoPolicy, UnwindStarted,
    Unwound, WaitOver,
};

impl RunState {
    /// Says what follows at this time: events, which are folded already, and what to do once they are durable.
    ///
    /// To be called after everything that came in was [taken](Self::take), and at every [wake](Self::wake). Costs what
    /// changed, not what there is.
    pub fn decide(&mut self, now: Timestamp) -> Decision {
        let now = now.max(self.time);
        let mut events = Vec::new();
        for owed in std::mem::take(&mut self.live.owed) {
            self.record(&mut events, now, owed);
        }
        if std::mem::take(&mut self.live.rematch) {
            self.match_signals(&mut events, now);
        }
        self.fire(&mut events, now, now);
        loop {
            let before = self.seq;
            self.start_ready(&mut events, now);
            self.start_undoing(&mut events, now);
            self.next_phase(&mut events, now);
            if self.seq == before {
                break;
            }
        }
        let (actions, kept) = std::mem::take(&mut self.live.actions)
            .into_iter()
            .partition(|a| !(self.is_held() && matches!(a, Action::Enter(..))));
        self.live.actions = kept;
        Decision { events, actions }
    }

    /// The earliest time at which [`decide`](Self::decide) has something to do, if a time is what it waits for.
    pub fn wake(&self) -> Option<Timestamp> {
        let timers = self.sets.timers.iter();
        let next = timers
            .filter(|(_, timer, ix)| !self.live.due.contains(&(*timer, *ix)))
            .map(|(at, ..)| *at)
            .next();
        let deadline = self.deadline.filter(|_| self.minds_deadline());
        let next = next.filter(|_| !self.is_held());
        match (next, deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn minds_deadline(&self) -> bool {
        self.phase == Phase::Forward && self.no_return.is_none() && !self.is_stuck() && !self.live.held
    }

    /// Fires every timer up to `until`.
    pub(crate) fn fire(&mut self, events: &mut Vec<Event>, until: Timestamp, now: Timestamp) {
        if self.deadline.is_some_and(|at| at <= until) && self.minds_deadline() {
            self.record(events, now, DeadlinePassed {}.into());
        }
        if self.is_held() {
            return;
        }
        let due: Vec<(Timestamp, Timer, Ix)> = self
            .sets
            .timers
            .iter()
            .take_while(|(at, ..)| *at <= until)
            .filter(|(_, timer, ix)| !self.live.due.contains(&(*timer, *ix)))
            .copied()
            .collect();
        for (at, timer, ix) in due {
            // What fired before it may have taken this one away.
            if self.sets.timers.contains(&(at, timer, ix)) && !self.is_held() {
                self.fire_one(events, now, at, timer, ix);
            }
        }
    }

    fn fire_one(&mut self, events: &mut Vec<Event>, now: Timestamp, at: Timestamp, timer: Timer, ix: Ix) {
        match timer {
            Timer::StepState => match self.node(ix).state {
                StepState::Parked { .. } => {
                    let over = self.wait_over_by(ix, Some(at));
                    self.record(events, now, over.into());
                }
                StepState::InDoubt { .. } => {
                    self.live.due.insert((timer, ix));
                    self.ask_world(ix);
                }
                _ => drop(self.live.due.insert((timer, ix))),
            },
            Timer::Undo => drop(self.live.due.insert((timer, ix))),
            Timer::Within => {
                self.live.due.insert((timer, ix));
                match self.node(ix).state {
                    StepState::Running => {
                        self.live.actions.push(Action::Expire(self.plan.step(ix).id.clone()));
                    }
                    StepState::Parked { .. } | StepState::Backoff { .. } | StepState::Ready => {
                        let failure = Failure::new(
                            FailureKind::Permanent,
                            "the time limit over all its attempts and waits passed",
                        );
                        let then = self.fail_or_rest(ix);
                        self.fail_event(events, now, ix, failure, then);
                    }
                    _ => {}
                }
            }
        }
    }

    fn fail_event(&mut self, events: &mut Vec<Event>, now: Timestamp, ix: Ix, failure: Failure, then: Then) {
        let attempt = self.node(ix).attempt;
        let step = self.plan.step(ix).id.clone();
        self.record(events, now, StepFailed { step, attempt, failure, then }.into());
    }

    /// The end of the wait that a step is parked at: by the signal that was kept in time, or by time.
    fn wait_over_by(&self, ix: Ix, at: Option<Timestamp>) -> WaitOver {
        let node = self.node(ix);
        let StepState::Parked { wait } = &node.state else {
            unreachable!("only a parked step has a wait that ends")
        };
        let step = &self.plan.step(ix).id;
        let signal = node.waits.get(wait).and_then(|w| w.signal.as_ref());
        let kept = self.signals.iter().find(|k| {
            Some(&k.signal) == signal
                && k.step.as_ref().is_none_or(|s| s == step)
                && at.is_none_or(|at| k.received_at <= at)
        });
        WaitOver {
            step: step.clone(),
            wait: wait.clone(),
            value: kept.map(|k| k.value.clone()),
            from: kept.map(|k| k.from.clone()),
            kept: kept.map(|k| k.seq),
        }
    }

    /// Signals that were kept while the run was paused reach the steps that wait for them.
    fn match_signals(&mut self, events: &mut Vec<Event>, now: Timestamp) {
        if self.is_held() || self.signals.is_empty() {
            return;
        }
        for ix in self.sets.parked.clone() {
            if !self.is_active(ix) {
                continue;
            }
            let until = self.node(ix).timer;
            let over = self.wait_over_by(ix, until);
            if over.kept.is_some() {
                self.record(events, now, over.into());
            }
        }
    }

    fn running_now(&self) -> usize {
        self.sets.running.len() + self.live.asked.len()
    }

    /// Starts what is ready, as far as the plan's parallelism allows.
    fn start_ready(&mut self, events: &mut Vec<Event>, now: Timestamp) {
        if self.is_held() || self.active().is_none() {
            return;
        }
        let most = self.plan.record().parallel as usize;
        while self.running_now() < most {
            let retry = self.live.due.iter().find(|(t, ix)| {
                *t == Timer::StepState
                    && matches!(self.node(*ix).state, StepState::Backoff { .. })
                    && self.is_free(*ix)
            });
            let fresh = self.sets.ready.iter().find(|ix| self.is_free(**ix)).copied();
            let Some(ix) = retry.map(|(_, ix)| *ix).or(fresh) else { return };
            self.start(events, now, ix);
            if self.active().is_none() {
                return;
            }
        }
    }

    fn is_free(&self, ix: Ix) -> bool {
        !self.live.asked.contains(&ix)
    }

    fn start(&mut self, events: &mut Vec<Event>, now: Timestamp, ix: Ix) {
        let plan = self.plan.clone();
        let step = plan.step(ix);
        let node = self.node(ix);
        if node.state == StepState::Ready {
            match self.may_run(ix) {
                Ok(()) => {}
                Err(Found::Unreadable(of, failure)) => {
                    let text = format!("it reads the output of {of}, which cannot be read");
                    let failure =
                        Failure::new(FailureKind::NeedsOperator, text).caused_by(failure.to_string());
                    let then = self.rest_or_fail(ix);
                    return self.fail_event(events, now, ix, failure, then);
                }
                Err(found) => {
                    let why = match found {
                        Found::Skipped(of) => SkipWhy::Reads { step: of },
                        _ => SkipWhy::Condition,
                    };
                    return self.record(events, now, StepSkipped { step: step.id.clone(), why }.into());
                }
            }
        }
        if step.methods.before && self.node(ix).before.is_none() {
            self.live.asked.insert(ix);
            self.live.actions.push(Action::TakeBefore(step.id.clone()));
            return;
        }
        let attempt = self.node(ix).attempt.next();
        self.record(events, now, StepStarted { step: step.id.clone(), attempt, before: None }.into());
    }

    /// Whether what a step reads is there and its condition holds; `Found::Value` when the condition does not.
    fn may_run(&self, ix: Ix) -> Result<(), Found> {
        let step = self.plan.step(ix);
        let mut groups: Vec<(u16, Option<StepId>, bool)> = Vec::new();
        for read in &step.reads {
            let found = self.find_output(&read.step, "");
            match (read.mode, found) {
                (_, unreadable @ Found::Unreadable(..)) => return Err(unreadable),
                (ReadMode::Required, skipped @ Found::Skipped(_)) => return Err(skipped),
                (ReadMode::Required | ReadMode::OrNone, _) => {}
                (ReadMode::FirstOf(group), found) => {
                    let there = matches!(found, Found::Value(_));
                    match groups.iter_mut().find(|(g, ..)| *g == group) {
                        Some((.., any)) => *any |= there,
                        None => groups.push((group, Some(read.step.clone()), there)),
                    }
                }
            }
        }
        if let Some((_, Some(step), _)) = groups.into_iter().find(|(.., any)| !any) {
            return Err(Found::Skipped(step));
        }
        match step.when.as_ref().map(|when| self.holds(when)) {
            None | Some(Ok(true)) => Ok(()),
            Some(Ok(false)) => Err(Found::Value(towpath_model::Json::null())),
            Some(Err(found)) => Err(found),
        }
    }

    /// Undoes what has its turn: the latest intent first.
    fn start_undoing(&mut self, events: &mut Vec<Event>, now: Timestamp) {
        if self.is_held() || self.phase != Phase::Unwinding {
            return;
        }
        let record = self.plan.record();
        let most = if record.unwind_one_at_a_time { 1 } else { record.parallel as usize };
        while self.sets.undo_running.len() < most {
            let retry = self.live.due.iter().find(|(t, _)| *t == Timer::Undo).map(|(_, ix)| *ix);
            let Some(ix) = retry.or_else(|| self.sets.undo_ready.first().map(|(_, ix)| *ix)) else { return };
            let step = self.plan.step(ix);
            let id = step.id.clone();
            let node = self.node(ix);
            let event: Event =
                if step.undo == UndoPolicy::Ask && !node.undo_confirmed && node.undo == UndoState::Ready {
                    CompensationAsked { step: id }.into()
                } else {
                    CompensationStarted { step: id, attempt: node.undo_attempt.next() }.into()
                };
            self.record(events, now, event);
        }
    }

    fn next_phase(&mut self, events: &mut Vec<Event>, now: Timestamp) {
        match self.phase {
            Phase::Draining if self.sets.running.is_empty() => {
                let plan = self.plan.clone();
                let undo = self.will_unwind() && (0..plan.len() as Ix).any(|ix| self.needs_undo(ix));
                let event = match self.leaving.clone() {
                    Some(Leaving::For { why, .. }) if undo => UnwindStarted { why }.into(),
                    _ => Unwound {}.into(),
                };
                self.record(events, now, event);
            }
            Phase::Unwinding if self.sets.undo_open == 0 => self.record(events, now, Unwound {}.into()),
            Phase::OnFailure | Phase::Finally if self.cut_short && self.sets.running.is_empty() => {
                let settled = self.settle();
                self.record(events, now, settled.into());
            }
            Phase::Finally if self.sets.open[2] == 0 => {
                let settled = self.settle();
                self.record(events, now, settled.into());
            }
            _ => {}
        }
    }

    /// Makes the state ready to be driven by this process, after it was folded from a journal: what was under way in
    /// another process is asked about, entered again, or put before an operator. The next
    /// [`decide`](Self::decide) tells.
    pub fn recover(&mut self) {
        let held = self.live.held;
        self.live = crate::state::Live { rematch: true, held, ..Default::default() };
        if self.phase == Phase::Settled {
            return;
        }
        for ix in self.sets.running.clone() {
            let step = self.plan.step(ix);
            let (id, attempt) = (step.id.clone(), self.node(ix).attempt);
            if !self.is_active(ix) {
                let event = self.died(ix);
                self.live.owed.push(event);
                continue;
            }
            match step.in_doubt {
                InDoubt::NoEffect | InDoubt::Idempotent => self.live.actions.push(Action::Enter(id, attempt)),
                InDoubt::Observe => self.ask_world(ix),
                InDoubt::AskOperator => {
                    let event = self.died(ix);
                    self.live.owed.push(event);
                }
            }
        }
        for ix in self.sets.in_doubt.clone() {
            let asks = match self.node(ix).state {
                StepState::InDoubt { again: None, answered: false, .. } => self.is_active(ix),
                _ => false,
            };
            if asks || self.node(ix).undo == UndoState::Observing {
                self.ask_world(ix);
            }
        }
        for ix in self.sets.undo_running.clone() {
            let attempt = self.node(ix).undo_attempt;
            self.live.actions.push(Action::Compensate(self.plan.step(ix).id.clone(), attempt));
        }
    }
}
