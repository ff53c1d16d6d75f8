//! Whether somebody still waits for the answer.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Raised when nobody waits for the answer any more. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    pub(super) fn is_raised(&self) -> bool {
        *self.flag()
    }

    /// Waits this long, or until it is raised.
    pub(super) fn wait(&self, time: Duration) {
        let _ = self.0.1.wait_timeout_while(self.flag(), time, |raised| !*raised);
    }

    fn flag(&self) -> MutexGuard<'_, bool> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Raises it when it is dropped.
pub(super) struct Wanted(pub(super) Stop);

impl Drop for Wanted {
    fn drop(&mut self) {
        *self.0.flag() = true;
        self.0.0.1.notify_all();
    }
}
