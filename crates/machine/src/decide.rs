//! What follows from the state.

use crate::{
    Action, Decision, Ix, Leaving, Phase, RunState, StepState, UndoState,
    state::{Kept, Live, Timer},
    state_of::Found,
    work::work,
};
use towpath_model::{
    CompensationAsked, CompensationStarted, DeadlinePassed, Ended, Event, Failure, FailureKind, InDoubt,
    Name, ReadMode, Section, SkipWhy, StepFailed, StepId, StepSkipped, StepStarted, Then, Timestamp,
    UndoPolicy, UnwindStarted, Unwound, WaitOver,
};

impl RunState {
    /// Says what follows at this time: events, which are folded already, and what to do once they are durable.
    ///
    /// To be called after everything that came in was [taken](Self::take), and at every [wake](Self::wake). Costs what
    /// changed, not what there is.
    pub fn decide(&mut self, now: Timestamp) -> Decision {
        let now = now.max(self.time);
        self.live.driven = true;
        let mut events = Vec::new();
        self.put_in_doubt(&mut events, now);
        self.rematch();
        self.fire(&mut events, now, |at| at <= now);
        loop {
            let before = self.seq;
            self.put_in_doubt(&mut events, now);
            self.return_locks(&mut events, now);
            self.start_steps(&mut events, now);
            self.start_items(&mut events, now);
            self.start_undoing(&mut events, now);
            self.undo_items(&mut events, now);
            self.return_locks(&mut events, now);
            self.next_phase(&mut events, now);
            if self.seq == before {
                break;
            }
        }
        let mut actions = std::mem::take(&mut self.live.actions);
        if self.is_held() {
            let (kept, given) = actions.into_iter().partition(|a| matches!(a, Action::Enter(..)));
            (self.live.actions, actions) = (kept, given);
        }
        let (starts, orders) = (std::mem::take(&mut self.live.starts), std::mem::take(&mut self.live.orders));
        let more = self.starts_more_items(starts.len());
        Decision { events, actions, starts, orders, more }
    }

    /// The earliest time at which [`decide`](Self::decide) has something to do, if a time is what it waits for.
    pub fn wake(&self) -> Option<Timestamp> {
        let timers = self.live.timers.first().map(|(at, ..)| *at);
        let timers = timers.filter(|_| !self.is_held() && !self.is_overfull());
        [timers, self.due_deadline()].into_iter().flatten().min()
    }

    /// When the run's time is over, as long as that matters.
    fn due_deadline(&self) -> Option<Timestamp> {
        self.deadline.filter(|_| self.phase == Phase::Forward && !self.is_held())
    }

    /// What nobody runs any more is in doubt.
    fn put_in_doubt(&mut self, events: &mut Vec<Event>, now: Timestamp) {
        while let Some((ix, ended)) = self.live.lost.pop_first() {
            if self.node(ix).state == StepState::Running {
                let lost = self.in_doubt(ix, ended, None, now);
                self.record(events, now, lost);
            }
        }
    }

    /// Fires every timer that is due. The run's own time limit comes first, and a limit before the wait that it covers:
    /// what has no time left is not begun any more, though it was due earlier.
    pub(crate) fn fire(
        &mut self,
        events: &mut Vec<Event>,
        now: Timestamp,
        is_due: impl Fn(Timestamp) -> bool,
    ) {
        if self.due_deadline().is_some_and(&is_due) {
            self.record(events, now, DeadlinePassed {}.into());
        }
        while !self.is_held() && !self.is_overfull() {
            let Some(&timer) = self.live.timers.first().filter(|(at, ..)| is_due(*at)) else { return };
            work(1);
            self.live.timers.remove(&timer);
            self.fire_one(events, now, timer.1, timer.2);
        }
    }

    fn fire_one(&mut self, events: &mut Vec<Event>, now: Timestamp, timer: Timer, ix: Ix) {
        match (timer, &self.node(ix).state) {
            (Timer::Undo, _) => drop(self.live.due_undo.insert(ix)),
            (Timer::State, StepState::Parked { .. }) => drop(self.live.due_waits.insert(ix)),
            (Timer::State, StepState::Backoff { .. }) => drop(self.live.due_tries.insert(ix)),
            (Timer::State, StepState::InDoubt { .. }) => self.ask_world(ix),
            (Timer::Within, StepState::Running) => self.expire(ix),
            (Timer::Within, StepState::Parked { .. } | StepState::Backoff { .. }) => {
                let text = "the time limit over all its attempts and waits passed";
                let failure = Failure::new(FailureKind::Permanent, text);
                let then = self.fail_or_rest(ix);
                self.fail_event(events, now, ix, failure, then);
            }
            (Timer::State | Timer::Within, _) => {}
        }
    }

