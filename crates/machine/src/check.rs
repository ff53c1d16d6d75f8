//! Everything that can be wrong with a plan, found at once.

mod items;
mod locks;

use std::{
    collections::{HashMap, HashSet},
    fmt,
};
use towpath_model::{
    Condition, InDoubt, Operand, PLAN_FORMAT, PlanRecord, ReadMode, Role, Section, StepId, StepRecord,
    UndoPolicy, limits,
};

/// One thing that is wrong with a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The step that it is about; `None` for the plan as a whole.
    pub step: Option<StepId>,
    /// What is wrong, and what to do.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.step {
            Some(step) => write!(f, "step {step}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Everything that is wrong with a plan. Never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0.len();
        write!(f, "the plan has {n} problem{}", if n == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|p| write!(f, "\n  {p}"))
    }
}

impl std::error::Error for Problems {}

/// Finds everything that is wrong with a plan. An empty answer means that it can be driven.
pub fn check(record: &PlanRecord) -> Vec<Problem> {
    let mut checker = Checker { record, index: HashMap::new(), found: Vec::new() };
    checker.whole();
    for (i, step) in record.steps.iter().enumerate() {
        if checker.index.insert(&step.id, i).is_some() {
            checker.at(step, "the id is given to two steps: give each its own".into());
        }
    }
    for step in &record.steps {
        checker.policies(step);
        checker.references(step);
    }
    checker.output();
    checker.all_locks();
    checker.cycles();
    let mut told = HashSet::new();
    checker.found.retain(|problem| told.insert((problem.step.clone(), problem.what.clone())));
    checker.found
}

