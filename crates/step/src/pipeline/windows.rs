//! What goes into an environment that is not always open goes there behind a step that has waited for it.

use super::{
    PlanProblem,
    locks::{predecessors, reach},
    state::StepDraft,
};
use crate::Environment;
use std::collections::{BTreeSet, HashMap, HashSet};
use towpath_model::{InDoubt, Json, ReadMode, Section, StepId};

/// Every step that goes into an environment at a time that nobody has looked at.
pub(super) fn problems(steps: &[StepDraft]) -> Vec<PlanProblem> {
    within(steps, &|_| Err(None))
}

/// How a step stands to a calendar: looked at, or not; with the step that asks people after it was looked at.
type Looked = Result<(), Option<StepId>>;

/// `around` tells how the run stands to a calendar when the items begin of which these are the steps.
fn within(steps: &[StepDraft], around: &dyn Fn(&Json) -> Looked) -> Vec<PlanProblem> {
    let graph = Graph::of(steps, around);
    let mut problems = Vec::new();
    for step in steps {
        problems.extend(step.detail.environment.as_ref().and_then(|to| graph.problem(step, to)));
        let Some(inner) = &step.detail.inner else { continue };
        let inner = within(&inner.steps, &|calendar| graph.looked(step, calendar));
        problems.extend(
            inner.into_iter().map(|problem| PlanProblem::Within {
                of: step.record.id.clone(),
                problem: Box::new(problem),
            }),
        );
    }
    problems
}

struct Graph<'a> {
    steps: HashMap<&'a StepId, &'a StepDraft>,
    before: HashMap<&'a StepId, Vec<&'a StepId>>,
    left_out: HashSet<&'a StepId>,
    around: &'a dyn Fn(&Json) -> Looked,
}

impl<'a> Graph<'a> {
    fn of(steps: &'a [StepDraft], around: &'a dyn Fn(&Json) -> Looked) -> Self {
        Graph {
            steps: steps.iter().map(|step| (&step.record.id, step)).collect(),
            before: steps.iter().map(|step| (&step.record.id, predecessors(&step.record))).collect(),
            left_out: left_out(steps),
            around,
        }
    }

    fn problem(&self, step: &StepDraft, to: &Environment) -> Option<PlanProblem> {
        let (id, environment) = (step.record.id.clone(), to.name().to_owned());
        let times = match to.times()? {
            Ok(times) => times.clone(),
            Err(what) => return Some(PlanProblem::Times { step: id, environment, what: what.clone() }),
        };
        // What clears away is held up by nothing, and what changes nothing may look at any time.
        let is_free = step.detail.at_any_time
            || step.record.section != Section::Main
            || step.record.in_doubt == InDoubt::NoEffect;
        if is_free {
            return None;
        }
        let asks = self.looked(step, to.calendar()?).err()?;
        Some(PlanProblem::Windows { step: id, environment, times, asks })
    }

    /// Whether a step begins only when a calendar was found open, and nobody was asked since.
    fn looked(&self, step: &StepDraft, calendar: &Json) -> Looked {
        let waits_for = |id: &&StepId| self.steps[*id].detail.opens.as_ref() == Some(calendar);
        let all = reach(&step.record.id, &self.before);
        let all: BTreeSet<&StepId> = all.into_iter().filter(|id| self.steps.contains_key(*id)).collect();
        let asked: Vec<&StepId> =
            all.iter().copied().filter(|id| self.steps[*id].detail.people && !waits_for(id)).collect();
        let mut late = None;
        for window in self.certain(step).into_iter().filter(waits_for) {
            let before = reach(window, &self.before);
            match asked.iter().find(|asks| !before.contains(**asks)) {
                None => return Ok(()),
                Some(asks) => late = Some((*asks).clone()),
            }
        }
        match (late, asked.last()) {
            (Some(asks), _) => Err(Some(asks)),
            (None, None) => (self.around)(calendar),
            // What was open around an item may be closed by the time at which somebody has answered within it.
            (None, Some(asks)) => match (self.around)(calendar) {
                Ok(()) => Err(Some((*asks).clone())),
                not => not,
            },
        }
    }

    /// The steps that have certainly been done before a step begins. What is skipped was not: a step that reads it is skipped
    /// with it, but one that comes only after it runs all the same.
    fn certain(&self, step: &StepDraft) -> HashSet<&'a StepId> {
        let (mut certain, mut open) = (HashSet::new(), vec![step.record.id.clone()]);
        while let Some(id) = open.pop() {
            let Some(step) = self.steps.get(&id) else { continue };
            let record = &step.record;
            let reads = record.reads.iter().map(|read| (&read.step, read.mode == ReadMode::Required));
            let after = predecessors(record).into_iter().map(|step| (step, false));
            for (before, is_needed) in reads.chain(after) {
                let Some((id, _)) = self.steps.get_key_value(before) else { continue };
                if (is_needed || !self.left_out.contains(before)) && certain.insert(*id) {
                    open.push((*id).clone());
                }
            }
        }
        certain
    }
}

/// The steps without which a run may go on: they have a condition, may fail, or read a step that may be left out.
fn left_out(steps: &[StepDraft]) -> HashSet<&StepId> {
    let mut readers: HashMap<&StepId, Vec<&StepId>> = HashMap::new();
    for step in steps {
        let reads = step.record.reads.iter().filter(|read| read.mode != ReadMode::OrNone);
        reads.for_each(|read| readers.entry(&read.step).or_default().push(&step.record.id));
    }
    let own = steps.iter().filter(|step| step.record.when.is_some() || step.record.best_effort);
    let mut open: Vec<&StepId> = own.map(|step| &step.record.id).collect();
    let mut left_out = HashSet::new();
    while let Some(step) = open.pop() {
        if left_out.insert(step) {
            open.extend(readers.get(step).into_iter().flatten());
        }
    }
    left_out
}
