//! Writers of other processes, and how nobody starves.
//!
//! SQLite's own waiting is not fair: beside a process that commits without a pause, another gets the database only by
//! luck. So whoever finds it busy holds a lock on a file beside it while it waits, and whoever is about to commit
//! again looks at that lock first and steps aside for a moment.

use crate::nap::Nap;
use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
    time::Duration,
};

/// How long a writer steps aside at most; one that was stopped while it waited must not stop everybody.
const ASIDE: Duration = Duration::from_millis(5);

/// How often a waiting writer looks.
pub(crate) const PAUSE: Duration = Duration::from_micros(200);

#[derive(Debug)]
pub(crate) struct Want {
    file: File,
    nap: Nap,
    is_held: bool,
}

impl Want {
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Want { file, nap: Nap::default(), is_held: false })
    }

    /// Lets a writer that waits go first; whether one did.
    pub(crate) fn step_aside(&self) -> bool {
        if self.is_held || !self.is_wanted() {
            return false;
        }
        self.nap.until(ASIDE, PAUSE, || (!self.is_wanted()).then_some(()));
        true
    }

    /// Asks for the database until `look` has it, and keeps asking until [`done`](Self::done).
    pub(crate) fn wait<T>(&mut self, patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let Want { file, nap, is_held } = self;
        nap.until(patience, PAUSE, || {
            *is_held = *is_held || file.try_lock().is_ok();
            look()
        })
    }

    /// Stops asking.
    pub(crate) fn done(&mut self) {
        if std::mem::take(&mut self.is_held) {
            // Nothing can be done if it fails, and the others only step aside for a moment.
            drop(self.file.unlock());
        }
    }

    fn is_wanted(&self) -> bool {
        // Shared, so that two that look do not take each other for one that waits.
        match self.file.try_lock_shared() {
            Ok(()) => self.file.unlock().is_err(),
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        }
    }
}
