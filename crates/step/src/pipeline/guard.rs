//! What environments insist on, and who has power over what.

use super::{
    PlanProblem,
    state::{Param, StepDraft},
};
use crate::{
    input::Reference,
    output::{Gates, Passed},
};
use std::collections::{BTreeMap, HashMap, HashSet};
use towpath_model::{ReadMode, StepId};

/// Everything in which the steps do not respect their environments, or fight over one thing.
pub(super) fn problems(steps: &[StepDraft], params: &[Param]) -> Vec<PlanProblem> {
    let all = flat(steps);
    let mut problems = descriptions(&all);
    problems.extend(owners(&all));
    // What a parameter holds has passed its gates: only a handle can be given for it.
    let params = params.iter().map(|param| (param.name.as_str(), param.gates.clone())).collect();
    problems.extend(gates(steps, &params));
    problems
}

/// All steps, those of items too, with the ids under which people know them.
fn flat(steps: &[StepDraft]) -> Vec<(StepId, &StepDraft)> {
    let mut all = Vec::new();
    for step in steps {
        let id = &step.record.id;
        all.push((id.clone(), step));
        for (inner, step) in step.detail.inner.iter().flat_map(|inner| flat(&inner.steps)) {
            all.push((StepId::new(&format!("{id}/{inner}")).unwrap_or(inner), step));
        }
    }
    all
}

/// One name, one description.
fn descriptions(steps: &[(StepId, &StepDraft)]) -> Vec<PlanProblem> {
    let mut known = HashMap::new();
    let mut problems = Vec::new();
    for (id, step) in steps {
        let Some(here) = &step.detail.environment else { continue };
        let (first, there) = *known.entry(here.name()).or_insert((id, here));
        if there != here {
            let (step, environment, first) = (id.clone(), here.name().to_owned(), first.clone());
            problems.push(PlanProblem::Environments { step, environment, first });
        }
    }
    problems
}

/// One thing, one owner.
fn owners(steps: &[(StepId, &StepDraft)]) -> Vec<PlanProblem> {
    let mut claims: BTreeMap<&str, BTreeMap<&str, &StepId>> = BTreeMap::new();
    for (id, step) in steps {
        for claim in &step.detail.claims {
            claims.entry(&claim.thing).or_default().entry(&claim.owner).or_insert(id);
        }
    }
    let fights = claims.into_iter().filter(|(_, owners)| owners.len() > 1);
    fights
        .map(|(thing, owners)| PlanProblem::Owners {
            thing: thing.to_owned(),
            owners: owners.into_iter().map(|(owner, step)| (owner.to_owned(), step.clone())).collect(),
        })
        .collect()
}

/// What goes into an environment has passed its gates. `around` holds the gates that have been passed by what the steps of
/// an item take from around them.
fn gates(steps: &[StepDraft], around: &HashMap<&str, Gates>) -> Vec<PlanProblem> {
    let graph = Graph { steps: steps.iter().map(|step| (&step.record.id, step)).collect(), around };
    let mut problems = Vec::new();
    for step in steps {
        if let Some(environment) = &step.detail.environment {
            let passed = graph.read_by(step);
            let is_missing = |gate: &&Passed| !passed.contains(gate);
            let missing = environment.passed().iter().filter(is_missing);
            let missing: Vec<String> = missing.map(|gate| gate.word.to_owned()).collect();
            if !missing.is_empty() {
                let (step, environment) = (step.record.id.clone(), environment.name().to_owned());
                problems.push(PlanProblem::Gate { step, environment, missing });
            }
        }
        let Some(inner) = &step.detail.inner else { continue };
        let taken = inner.taken.iter().map(|taken| (taken.param.as_str(), graph.of(&taken.to))).collect();
        problems.extend(
            gates(&inner.steps, &taken).into_iter().map(|problem| PlanProblem::Within {
                of: step.record.id.clone(),
                problem: Box::new(problem),
            }),
        );
    }
    problems
}

struct Graph<'a> {
    steps: HashMap<&'a StepId, &'a StepDraft>,
    around: &'a HashMap<&'a str, Gates>,
}

impl Graph<'_> {
    /// The gates that were passed by what a step reads, or by what that was made of. Only reads that are certain to be there
    /// count: `after` is for order and not for safety, and a branch may be the one without the gate.
    fn read_by(&self, step: &StepDraft) -> Gates {
        let (mut passed, mut seen, mut open) = (Gates::new(), HashSet::new(), vec![step]);
        while let Some(step) = open.pop() {
            let around = step.detail.params.iter().filter_map(|param| self.around.get(param.as_str()));
            passed.extend(around.flatten());
            let certain = step.record.reads.iter().filter(|read| read.mode == ReadMode::Required);
            for read in certain.filter(|read| seen.insert(&read.step)) {
                let Some(source) = self.steps.get(&read.step) else { continue };
                passed.extend(&source.detail.gates);
                open.push(source);
            }
        }
        passed
    }

    /// The gates that were passed by what a reference refers to.
    fn of(&self, to: &Reference) -> Gates {
        match to {
            Reference::From(place) => self.steps.get(&place.step).map_or(Gates::new(), |step| {
                let mut passed = self.read_by(step);
                passed.extend(&step.detail.gates);
                passed
            }),
            Reference::Param(place) => self.around.get(place.name.as_str()).cloned().unwrap_or_default(),
            Reference::OrNone(_) | Reference::FirstOf(_) | Reference::Text(_) => Gates::new(),
        }
    }
}
