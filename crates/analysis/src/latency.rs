//! Whether requests take longer.

use crate::{
    Look, Outcome, Verdict, binomial_at_least,
    errors::so_far,
    verdict::{p_text, percent},
};

/// How long the answers of one group took: a cumulative histogram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answers<'a> {
    /// Answers in all.
    pub answers: u64,
    /// For each bound in microseconds, ascending: how many answers took at most that long.
    pub at_most: &'a [(u64, u64)],
}

impl Answers<'_> {
    /// The bound of the bucket in which this part of the answers is reached.
    fn quantile_us(&self, part: f64) -> Option<u64> {
        let rank = (part * self.answers as f64).ceil().max(1.0) as u64;
        self.at_most.iter().find(|(_, count)| *count >= rank).map(|(bound, _)| *bound)
    }
}

/// When longer answers are too long.
///
/// The baseline's quantile, times the factor, is a limit that all but a known part of its own answers keep. The rule fails a
/// canary when an exact binomial test finds more of its answers above the limit than that part. The limit is rounded up to
/// a bound of the histogram, so that a coarse histogram makes the rule milder, and never stricter.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LatencyRule {
    /// Which quantile: 0.99 for the 99th percentile.
    pub part: f64,
    /// How many times that of the baseline it may be.
    pub factor: f64,
    /// A smaller difference does not matter, in microseconds.
    pub slack_us: u64,
    /// With fewer answers in one of the groups, it cannot be told.
    pub answers_min: u64,
    /// How often a whole rollout of a release that is as good as its baseline may fail.
    pub level: f64,
}

impl Default for LatencyRule {
    /// The 99th percentile within one and a half times that of the baseline; 10 ms do not matter; at least 100 answers.
    fn default() -> Self {
        LatencyRule { part: 0.99, factor: 1.5, slack_us: 10_000, answers_min: 100, level: 0.05 }
    }
}

impl LatencyRule {
    /// Compares a canary with its baseline, as [`ErrorRule::compare`](crate::ErrorRule::compare) does.
    pub fn compare(&self, canary: Answers<'_>, baseline: Answers<'_>, look: Look) -> Verdict {
        let name = format!("the latency of {} of the answers", percent(self.part));
        for (group, of) in [(canary, "canary"), (baseline, "baseline")] {
            if group.answers < self.answers_min {
                return Verdict::inconclusive(format!(
                    "{name}: the {of} had {} answers, and {} are needed",
                    group.answers, self.answers_min
                ));
            }
        }
        let Some(usual) = baseline.quantile_us(self.part) else {
            return Verdict::inconclusive(format!("{name}: that of the baseline is above the histogram"));
        };
        let limit = ((usual as f64 * self.factor).ceil() as u64).max(usual.saturating_add(self.slack_us));
        let Some((limit, within)) = canary.at_most.iter().find(|(bound, _)| *bound >= limit) else {
            return Verdict::inconclusive(format!("{name}: {} is above the histogram", millis(limit)));
        };
        let above = canary.answers.saturating_sub(*within);
        let p = binomial_at_least(above, canary.answers, 1.0 - self.part);
        let seen = format!(
            "{above} of {} answers took more than {} ({} of the baseline's are within {})",
            canary.answers,
            millis(*limit),
            percent(self.part),
            millis(usual)
        );
        if above as f64 > canary.answers as f64 * (1.0 - self.part) && p <= look.level_of(self.level) {
            return Verdict::new(Outcome::Fail, format!("{seen}: slower ({})", p_text(p)), Some(p));
        }
        so_far(look, format!("{seen}: not slower"), Some(p))
    }
}

fn millis(us: u64) -> String {
    if us.is_multiple_of(1_000) {
        format!("{} ms", us / 1_000)
    } else {
        format!("{:.1} ms", us as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Answers, LatencyRule};
    use crate::{Look, Looks, Outcome};

    const RULE: LatencyRule =
        LatencyRule { part: 0.99, factor: 1.5, slack_us: 1_000, answers_min: 100, level: 0.05 };

    #[test]
    fn slower_answers_fail_and_a_slack_is_left() {
        let usual = [(10_000, 990), (15_000, 1_000), (50_000, 1_000)];
        let baseline = Answers { answers: 1_000, at_most: &usual };
        let of = |slow: u64, look| {
            let at_most = [(10_000, 200 - slow), (15_000, 200 - slow), (50_000, 200)];
            RULE.compare(Answers { answers: 200, at_most: &at_most }, baseline, look)
        };
        assert_eq!(of(2, Look::only()).outcome, Outcome::Pass);
        let slow = of(8, Look::only());
        assert_eq!(slow.outcome, Outcome::Fail);
        assert_eq!(
            slow.to_string(),
            "8 of 200 answers took more than 15 ms (99 % of the baseline's are within 10 ms): slower (p = 0.001)"
        );
        let looks = Looks { interim: 50, last: 3 };
        assert_eq!(of(8, looks.interim()).outcome, Outcome::Inconclusive, "before the end it takes more");
        assert_eq!(of(30, looks.interim()).outcome, Outcome::Fail);
    }

    #[test]
    fn what_a_histogram_does_not_show_is_inconclusive() {
        let few = Answers { answers: 10, at_most: &[(10_000, 10)] };
        let short = Answers { answers: 1_000, at_most: &[(10_000, 1_000)] };
        let beyond = Answers { answers: 1_000, at_most: &[(10_000, 900)] };
        for (canary, baseline, part) in [
            (few, short, "10 answers"),
            (short, short, "15 ms is above"),
            (short, beyond, "the baseline is above"),
        ] {
            let verdict = RULE.compare(canary, baseline, Look::only());
            assert_eq!(verdict.outcome, Outcome::Inconclusive);
            assert!(verdict.to_string().contains(part), "{verdict}");
        }
    }
}
