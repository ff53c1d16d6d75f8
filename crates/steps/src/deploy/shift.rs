//! How traffic is shifted to a release: what `Canary` and `BlueGreen` have in common.

use super::judge::{ErrorRate, Rule};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use towpath_analysis::Looks;
use towpath_step::StepError;

/// What becomes of a bake that came to its end without a verdict, because too few requests came or they could not be counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inconclusive {
    /// The run rests, and an operator decides. Tried again, it bakes on.
    #[default]
    Ask,
    /// It is taken for a failure: the run unwinds.
    Fail,
    /// It is taken for good. Be sure that you want that.
    Pass,
}

/// How traffic is shifted, as a plan stores it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shift {
    /// Percents; of a rolling one they follow from its batches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) weights: Vec<u8>,
    /// So many instances at once are replaced: the new release grows, and the one before it shrinks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) batch: Option<u32>,
    pub(super) bake_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) every_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hold_ms: Option<u64>,
    /// None: errors as they are judged when nothing was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) judge: Option<Vec<Rule>>,
    pub(super) inconclusive: Inconclusive,
    pub(super) prolongations: u32,
    pub(super) healthy_within_ms: u64,
    pub(super) drain_ms: u64,
}

/// One weight on the way, and how many instances of the release run then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Point {
    pub(super) weight: u8,
    pub(super) instances: u32,
}

/// Most looks in one bake: below what a step may wait.
const LOOKS: u64 = 2_000;

impl Shift {
    pub(super) fn through(weights: Vec<u8>, bake: Duration) -> Self {
        Shift {
            weights,
            batch: None,
            bake_ms: crate::time::millis(bake),
            every_ms: None,
            hold_ms: None,
            judge: None,
            inconclusive: Inconclusive::default(),
            prolongations: 2,
            healthy_within_ms: 120_000,
            drain_ms: 30_000,
        }
    }

    pub(super) fn bake(&self) -> Duration {
        Duration::from_millis(self.bake_ms)
    }

    /// Between two looks: a twentieth of the bake, unless its author says otherwise.
    pub(super) fn every(&self) -> Duration {
        let usual = (self.bake_ms / 20).clamp(500, 300_000);
        Duration::from_millis(self.every_ms.unwrap_or(usual).max(1))
    }

    /// How long a weight stays without a word of ours: three looks may be missed.
    pub(super) fn hold(&self) -> Duration {
        self.hold_ms.map_or_else(|| self.every() * 3 + Duration::from_secs(30), Duration::from_millis)
    }

    pub(super) fn healthy_within(&self) -> Duration {
        Duration::from_millis(self.healthy_within_ms)
    }

    pub(super) fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }

    pub(super) fn rules(&self) -> Vec<Rule> {
        self.judge.clone().unwrap_or_else(|| vec![ErrorRate::not_worse_than_baseline().into()])
    }

    pub(super) fn is_judged(&self) -> bool {
        self.judge.as_ref().is_none_or(|rules| !rules.is_empty())
    }

    pub(super) fn add_rule(&mut self, rule: Rule) {
        self.judge.get_or_insert_default().push(rule);
    }

    /// The weights that a release of so many instances goes through, and how many of them run at each.
    pub(super) fn points(&self, instances: u32) -> Vec<Point> {
        let Some(batch) = self.batch else {
            return self.weights.iter().map(|weight| Point { weight: *weight, instances }).collect();
        };
        let batch = batch.clamp(1, instances.max(1));
        let counts = (1..=instances.div_ceil(batch)).map(|n| (n * batch).min(instances));
        let mut points: Vec<Point> = counts
            .map(|n| Point { weight: u8::try_from(n * 100 / instances).unwrap_or(100).max(1), instances: n })
            .collect();
        points.dedup_by_key(|point| point.weight);
        if let Some(last) = points.last_mut() {
            last.instances = instances;
        }
        points
    }

    /// How often a whole rollout looks at most: said before it begins, so that many looks raise no false alarms.
    pub(super) fn looks(&self, points: usize) -> Looks {
        let bakes = points as u64 * u64::from(self.prolongations + 1);
        let in_one = (self.bake().as_millis().div_ceil(self.every().as_millis().max(1)) as u64).max(1) - 1;
        let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Looks { interim: count(bakes * in_one), last: count(bakes) }
    }

    /// Fails for good when it makes no sense, before anything has happened.
    pub(super) fn check(&self, points: &[Point], has_weights: bool) -> Result<(), StepError> {
        let wrong = |what: String| Err(StepError::permanent(what));
        let is_rising = points.windows(2).all(|pair| pair[0].weight < pair[1].weight);
        if points.is_empty() || !is_rising || points.iter().any(|p| p.weight == 0 || p.weight > 100) {
            return wrong(format!(
                "the weights {:?} are no way up: give percents from 1 to 100, each above the one before",
                self.weights
            ));
        }
        if self.batch == Some(0) {
            return wrong("a batch of 0 instances replaces nothing: give it one at least".to_owned());
        }
        if !has_weights && points.iter().any(|point| point.weight < 100) {
            return wrong(
                "the router sends all traffic or none: use BlueGreen, or weights of [100]".to_owned(),
            );
        }
        if self.bake_ms / (self.every().as_millis().max(1) as u64) > LOOKS {
            return wrong(format!(
                "a bake of {:?} has more than {LOOKS} looks in it when there is one every {:?}: look less often",
                self.bake(),
                self.every()
            ));
        }
        if self.hold() < self.every() * 2 {
            return wrong(format!(
                "a weight that is held for {:?} would be lost between two looks {:?} apart: hold it for longer",
                self.hold(),
                self.every()
            ));
        }
        Ok(())
    }
}