    /// The time over all attempts of a step whose body runs is over.
    fn expire(&mut self, ix: Ix) {
        // What is being asked about is judged by its answer.
        if self.live.observing.contains(&ix) || self.live.lost.contains_key(&ix) {
            return;
        }
        if self.withdraw_entry(ix) {
            self.live.lost.insert(ix, Ended::TimedOut);
        } else {
            self.live.actions.push(Action::Expire(self.plan.step(ix).id.clone()));
        }
    }

    fn fail_event(&mut self, events: &mut Vec<Event>, now: Timestamp, ix: Ix, failure: Failure, then: Then) {
        let attempt = self.node(ix).attempt;
        let step = self.plan.step(ix).id.clone();
        self.record(events, now, StepFailed { step, attempt, failure, then }.into());
    }

    /// How the wait that a step is parked at is over: by a signal that was kept in time, or by time; `None` while it
    /// lasts.
    fn wait_over_of(&self, ix: Ix, now: Timestamp) -> Option<WaitOver> {
        let (wait, waiting) = self.node(ix).open_wait()?;
        let step = &self.plan.step(ix).id;
        let kept = self.kept_for(step, waiting.signal.as_ref(), waiting.until);
        if kept.is_none() && waiting.until.is_none_or(|until| until > now) {
            return None;
        }
        Some(WaitOver {
            step: step.clone(),
            wait: wait.clone(),
            value: kept.map(|k| k.value.clone()),
            from: kept.map(|k| k.from.clone()),
            kept: kept.map(|k| k.seq),
        })
    }

    /// The first signal that was kept and ends such a wait of a step.
    pub(crate) fn kept_for(
        &self,
        step: &StepId,
        signal: Option<&Name>,
        until: Option<Timestamp>,
    ) -> Option<&Kept> {
        self.signals.iter().find(|kept| {
            Some(&kept.signal) == signal
                && kept.step.as_ref().is_none_or(|s| s == step)
                && until.is_none_or(|until| kept.received_at <= until)
        })
    }

    /// Signals that were kept while nothing could begin reach the steps that wait for them. Costs O(waits), once after
    /// a pause or a recovery.
    fn rematch(&mut self) {
        if !self.live.rematch || self.starts_nothing() {
            return;
        }
        self.live.rematch = false;
        if !self.signals.is_empty() {
            work(self.sets.listeners.len());
            let listeners: Vec<Ix> = self.sets.listeners.iter().map(|(_, ix)| *ix).collect();
            listeners.into_iter().for_each(|ix| self.wait_is_due(ix));
        }
    }

    /// The wait of a parked step is to be looked at as soon as there is a place; its timer has nothing to add.
    pub(crate) fn wait_is_due(&mut self, ix: Ix) {
        if let Some(at) = self.node(ix).timer() {
            self.live.timers.remove(&(at, Timer::State, ix));
        }
        self.live.due_waits.insert(ix);
    }

    /// Whether there is a place for another body.
    pub(crate) fn has_place(&self) -> bool {
        let taken = self.sets.running.len() + self.live.asked.len();
        !self.starts_nothing() && taken < self.plan.record().parallel as usize
    }

    /// Starts what may start, as far as there is place: first what goes on after a wait, then what is tried again, then
    /// what is new.
    fn start_steps(&mut self, events: &mut Vec<Event>, now: Timestamp) {
        while self.active().is_some() && self.has_place() {
            work(1);
            if let Some(ix) = self.live.due_waits.pop_first() {
                match self.wait_over_of(ix, now) {
                    Some(_) if self.is_shut_out(events, now, ix) => {}
                    Some(over) => self.record(events, now, over.into()),
                    // Another step took the signal.
                    None => self.set_timers(ix),
                }
                continue;
            }
            let is_free = |ix: &&Ix| !self.live.asked.contains(ix);
            let again = self.live.due_tries.iter().find(is_free);
            let Some(ix) = again.or_else(|| self.sets.ready.iter().find(is_free)).copied() else { return };
            self.start(events, now, ix);
        }
    }

    fn start(&mut self, events: &mut Vec<Event>, now: Timestamp, ix: Ix) {
        let plan = self.plan.clone();
        let step = plan.step(ix);
        // What is skipped needs no lock; so what has not begun is looked at first.
        if self.node(ix).intent.is_none() {
            match self.may_run(ix) {
                Ok(()) => {}
                Err(Found::Unreadable(of, failure)) => {
                    let text = format!("it reads the output of {of}, which cannot be read");
                    let failure =
                        Failure::new(FailureKind::NeedsOperator, text).caused_by(failure.to_string());
                    let then = self.rest_or_fail(ix);
                    return self.fail_event(events, now, ix, failure, then);
                }
                // It may run: that was found when it was new, and what it reads does not change.
                Err(_) if self.node(ix).state != StepState::Ready => {}
                Err(found) => {
                    let why = match found {
                        Found::Skipped(of) => SkipWhy::Reads { step: of },
                        _ => SkipWhy::Condition,
                    };
                    return self.record(events, now, StepSkipped { step: step.id.clone(), why }.into());
                }
            }
        }
        if self.is_shut_out(events, now, ix) {
            return;
        }
        if self.plan.for_each(ix).is_some() && self.node(ix).items.is_none() {
            self.live.asked.insert(ix);
            self.live.actions.push(Action::List(step.id.clone()));
            return;
        }
        if step.methods.before && self.node(ix).before.is_none() {
            self.live.asked.insert(ix);
            self.live.actions.push(Action::TakeBefore(step.id.clone()));
            return;
        }
        let attempt = self.node(ix).attempt.next();
        self.record(events, now, StepStarted { step: step.id.clone(), attempt, before: None }.into());
    }

