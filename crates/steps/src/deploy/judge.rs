//! By which rules a release is judged.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use towpath_analysis::{Answers, ErrorRule, Group, LatencyRule, Look, Verdict};
use towpath_model::Timestamp;
use towpath_provider::{Counts, MetricsSource, ProviderError, ProviderErrorKind, Window};

/// A rule by which a release is judged against what it is to replace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// How many of its requests fail.
    Errors(ErrorRate),
    /// How long its answers take.
    Latency(Latency),
}

/// Its requests fail no more often than those of the baseline.
///
/// ```
/// use towpath_steps::deploy::ErrorRate;
/// let rule = ErrorRate::not_worse_than_baseline().margin(0.2).at_most(5.0).requests(200);
/// # let _ = rule;
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRate {
    requests_min: u64,
    margin_ppm: u32,
    floor_ppm: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ceiling_ppm: Option<u32>,
    false_alarms_ppm: u32,
}

/// Its answers take no longer than those of the baseline.
///
/// ```
/// use towpath_steps::deploy::Latency;
/// let rule = Latency::not_worse_than_baseline(99.0).factor(1.25);
/// # let _ = rule;
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    part_ppm: u32,
    factor_percent: u32,
    slack_us: u64,
    answers_min: u64,
    false_alarms_ppm: u32,
}

/// Percent as parts of a million, held to what percents can be.
fn ppm(percent: f64) -> u32 {
    (percent.clamp(0.0, 100.0) * 10_000.0).round() as u32
}

fn part(ppm: u32) -> f64 {
    f64::from(ppm) / 1_000_000.0
}

impl ErrorRate {
    /// A one-sided exact test, with 50 requests of each at least; less than half a percentage point does not matter, one in a
    /// thousand is always good, and a rollout of a release that is as good as its baseline fails in 5 % of the cases.
    pub fn not_worse_than_baseline() -> Self {
        ErrorRate {
            requests_min: 50,
            margin_ppm: 5_000,
            floor_ppm: 1_000,
            ceiling_ppm: None,
            false_alarms_ppm: 50_000,
        }
    }

    /// With fewer requests of the canary, or of the baseline, it cannot be told.
    #[must_use]
    pub fn requests(mut self, at_least: u64) -> Self {
        self.requests_min = at_least;
        self
    }

    /// So many percentage points more do not matter, however certain they are.
    #[must_use]
    pub fn margin(mut self, points: f64) -> Self {
        self.margin_ppm = ppm(points);
        self
    }

    /// A release of whose requests at most so many percent fail is good, however perfect the baseline.
    #[must_use]
    pub fn good_below(mut self, percent: f64) -> Self {
        self.floor_ppm = ppm(percent);
        self
    }

    /// A release of whose requests more than so many percent fail is bad, however bad the baseline.
    #[must_use]
    pub fn at_most(mut self, percent: f64) -> Self {
        self.ceiling_ppm = Some(ppm(percent));
        self
    }

    /// In so many percent of its rollouts, a release that is as good as the baseline may fail. Stricter takes more requests
    /// to find what is worse.
    #[must_use]
    pub fn false_alarms(mut self, percent: f64) -> Self {
        self.false_alarms_ppm = ppm(percent);
        self
    }

    fn rule(&self) -> ErrorRule {
        ErrorRule {
            requests_min: self.requests_min,
            margin: part(self.margin_ppm),
            floor: part(self.floor_ppm),
            ceiling: self.ceiling_ppm.map(part),
            level: part(self.false_alarms_ppm),
        }
    }
}

impl Latency {
    /// So many percent of the answers within one and a half times the time in which the baseline gives them; 10 ms do not
    /// matter, and 100 answers of each are needed.
    pub fn not_worse_than_baseline(percentile: f64) -> Self {
        Latency {
            part_ppm: ppm(percentile),
            factor_percent: 150,
            slack_us: 10_000,
            answers_min: 100,
            false_alarms_ppm: 50_000,
        }
    }

    /// How many times the baseline's it may be.
    #[must_use]
    pub fn factor(mut self, times: f64) -> Self {
        self.factor_percent = (times.clamp(1.0, 1_000.0) * 100.0).round() as u32;
        self
    }

    /// So much more does not matter.
    #[must_use]
    pub fn slack(mut self, time: std::time::Duration) -> Self {
        self.slack_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(1 << 53);
        self
    }

    /// With fewer answers, it cannot be told.
    #[must_use]
    pub fn answers(mut self, at_least: u64) -> Self {
        self.answers_min = at_least;
        self
    }

    fn rule(&self) -> LatencyRule {
        LatencyRule {
            part: part(self.part_ppm),
            factor: f64::from(self.factor_percent) / 100.0,
            slack_us: self.slack_us,
            answers_min: self.answers_min,
            level: part(self.false_alarms_ppm),
        }
    }
}

impl From<ErrorRate> for Rule {
    fn from(rule: ErrorRate) -> Self {
        Rule::Errors(rule)
    }
}

impl From<Latency> for Rule {
    fn from(rule: Latency) -> Self {
        Rule::Latency(rule)
    }
}

/// Of which release the answers are looked at, and when.
#[derive(Clone, Debug)]
pub(super) struct Seen<'a> {
    pub(super) version: &'a str,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// Judges by all rules. What cannot be asked is no failure of the release: it leaves the verdict open.
