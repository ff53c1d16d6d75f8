//! Waiting a little for what the operating system does not tell.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Waits for other processes, whose locks cannot be awaited with a limit of time: looks, naps, looks again.
///
/// A nap is no [`std::thread::park_timeout`]: that would swallow what wakes a future which is polled on this thread.
#[derive(Debug, Default)]
pub(crate) struct Nap(Mutex<()>, Condvar);

impl Nap {
    /// Looks until there is something, at most for this long.
    pub(crate) fn until<T>(
        &self,
        patience: Duration,
        pause: Duration,
        mut look: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return Some(found);
            }
            if begun.elapsed() >= patience {
                return None;
            }
            let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.1.wait_timeout(guard, pause));
        }
    }
}
