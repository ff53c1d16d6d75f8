//! What became of runs while somebody has them driven.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use towpath_model::RunId;

/// How a run left memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Left {
    /// It is over, and succeeded.
    Succeeded,
    /// It is over, and did not succeed.
    Failed,
    /// It waits: for a time, a signal, a resume.
    Parked,
    /// An operator has to decide, or it cannot be folded.
    Stuck,
    /// It waits for a worker that knows its kinds.
    Blocked,
    /// Somebody else drives it, or will.
    Lost,
}

/// The last that is known of each run that was driven, while somebody counts.
#[derive(Default)]
pub(crate) struct Tally {
    counting: AtomicUsize,
    runs: Mutex<HashMap<RunId, Left>>,
}

impl Tally {
    /// Begins to count; true for the first who does.
    pub(crate) fn begin(&self) {
        if self.counting.fetch_add(1, Ordering::AcqRel) == 0 {
            self.runs.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Ends counting.
    pub(crate) fn end(&self) {
        self.counting.fetch_sub(1, Ordering::AcqRel);
    }

    /// A run is driven on: how it left before is over.
    pub(crate) fn entered(&self, run: RunId) {
        if self.counting.load(Ordering::Acquire) > 0 {
            self.runs.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
        }
    }

    pub(crate) fn left(&self, run: RunId, left: Left) {
        if left != Left::Lost && self.counting.load(Ordering::Acquire) > 0 {
            self.runs.lock().unwrap_or_else(PoisonError::into_inner).insert(run, left);
        }
    }

    /// How many runs left in a way.
    pub(crate) fn count(&self, left: Left) -> usize {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).values().filter(|l| **l == left).count()
    }
}
