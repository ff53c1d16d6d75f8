//! Options of the step that a handle belongs to.

use super::{Condition, Handle};
use crate::{Output, pipeline::millis};
use std::time::Duration;
use towpath_model::{RetryPolicy, UndoPolicy};

impl<T: Output> Handle<T> {
    /// Runs it only when `other` is at rest, though it reads nothing of it. It is for order, not for safety: it runs also
    /// when `other` was skipped.
    pub fn after<U: Output>(self, other: &Handle<U>) -> Self {
        self.at.after(other.place());
        self
    }

    /// Runs it only when the condition holds; given twice, when both do.
    pub fn when(self, condition: Condition) -> Self {
        self.at.when(&condition);
        self
    }

    /// Lets it wait for people though a lock is held meanwhile, in a scope of [`holding`](crate::Draft::holding) or between its
    /// steps: everybody else who wants that lock waits for the same answer.
    pub fn while_holding(self) -> Self {
        self.at.while_holding();
        self
    }

    /// Lets it go into its environment at any time, whatever the [`windows`](crate::Environment::windows) of that say: for what
    /// must not wait, such as a rollback.
    pub fn at_any_time(self) -> Self {
        self.at.at_any_time();
        self
    }

    /// Lets the run go on when it fails for good; who reads its output is skipped then.
    pub fn best_effort(self) -> Self {
        self.at.set("best_effort", |step| step.best_effort = true);
        self
    }

    /// Once it is done, later failures no longer unwind: the run rests as stuck, and can only go forward.
    pub fn point_of_no_return(self) -> Self {
        self.at.set("point_of_no_return", |step| step.point_of_no_return = true);
        self
    }

    /// How many items of a [`for_each`](crate::Draft::for_each) run at once at most.
    pub fn parallel(self, most: u32) -> Self {
        self.at.parallel(most);
        self
    }

    /// How its attempts are repeated; five by default.
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.at.set("retry", |step| step.retry = policy);
        self
    }

    /// How its undoing is repeated; five times by default.
    pub fn undo_retry(self, policy: RetryPolicy) -> Self {
        self.at.set("undo_retry", |step| step.undo_retry = policy);
        self
    }

    /// How the world is asked about it while it is in doubt; for about five minutes by default.
    pub fn observe_retry(self, policy: RetryPolicy) -> Self {
        self.at.set("observe_retry", |step| step.observe_retry = policy);
        self
    }

    /// Time limit of one entry of its body; then the step is in doubt. It covers its undoing as well.
    pub fn timeout(self, time: Duration) -> Self {
        self.at.set("timeout", |step| step.timeout_ms = Some(millis(time)));
        self
    }

    /// Time limit over all its attempts and waits.
    pub fn within(self, time: Duration) -> Self {
        self.at.set("within", |step| step.within_ms = Some(millis(time)));
        self
    }

    /// Leaves its effect in place when the run unwinds, and lists it in the outcome.
    pub fn keep(self) -> Self {
        self.at.set("keep", |step| step.undo = UndoPolicy::Keep);
        self
    }

    /// Undoes its effect when the run unwinds.
    pub fn undo(self) -> Self {
        self.at.set("undo", |step| step.undo = UndoPolicy::Undo);
        self
    }

    /// Asks an operator whether to undo its effect when the run unwinds.
    pub fn ask(self) -> Self {
        self.at.set("ask", |step| step.undo = UndoPolicy::Ask);
        self
    }
}
