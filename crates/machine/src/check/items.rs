//! What can be wrong with a `for_each`.

use super::{Checker, check};
use crate::items::{Source, With};
use std::collections::BTreeSet;
use towpath_model::{
    InDoubt, Methods, Operand, PlanRecord, Role, Section, StepId, StepRecord, UndoPolicy, limits,
};

/// The parameter of an item's plan that holds the item.
const ITEM: &str = "item";

impl<'a> Checker<'a> {
    pub(super) fn items(&mut self, step: &'a StepRecord) {
        let Role::ForEach { list, key, each, parallel } = &step.role else { return };
        let most = limits::ITEMS_AT_ONCE;
        if *parallel == 0 || *parallel > most {
            self.at(step, format!("{parallel} of its items run at once: give 1 to {most}"));
        }
        if !key.is_empty() && !key.starts_with('/') {
            self.at(step, format!("{key:?} is no place of a key: write a pointer, as in \"/name\""));
        }
        if step.id.as_str().contains('[') {
            self.at(step, "its id names an item of another step: give it an id of its own".into());
        }
        self.items_node(step, each);
        self.items_given(step, list, each);
        if deepest(each) + step.id.depth() > limits::NESTING + 1 {
            self.at(step, format!("its items' steps are nested deeper than {}", limits::NESTING));
        }
        for problem in check(each) {
            self.at(step, format!("the plan of its items: {problem}"));
        }
    }

    /// What the node says about itself follows from what its items are.
    fn items_node(&mut self, step: &'a StepRecord, each: &PlanRecord) {
        let compensate = can_be_undone(each);
        let methods = Methods { compensate, ..Methods::default() };
        if step.in_doubt != InDoubt::NoEffect || step.methods != methods {
            let undone = if compensate { "can" } else { "cannot" };
            self.at(
                step,
                format!("its items {undone} be undone, and its record says otherwise: build the plan anew"),
            );
        }
        if step.section != Section::Main {
            self.at(step, "a for_each has its turn on the way forward: place it there".into());
        }
        if step.timeout_ms.is_some() || step.within_ms.is_some() {
            self.at(step, "a for_each has no time limit of its own: give its items' steps one".into());
        }
    }

    fn items_given(&mut self, step: &'a StepRecord, list: &'a Operand, each: &PlanRecord) {
        let with = match With::of(step) {
            Ok(with) => with,
            Err(why) => return self.at(step, why),
        };
        let read = |id: &StepId| step.reads.iter().any(|read| read.step == *id);
        let mut unread: Vec<&StepId> = with.given.values().flat_map(Source::steps).collect();
        let mut params: Vec<&str> = Vec::new();
        match list {
            Operand::From { step, .. } => unread.push(step),
            Operand::Param { name, .. } => params.push(name),
            Operand::Value(_) => {}
        }
        for id in unread.into_iter().filter(|id| !read(id)) {
            self.at(step, format!("it takes something from {id} without reading it: build the plan anew"));
        }
        params.extend(with.given.values().flat_map(Source::params));
        for name in params.into_iter().filter(|name| !self.record.params.contains_key(*name)) {
            self.at(step, format!("it takes the parameter {name:?}, which is not declared"));
        }
        let given: BTreeSet<&str> = with.given.keys().map(|name| &**name).chain([ITEM]).collect();
        let wanted: BTreeSet<&str> = each.params.keys().map(|name| &**name).collect();
        if given != wanted {
            self.at(step, format!("its items' plan has the parameters {wanted:?} and is given {given:?}"));
        }
    }
}

/// Whether something that a run of the plan does can be undone.
fn can_be_undone(plan: &PlanRecord) -> bool {
    plan.steps.iter().any(|step| step.methods.compensate && step.undo != UndoPolicy::Keep)
}

/// How deep the deepest step's path is below an item.
fn deepest(plan: &PlanRecord) -> usize {
    let depth = |step: &StepRecord| match &step.role {
        Role::Step | Role::SubRun { .. } => step.id.depth(),
        Role::ForEach { each, .. } => step.id.depth() + deepest(each),
    };
    plan.steps.iter().map(depth).max().unwrap_or(0)
}
