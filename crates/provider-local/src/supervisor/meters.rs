//! How releases have answered: what callers ask by window, and what is told to Prometheus.

use super::proxy::Trouble;
use crate::time::now;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use towpath_model::Timestamp;
use towpath_provider::{Counts, Latency, ProviderError, Window};

/// Bounds of the histogram of latencies, in microseconds; above the last one, answers are counted without a bound.
pub(super) const BOUNDS_US: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

/// What a window is made of.
pub(crate) const RESOLUTION: Duration = Duration::from_millis(100);
/// How far back windows are told.
pub(crate) const KEEPS: Duration = Duration::from_secs(3_600);

/// How one service's releases have answered.
pub(super) struct Meters {
    since: Timestamp,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    releases: BTreeMap<String, Release>,
    troubles: BTreeMap<Trouble, u64>,
    again: u64,
}

#[derive(Default)]
struct Release {
    total: Sum,
    total_us: u64,
    /// What was answered within each span of the resolution in which something was, by its number since 1970.
    spans: VecDeque<(i64, Sum)>,
}

/// What was answered.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum {
    pub(super) requests: u64,
    pub(super) errors: u64,
    /// By bound, each answer in the first that holds it.
    within: [u64; BOUNDS_US.len()],
}

impl Sum {
    fn add(&mut self, latency_us: u64, is_error: bool) {
        self.requests += 1;
        self.errors += u64::from(is_error);
        if let Some(bound) = BOUNDS_US.iter().position(|bound| latency_us <= *bound) {
            self.within[bound] += 1;
        }
    }

    fn merge(&mut self, other: &Sum) {
        self.requests += other.requests;
        self.errors += other.errors;
        for (mine, more) in self.within.iter_mut().zip(other.within) {
            *mine += more;
        }
    }

    /// For each bound, how many answers took at most that long.
    pub(super) fn at_most(&self) -> Vec<(u64, u64)> {
        let mut sum = 0;
        let cumulated = BOUNDS_US.iter().zip(self.within).map(|(bound, n)| {
            sum += n;
            (*bound, sum)
        });
        cumulated.collect()
    }
}

/// What is told of a release since the supervisor has started.
pub(super) struct Told {
    pub(super) version: String,
    pub(super) sum: Sum,
    pub(super) seconds: f64,
}

fn span(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(RESOLUTION.as_micros() as i64)
}