struct Checker<'a> {
    record: &'a PlanRecord,
    index: HashMap<&'a StepId, usize>,
    found: Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn at(&mut self, step: &StepRecord, what: String) {
        self.found.push(Problem { step: Some(step.id.clone()), what });
    }

    fn plan(&mut self, what: String) {
        self.found.push(Problem { step: None, what });
    }

    fn whole(&mut self) {
        let record = self.record;
        if record.format != PLAN_FORMAT {
            self.plan(format!(
                "the plan has format {}: this release drives format {PLAN_FORMAT}",
                record.format
            ));
        }
        let n = record.steps.len();
        if n == 0 {
            self.plan("the plan has no step: place one with `step`".into());
        }
        if n > limits::STEPS_PER_PLAN {
            self.plan(format!("the plan has {n} steps: the limit is {}", limits::STEPS_PER_PLAN));
        }
        if record.parallel == 0 {
            self.plan("no step may run: set `parallel` to at least 1".into());
        }
        if record.deadline_ms == Some(0) {
            self.plan("the deadline is zero: give it more, or leave it out".into());
        }
    }

    fn policies(&mut self, step: &'a StepRecord) {
        if matches!(step.role, Role::SubRun { .. }) {
            self.at(
                step,
                "a plan that runs by itself cannot be driven by this release: use a newer one".into(),
            );
        }
        self.items(step);
        self.locks(step);
        for (policy, name) in
            [(&step.retry, "retry"), (&step.undo_retry, "undo_retry"), (&step.observe_retry, "observe_retry")]
        {
            let n = policy.attempts_max;
            if n == 0 || n > limits::ATTEMPTS {
                self.at(step, format!("{name} allows {n} attempts: give 1 to {}", limits::ATTEMPTS));
            }
        }
        for (limit, name) in [(step.timeout_ms, "timeout"), (step.within_ms, "within")] {
            if limit == Some(0) {
                self.at(step, format!("{name} is zero: give it more, or leave it out"));
            }
        }
        if step.in_doubt == InDoubt::Observe && !step.methods.observe {
            self.at(step, format!("kind {} is to be observed when in doubt, but cannot observe", step.kind));
        }
        if step.undo == UndoPolicy::Ask && !step.methods.compensate {
            self.at(
                step,
                format!("nothing can be asked about undoing it: kind {} cannot be undone", step.kind),
            );
        }
        if step.section != Section::Main {
            let section = a_section(step.section);
            if step.point_of_no_return {
                self.at(step, format!("{section} step cannot be the point of no return"));
            }
            if step.methods.compensate && step.undo == UndoPolicy::Ask {
                self.at(
                    step,
                    format!("{section} step is never undone, so nothing can be asked: use another policy"),
                );
            }
        }
    }

    fn references(&mut self, step: &'a StepRecord) {
        let mut groups: Vec<(u16, usize)> = Vec::new();
        for read in &step.reads {
            self.reference(step, &read.step, "reads");
            if let ReadMode::FirstOf(group) = read.mode {
                match groups.iter_mut().find(|(g, _)| *g == group) {
                    Some((_, n)) => *n += 1,
                    None => groups.push((group, 1)),
                }
            }
        }
        if groups.iter().any(|(_, n)| *n < 2) {
            self.at(step, "first_of has one branch: give it at least two".into());
        }
        for after in &step.after {
            self.reference(step, after, "is after");
        }
        if let Some(when) = &step.when {
            if depth(when) > limits::NESTING {
                self.at(step, format!("its condition is nested deeper than {}", limits::NESTING));
            }
            for operand in when.operands() {
                match operand {
                    Operand::From { step: of, .. } => self.reference(step, of, "has a condition on"),
                    Operand::Param { name, .. } if !self.record.params.contains_key(name) => {
                        self.at(
                            step,
                            format!("its condition names the parameter {name:?}, which is not declared"),
                        );
                    }
                    Operand::Param { .. } | Operand::Value(_) => {}
                }
            }
        }
    }

    fn reference(&mut self, step: &StepRecord, of: &StepId, verb: &str) {
        let Some(target) = self.index.get(of).map(|i| &self.record.steps[*i]) else {
            self.at(step, format!("it {verb} {of}, which is not a step of this plan"));
            return;
        };
        if target.section > step.section {
            let section = a_section(target.section);
            self.at(step, format!("it {verb} {of}, which runs later, as {section} step"));
        }
    }

    fn output(&mut self) {
        match &self.record.output {
            Some(Operand::From { step, .. }) => match self.index.get(step).map(|i| &self.record.steps[*i]) {
                None => self.plan(format!("the output is that of {step}, which is not a step of this plan")),
                Some(of) if of.section != Section::Main => {
                    self.plan(format!("the output is that of {step}, which does not run on the way forward"));
                }
                Some(_) => {}
            },
            Some(Operand::Param { name, .. }) if !self.record.params.contains_key(name) => {
                self.plan(format!("the output is the parameter {name:?}, which is not declared"));
            }
            _ => {}
        }
    }

    /// Kahn's algorithm ("Topological sorting of large networks", CACM 1962); what is left over is on a cycle or behind one.
    fn cycles(&mut self) {
        let record = self.record;
        // What names no step of the plan was reported already; an id that two steps have says nothing of which is meant.
        let mut twice: HashSet<&StepId> = HashSet::new();
        let mut seen: HashSet<&StepId> = HashSet::new();
        twice.extend(record.steps.iter().map(|s| &s.id).filter(|id| !seen.insert(id)));
        let place = |id: &StepId| self.index.get(id).copied().filter(|_| !twice.contains(id));
        let known = |s| predecessors(s).into_iter().filter_map(place).collect();
        let edges: Vec<Vec<usize>> = record.steps.iter().map(known).collect();
        let mut missing: Vec<usize> = edges.iter().map(Vec::len).collect();
        let mut dependents = vec![Vec::new(); edges.len()];
        for (i, preds) in edges.iter().enumerate() {
            preds.iter().for_each(|p| dependents[*p].push(i));
        }
        let mut free: Vec<usize> = (0..edges.len()).filter(|i| missing[*i] == 0).collect();
        while let Some(i) = free.pop() {
            for d in &dependents[i] {
                missing[*d] -= 1;
                if missing[*d] == 0 {
                    free.push(*d);
                }
            }
        }
        let Some(start) = missing.iter().position(|m| *m > 0) else { return };
        // Every step left over has a predecessor left over, so walking back must come round.
        let (mut walk, mut here) = (vec![start], start);
        let cycle = loop {
            here =
                *edges[here].iter().find(|p| missing[**p] > 0).expect("a step left over waits for another");
            if let Some(at) = walk.iter().position(|w| *w == here) {
                break walk.split_off(at);
            }
            walk.push(here);
        };
        let mut names: Vec<_> = cycle.iter().map(|i| record.steps[*i].id.as_str()).collect();
        names.push(names[0]);
        self.plan(format!(
            "steps wait for each other in a circle: {}; take one `after` or one handle out",
            names.join(" waits for ")
        ));
    }
}

fn a_section(section: Section) -> &'static str {
    match section {
        Section::Main => "a main",
        Section::OnFailure => "an on_failure",
        Section::Finally => "a finally",
    }
}

fn depth(condition: &Condition) -> usize {
    match condition {
        Condition::All(all) | Condition::Any(all) => 1 + all.iter().map(depth).max().unwrap_or(0),
        Condition::Not(c) => 1 + depth(c),
        _ => 1,
    }
}

/// The steps that must be at rest before `step`: each once, in the order in which they are named.
pub(crate) fn predecessors(step: &StepRecord) -> Vec<&StepId> {
    let mut all: Vec<&StepId> = Vec::new();
    let operands = step.when.iter().flat_map(Condition::operands).filter_map(|o| match o {
        Operand::From { step, .. } => Some(step),
        _ => None,
    });
    for id in step.reads.iter().map(|r| &r.step).chain(operands).chain(&step.after) {
        if !all.contains(&id) {
            all.push(id);
        }
    }
    all
}

#[cfg(test)]
mod tests;
