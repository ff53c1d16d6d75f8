//! Scopes of steps that act under a lock.

use super::{Draft, PlanProblem, State, state::StepDraft};
use crate::Output;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use towpath_model::{Condition, Name, Operand, PlanRecord, Role, StepId, StepRecord};

impl<Out: Output> Draft<Out> {
    /// Has a run hold a lock while the steps that `scope` places act: of all runs that want it, in this store, one at a time
    /// does.
    ///
    /// It is taken before the first of them begins, in the order in which runs come to ask, and given back with the last one,
    /// in the same transition. A run that unwinds holds it until what they did is undone, and takes it again for that when it
    /// had given it back. A run that rests for an operator keeps it: what the lock protects is in an unknown state.
    ///
    /// Scopes may lie within each other. Locks whose scopes overlap are taken together and given back together, so that
    /// runs never wait for each other in a circle. Items of a [`for_each`](Self::for_each) act under the locks of the run that
    /// they belong to.
    ///
    /// Steps that wait for people do not belong into a scope, nor between the steps of one: see
    /// [`while_holding`](crate::Handle::while_holding). What is to be handed to the thing that the lock protects is
    /// [`fencing`](crate::StepContext::fencing).
    ///
    /// ```
    /// # extern crate towpath_step as towpath;
    /// use towpath_step::{Pipeline, PlanErrors, StepContext, StepError, step};
    ///
    /// #[step("demo.migrate/v1", idempotent)]
    /// async fn migrate(_cx: &StepContext, commit: String) -> Result<(), StepError> { Ok(()) }
    ///
    /// #[step("demo.deploy/v1", idempotent)]
    /// async fn deploy(cx: &StepContext, commit: String) -> Result<u64, StepError> {
    ///     cx.fencing("production")
    /// }
    ///
    /// let p = Pipeline::new("checkout");
    /// let commit = p.param::<String>("commit");
    /// let live = p.holding("production", |p| {
    ///     let schema = p.step("migrate", migrate::of(&commit));
    ///     p.step("deploy", deploy::of(&commit)).after(&schema)
    /// });
    /// let pipeline = p.output(&live).build()?;
    /// assert!(pipeline.record().steps.iter().all(|step| step.locks[0].as_str() == "production"));
    /// # Ok::<(), PlanErrors>(())
    /// ```
    pub fn holding<R>(&self, lock: &str, scope: impl FnOnce(&Self) -> R) -> R {
        let first = self.shared.state().steps.len();
        let placed = scope(self);
        let mut state = self.shared.state();
        if let Some(lock) = state.lock(lock) {
            state.steps.iter_mut().skip(first).for_each(|step| step.hold(&lock));
        }
        placed
    }

    /// Has a run hold a lock from its first step to its last one, those of `on_failure` and `finally` too: the scope of all
    /// steps. See [`holding`](Self::holding).
    #[must_use]
    pub fn holding_throughout(self, lock: &str) -> Self {
        let mut state = self.shared.state();
        let lock = state.lock(lock);
        state.locks.extend(lock);
        drop(state);
        self
    }
}

impl State {
    fn lock(&mut self, text: &str) -> Option<Name> {
        let error = match Name::new(text) {
            Ok(lock) => return Some(lock),
            Err(error) => error,
        };
        self.problems.push(PlanProblem::LockName { lock: text.to_owned(), error });
        None
    }

    /// The steps, with the locks that all of them act under.
    pub(super) fn held_steps(&self) -> Vec<StepDraft> {
        let mut steps = self.steps.clone();
        for lock in &self.locks {
            steps.iter_mut().for_each(|step| step.hold(lock));
        }
        steps
    }
}

impl StepDraft {
    /// Has it act under a lock, and with it its items.
    fn hold(&mut self, lock: &Name) {
        hold(&mut self.record, lock);
        for step in self.detail.inner.iter_mut().flat_map(|inner| &mut inner.steps) {
            step.hold(lock);
        }
    }
}

fn hold(step: &mut StepRecord, lock: &Name) {
    if let Err(at) = step.locks.binary_search(lock) {
        step.locks.insert(at, lock.clone());
    }
    if let Role::ForEach { each, .. } = &mut step.role {
        each.steps.iter_mut().for_each(|step| hold(step, lock));
    }
}

/// Every lock under which steps of a plan act: those of its items too.
pub(super) fn all(plan: &PlanRecord) -> BTreeSet<Name> {
    plan.steps.iter().flat_map(|step| step.locks.iter().cloned()).collect()
}

/// Steps that wait for people while a lock is held: under it, or between two steps under it.
pub(super) fn problems(steps: &[StepDraft]) -> Vec<PlanProblem> {
    let mut scopes: BTreeMap<&Name, BTreeSet<&StepId>> = BTreeMap::new();
    for step in steps {
        for lock in &step.record.locks {
            scopes.entry(lock).or_default().insert(&step.record.id);
        }
    }
    let before: HashMap<&StepId, Vec<&StepId>> =
        steps.iter().map(|step| (&step.record.id, predecessors(&step.record))).collect();
    let mut after: HashMap<&StepId, Vec<&StepId>> = HashMap::new();
    for (step, all) in &before {
        all.iter().for_each(|of| after.entry(of).or_default().push(step));
    }
    let mut problems = Vec::new();
    for step in steps {
        let id = &step.record.id;
        let waits = step.detail.people && !step.detail.while_holding;
        for (lock, scope) in scopes.iter().filter(|_| waits) {
            let meets = |edges| reach(id, edges).iter().any(|step| scope.contains(step));
            if scope.contains(id) || (meets(&before) && meets(&after)) {
                problems.push(PlanProblem::Holding { step: id.clone(), lock: (*lock).clone() });
            }
        }
        // Within items: the lock is held by the run that they belong to.
        let inner = step.detail.inner.iter().flat_map(|inner| within(&inner.steps));
        let held = step.record.locks.first();
        problems.extend(held.into_iter().flat_map(|lock| {
            let inner = inner.clone();
            inner.map(move |step| {
                let problem = PlanProblem::Holding { step: step.clone(), lock: lock.clone() };
                PlanProblem::Within { of: id.clone(), problem: Box::new(problem) }
            })
        }));
    }
    problems
}

/// The steps of items that wait for people.
fn within(steps: &[StepDraft]) -> Vec<&StepId> {
    let mut found = Vec::new();
    for step in steps {
        if step.detail.people && !step.detail.while_holding {
            found.push(&step.record.id);
        }
        found.extend(step.detail.inner.iter().flat_map(|inner| within(&inner.steps)));
    }
    found
}

/// The steps that a step waits for.
pub(super) fn predecessors(step: &StepRecord) -> Vec<&StepId> {
    let operands = step.when.iter().flat_map(Condition::operands).filter_map(|operand| match operand {
        Operand::From { step, .. } => Some(step),
        _ => None,
    });
    step.reads.iter().map(|read| &read.step).chain(operands).chain(&step.after).collect()
}

/// Everything that is reached from a step, without it.
pub(super) fn reach<'a>(
    from: &'a StepId,
    edges: &HashMap<&'a StepId, Vec<&'a StepId>>,
) -> BTreeSet<&'a StepId> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(step) = open.pop() {
        open.extend(edges.get(step).into_iter().flatten().filter(|next| seen.insert(**next)));
    }
    seen
}