impl Meters {
    /// Meters that know nothing of the time before now.
    pub(super) fn new() -> Self {
        Meters { since: now(), inner: Mutex::default() }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a request that a release has answered, or should have.
    pub(super) fn count(&self, version: &str, latency: Duration, is_error: bool) {
        self.count_at(now(), version, latency, is_error);
    }

    fn count_at(&self, at: Timestamp, version: &str, latency: Duration, is_error: bool) {
        let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.with(|inner| {
            if !inner.releases.contains_key(version) {
                inner.releases.insert(version.to_owned(), Release::default());
            }
            let release = inner.releases.get_mut(version).expect("it was just put there");
            release.total.add(latency_us, is_error);
            release.total_us = release.total_us.saturating_add(latency_us);
            // A clock that was set back counts on in the last span, so that they stay in order.
            let span = span(at).max(release.spans.back().map_or(i64::MIN, |(last, _)| *last));
            match release.spans.back_mut() {
                Some((last, sum)) if *last == span => sum.add(latency_us, is_error),
                _ => {
                    let mut sum = Sum::default();
                    sum.add(latency_us, is_error);
                    release.spans.push_back((span, sum));
                }
            }
            let oldest = span - (KEEPS.as_micros() / RESOLUTION.as_micros()) as i64;
            while release.spans.front().is_some_and(|(first, _)| *first < oldest) {
                release.spans.pop_front();
            }
        });
    }

    /// The proxy itself had to answer with a failure.
    pub(super) fn trouble(&self, trouble: Trouble) {
        self.with(|inner| *inner.troubles.entry(trouble).or_default() += 1);
    }

    /// A request was sent once more, to the same instance or to another one.
    pub(super) fn again(&self) {
        self.with(|inner| inner.again += 1);
    }

    /// How often the proxy itself had to answer with a failure, by reason.
    pub(super) fn troubles(&self) -> BTreeMap<Trouble, u64> {
        self.with(|inner| inner.troubles.clone())
    }

    /// How often a request was sent once more.
    pub(super) fn sent_again(&self) -> u64 {
        self.with(|inner| inner.again)
    }

    /// What there is to tell of each release.
    pub(super) fn told(&self) -> Vec<Told> {
        self.with(|inner| {
            let releases = inner.releases.iter().map(|(version, release)| Told {
                version: version.clone(),
                sum: release.total,
                seconds: release.total_us as f64 / 1e6,
            });
            releases.collect()
        })
    }

    /// How a release has answered within a window.
    pub(super) fn counts(&self, version: &str, window: Window) -> Result<Counts, ProviderError> {
        let oldest = now().as_micros() - KEEPS.as_micros() as i64;
        if window.from < self.since {
            return Err(ProviderError::unsupported(
                "what was answered before the supervisor started was not kept",
            )
            .with("from", window.from)
            .with("started", self.since));
        }
        if window.from.as_micros() < oldest {
            return Err(ProviderError::unsupported("answers are kept for an hour").with("from", window.from));
        }
        let (from, to) = (span(window.from), span(window.to));
        let sum = self.with(|inner| {
            let mut sum = Sum::default();
            let spans = inner.releases.get(version).map(|release| &release.spans);
            for (_, part) in spans.into_iter().flatten().filter(|(at, _)| (from..to).contains(at)) {
                sum.merge(part);
            }
            sum
        });
        let latency = Latency { at_most: sum.at_most() };
        Ok(Counts { requests: sum.requests, errors: sum.errors, latency })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(meters: &Meters, ms: u64) -> Timestamp {
        meters.since.plus(Duration::from_millis(ms))
    }

    proptest! {
        /// Whatever was answered when: windows that follow each other hold each answer once, and the histogram is that of a
        /// plain list.
        #[test]
        fn windows_partition_what_was_answered(
            answers in proptest::collection::vec((0u64..5_000, 0u64..20_000_000, any::<bool>()), 0..60),
            cut in 0u64..5_000
        ) {
            let meters = Meters::new();
            let mut answers = answers;
            answers.sort_unstable();
            for (ms, us, is_error) in &answers {
                meters.count_at(at(&meters, *ms), "1", Duration::from_micros(*us), *is_error);
            }
            let window = |from, to| Window { from: at(&meters, from), to: at(&meters, to) };
            let first = meters.counts("1", window(0, cut)).unwrap();
            let second = meters.counts("1", window(cut, 6_000)).unwrap();
            let both = meters.counts("1", window(0, 6_000)).unwrap();
            prop_assert_eq!(first.requests + second.requests, both.requests);
            prop_assert_eq!(both.requests, answers.len() as u64);
            prop_assert_eq!(both.errors, answers.iter().filter(|(.., is_error)| *is_error).count() as u64);
            for (bound, count) in both.latency.at_most {
                prop_assert_eq!(count, answers.iter().filter(|(_, us, _)| *us <= bound).count() as u64);
            }
        }
    }

    #[test]
    fn what_is_not_kept_is_not_told() {
        let meters = Meters::new();
        let window = Window { from: Timestamp::from_micros(meters.since.as_micros() - 1), to: now() };
        let error = meters.counts("1", window).unwrap_err();
        assert_eq!(error.kind(), towpath_provider::ProviderErrorKind::Unsupported);
        assert!(error.to_string().contains("before the supervisor started"), "{error}");
    }

    #[test]
    fn a_clock_that_is_set_back_loses_nothing() {
        let meters = Meters::new();
        for ms in [500, 900, 100] {
            meters.count_at(at(&meters, ms), "1", Duration::ZERO, false);
        }
        let window = Window { from: meters.since, to: at(&meters, 2_000) };
        assert_eq!(meters.counts("1", window).unwrap().requests, 3);
    }
}
