//! Folding events.

use crate::{Ix, Leaving, Phase, RunState, locks::Locks, state::Kept, state::Paused, transitions::visit};
use std::{fmt, sync::Arc};
use towpath_model::{
    Event, EventKind, Outcome, RunSettled, RunStarted, Section, Seq, SignalKept, StepId, Timestamp, Verb,
    VerbAnswered, Why,
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

pub(crate) type Fold = Result<(), CorruptKind>;

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
            self.live.starts.clear();
            self.live.orders.clear();
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
        let after_the_end = match event {
            Event::Redacted(_) | Event::ParentOrdered(_) | Event::VerbAnswered(_) => true,
            Event::UnwindStarted(_) => self.recalled,
            // It was recalled when nobody could fold it, and given up.
            Event::RunSettled(e) => self.below.is_some() && matches!(e.outcome, Outcome::Abandoned { .. }),
            _ => false,
        };
        if self.phase == Phase::Settled && !after_the_end {
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
            Event::ItemsListed(e) => self.items_listed(e),
            Event::SubRunsStarted(e) => self.sub_runs_started(e),
            Event::SubRunSettled(e) => self.sub_run_settled(e),
            Event::SubRunsUnwinding(e) => self.sub_runs_unwinding(e),
            Event::ParentOrdered(e) => self.parent_ordered(e),
            Event::LocksAsked(e) => self.locks_asked(e),
            Event::LocksTaken(e) => self.locks_taken(e),
            Event::LocksReturned(e) => self.locks_returned(e),
            Event::PlanReplaced(_) | Event::Imported(_) => Err(CorruptKind::NotDriven),
        }
    }

    pub(crate) fn ix(&self, step: &StepId) -> Result<Ix, CorruptKind> {
        self.plan.find(step).ok_or_else(|| CorruptKind::NoStep(step.clone()))
    }

    fn run_started(&mut self, e: &RunStarted) -> Fold {
        self.values = Arc::new(e.values.clone());
        self.deadline = e.deadline;
        self.below.clone_from(&e.parent);
        if self.below.is_some() {
            self.locks = Locks::of_item(e.fencing.clone());
        }
        self.open_section(Section::Main);
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
        if e.refused.is_some() || self.phase == Phase::Settled {
            return Ok(());
        }
        match &e.verb {
            Verb::Pause => {
                let (since, by, reason) = (self.time, e.by.clone(), e.reason.clone());
                self.paused.get_or_insert(Paused { since, by, reason });
            }
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
            Verb::Retry { .. }
            | Verb::Skip { .. }
            | Verb::Resolve { .. }
            | Verb::Handback { .. }
            | Verb::ReleaseLock { .. } => {}
        }
        Ok(())
    }

    pub(crate) fn resume(&mut self) {
        self.live.rematch |= self.paused.is_some();
        self.paused = None;
    }

    /// A run that nobody could fold may have been given up wherever it stood, and one that waited superseded.
    fn run_settled(&mut self, e: &RunSettled) -> Fold {
        let anywhere = matches!(e.outcome, Outcome::Abandoned { .. } | Outcome::Superseded { .. });
        if self.phase != Phase::Finally && !anywhere {
            return Err(illegal("the run is not at its end"));
        }
        if self.phase == Phase::Settled {
            self.recalled = false;
        } else {
            self.close_section();
            self.set_phase(Phase::Settled);
        }
        self.outcome = Some(e.outcome.clone());
        self.live.observing.clear();
        // The store takes back what a run holds that is over.
        self.end_locks();
        Ok(())
    }
}
