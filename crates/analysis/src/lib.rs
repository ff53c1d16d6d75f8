//! The statistics of canaries: pure functions that compare two groups and say pass, fail or inconclusive.
//!
//! A canary and its baseline answer requests at the same time. [`ErrorRule`] asks whether more of the canary's fail, and
//! [`LatencyRule`] whether they take longer. Both tests are exact, so that they hold for ten requests and for ten million.
//!
//! **Looking often.** Whoever tests again and again at one level finds a difference at last where there is none. So a
//! rollout says beforehand how often it will look ([`Looks`]), and its level is split among the looks by Bonferroni's
//! inequality: however they hang together, a rollout of a release that is as good as its baseline fails with at most that
//! probability. Most of the level is kept for the looks at the ends of bakes; the ones before share the rest, as in the
//! stopping rule of Haybittle and Peto, which ends a trial early only by overwhelming evidence.
//!
//! ```
//! use towpath_analysis::{ErrorRule, Group, Looks, Outcome};
//!
//! let rule = ErrorRule::default();
//! let looks = Looks { interim: 57, last: 3 };
//! let (good, bad) = (Group { requests: 900, errors: 2 }, Group { requests: 100, errors: 9 });
//! let verdict = rule.compare(bad, good, looks.interim());
//! assert_eq!(verdict.outcome, Outcome::Fail);
//! assert_eq!(
//!     verdict.to_string(),
//!     "9 of 100 requests failed (9 %), against 2 of 900 (0.22 %) of the baseline: worse by 8.8 percentage points (p = 3.3e-8)"
//! );
//! ```
//!
//! # Sources
//! * R. A. Fisher, "On the interpretation of χ² from contingency tables, and the calculation of P", Journal of the Royal
//!   Statistical Society 85 (1922): the exact test of two proportions.
//! * C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
//!   Biometrika 26 (1934): the exact test of one proportion, for ceilings and quantiles.
//! * O. J. Dunn, "Multiple comparisons among means", Journal of the American Statistical Association 56 (1961): a level
//!   split among tests that hang together.
//! * J. L. Haybittle, "Repeated assessment of results in clinical trials of cancer treatment", British Journal of Radiology
//!   44 (1971), and R. Peto et al., British Journal of Cancer 34 (1976): a strict level before the end.
#![deny(missing_docs)]

mod errors;
mod latency;
mod look;
mod tail;
mod verdict;

pub use errors::{ErrorRule, Group};
pub use latency::{Answers, LatencyRule};
pub use look::{Look, Looks};
pub use tail::{binomial_at_least, fisher_at_least};
pub use verdict::{Outcome, Verdict};
