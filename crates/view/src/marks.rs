//! What is worth a mark in a picture of a step.

use crate::{
    nature::{self, Undoing},
    paint::Tone,
    words,
};
use towpath_model::{InDoubt, Role, Section, StepRecord};

/// The marks of a step, each with its tone.
pub(crate) fn of(step: &StepRecord) -> Vec<(Tone, String)> {
    let mut all: Vec<(Tone, String)> = Vec::new();
    if nature::waits_for_people(step) {
        all.push((Tone::Needs, "waits for people".into()));
    } else if nature::is_gate(step) {
        all.push((Tone::Needs, "gate".into()));
    }
    if let Some(environment) = &step.environment {
        all.push((Tone::Strong, format!("in {}", words::clean(environment.as_str()))));
    }
    if !step.locks.is_empty() {
        let names: Vec<String> = step.locks.iter().map(|lock| words::clean(lock.as_str())).collect();
        all.push((Tone::Plain, format!("holds {}", names.join(", "))));
    }
    // Steps of the other sections are never undone.
    match nature::undoing(step).filter(|_| step.section == Section::Main) {
        Some(Undoing::Kept) => all.push((Tone::Plain, "keeps its effect".into())),
        Some(Undoing::Asked) => all.push((Tone::Needs, "asks before it is undone".into())),
        Some(Undoing::Impossible) => all.push((Tone::Needs, "cannot be undone".into())),
        Some(Undoing::Undone) | None => {}
    }
    if step.in_doubt == InDoubt::AskOperator {
        all.push((Tone::Needs, "asks an operator when in doubt".into()));
    }
    if step.best_effort {
        all.push((Tone::Plain, "best effort".into()));
    }
    if step.point_of_no_return {
        all.push((Tone::Bad, "point of no return".into()));
    }
    all.extend(step.timeout_ms.map(|ms| (Tone::Plain, format!("timeout {}", words::millis(ms)))));
    all.extend(step.within_ms.map(|ms| (Tone::Plain, format!("within {}", words::millis(ms)))));
    all
}

/// What a step that has a plan below it does with it.
pub(crate) fn below(step: &StepRecord) -> Option<String> {
    match &step.role {
        Role::Step => None,
        Role::SubRun { plan } => Some(format!("runs {}", plan.pipeline)),
        Role::ForEach { list, key, parallel, .. } => {
            let by = if key.is_empty() {
                String::new()
            } else {
                format!(" by {}", words::place("", key).trim_start_matches('.'))
            };
            Some(format!("for each of {}{by}, {parallel} at once", words::operand(list)))
        }
    }
}
