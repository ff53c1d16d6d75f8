//! Waiting: the one place where the engine sleeps.

use crate::config::CLOCK_STEP;
use std::time::Duration;
use tokio::time::Instant;
use towpath_model::Timestamp;
use towpath_store::Clock;

/// The moment at which to look at the wall clock again, when something is due at `at`.
///
/// Never further away than [`CLOCK_STEP`]: a suspended machine or a stepped clock is noticed by then.
pub(crate) fn look_at(clock: &dyn Clock, at: Timestamp) -> Instant {
    Instant::now() + at.since(clock.now()).min(CLOCK_STEP)
}

/// Waits until a moment of the monotonic clock; for ever, without one.
pub(crate) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Delays that double, for trying again.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Backoff { next: Duration::from_millis(20), most: Duration::from_secs(1) }
    }

    /// Waits, longer each time.
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep_until(Instant::now() + self.next).await;
        self.next = (self.next * 2).min(self.most);
    }
}
