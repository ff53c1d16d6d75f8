//! Why a run is not moving.

use crate::{Ix, Phase, RunState, StepState, UndoState, state::Paused};
use std::fmt;
use towpath_model::{Name, RunId, StepId, Timestamp};

/// Most items of a step that an explanation names.
const ITEMS_NAMED: usize = 20;

/// Why a run does not move, and who can move it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// What the run does or waits for as a whole.
    pub summary: String,
    /// Everything that it waits for.
    pub waits: Vec<Wait>,
    /// The verbs that apply.
    pub verbs: Vec<&'static str>,
}

/// One thing that a run waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wait {
    /// The step that waits, if it is a step.
    pub step: Option<StepId>,
    /// What for.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// Who or what can move it.
    pub mover: Mover,
}

/// Who or what can move a run on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mover {
    /// A worker that runs the body.
    Worker,
    /// Time.
    Time(Timestamp),
    /// Somebody who sends this signal, or decides about this step.
    Signal {
        /// The arguments of the command that does it, joined by spaces and not quoted for a shell.
        command: String,
        /// When time moves it instead.
        or_at: Option<Timestamp>,
    },
    /// An operator with one of these verbs.
    Operator(Vec<&'static str>),
    /// Runs that are items of the step: the first of those that are under way.
    Items(Vec<RunId>),
    /// Whoever holds these locks gives them back.
    Locks(Vec<Name>),
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)?;
        for wait in &self.waits {
            f.write_str("\n  ")?;
            if let Some(step) = &wait.step {
                write!(f, "{step} ")?;
            }
            write!(f, "{} since {}; ", wait.what, wait.since)?;
            match &wait.mover {
                Mover::Worker => f.write_str("a worker moves it on")?,
                Mover::Time(at) => write!(f, "it goes on at {at}")?,
                Mover::Signal { command, or_at: None } => write!(f, "`towpath {command}` moves it on")?,
                Mover::Signal { command, or_at: Some(at) } => {
                    write!(f, "`towpath {command}` moves it on, or it goes on at {at}")?;
                }
                Mover::Items(_) => f.write_str("they move it on")?,
                Mover::Locks(_) => f.write_str("it goes on when it holds them all")?,
                Mover::Operator(verbs) => write!(f, "an operator moves it on: {}", verbs.join(", "))?,
            }
        }
        Ok(())
    }
}

impl RunState {
    /// Says why the run does not move: what it waits for, since when, and who can move it, with which command.
    pub fn explain(&self) -> Explanation {
        let mut waits: Vec<Wait> =
            (0..self.plan.len() as Ix).filter_map(|ix| self.explain_step(ix)).collect();
        let whole = |what: &str, since, verbs| Wait {
            step: None,
            what: what.into(),
            since,
            mover: Mover::Operator(verbs),
        };
        waits.extend(self.explain_locks());
        if let Some(Paused { since, by, reason }) = &self.paused {
            let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            waits.push(whole(&format!("{by} has paused the run{why}"), *since, vec!["resume"]));
        }
        if self.is_overfull() {
            waits.push(whole("the journal is full", self.time, self.verbs_to_end()));
        }
        Explanation { summary: self.summary(), waits, verbs: self.verbs() }
    }

    fn summary(&self) -> String {
        match (self.phase, &self.outcome) {
            (_, Some(outcome)) => format!("the run has settled: {outcome}"),
            (Phase::Forward, _) => format!("the run is {}", self.status()),
            (Phase::Draining, _) => "the run comes to a stop: what still runs is asked to end".into(),
            (Phase::Unwinding, _) => "the run undoes what it did".into(),
            (Phase::OnFailure, _) => "the run has failed: its on_failure steps have their turn".into(),
            (Phase::Finally, _) => "the run is at its end: its finally steps have their turn".into(),
            (Phase::Settled, None) => "the run has settled".into(),
        }
    }

    fn explain_step(&self, ix: Ix) -> Option<Wait> {
        let node = self.node(ix);
        let id = self.plan.step(ix).id.clone();
        if self.phase == Phase::Settled {
            return None;
        }
        let (what, mover) = match self.phase {
            Phase::Unwinding => self.explain_undo(ix)?,
            Phase::Draining if self.has_open_items(ix) => self.explain_items(ix),
            _ if self.is_active(ix) || self.sets.running.contains(&ix) => self.explain_state(ix, &id)?,
            _ => return None,
        };
        Some(Wait { step: Some(id), what, since: node.since, mover })
    }