    /// Whether a step that is due has to wait for its locks: then they are asked for.
    fn is_shut_out(&mut self, events: &mut Vec<Event>, now: Timestamp, ix: Ix) -> bool {
        if !self.ask_for(events, now, ix) {
            return false;
        }
        let was_due = self.live.due_tries.remove(&ix) | self.live.due_undo.remove(&ix);
        if was_due || matches!(self.node(ix).state, StepState::Parked { .. }) {
            self.live.shut_out.insert(ix);
        }
        true
    }

    /// Whether what a step reads is there and its condition holds; `Found::Value` when the condition does not.
    fn may_run(&self, ix: Ix) -> Result<(), Found> {
        let step = self.plan.step(ix);
        let mut groups: Vec<(u16, Option<StepId>, bool)> = Vec::new();
        work(step.reads.len());
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
            work(1);
            let again = self.live.due_undo.first().copied();
            let Some(ix) = again.or_else(|| self.sets.undo_ready.first().map(|(_, ix)| *ix)) else { return };
            if self.is_shut_out(events, now, ix) {
                continue;
            }
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
        let settles = match self.phase {
            Phase::Draining if self.sets.running.is_empty() && self.sets.items_open.is_empty() => {
                let event = self.drained();
                return self.record(events, now, event);
            }
            Phase::Unwinding if self.sets.undo_open == 0 => {
                return self.record(events, now, Unwound {}.into());
            }
            Phase::Settled => {
                if let Some(event) = self.begin_recall() {
                    self.record(events, now, event);
                }
                return;
            }
            Phase::Finally => {
                self.sets.open[Section::Finally as usize] == 0
                    || (self.cut_short && self.sets.running.is_empty())
            }
            _ => false,
        };
        if settles {
            let settled = self.settle();
            self.record(events, now, settled.into());
        }
    }

    /// What follows when everything is at rest. Costs O(steps), once.
    fn drained(&self) -> Event {
        work(self.plan.len());
        let mut steps = 0..self.plan.len() as Ix;
        match &self.leaving {
            Some(Leaving::For { why, unwind: true }) if steps.any(|ix| self.needs_undo(ix)) => {
                UnwindStarted { why: why.clone() }.into()
            }
            _ => Unwound {}.into(),
        }
    }

    /// Makes the state ready to be driven by this process, after it was folded from a journal: what was under way in
    /// another process is asked about, entered again, or put before an operator. The next
    /// [`decide`](Self::decide) tells. Costs O(steps).
    pub fn recover(&mut self) {
        self.live = Live { rematch: true, driven: true, held: self.live.held, ..Live::default() };
        if self.phase == Phase::Settled {
            return;
        }
        for ix in 0..self.plan.len() as Ix {
            if self.is_active(ix) {
                self.set_timers(ix);
            }
            match self.node(ix).state {
                StepState::Running => self.recover_body(ix),
                StepState::InDoubt { again: None, answered: false, .. } if self.is_active(ix) => {
                    self.ask_world(ix);
                }
                _ => {}
            }
            self.gather(ix);
            match self.node(ix).undo {
                UndoState::Observing => self.ask_world(ix),
                UndoState::Running if self.is_undone_by_items(ix) => {}
                UndoState::Running => {
                    let (id, attempt) = (self.plan.step(ix).id.clone(), self.node(ix).undo_attempt);
                    self.live.actions.push(Action::Compensate(id, attempt));
                }
                UndoState::Backoff { at } => drop(self.live.timers.insert((at, Timer::Undo, ix))),
                _ => {}
            }
        }
    }

    /// A body that ran in a process that is gone.
    fn recover_body(&mut self, ix: Ix) {
        let step = self.plan.step(ix);
        match step.in_doubt {
            _ if !self.is_active(ix) => drop(self.live.lost.insert(ix, Ended::Died)),
            InDoubt::NoEffect | InDoubt::Idempotent => {
                self.live.actions.push(Action::Enter(step.id.clone(), self.node(ix).attempt));
            }
            InDoubt::Observe => self.ask_world(ix),
            InDoubt::AskOperator => drop(self.live.lost.insert(ix, Ended::Died)),
        }
    }
}
