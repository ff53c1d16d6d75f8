//! A plan made ready to be driven.

use crate::{
    check::{Problems, check, predecessors},
    locks::{Scope, ScopeNo, scopes},
};
use std::{collections::HashMap, sync::Arc};
use towpath_model::{Condition, Operand, PlanRecord, Role, Section, StepId, StepRecord};

/// Place of a step in its plan. Never stored and never shown: ids are.
pub type Ix = u32;

/// A checked plan with its graph, shared by all runs of it.
#[derive(Debug)]
pub struct Plan {
    record: Arc<PlanRecord>,
    index: HashMap<StepId, Ix>,
    predecessors: Vec<Vec<Ix>>,
    dependents: Vec<Vec<Ix>>,
    facts: Vec<Vec<String>>,
    scopes: Vec<Scope>,
    scope_of: Vec<Option<ScopeNo>>,
}

/// A step of a plan that is a `for_each`.
#[derive(Clone, Copy, Debug)]
pub struct ForEach<'p> {
    /// The list.
    pub list: &'p Operand,
    /// Pointer to the key within an item.
    pub key: &'p str,
    /// The plan of one item.
    pub each: &'p PlanRecord,
    /// Most items that run at once.
    pub parallel: u32,
}

impl Plan {
    /// Checks a plan and makes it ready.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(record: Arc<PlanRecord>) -> Result<Self, Problems> {
        let problems = check(&record);
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let index: HashMap<StepId, Ix> =
            record.steps.iter().zip(0..).map(|(s, i)| (s.id.clone(), i)).collect();
        let preds: Vec<Vec<Ix>> =
            record.steps.iter().map(|s| predecessors(s).into_iter().map(|id| index[id]).collect()).collect();
        let mut dependents = vec![Vec::new(); preds.len()];
        for (preds, i) in preds.iter().zip(0..) {
            preds.iter().for_each(|p| dependents[*p as usize].push(i));
        }
        let mut facts = vec![Vec::new(); preds.len()];
        let operands = record.steps.iter().filter_map(|s| s.when.as_ref()).flat_map(Condition::operands);
        for operand in operands.chain(&record.output) {
            if let Operand::From { step, path } = operand {
                let of: &mut Vec<String> = &mut facts[index[step] as usize];
                if !path.is_empty() && !of.contains(path) {
                    of.push(path.clone());
                }
            }
        }
        let (scopes, scope_of) = scopes(&record, &dependents);
        Ok(Plan { record, index, predecessors: preds, dependents, facts, scopes, scope_of })
    }

    /// The plan's record.
    pub fn record(&self) -> &Arc<PlanRecord> {
        &self.record
    }

    /// The record of a step.
    pub fn step(&self, ix: Ix) -> &StepRecord {
        &self.record.steps[ix as usize]
    }

    /// What a step goes through, when it is a `for_each`.
    pub fn for_each(&self, ix: Ix) -> Option<ForEach<'_>> {
        match &self.step(ix).role {
            Role::Step | Role::SubRun { .. } => None,
            Role::ForEach { list, key, each, parallel } => {
                Some(ForEach { list, key, each, parallel: *parallel })
            }
        }
    }

    /// The place of a step.
    pub fn find(&self, id: &StepId) -> Option<Ix> {
        self.index.get(id).copied()
    }

    /// Number of steps.
    pub fn len(&self) -> usize {
        self.record.steps.len()
    }

    /// Whether there is no step; a checked plan has one at least.
    pub fn is_empty(&self) -> bool {
        self.record.steps.is_empty()
    }

    /// The steps that must be at rest before this one.
    pub fn predecessors(&self, ix: Ix) -> &[Ix] {
        &self.predecessors[ix as usize]
    }

    /// The steps that wait for this one.
    pub fn dependents(&self, ix: Ix) -> &[Ix] {
        &self.dependents[ix as usize]
    }

    /// The places of a step's output that deciding needs, as pointers.
    pub fn facts(&self, ix: Ix) -> &[String] {
        &self.facts[ix as usize]
    }

    /// The locks that are taken together, with the steps that act under them.
    pub(crate) fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The scope that a step belongs to.
    pub(crate) fn scope(&self, ix: Ix) -> Option<ScopeNo> {
        self.scope_of.get(ix as usize).copied().flatten()
    }

    /// The steps of a section, in the order of the plan.
    pub fn section(&self, section: Section) -> impl Iterator<Item = Ix> + '_ {
        self.record.steps.iter().zip(0..).filter(move |(s, _)| s.section == section).map(|(_, i)| i)
    }
}