    fn explain_undo(&self, ix: Ix) -> Option<(String, Mover)> {
        Some(match &self.node(ix).undo {
            _ if self.live.shut_out.contains(&ix) => return None,
            UndoState::Running if self.is_undone_by_items(ix) => self.explain_items(ix),
            UndoState::Running => ("is being undone".into(), Mover::Worker),
            UndoState::Observing => ("is looked at before it is undone".into(), Mover::Worker),
            UndoState::Backoff { at } => ("could not be undone yet".into(), Mover::Time(*at)),
            UndoState::Stuck { failure } => {
                (format!("could not be undone: {failure}"), Mover::Operator(self.verbs_of(ix).to_vec()))
            }
            UndoState::Asked => {
                ("asks whether to be undone".into(), Mover::Operator(self.verbs_of(ix).to_vec()))
            }
            _ => return None,
        })
    }

    fn explain_state(&self, ix: Ix, id: &StepId) -> Option<(String, Mover)> {
        let node = self.node(ix);
        Some(match &node.state {
            // What its locks keep back is told once for all of them.
            _ if self.live.shut_out.contains(&ix) => return None,
            StepState::Ready if self.is_locked_out(ix) => return None,
            StepState::Ready => ("may start".into(), Mover::Worker),
            StepState::Items if self.live.gathering.contains(&ix) => {
                ("puts together what its items gave back".into(), Mover::Worker)
            }
            StepState::Items if self.is_locked_out(ix) && !self.has_open_items(ix) => return None,
            StepState::Items => self.explain_items(ix),
            StepState::Running if self.phase == Phase::Draining => {
                (format!("is asked to stop, attempt {}", node.attempt), Mover::Worker)
            }
            StepState::Running => (format!("runs, attempt {}", node.attempt), Mover::Worker),
            StepState::Parked { wait } => {
                let (until, signal) =
                    node.open_wait().map_or((None, None), |(_, w)| (w.until, w.signal.as_ref()));
                self.explain_wait(id, wait, until, signal)
            }
            StepState::Backoff { at } => {
                let why = node.last_failure.as_ref().map(|f| format!(" after: {f}")).unwrap_or_default();
                (format!("is to be tried again{why}"), Mover::Time(*at))
            }
            StepState::InDoubt { ended, again: Some(at), .. } => {
                (format!("is in doubt, because {ended}, and is looked at again"), Mover::Time(*at))
            }
            StepState::InDoubt { ended, .. } => {
                (format!("is in doubt, because {ended}, and is looked at"), Mover::Worker)
            }
            StepState::Resting(rest) => {
                (format!("rests: {rest}"), Mover::Operator(self.verbs_of(ix).to_vec()))
            }
            StepState::Pending
            | StepState::Done { .. }
            | StepState::Failed { .. }
            | StepState::Skipped { .. } => return None,
        })
    }

    fn explain_items(&self, ix: Ix) -> (String, Mover) {
        let (step, phase) = (&self.plan.step(ix).id, self.phase);
        let Some(items) = self.node(ix).items() else { return ("has no items".into(), Mover::Worker) };
        let (open, count) = (items.open.len(), items.count());
        if open == 0 {
            return (format!("has {count} items, of which none is under way"), Mover::Worker);
        }
        let what = match phase {
            Phase::Draining => format!("waits for {open} of its {count} items, which were asked to stop"),
            Phase::Unwinding => format!("waits for {open} of its {count} items, which undo what they did"),
            _ => format!("waits for its {count} items: {} are done, {open} are under way", items.done),
        };
        let runs = items.open().take(ITEMS_NAMED).filter_map(|index| items.run(self.run, step, index));
        (what, Mover::Items(runs.collect()))
    }

    fn explain_wait(
        &self,
        id: &StepId,
        wait: &Name,
        until: Option<Timestamp>,
        signal: Option<&Name>,
    ) -> (String, Mover) {
        let run = self.run;
        match (signal, until) {
            (Some(signal), or_at) => {
                let command = if signal.as_str() == "approval" {
                    format!("approve {run} {id}")
                } else {
                    format!("signal {run} {signal} --step {id}")
                };
                (format!("waits for the signal {signal}"), Mover::Signal { command, or_at })
            }
            (None, Some(at)) => (format!("sleeps ({wait})"), Mover::Time(at)),
            (None, None) => (format!("sleeps ({wait})"), Mover::Worker),
        }
    }
}
