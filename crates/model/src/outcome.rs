//! How runs end.

use crate::{Actor, Failure, Payload, StepId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a run leaves its way forward.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A step failed for good.
    StepFailed {
        /// The step.
        step: StepId,
        /// What went wrong.
        failure: Failure,
    },
    /// Somebody cancelled it.
    Cancelled {
        /// Who.
        by: Actor,
        /// In their words.
        reason: String,
    },
    /// A step ended it, though nothing was wrong.
    StepCancelled {
        /// The step.
        step: StepId,
        /// What it said.
        failure: Failure,
    },
    /// The run's own time limit passed.
    Deadline,
    /// The run that it is an item of leaves its way, and has it come along.
    WithParent,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::StepFailed { step, failure } => write!(f, "step {step} failed: {failure}"),
            Why::Cancelled { by, reason } if reason.is_empty() => write!(f, "cancelled by {by}"),
            Why::Cancelled { by, reason } => write!(f, "cancelled by {by}: {reason}"),
            Why::StepCancelled { step, failure } => write!(f, "step {step} ended it: {failure}"),
            Why::Deadline => f.write_str("the run's deadline passed"),
            Why::WithParent => f.write_str("the run that it is an item of left its way"),
        }
    }
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every step that had to is done.
    Succeeded {
        /// The pipeline's output, when it declares one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Payload>,
    },
    /// It failed and was undone.
    Compensated {
        /// Why.
        why: Why,
    },
    /// It failed and there was nothing to undo.
    Failed {
        /// Why.
        why: Why,
    },
    /// It was cancelled.
    Cancelled {
        /// Why.
        why: Why,
    },
    /// A newer run took its place while it waited.
    Superseded {
        /// What took its place.
        by: String,
    },
    /// It was given up, with a reason.
    Abandoned {
        /// Who gave it up.
        by: Actor,
        /// In their words.
        reason: String,
    },
}

impl Outcome {
    /// The outcome in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Succeeded { .. } => "succeeded",
            Outcome::Compensated { .. } => "compensated",
            Outcome::Failed { .. } => "failed",
            Outcome::Cancelled { .. } => "cancelled",
            Outcome::Superseded { .. } => "superseded",
            Outcome::Abandoned { .. } => "abandoned",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Outcome::Succeeded { .. } => Ok(()),
            Outcome::Compensated { why } | Outcome::Failed { why } | Outcome::Cancelled { why } => {
                write!(f, ": {why}")
            }
            Outcome::Superseded { by } => write!(f, " by {by}"),
            Outcome::Abandoned { by, reason } => write!(f, " by {by}: {reason}"),
        }
    }
}

/// What a run leaves behind beside its outcome: nothing here is silent.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Aftermath {
    /// Steps whose effects were kept when the run unwound, by their undo policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<StepId>,
    /// Steps whose effects were left in place because nobody undid them: abandoned, skipped, or not unwound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<StepId>,
    /// Steps of which it is not known whether they took effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_doubt: Vec<StepId>,
    /// Failures that did not change the outcome: best-effort, `on_failure` and `finally` steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<(StepId, Failure)>,
}
