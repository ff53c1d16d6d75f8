//! Virtual time.

use tokio::time::Instant;
use towpath_model::Timestamp;
use towpath_store::Clock;

/// A clock that follows tokio's time: in a test with `start_paused` it jumps to the next timer whenever everything
/// waits.
///
/// ```
/// use std::time::Duration;
/// use towpath_store::Clock;
/// use towpath_testkit::VirtualClock;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
/// let clock = VirtualClock::new();
/// let before = clock.now();
/// tokio::time::advance(Duration::from_secs(3_600)).await;
/// assert_eq!(clock.now().since(before), Duration::from_secs(3_600));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct VirtualClock {
    start: Instant,
    base: Timestamp,
}

impl VirtualClock {
    /// A clock that begins on 2030-01-01, a moment that no test meets by accident.
    pub fn new() -> Self {
        VirtualClock::starting_at(Timestamp::from_micros(1_893_456_000_000_000))
    }

    /// A clock that begins at this point in time.
    pub fn starting_at(base: Timestamp) -> Self {
        VirtualClock { start: Instant::now(), base }
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        VirtualClock::new()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.base.plus(self.start.elapsed())
    }
}
