//! Whether conditions hold.

use crate::state_of::Found;
use crate::{StepState, state::RunState};
use serde_json::Value;
use std::cmp::Ordering;
use towpath_model::{Condition, Json, Operand, StepId};

impl RunState {
    /// What stands at a place of a step's output.
    pub(crate) fn find_output(&self, step: &StepId, path: &str) -> Found {
        let Some(ix) = self.plan().find(step) else { return Found::Skipped(step.clone()) };
        match self.node(ix).state() {
            StepState::Done { unreadable: Some(failure), .. } => {
                Found::Unreadable(step.clone(), failure.clone())
            }
            StepState::Done { output, facts, .. } => match output.inline() {
                // What is not there reads as null: an optional field that was left out.
                Some(json) => Found::Value(json.at(path).unwrap_or_else(Json::null)),
                None => Found::Value(facts.get(path).cloned().unwrap_or_else(Json::null)),
            },
            _ => Found::Skipped(step.clone()),
        }
    }

    fn operand(&self, operand: &Operand) -> Result<Value, Found> {
        let json = match operand {
            Operand::Value(json) => json.clone(),
            Operand::Param { name, path } => {
                self.values().get(name).and_then(|v| v.at(path)).unwrap_or_else(Json::null)
            }
            Operand::From { step, path } => match self.find_output(step, path) {
                Found::Value(json) => json,
                other => return Err(other),
            },
        };
        Ok(json.read().unwrap_or(Value::Null))
    }

    /// Whether a condition holds; what it could not read, when it could not.
    pub(crate) fn holds(&self, condition: &Condition) -> Result<bool, Found> {
        Ok(match condition {
            Condition::Is(a, b) => same(&self.operand(a)?, &self.operand(b)?),
            Condition::Less(a, b) => order(&self.operand(a)?, &self.operand(b)?) == Some(Ordering::Less),
            Condition::AtMost(a, b) => {
                matches!(order(&self.operand(a)?, &self.operand(b)?), Some(Ordering::Less | Ordering::Equal))
            }
            // Every part is looked at, so that a part that cannot be read is found wherever it stands.
            Condition::All(all) => {
                all.iter().map(|c| self.holds(c)).collect::<Result<Vec<_>, _>>()?.into_iter().all(|b| b)
            }
            Condition::Any(all) => {
                all.iter().map(|c| self.holds(c)).collect::<Result<Vec<_>, _>>()?.into_iter().any(|b| b)
            }
            Condition::Not(c) => !self.holds(c)?,
        })
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => order(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        _ => None,
    }
}