/// The setters that `Canary` and `BlueGreen` have in common.
macro_rules! shift_setters {
    () => {
        /// How long each weight is watched before the next one.
        #[must_use]
        pub fn bake(mut self, time: std::time::Duration) -> Self {
            self.shift.bake_ms = crate::time::millis(time);
            self
        }

        /// Adds a rule by which it is judged. Without one it is the error rate, not worse than the baseline.
        #[must_use]
        pub fn judge(mut self, rule: impl Into<crate::deploy::Rule>) -> Self {
            self.shift.add_rule(rule.into());
            self
        }

        /// Judges by nothing but the health of its instances: no source of metrics is needed.
        #[must_use]
        pub fn by_health_alone(mut self) -> Self {
            self.shift.judge = Some(Vec::new());
            self
        }

        /// What becomes of a bake without a verdict, after it was [prolonged](Self::prolong).
        #[must_use]
        pub fn inconclusive(mut self, to: crate::deploy::Inconclusive) -> Self {
            self.shift.inconclusive = to;
            self
        }

        /// How often a bake without a verdict is prolonged by its own time; twice by default.
        #[must_use]
        pub fn prolong(mut self, times: u32) -> Self {
            self.shift.prolongations = times;
            self
        }

        /// Between two looks while it bakes; a twentieth of the bake by default.
        #[must_use]
        pub fn every(mut self, time: std::time::Duration) -> Self {
            self.shift.every_ms = Some(crate::time::millis(time).max(1));
            self
        }

        /// How long a weight stays when nobody looks after it any more, before the router itself goes back to the stable
        /// release; three looks and half a minute by default. Where the router has such a switch.
        #[must_use]
        pub fn hold(mut self, time: std::time::Duration) -> Self {
            self.shift.hold_ms = Some(crate::time::millis(time));
            self
        }

        /// How long its instances may take to become healthy; two minutes by default.
        #[must_use]
        pub fn healthy_within(mut self, time: std::time::Duration) -> Self {
            self.shift.healthy_within_ms = crate::time::millis(time);
            self
        }

        /// How long requests under way may take when it is removed again; half a minute by default.
        #[must_use]
        pub fn drain(mut self, time: std::time::Duration) -> Self {
            self.shift.drain_ms = crate::time::millis(time);
            self
        }
    };
}
pub(super) use shift_setters;

#[cfg(test)]
mod tests {
    use super::Shift;
    use std::time::Duration;
    use towpath_analysis::Looks;

    fn check(shift: Shift, has_weights: bool) -> Result<(), towpath_step::StepError> {
        shift.check(&shift.points(2), has_weights)
    }

    #[test]
    fn batches_are_weights_and_end_with_everything() {
        let of = |batch, instances| {
            let shift = Shift { batch: Some(batch), ..Shift::through(Vec::new(), Duration::ZERO) };
            shift.points(instances).iter().map(|p| (p.weight, p.instances)).collect::<Vec<_>>()
        };
        assert_eq!(of(1, 3), [(33, 1), (66, 2), (100, 3)]);
        assert_eq!(of(2, 5), [(40, 2), (80, 4), (100, 5)]);
        assert_eq!(of(9, 2), [(100, 2)]);
        assert_eq!(of(1, 1), [(100, 1)]);
        let many = of(1, 1_000);
        assert_eq!((many.len(), many[0], many[99]), (100, (1, 1), (100, 1_000)));
    }

    #[test]
    fn what_makes_no_sense_is_said_before_anything_happens() {
        let of = |weights: &[u8]| Shift::through(weights.to_vec(), Duration::from_secs(600));
        assert!(check(of(&[10, 50, 100]), true).is_ok());
        for weights in [&[][..], &[0, 100], &[50, 10], &[10, 10], &[10, 101]] {
            let error = check(of(weights), true).unwrap_err().to_string();
            assert!(error.contains("are no way up"), "{error}");
        }
        assert!(check(of(&[10, 100]), false).unwrap_err().to_string().contains("use BlueGreen"));
        assert!(check(of(&[100]), false).is_ok());
        let often = Shift { every_ms: Some(1), ..of(&[100]) };
        assert!(check(often, true).unwrap_err().to_string().contains("look less often"));
        let short = Shift { hold_ms: Some(1_000), ..of(&[100]) };
        assert!(check(short, true).unwrap_err().to_string().contains("hold it for longer"));
    }

    #[test]
    fn all_looks_are_counted_beforehand() {
        let shift = Shift::through(vec![10, 50, 100], Duration::from_secs(600));
        assert_eq!(shift.every(), Duration::from_secs(30));
        assert_eq!(shift.looks(3), Looks { interim: 9 * 19, last: 9 });
        assert_eq!(shift.hold(), Duration::from_secs(120));
    }
}
