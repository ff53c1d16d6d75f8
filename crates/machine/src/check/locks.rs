//! What can be wrong with locks.

use super::Checker;
use std::collections::BTreeSet;
use towpath_model::{Name, PlanRecord, Role, StepRecord, limits};

impl<'a> Checker<'a> {
    pub(super) fn locks(&mut self, step: &'a StepRecord) {
        if !step.locks.is_sorted_by(|a, b| a < b) {
            self.at(
                step,
                "its locks are not in the order of their names, each once: build the plan anew".into(),
            );
        }
        let Role::ForEach { each, .. } = &step.role else { return };
        let missing = of(each).into_iter().find(|lock| !step.locks.contains(lock));
        if let Some(lock) = missing {
            self.at(
                step,
                format!("its items act under the lock {lock}, and it does not hold it: build the plan anew"),
            );
        }
    }

    pub(super) fn all_locks(&mut self) {
        let n = of(self.record).len();
        if n > limits::LOCKS_PER_PLAN {
            self.plan(format!("the plan has {n} locks: the limit is {}", limits::LOCKS_PER_PLAN));
        }
    }
}

/// Every lock that a plan names.
fn of(plan: &PlanRecord) -> BTreeSet<&Name> {
    plan.steps.iter().flat_map(|step| &step.locks).collect()
}
