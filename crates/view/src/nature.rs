//! What a step is, as far as its record tells without its code.
//!
//! A plan says of each step whether it has an effect and whether it can be undone. What it is *for* stands only in
//! names: those of its id, its kind and its fields. What is found so is a guess, and is used for marks, for lint and
//! for estimates, never for what is done.

use crate::fields::{self, Source};
use serde_json::Value;
use towpath_model::{InDoubt, Role, StepRecord, UndoPolicy};

const PEOPLE: [&str; 5] = ["approval", "approve", "confirm", "manual", "signoff"];
const GATES: [&str; 6] = ["gate", "window", "freeze", "verdict", "policy", "quorum"];
const DEPLOYS: [&str; 5] = ["deploy", "promote", "canary", "rollout", "ship"];
const LOOKS: [&str; 8] = ["smoke", "health", "healthcheck", "verify", "analysis", "probe", "check", "watch"];
const PRODUCTION: [&str; 3] = ["production", "prod", "live"];

/// Whether a name has one of these words in it.
pub(crate) fn says(name: &str, words: &[&str]) -> bool {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|part| words.contains(&part.to_ascii_lowercase().as_str()))
}

fn is_called(step: &StepRecord, words: &[&str]) -> bool {
    says(step.id.as_str(), words) || says(step.kind.as_str(), words)
}

/// Whether it changes something outside.
pub(crate) fn has_effect(step: &StepRecord) -> bool {
    step.in_doubt != InDoubt::NoEffect
}

/// What becomes of its effect when the run unwinds.
pub(crate) fn undoing(step: &StepRecord) -> Option<Undoing> {
    if !has_effect(step) {
        return None;
    }
    Some(match step.undo {
        UndoPolicy::Undo if step.methods.compensate => Undoing::Undone,
        UndoPolicy::Undo => Undoing::Impossible,
        UndoPolicy::Keep => Undoing::Kept,
        UndoPolicy::Ask => Undoing::Asked,
    })
}

/// What becomes of an effect when a run unwinds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Undoing {
    Undone,
    Kept,
    Asked,
    /// The policy is to undo it, and its kind cannot.
    Impossible,
}

/// Whether it waits for people.
pub(crate) fn waits_for_people(step: &StepRecord) -> bool {
    says(step.kind.as_str(), &PEOPLE) || (!has_effect(step) && says(step.id.as_str(), &PEOPLE))
}

/// Whether it lets others pass only under a condition.
pub(crate) fn is_gate(step: &StepRecord) -> bool {
    waits_for_people(step) || is_called(step, &GATES)
}

/// Whether it puts something into an environment.
pub(crate) fn deploys(step: &StepRecord) -> bool {
    has_effect(step) && is_called(step, &DEPLOYS)
}

/// Whether it looks whether something is well.
pub(crate) fn looks(step: &StepRecord) -> bool {
    is_called(step, &LOOKS)
}

/// Whether it has plans below it.
pub(crate) fn is_outer(step: &StepRecord) -> bool {
    step.role != Role::Step
}

/// Whether an environment is one that customers use.
pub(crate) fn is_production(environment: &str) -> bool {
    says(environment, &PRODUCTION)
}

/// The environments that it goes into: by its record, by a lock, or in a field of that name.
pub(crate) fn environments(step: &StepRecord) -> Vec<String> {
    let mut found: Vec<String> =
        step.locks.iter().chain(&step.environment).map(|name| name.to_string()).collect();
    for field in fields::of(step) {
        let is_named = says(&field.path.replace('.', "-"), &["environment", "env"]);
        match field.source {
            Source::Value(Value::String(name)) if is_named => found.push(name),
            Source::Value(Value::Object(of)) if is_named => {
                found.extend(of.get("name").and_then(Value::as_str).map(str::to_owned));
            }
            _ => {}
        }
    }
    found.sort();
    found.dedup();
    found
}
