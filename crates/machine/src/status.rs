//! Where a run stands, for lists.

use crate::{Phase, RunState, StepState};
use towpath_model::{Listing, Status};

impl RunState {
    /// Where the run stands, in one word.
    pub fn status(&self) -> Status {
        if self.phase == Phase::Settled {
            Status::Settled
        } else if self.is_stuck() {
            Status::Stuck
        } else if self.paused {
            Status::Paused
        } else if matches!(self.phase, Phase::Draining | Phase::Unwinding) {
            Status::Unwinding
        } else if self.is_waiting() {
            Status::Waiting
        } else {
            Status::Running
        }
    }

    fn is_waiting(&self) -> bool {
        self.sets.running.is_empty()
            && self.sets.ready.is_empty()
            && self.sets.backoff == 0
            && !self.sets.parked.is_empty()
            && self.sets.in_doubt.is_empty()
    }

    /// The run's row in lists.
    pub fn listing(&self) -> Listing {
        let status = self.status();
        Listing { status, note: self.note(status), outcome: self.outcome.clone() }
    }

    fn note(&self, status: Status) -> String {
        match status {
            Status::Stuck if self.is_full() => "the journal is full".into(),
            Status::Stuck => {
                let ids: Vec<_> = self.ids(self.resting()).map(|id| id.as_str()).collect();
                format!("an operator has to decide about {}", ids.join(", "))
            }
            Status::Waiting => {
                let waits: Vec<_> = self
                    .sets
                    .parked
                    .iter()
                    .filter_map(|ix| match &self.node(*ix).state {
                        StepState::Parked { wait } => Some(format!("{}: {wait}", self.plan.step(*ix).id)),
                        _ => None,
                    })
                    .take(4)
                    .collect();
                waits.join(", ")
            }
            _ => String::new(),
        }
    }
}
