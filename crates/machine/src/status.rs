//! Where a run stands, for lists.

use crate::{Phase, RunState};
use towpath_model::{Listing, Status};

impl RunState {
    /// Where the run stands, in one word.
    pub fn status(&self) -> Status {
        if self.phase == Phase::Settled {
            Status::Settled
        } else if self.is_stuck() {
            Status::Stuck
        } else if self.is_paused() {
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
        self.sets.moving == 0 && !(self.sets.parked.is_empty() && self.sets.locked.is_empty())
    }

    /// The run's row in lists.
    pub fn listing(&self) -> Listing {
        let status = self.status();
        Listing { status, note: self.note(status), outcome: self.outcome.clone() }
    }

    fn note(&self, status: Status) -> String {
        match status {
            Status::Stuck if self.is_overfull() => "the journal is full".into(),
            Status::Stuck => {
                let steps = self.resting().map(|ix| self.plan.step(ix).id.to_string());
                format!("an operator has to decide about {}", some_of(steps))
            }
            Status::Waiting => {
                let locks =
                    self.locks().filter(|lock| !lock.held).map(|lock| format!("the lock {}", lock.lock));
                some_of(locks.chain(self.sets.parked.iter().filter_map(|ix| {
                    let (wait, _) = self.node(*ix).open_wait()?;
                    Some(format!("{}: {wait}", self.plan.step(*ix).id))
                })))
            }
            _ => String::new(),
        }
    }
}

/// The first few, so that a row is short however many there are.
fn some_of(mut all: impl Iterator<Item = String>) -> String {
    const SHOWN: usize = 4;
    let mut text = all.by_ref().take(SHOWN).collect::<Vec<_>>().join(", ");
    if all.next().is_some() {
        text.push_str(", and more");
    }
    text
}
