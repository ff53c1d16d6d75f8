//! Times as plans store them.

use std::time::Duration;

/// Whole milliseconds, rounded up, and held to what plans can store.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).min(1 << 53)
}
