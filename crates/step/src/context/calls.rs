//! Which calls of a body are in flight, so that a durable wait can see to it that none is.

use super::StepContext;
use crate::StepError;
use std::collections::BTreeSet;
use towpath_model::{Json, Name};

/// What one entry has done so far.
pub(super) struct Walk {
    pub(super) keys: BTreeSet<String>,
    pub(super) checkpoint: Option<Json>,
    waits: BTreeSet<Name>,
    waiting: Option<Name>,
    calls: Vec<&'static str>,
}

impl Walk {
    pub(super) fn new(checkpoint: Option<Json>) -> Self {
        Walk { keys: BTreeSet::new(), checkpoint, waits: BTreeSet::new(), waiting: None, calls: Vec::new() }
    }
}

/// A call in flight; over when it is dropped.
pub(super) struct Call<'a> {
    cx: &'a StepContext,
    what: &'static str,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut walk = self.cx.walk();
        if let Some(i) = walk.calls.iter().position(|what| *what == self.what) {
            walk.calls.swap_remove(i);
        }
    }
}

/// A wait in flight; over when it is dropped.
pub(super) struct Waiting<'a>(&'a StepContext);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.walk().waiting = None;
    }
}

impl StepContext {
    pub(super) fn begin(&self, what: &'static str) -> Result<Call<'_>, StepError> {
        let mut walk = self.walk();
        if let Some(wait) = &walk.waiting {
            return Err(StepError::permanent(format!(
                "`cx.{what}` was called while the body waits at {wait:?}: the body ends at a durable wait, so finish \
                 everything else before it"
            )));
        }
        walk.calls.push(what);
        Ok(Call { cx: self, what })
    }

    pub(super) fn begin_wait(&self, name: &Name) -> Result<Waiting<'_>, StepError> {
        let mut walk = self.walk();
        if let Some(what) = walk.calls.first() {
            return Err(StepError::permanent(format!(
                "`cx.{what}` is still pending at the wait {name:?}: the body ends at a durable wait, so finish \
                 everything else before it"
            )));
        }
        if let Some(other) = &walk.waiting {
            return Err(StepError::permanent(format!(
                "the body waits at {other:?} and at {name:?} at once: wait for one after the other, or place two steps"
            )));
        }
        if !walk.waits.insert(name.clone()) {
            return Err(StepError::permanent(format!(
                "the body waits at {name:?} twice in one entry: give each wait a name of its own, such as \"bake-25\""
            )));
        }
        walk.waiting = Some(name.clone());
        Ok(Waiting(self))
    }
}
