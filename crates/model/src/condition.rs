//! Conditions as data.

use crate::{Json, StepId};
use serde::{Deserialize, Serialize};

/// What a condition compares: a value, or a place in a step's output.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operand {
    /// A value that the author wrote.
    Value(Json),
    /// A place in the output of a step.
    From {
        /// The step.
        step: StepId,
        /// RFC 6901 pointer into its output; empty for the whole.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        path: String,
    },
    /// A place in the value of a parameter.
    Param {
        /// The parameter.
        name: String,
        /// RFC 6901 pointer into its value; empty for the whole.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        path: String,
    },
}

/// When a step runs: data that can be drawn, hashed and explained, never code.
///
/// Numbers compare as numbers, texts by their UTF-8 bytes; values of different types are unequal and never ordered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Both are the same value.
    Is(Operand, Operand),
    /// The first is less than the second.
    Less(Operand, Operand),
    /// The first is less than the second, or the same.
    AtMost(Operand, Operand),
    /// All hold; true of none.
    All(Vec<Condition>),
    /// At least one holds; false of none.
    Any(Vec<Condition>),
    /// The condition does not hold.
    Not(Box<Condition>),
}

impl Condition {
    /// Every operand to be changed, in the order of reading.
    pub fn operands_mut(&mut self) -> Vec<&mut Operand> {
        match self {
            Condition::Is(a, b) | Condition::Less(a, b) | Condition::AtMost(a, b) => vec![a, b],
            Condition::All(all) | Condition::Any(all) => {
                all.iter_mut().flat_map(Condition::operands_mut).collect()
            }
            Condition::Not(c) => c.operands_mut(),
        }
    }

    /// Every operand, in the order of reading.
    pub fn operands(&self) -> Vec<&Operand> {
        match self {
            Condition::Is(a, b) | Condition::Less(a, b) | Condition::AtMost(a, b) => vec![a, b],
            Condition::All(all) | Condition::Any(all) => all.iter().flat_map(Condition::operands).collect(),
            Condition::Not(c) => c.operands(),
        }
    }
}
