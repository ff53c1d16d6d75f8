//! The clocks of one machine.

use std::time::Duration;
use tokio::time::Instant;
use towpath_model::Timestamp;

/// Now, by the machine's wall clock: what states and windows are told by. Spans are measured by the monotonic clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a provider is the outside world: its clock is the machine's own"
)]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Resolves when this time has passed.
pub(crate) async fn after(time: Duration) {
    tokio::time::sleep_until(Instant::now() + time).await;
}

/// Whole milliseconds.
pub(crate) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
