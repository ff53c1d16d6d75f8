//! Whether more requests fail.

use crate::{
    Look, Outcome, Verdict, binomial_at_least, fisher_at_least,
    verdict::{p_text, percent},
};
use std::fmt;

/// The requests of one group, and how many of them failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Group {
    /// Requests.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
}

impl Group {
    /// The part that failed; 0 when there were no requests.
    pub fn rate(self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.errors as f64 / self.requests as f64 }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.errors, self.requests)
    }
}

/// When more failed requests are too many. Parts are between 0 and 1.
///
/// It fails a canary when a one-sided exact test of Fisher finds its requests to fail more often than those of its baseline
/// at the level that falls on the look, *and* the difference is one that matters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ErrorRule {
    /// With fewer requests in one of the groups, it cannot be told.
    pub requests_min: u64,
    /// A smaller difference does not matter, however certain it is.
    pub margin: f64,
    /// A canary of which at most this part fails is good, however perfect its baseline.
    pub floor: f64,
    /// A canary of which more than this part fails is bad, however bad its baseline.
    pub ceiling: Option<f64>,
    /// How often a whole rollout of a release that is as good as its baseline may fail: the false alarms.
    pub level: f64,
}

impl Default for ErrorRule {
    /// At least 50 requests; half a percentage point matters; one in a thousand is good; 5 % false alarms.
    fn default() -> Self {
        ErrorRule { requests_min: 50, margin: 0.005, floor: 0.001, ceiling: None, level: 0.05 }
    }
}

impl ErrorRule {
    /// Compares a canary with its baseline.
    ///
    /// Before the end of a bake it fails or is inconclusive. At its end it also passes; what has too few requests stays
    /// inconclusive, unless the ceiling or the floor decides without the baseline.
    pub fn compare(&self, canary: Group, baseline: Group, look: Look) -> Verdict {
        if canary.errors > canary.requests || baseline.errors > baseline.requests {
            return Verdict::inconclusive(format!(
                "the counts cannot be: {canary} requests of the canary failed, and {baseline} of the baseline"
            ));
        }
        if canary.requests < self.requests_min {
            return Verdict::inconclusive(format!(
                "the canary had {} requests, and {} are needed",
                canary.requests, self.requests_min
            ));
        }
        let level = look.level_of(self.level);
        let seen = format!("{canary} requests failed ({})", percent(canary.rate()));
        if let Some(verdict) = self.above_ceiling(canary, look, level, &seen) {
            return verdict;
        }
        if canary.rate() <= self.floor {
            let good = format!("{seen}: at most {} is good", percent(self.floor));
            return so_far(look, good, None);
        }
        if baseline.requests < self.requests_min {
            return Verdict::inconclusive(format!(
                "{seen}, but the baseline had {} requests, and {} are needed",
                baseline.requests, self.requests_min
            ));
        }
        self.against(canary, baseline, look, &seen)
    }

    /// Fails above the ceiling: at the end by what was seen, before it only when chance cannot explain it.
    fn above_ceiling(&self, canary: Group, look: Look, level: f64, seen: &str) -> Option<Verdict> {
        let ceiling = self.ceiling.filter(|ceiling| canary.rate() > *ceiling)?;
        let p = binomial_at_least(canary.errors, canary.requests, ceiling);
        let is_over = look.is_last() || p <= level;
        is_over.then(|| {
            let reason = format!("{seen}: more than the {} that are allowed at most", percent(ceiling));
            Verdict::new(Outcome::Fail, reason, Some(p))
        })
    }

    fn against(&self, canary: Group, baseline: Group, look: Look, seen: &str) -> Verdict {
        let p = fisher_at_least(canary.errors, canary.requests, baseline.errors, baseline.requests);
        let worse = canary.rate() - baseline.rate();
        let seen = format!("{seen}, against {baseline} ({}) of the baseline", percent(baseline.rate()));
        let matters = worse > 0.0 && worse >= self.margin;
        if matters && p <= look.level_of(self.level) {
            let by = percent(worse);
            let by = by.trim_end_matches(" %");
            let reason = format!("{seen}: worse by {by} percentage points ({})", p_text(p));
            return Verdict::new(Outcome::Fail, reason, Some(p));
        }
        let why = match (worse > 0.0, matters) {
            (false, _) => "not worse".to_owned(),
            (true, false) => format!("a difference below {} does not matter", percent(self.margin)),
            (true, true) => format!("chance can explain the difference ({})", p_text(p)),
        };
        so_far(look, format!("{seen}: {why}"), Some(p))
    }
}

/// Passes at the end of a bake, and is open before it.
pub(crate) fn so_far(look: Look, reason: String, p: Option<f64>) -> Verdict {
    let outcome = if look.is_last() { Outcome::Pass } else { Outcome::Inconclusive };
    Verdict::new(outcome, reason, p)
}
