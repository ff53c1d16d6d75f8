//! Retry policies as data.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often and how far apart a step is tried again.
///
/// The delay before attempt n+1 is drawn from zero up to `initial × factor^(n−1)`, at most `max` ("full jitter": Marc
/// Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). The draw is a function of run, step and
/// attempt, so that a run decides the same wherever it is driven, and the time is journaled before the wait begins.
///
/// ```
/// use towpath_model::RetryPolicy;
/// use std::time::Duration;
/// let policy = RetryPolicy { attempts_max: 3, ..RetryPolicy::default() };
/// assert_eq!(policy.ceiling(1), Duration::from_secs(1));
/// assert_eq!(policy.ceiling(2), Duration::from_secs(2));
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// Upper bound of the first delay, in milliseconds.
    pub initial_ms: u64,
    /// How much the bound grows from one attempt to the next, in percent: 200 doubles it.
    pub factor_percent: u32,
    /// Upper bound of every delay, in milliseconds.
    pub max_ms: u64,
    /// Attempts in all, the first included.
    pub attempts_max: u32,
    /// Whether a delay is drawn below its bound; without, it *is* the bound.
    pub jitter: bool,
}

impl Default for RetryPolicy {
    /// Five attempts, from one second, doubling up to one minute, with jitter.
    fn default() -> Self {
        RetryPolicy { initial_ms: 1_000, factor_percent: 200, max_ms: 60_000, attempts_max: 5, jitter: true }
    }
}

impl RetryPolicy {
    /// One attempt only.
    pub fn never() -> Self {
        RetryPolicy { attempts_max: 1, ..RetryPolicy::default() }
    }

    /// The default policy of questions about steps in doubt: about five minutes of asking.
    pub fn observing() -> Self {
        RetryPolicy { attempts_max: 12, ..RetryPolicy::default() }
    }

    /// `attempts` attempts with a fixed delay between them and no jitter.
    pub fn fixed(attempts: u32, delay: Duration) -> Self {
        let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        RetryPolicy { initial_ms: ms, factor_percent: 100, max_ms: ms, attempts_max: attempts, jitter: false }
    }

    /// Upper bound of the delay after `attempt` (numbered from 1).
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let mut ms = u128::from(self.initial_ms);
        for _ in 1..attempt {
            ms = ms * u128::from(self.factor_percent) / 100;
            if ms >= u128::from(self.max_ms) || ms == 0 {
                break;
            }
        }
        Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX).min(self.max_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_grow_to_the_maximum_and_never_overflow() {
        let p = RetryPolicy::default();
        let secs: Vec<_> = (1..=8).map(|n| p.ceiling(n).as_secs()).collect();
        assert_eq!(secs, [1, 2, 4, 8, 16, 32, 60, 60]);
        let wild = RetryPolicy { initial_ms: u64::MAX, factor_percent: u32::MAX, max_ms: u64::MAX, ..p };
        assert_eq!(wild.ceiling(u32::MAX), Duration::from_millis(u64::MAX));
    }
}
