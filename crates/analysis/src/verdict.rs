//! What a comparison comes to.

use std::fmt;

/// What a comparison comes to, in one word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Outcome {
    /// It is not worse.
    Pass,
    /// It cannot be told: too little was seen, or it is too early.
    Inconclusive,
    /// It is worse.
    Fail,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Outcome::Pass => "pass",
            Outcome::Inconclusive => "inconclusive",
            Outcome::Fail => "fail",
        })
    }
}

/// What a comparison comes to, and why.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    /// In one word.
    pub outcome: Outcome,
    /// In words for people, with the numbers; one for each rule.
    pub reasons: Vec<String>,
    /// How likely a difference like this, or a greater one, is by chance alone: of the rule that was closest to failing.
    /// `None` when nothing was compared.
    pub p_value: Option<f64>,
}

impl Verdict {
    pub(crate) fn new(outcome: Outcome, reason: String, p_value: Option<f64>) -> Self {
        Verdict { outcome, reasons: vec![reason], p_value }
    }

    /// It cannot be told, for this reason.
    pub fn inconclusive(reason: impl Into<String>) -> Self {
        Verdict::new(Outcome::Inconclusive, reason.into(), None)
    }

    /// The verdict of two rules: the worse outcome, and the reasons of both.
    #[must_use]
    pub fn and(mut self, other: Verdict) -> Self {
        self.outcome = self.outcome.max(other.outcome);
        self.reasons.extend(other.reasons);
        self.p_value = match (self.p_value, other.p_value) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reasons.join("; "))
    }
}

/// A part in percent, with two digits that count.
pub(crate) fn percent(part: f64) -> String {
    let percent = part * 100.0;
    let text = match percent {
        p if p >= 10.0 || p == 0.0 => format!("{p:.0}"),
        p if p >= 1.0 => format!("{p:.1}"),
        p if p >= 0.1 => format!("{p:.2}"),
        p => format!("{p:.3}"),
    };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

/// A p-value, as it is written in papers.
pub(crate) fn p_text(p: f64) -> String {
    if p >= 0.001 { format!("p = {p:.3}") } else { format!("p = {p:.1e}") }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Verdict, p_text, percent};

    #[test]
    fn numbers_read_well() {
        let shown = [0.0, 0.00004, 0.0014, 0.02, 0.0523, 0.1, 0.57, 1.0].map(percent);
        assert_eq!(shown, ["0 %", "0.004 %", "0.14 %", "2 %", "5.2 %", "10 %", "57 %", "100 %"]);
        assert_eq!([0.5, 0.04, 0.00004].map(p_text), ["p = 0.500", "p = 0.040", "p = 4.0e-5"]);
    }

    #[test]
    fn the_worse_of_two_verdicts_holds_and_both_are_told() {
        let pass = Verdict::new(Outcome::Pass, "errors".into(), Some(0.5));
        let fail = Verdict::new(Outcome::Fail, "latency".into(), Some(0.001));
        let both = pass.and(fail);
        assert_eq!((both.outcome, both.p_value), (Outcome::Fail, Some(0.001)));
        assert_eq!(both.to_string(), "errors; latency");
    }
}
