//! Upper tails of two discrete distributions, exact for counts of any size.

use statrs::function::gamma::ln_gamma;

/// A term that is smaller than this part of the sum does not change it.
const NEGLIGIBLE: f64 = 1e-18;

/// The probability that at least `errors` of `requests` fail, when each fails with probability `rate`.
///
/// ```
/// # use towpath_analysis::binomial_at_least;
/// assert!((binomial_at_least(1, 2, 0.5) - 0.75).abs() < 1e-12);
/// assert_eq!(binomial_at_least(0, 10, 0.1), 1.0);
/// ```
pub fn binomial_at_least(errors: u64, requests: u64, rate: f64) -> f64 {
    let (k, n, p) = (errors as f64, requests as f64, rate);
    if errors == 0 || p >= 1.0 {
        return 1.0;
    }
    if errors > requests || p <= 0.0 {
        return 0.0;
    }
    let ln_at = |k: f64| ln_choose(n, k) + k * p.ln() + (n - k) * (-p).ln_1p();
    let odds = p / (1.0 - p);
    if k > n * p {
        sum(ln_at(k), k, |k| (n - k) / (k + 1.0) * odds, |k| k + 1.0)
    } else {
        1.0 - sum(ln_at(k - 1.0), k - 1.0, |k| k / (n - k + 1.0) / odds, |k| k - 1.0)
    }
}

/// The probability that at least `errors` of the failures of both groups fall on the first one, when it makes no difference
/// in which group a request is: the p-value of Fisher's exact test, one-sided.
///
/// ```
/// # use towpath_analysis::fisher_at_least;
/// // The lady who tastes tea: all four cups right (R. A. Fisher, The Design of Experiments, 1935).
/// assert!((fisher_at_least(4, 4, 0, 4) - 1.0 / 70.0).abs() < 1e-12);
/// ```
pub fn fisher_at_least(errors: u64, requests: u64, other_errors: u64, other_requests: u64) -> f64 {
    let (k, n, m) = (errors as f64, requests as f64, other_requests as f64);
    let all = (errors + other_errors) as f64;
    let least = (all - m).max(0.0);
    if k <= least {
        return 1.0;
    }
    let ln_at = |k: f64| ln_choose(n, k) + ln_choose(m, all - k) - ln_choose(n + m, all);
    // The ratio of the terms at k + 1 and at k.
    let ratio = |k: f64| (n - k) * (all - k) / ((k + 1.0) * (m - all + k + 1.0));
    if k > all * n / (n + m) {
        sum(ln_at(k), k, ratio, |k| k + 1.0)
    } else {
        1.0 - sum(ln_at(k - 1.0), k - 1.0, |k| 1.0 / ratio(k - 1.0), |k| k - 1.0)
    }
}

fn ln_choose(n: f64, k: f64) -> f64 {
    ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
}

/// Adds up terms from the first one outward, where each is smaller than the one before.
fn sum(ln_first: f64, first: f64, ratio: impl Fn(f64) -> f64, next: impl Fn(f64) -> f64) -> f64 {
    let (mut k, mut term, mut sum) = (first, 1.0, 0.0);
    while term > NEGLIGIBLE * sum {
        sum += term;
        let ratio = ratio(k);
        // Beyond the last term; a ratio of no number is 0 / 0 at the very end.
        if !(ratio > 0.0 && ratio.is_finite()) {
            break;
        }
        term *= ratio;
        k = next(k);
    }
    (ln_first + sum.ln()).exp().clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::{binomial_at_least, fisher_at_least};
    use proptest::prelude::*;

    /// The sums are those of whole numbers, added up by hand.
    #[test]
    fn small_tables_are_those_of_counting() {
        for (k, n, l, m, want) in [
            (4, 4, 0, 4, 1.0 / 70.0),
            (3, 4, 1, 4, 17.0 / 70.0),
            (2, 4, 2, 4, 53.0 / 70.0),
            (1, 2, 0, 2, 0.5),
            (0, 5, 3, 5, 1.0),
        ] {
            assert!((fisher_at_least(k, n, l, m) - want).abs() < 1e-12, "{k}/{n} {l}/{m}");
        }
        for (k, n, p, want) in [(3, 3, 0.5, 0.125), (2, 3, 0.5, 0.5), (1, 3, 0.1, 0.271), (4, 3, 0.5, 0.0)] {
            assert!((binomial_at_least(k, n, p) - want).abs() < 1e-12, "{k}/{n} {p}");
        }
    }

    #[test]
    fn large_counts_are_exact_and_quick() {
        // The normal approximation is good to three digits there: z = 3, p = 0.00135.
        let (n, p) = (100_000_000_u64, 0.01);
        let k = (n as f64 * p + 3.0 * (n as f64 * p * (1.0 - p)).sqrt()) as u64;
        assert!((binomial_at_least(k, n, p) - 0.00135).abs() < 0.00002);
        assert!((fisher_at_least(500_000, 50_000_000, 500_000, 50_000_000) - 0.5).abs() < 0.001);
    }

    proptest! {
        #[test]
        fn the_two_sides_add_up(n in 1_u64..400, m in 1_u64..400, a in 0_u64..400, b in 0_u64..400) {
            let (k, l) = (a % n + 1, b % m);
            // Less than k on the one side is more than l on the other.
            let (this, other) = (fisher_at_least(k, n, l, m), fisher_at_least(l + 1, m, k - 1, n));
            prop_assert!((this + other - 1.0).abs() < 1e-9, "{this} + {other}");
        }

        #[test]
        fn binomial_tails_add_up(n in 1_u64..500, a in 1_u64..500, p in 0.001_f64..0.999) {
            let k = a % n + 1;
            let low = binomial_at_least(n - k + 1, n, 1.0 - p);
            prop_assert!((binomial_at_least(k, n, p) + low - 1.0).abs() < 1e-9);
        }

        #[test]
        fn more_errors_are_less_likely(n in 2_u64..2_000, m in 1_u64..2_000, a in 0_u64..2_000, b in 0_u64..2_000) {
            let (k, l) = (a % n, b % (m + 1));
            prop_assert!(fisher_at_least(k + 1, n, l, m) <= fisher_at_least(k, n, l, m) + 1e-12);
        }
    }
}
