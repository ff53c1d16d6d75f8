//! What a caller allows.

use super::RULES;
use std::{fmt, str::FromStr};
use towpath_model::StepId;

/// A rule that is not applied: to the whole plan, or to one step.
///
/// ```
/// use towpath_view::Allow;
/// let everywhere: Allow = "mutable-tag".parse()?;
/// let at_one_step: Allow = "no-undo:migrate".parse()?;
/// assert!("no-such-rule".parse::<Allow>().is_err());
/// # Ok::<(), towpath_view::AllowError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Allow {
    rule: &'static str,
    step: Option<StepId>,
}

impl Allow {
    /// Whether it covers a finding.
    pub(super) fn covers(&self, rule: &str, step: Option<&StepId>) -> bool {
        self.rule == rule && self.step.as_ref().is_none_or(|only| Some(only) == step)
    }
}

impl FromStr for Allow {
    type Err = AllowError;

    fn from_str(text: &str) -> Result<Self, AllowError> {
        let (name, step) = text.split_once(':').map_or((text, None), |(rule, step)| (rule, Some(step)));
        let known = RULES.iter().find(|rule| rule.id == name);
        let rule = known.ok_or_else(|| AllowError(format!("{name:?} is no rule: want one of {}", all())))?.id;
        let step = step.map(StepId::new).transpose().map_err(|e| AllowError(e.to_string()))?;
        Ok(Allow { rule, step })
    }
}

fn all() -> String {
    RULES.iter().map(|rule| rule.id).collect::<Vec<_>>().join(", ")
}

/// What is to be allowed is no rule, or is at no step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AllowError(String);

impl fmt::Display for AllowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AllowError {}
