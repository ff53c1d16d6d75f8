//! The rule of errors: its words, what must hold of it, and how often it raises a false alarm.

use proptest::prelude::*;
use towpath_analysis::{ErrorRule, Group, Look, Looks, Outcome};

fn group(requests: u64, errors: u64) -> Group {
    Group { requests, errors }
}

fn plain() -> ErrorRule {
    ErrorRule { margin: 0.0, floor: 0.0, ..ErrorRule::default() }
}

#[test]
fn each_answer_has_its_reason() {
    let rule = ErrorRule { ceiling: Some(0.2), ..ErrorRule::default() };
    let at_the_end = |canary, baseline| rule.compare(canary, baseline, Look::only());
    for (canary, baseline, outcome, words) in [
        (group(49, 0), group(500, 0), Outcome::Inconclusive, "the canary had 49 requests, and 50 are needed"),
        (group(60, 1), group(10, 0), Outcome::Inconclusive, "the baseline had 10 requests"),
        (group(60, 0), group(0, 0), Outcome::Pass, "0 of 60 requests failed (0 %): at most 0.1 % is good"),
        (group(60, 20), group(0, 0), Outcome::Fail, "more than the 20 % that are allowed at most"),
        (group(60, 20), group(60, 30), Outcome::Fail, "more than the 20 %"),
        (group(100, 1), group(900, 9), Outcome::Pass, "not worse"),
        (group(100, 2), group(900, 9), Outcome::Pass, "chance can explain the difference (p = 0.3"),
        (group(1_000_000, 2_000), group(1_000_000, 1_000), Outcome::Pass, "below 0.5 % does not matter"),
        (group(100, 9), group(900, 2), Outcome::Fail, "worse by 8.8 percentage points"),
        (group(100, 101), group(900, 2), Outcome::Inconclusive, "the counts cannot be"),
    ] {
        let verdict = at_the_end(canary, baseline);
        assert_eq!(verdict.outcome, outcome, "{verdict}");
        assert!(verdict.to_string().contains(words), "{verdict}");
    }
}

#[test]
fn before_the_end_only_overwhelming_evidence_fails() {
    let looks = Looks { interim: 57, last: 3 };
    let (rule, baseline) = (ErrorRule::default(), group(900, 2));
    let of = |errors, look| rule.compare(group(100, errors), baseline, look).outcome;
    assert_eq!(of(4, looks.last()), Outcome::Fail);
    assert_eq!(of(4, looks.interim()), Outcome::Inconclusive);
    assert_eq!(of(9, looks.interim()), Outcome::Fail);
    assert_eq!(of(0, looks.interim()), Outcome::Inconclusive, "it is never good before the end");
    let ceiling = ErrorRule { ceiling: Some(0.05), ..rule };
    let of = |errors, look| ceiling.compare(group(100, errors), group(900, 90), look).outcome;
    assert_eq!(of(6, looks.last()), Outcome::Fail);
    assert_eq!(of(6, looks.interim()), Outcome::Inconclusive);
    assert_eq!(of(20, looks.interim()), Outcome::Fail);
}

proptest! {
    #[test]
    fn more_errors_are_never_better(
        n in 1_u64..3_000, m in 0_u64..3_000, a in 0_u64..3_000, b in 0_u64..3_000,
        margin in 0.0_f64..0.1, floor in 0.0_f64..0.1, ceiling in proptest::option::of(0.0_f64..0.5),
        interim in any::<bool>(),
    ) {
        let (x, y) = (a % n, b % (m + 1));
        let rule = ErrorRule { margin, floor, ceiling, ..ErrorRule::default() };
        let looks = Looks { interim: 20, last: 3 };
        let look = if interim { looks.interim() } else { looks.last() };
        let (fewer, more) = (group(n, x), group(n, x + 1));
        let (fewer, more) =
            (rule.compare(fewer, group(m, y), look).outcome, rule.compare(more, group(m, y), look).outcome);
        // A canary below the floor needs no baseline; above it, one that is too small leaves it open.
        prop_assert!(fewer <= more, "{fewer} of {x}, and {more} of one more");
        prop_assert!(!(fewer == Outcome::Fail && more == Outcome::Pass));
    }

    #[test]
    fn two_groups_are_never_both_worse(n in 50_u64..2_000, m in 50_u64..2_000, a in any::<u64>(), b in any::<u64>()) {
        let (canary, baseline) = (group(n, a % (n + 1)), group(m, b % (m + 1)));
        let of = |one, other| plain().compare(one, other, Look::only()).outcome;
        prop_assert!(of(canary, baseline) != Outcome::Fail || of(baseline, canary) == Outcome::Pass);
        prop_assert_eq!(of(canary, canary), Outcome::Pass);
    }
}

/// `splitmix64` (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
struct Random(u64);

impl Random {
    fn part(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn failed(&mut self, requests: u64, rate: f64) -> u64 {
        (0..requests).filter(|_| self.part() < rate).count() as u64
    }
}

/// Plays a rollout of three bakes with ten looks each; says whether one of them failed.
fn rollout_fails(random: &mut Random, rule: &ErrorRule, canary_rate: f64, baseline_rate: f64) -> bool {
    let looks = Looks { interim: 27, last: 3 };
    (0..3).any(|_| {
        let (mut canary, mut baseline) = (Group::default(), Group::default());
        (1..=10).any(|n| {
            canary.requests += 40;
            canary.errors += random.failed(40, canary_rate);
            baseline.requests += 200;
            baseline.errors += random.failed(200, baseline_rate);
            let look = if n == 10 { looks.last() } else { looks.interim() };
            rule.compare(canary, baseline, look).outcome == Outcome::Fail
        })
    })
}

#[test]
fn false_alarms_keep_their_bound_however_often_one_looks() {
    const ROLLOUTS: u32 = 2_000;
    let alarms = |rule: &ErrorRule, seed, rate| {
        let mut random = Random(seed);
        (0..ROLLOUTS).filter(|_| rollout_fails(&mut random, rule, rate, rate)).count()
    };
    for (seed, rate) in [(1, 0.01), (2, 0.05), (3, 0.2)] {
        let count = alarms(&plain(), seed, rate);
        // The level is 5 %; three standard deviations of 2,000 tries are 1.5 %.
        assert!(count <= 130, "{count} of {ROLLOUTS} rollouts at {rate} failed though nothing was worse");
    }
    // The same looks without a split of the level: this is what it is good for.
    let greedy = |seed| {
        let mut random = Random(seed);
        let rule = ErrorRule { level: plain().level * 27.0 / 0.2, ..plain() };
        (0..200).filter(|_| rollout_fails(&mut random, &rule, 0.05, 0.05)).count()
    };
    assert!(greedy(4) > 30, "looking 30 times at the full level raises many alarms");
}

#[test]
fn what_is_worse_is_found() {
    let mut random = Random(5);
    let found = (0..500).filter(|_| rollout_fails(&mut random, &ErrorRule::default(), 0.05, 0.01)).count();
    assert!(found >= 475, "{found} of 500 rollouts with five times the errors failed");
}