pub(super) async fn judge(
    metrics: &dyn MetricsSource,
    service: &str,
    (canary, mut baseline): (Seen<'_>, Seen<'_>),
    rules: &[Rule],
    look: Look,
) -> Verdict {
    let counted = async {
        let are_side_by_side = (canary.from, canary.to) == (baseline.from, baseline.to);
        let (from, canary) = counted(metrics, service, &canary).await?;
        if are_side_by_side {
            baseline.from = from;
        }
        Ok::<_, ProviderError>((canary, counted(metrics, service, &baseline).await?.1))
    };
    let (canary, baseline) = match counted.await {
        Ok(counted) => counted,
        Err(error) => return Verdict::inconclusive(format!("how it answers cannot be told: {error}")),
    };
    let verdicts = rules.iter().map(|rule| match rule {
        Rule::Errors(rule) => rule.rule().compare(group(&canary), group(&baseline), look),
        Rule::Latency(rule) => rule.rule().compare(answers(&canary), answers(&baseline), look),
    });
    verdicts.reduce(Verdict::and).unwrap_or_else(|| Verdict::inconclusive("there is no rule"))
}

/// The shortest time that is worth asking for.
const SHORTEST: Duration = Duration::from_secs(1);

/// How a release has answered, and since when that is known: a source that was started anew meanwhile has forgotten the begin,
/// and would otherwise be asked for it for ever.
async fn counted(
    metrics: &dyn MetricsSource,
    service: &str,
    seen: &Seen<'_>,
) -> Result<(Timestamp, Counts), ProviderError> {
    let (mut from, to) = (seen.from, seen.to);
    // A window that is empty has nothing, and a source need not be asked.
    while from < to {
        match metrics.counts(service, seen.version, Window { from, to }).await {
            Ok(counts) => return Ok((from, counts)),
            Err(error) if error.kind() == ProviderErrorKind::Unsupported && to.since(from) > SHORTEST => {
                from = from.plus(to.since(from) / 2);
            }
            Err(error) => return Err(error),
        }
    }
    Ok((from, Counts::default()))
}

fn group(counts: &Counts) -> Group {
    Group { requests: counts.requests, errors: counts.errors }
}

fn answers(counts: &Counts) -> Answers<'_> {
    Answers { answers: counts.requests, at_most: &counts.latency.at_most }
}

#[cfg(test)]
mod tests {
    use super::{Duration, ErrorRate, Latency, Look, Seen, judge, part, ppm};
    use async_trait::async_trait;
    use std::sync::Mutex;
    use towpath_analysis::Outcome;
    use towpath_model::Timestamp;
    use towpath_provider::{Counts, MetricsCapability, MetricsSource, ProviderError, Window};

    /// Ten requests in a second, and nothing of what was before a time.
    struct Forgetful {
        since: Timestamp,
        asked: Mutex<Vec<(String, Window)>>,
    }

    #[async_trait]
    impl MetricsSource for Forgetful {
        fn capability(&self) -> MetricsCapability {
            MetricsCapability::default()
        }

        async fn counts(&self, _: &str, version: &str, window: Window) -> Result<Counts, ProviderError> {
            if window.from < self.since {
                return Err(ProviderError::unsupported("that was not kept"));
            }
            self.asked.lock().unwrap().push((version.to_owned(), window));
            Ok(Counts { requests: window.to.since(window.from).as_secs() * 10, ..Counts::default() })
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(0).plus(Duration::from_secs(seconds))
    }

    async fn judged(since: u64, baseline: (u64, u64)) -> (Outcome, Vec<(String, Window)>) {
        let source = Forgetful { since: at(since), asked: Mutex::default() };
        let canary = Seen { version: "2.0.0", from: at(100), to: at(164) };
        let baseline = Seen { version: "1.0.0", from: at(baseline.0), to: at(baseline.1) };
        let rules = [ErrorRate::not_worse_than_baseline().into()];
        let verdict = judge(&source, "orders", (canary, baseline), &rules, Look::only()).await;
        (verdict.outcome, source.asked.into_inner().unwrap())
    }

    #[tokio::test]
    async fn what_a_source_has_forgotten_is_not_asked_for_for_ever() {
        let window = |from, to| Window { from: at(from), to: at(to) };
        let both = |window: Window| vec![("2.0.0".to_owned(), window), ("1.0.0".to_owned(), window)];
        assert_eq!(judged(0, (100, 164)).await, (Outcome::Pass, both(window(100, 164))));
        // Both sides over the same time, though the baseline is known for longer than that.
        assert_eq!(judged(120, (100, 164)).await, (Outcome::Pass, both(window(132, 164))));
        // A baseline from before has a time of its own.
        let (outcome, asked) = judged(60, (0, 100)).await;
        assert_eq!((outcome, asked[1].1), (Outcome::Pass, window(75, 100)));
        // When hardly anything is known, it is not told, and not guessed.
        assert_eq!(judged(162, (100, 164)).await, (Outcome::Inconclusive, both(window(162, 164))));
        let (outcome, asked) = judged(1_000, (100, 164)).await;
        assert_eq!((outcome, asked), (Outcome::Inconclusive, vec![]));
    }

    #[test]
    fn percents_are_stored_as_whole_numbers_and_read_back() {
        for percent in [0.0, 0.1, 0.5, 5.0, 99.9, 100.0] {
            assert!((part(ppm(percent)) * 100.0 - percent).abs() < 1e-9);
        }
        let rule = ErrorRate::not_worse_than_baseline().margin(0.25).at_most(5.0).false_alarms(1.0).rule();
        assert_eq!((rule.margin, rule.ceiling, rule.level), (0.0025, Some(0.05), 0.01));
        let rule = Latency::not_worse_than_baseline(99.0).factor(1.25).rule();
        assert_eq!((rule.part, rule.factor), (0.99, 1.25));
    }
}
