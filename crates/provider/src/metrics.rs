//! What tells how releases answer.

use crate::{Capability, ProviderError};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use towpath_model::Timestamp;

/// What tells how the releases of a service have answered.
#[async_trait]
pub trait MetricsSource: Send + Sync {
    /// What this source can do.
    fn capability(&self) -> MetricsCapability;

    /// How a release has answered within a window.
    ///
    /// # Contract
    /// - It changes nothing.
    /// - A release without requests in the window, or one that is not known, has counts of zero: that is no error.
    /// - Counts of a window that is over, and has been for the source's `lag`, stay the same when they are asked for again.
    /// - A window is taken as `[from, to)`, at the source's resolution.
    /// - A window that begins before what the source keeps is `Unsupported`; it never answers with less than was asked for.
    async fn counts(&self, service: &str, version: &str, window: Window) -> Result<Counts, ProviderError>;
}

/// A span of time, `[from, to)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Window {
    /// Its begin.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

/// How a release has answered.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that were answered, or should have been.
    pub requests: u64,
    /// Those of them that failed at the server: a status of 500 or above, no answer, or a broken one.
    pub errors: u64,
    /// How long answers took.
    pub latency: Latency,
}

/// How long answers took, as a cumulative histogram like those of Prometheus.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Latency {
    /// For each bound in microseconds, ascending: how many answers took at most that long.
    pub at_most: Vec<(u64, u64)>,
}

impl Latency {
    /// A bound in microseconds below which this part of the answers lies (`0.99` for the 99th percentile): the bound of the
    /// histogram's bucket. `None` when it has no answers, or when they lie above the last bound.
    pub fn quantile_us(&self, part: f64, answers: u64) -> Option<u64> {
        let rank = (part.clamp(0.0, 1.0) * answers as f64).ceil().max(1.0) as u64;
        let reached = |(_, count): &&(u64, u64)| answers > 0 && *count >= rank;
        self.at_most.iter().find(reached).map(|(bound, _)| *bound)
    }
}

/// What a source of metrics can do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct MetricsCapability {
    /// It tells how long answers took.
    pub latency: bool,
    /// The shortest window that makes sense.
    pub resolution: Duration,
    /// How long after a request it is counted at the latest.
    pub lag: Duration,
    /// How far back it can tell; `None` when it keeps everything.
    pub keeps: Option<Duration>,
}

impl MetricsCapability {
    /// It tells how long answers took.
    #[must_use]
    pub fn latency(mut self) -> Self {
        self.latency = true;
        self
    }

    /// The shortest window that makes sense.
    #[must_use]
    pub fn resolution(mut self, resolution: Duration) -> Self {
        self.resolution = resolution;
        self
    }

    /// How long after a request it is counted at the latest.
    #[must_use]
    pub fn lag(mut self, lag: Duration) -> Self {
        self.lag = lag;
        self
    }

    /// How far back it can tell.
    #[must_use]
    pub fn keeps(mut self, span: Duration) -> Self {
        self.keeps = Some(span);
        self
    }
}

impl Capability for MetricsCapability {
    fn missing(&self, wanted: &Self) -> Vec<&'static str> {
        let far_enough = match (self.keeps, wanted.keeps) {
            (Some(kept), Some(asked)) => asked <= kept,
            (Some(_), None) | (None, _) => true,
        };
        [(self.latency || !wanted.latency, "latency"), (far_enough, "keeps")]
            .into_iter()
            .filter_map(|(offered, name)| (!offered).then_some(name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Latency;

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket() {
        let latency = Latency { at_most: vec![(1_000, 90), (5_000, 99), (25_000, 99)] };
        assert_eq!(latency.quantile_us(0.5, 100), Some(1_000));
        assert_eq!(latency.quantile_us(0.9, 100), Some(1_000));
        assert_eq!(latency.quantile_us(0.99, 100), Some(5_000));
        assert_eq!(latency.quantile_us(1.0, 100), None, "one answer lies above the last bound");
        assert_eq!(Latency::default().quantile_us(0.5, 0), None);
    }
}
