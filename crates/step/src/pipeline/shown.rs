//! What the previews of a pipeline show: known once all its steps are.

use super::PlanProblem;
use crate::{Step, preview::PreviewOf};
use std::collections::HashMap;
use towpath_model::{
    Condition, Json, Operand, PlanRecord, Read, ReadMode, Role, Section, StepId, StepRecord,
};

/// Tells every preview which steps it shows, and has it wait for what they need.
pub(super) fn complete(record: &mut PlanRecord) -> Vec<PlanProblem> {
    let mut problems = Vec::new();
    for step in &mut record.steps {
        if let Role::ForEach { each, .. } = &mut step.role {
            let within = complete(each).into_iter().map(Box::new);
            problems.extend(within.map(|problem| PlanProblem::Within { of: step.id.clone(), problem }));
        }
    }
    for i in 0..record.steps.len() {
        if record.steps[i].kind.as_str() != PreviewOf::KIND {
            continue;
        }
        let id = record.steps[i].id.clone();
        let Ok(preview) = record.steps[i].with.read::<PreviewOf>() else { continue };
        let graph = Graph::of(&record.steps);
        let later = graph.below(i);
        let goes_there = |j: &usize| later[*j] && goes_into(&record.steps[*j], preview.environment());
        let shown: Vec<usize> = (0..record.steps.len()).filter(goes_there).collect();
        if shown.is_empty() {
            let what = format!(
                "it shows nothing: no step that waits for it goes into the environment {:?}",
                preview.environment()
            );
            problems.push(PlanProblem::Record { step: Some(id), what });
            continue;
        }
        let mut needed = vec![false; record.steps.len()];
        shown.iter().for_each(|j| graph.above(*j, &mut needed));
        // What waits for the preview cannot be waited for; it is foreseen, as far as it can be.
        let reads = (0..record.steps.len()).filter(|j| needed[*j] && !later[*j] && *j != i);
        let reads: Vec<Read> =
            reads.map(|j| Read { step: record.steps[j].id.clone(), mode: ReadMode::OrNone }).collect();
        let ids = shown.iter().map(|j| record.steps[*j].id.clone()).collect();
        let with = Json::of(&PreviewOf::shown(preview.environment(), ids));
        record.steps[i].with = with.expect("names of steps are json");
        record.steps[i].reads = reads;
    }
    problems
}

/// Whether a step, or one of an item of it, goes into an environment.
fn goes_into(step: &StepRecord, environment: &str) -> bool {
    let own = step.environment.as_ref().is_some_and(|name| name.as_str() == environment);
    let of_items = match &step.role {
        Role::ForEach { each, .. } => each.steps.iter().any(|step| goes_into(step, environment)),
        _ => false,
    };
    step.section == Section::Main && (own || of_items)
}

/// Who waits for whom, by place.
struct Graph {
    above: Vec<Vec<usize>>,
}

impl Graph {
    fn of(steps: &[StepRecord]) -> Self {
        let index: HashMap<&StepId, usize> =
            steps.iter().enumerate().map(|(i, step)| (&step.id, i)).collect();
        let operand = |operand: &Operand| match operand {
            Operand::From { step, .. } => Some(step.clone()),
            _ => None,
        };
        let above = steps.iter().map(|step| {
            let reads = step.reads.iter().map(|read| read.step.clone());
            let conditions = step.when.iter().flat_map(Condition::operands).filter_map(operand);
            let all = reads.chain(step.after.iter().cloned()).chain(conditions);
            all.filter_map(|id| index.get(&id).copied()).collect()
        });
        Graph { above: above.collect() }
    }

    /// Everything that waits for `of`, near or far.
    fn below(&self, of: usize) -> Vec<bool> {
        let mut later = vec![false; self.above.len()];
        // Steps may be placed in any order, so it is walked until nothing is added.
        loop {
            let next = (0..self.above.len())
                .find(|i| !later[*i] && self.above[*i].iter().any(|above| *above == of || later[*above]));
            match next {
                Some(i) => later[i] = true,
                None => return later,
            }
        }
    }

    /// Marks everything that `of` waits for, near or far.
    fn above(&self, of: usize, needed: &mut [bool]) {
        let mut open = vec![of];
        while let Some(step) = open.pop() {
            for above in &self.above[step] {
                if !std::mem::replace(&mut needed[*above], true) {
                    open.push(*above);
                }
            }
        }
    }
}
