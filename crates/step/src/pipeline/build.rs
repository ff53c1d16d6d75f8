//! Freezing a draft.

use super::{Pipeline, PlanErrors, PlanProblem, State, guard, locks, plan::Frozen, shown, windows};
use crate::Output;
use std::{collections::BTreeMap, sync::Arc};
use towpath_model::{Json, PLAN_FORMAT, PipelineName, PlanRecord, canonical, limits};

pub(super) fn build<Out: Output>(state: &State) -> Result<Pipeline<Out>, PlanErrors> {
    let mut problems = Vec::new();
    let name = PipelineName::new(&state.name).unwrap_or_else(|error| {
        problems.push(PlanProblem::Name(error));
        PipelineName::new("unnamed").expect("a constant name keeps the rule")
    });
    problems.extend(state.problems.iter().cloned());
    let mut record = record(state, name);
    problems.extend(shown::complete(&mut record));
    problems.extend(structure(&record));
    problems.extend(guard::problems(&state.steps, &state.params));
    problems.extend(windows::problems(&state.steps));
    problems.extend(locks::problems(&state.held_steps()));
    let text = canonical::of(&record).unwrap_or_else(|whole| {
        uncanonical(&record, &whole, &mut problems);
        String::new()
    });
    if text.len() > limits::PLAN_BYTES {
        problems.push(PlanProblem::TooLarge { bytes: text.len() });
    }
    match record.hash() {
        Ok(hash) if problems.is_empty() => {
            let details = state.held_steps().into_iter().map(|step| step.detail).collect();
            let record = Arc::new(record);
            Ok(Pipeline::frozen(Frozen {
                record,
                params: state.params.clone(),
                details,
                hash,
                bytes: text.len(),
            }))
        }
        _ => Err(PlanErrors { pipeline: state.name.clone(), problems }),
    }
}

/// Types are checked by decoding; a schema that says nothing holds the place of theirs.
pub(super) fn anything() -> Json {
    Json::of(&BTreeMap::<String, ()>::new()).expect("an empty object is json")
}

pub(super) fn record(state: &State, pipeline: PipelineName) -> PlanRecord {
    PlanRecord {
        format: PLAN_FORMAT,
        pipeline,
        steps: state.held_steps().into_iter().map(|step| step.record).collect(),
        params: state.params.iter().map(|param| (param.name.clone(), param.schema())).collect(),
        output: state.output.clone(),
        parallel: state.parallel,
        deadline_ms: state.deadline_ms,
        unwind_one_at_a_time: state.unwind_one_at_a_time,
    }
}

/// What the machine finds wrong with the graph and its policies.
pub(super) fn structure(record: &PlanRecord) -> impl Iterator<Item = PlanProblem> {
    let found = towpath_machine::check(record);
    found.into_iter().map(|problem| PlanProblem::Record { step: problem.step, what: problem.what })
}

/// Says which steps have no canonical form. Their fields were looked at when they were placed; what is left are
/// conditions and policies.
fn uncanonical(record: &PlanRecord, whole: &canonical::CanonicalError, problems: &mut Vec<PlanProblem>) {
    for step in &record.steps {
        let known = |p: &PlanProblem| matches!(p, PlanProblem::Encoding { step: of, .. } if *of == step.id);
        if let Err(e) = canonical::of(step)
            && !problems.iter().any(known)
        {
            problems.push(PlanProblem::Record { step: Some(step.id.clone()), what: e.to_string() });
        }
    }
    if problems.is_empty() {
        problems.push(PlanProblem::Record { step: None, what: whole.to_string() });
    }
}
