//! How a run ends.

use crate::{Leaving, RunState, StepState, UndoState, state_of::Found, work::work};
use towpath_model::{
    Aftermath, InDoubt, Operand, Outcome, Payload, Role, RunSettled, Section, StepRecord, UndoPolicy, Why,
};

impl RunState {
    pub(crate) fn settle(&self) -> RunSettled {
        let outcome = match &self.leaving {
            None => Outcome::Succeeded { output: self.output() },
            Some(Leaving::Abandoned { by, reason }) => {
                Outcome::Abandoned { by: by.clone(), reason: reason.clone() }
            }
            Some(Leaving::For { why, unwind }) => {
                let why = why.clone();
                match why {
                    Why::Cancelled { .. } | Why::StepCancelled { .. } => Outcome::Cancelled { why },
                    Why::StepFailed { .. } if self.something_undone => Outcome::Compensated { why },
                    Why::WithParent if self.something_undone && *unwind => Outcome::Compensated { why },
                    Why::WithParent => Outcome::Cancelled { why },
                    Why::StepFailed { .. } | Why::Deadline => Outcome::Failed { why },
                }
            }
        };
        RunSettled { outcome, aftermath: self.aftermath() }
    }

    /// Why the run left its way, and what that has left behind by now. Costs O(steps).
    pub fn failure(&self) -> Option<(Why, Aftermath)> {
        match &self.leaving {
            Some(Leaving::For { why, .. }) => Some((why.clone(), self.aftermath())),
            Some(Leaving::Abandoned { .. }) | None => None,
        }
    }

    fn output(&self) -> Option<Payload> {
        match self.plan.record().output.as_ref()? {
            Operand::Value(json) => Some(json.clone().into()),
            Operand::Param { name, path } => Some(self.values.get(name)?.at(path)?.into()),
            Operand::From { step, path } => {
                if let (StepState::Done { output: Payload::Blob(blob), unreadable: None, .. }, "") =
                    (&self.find(step)?.state, path.as_str())
                {
                    return Some(Payload::Blob(blob.clone()));
                }
                match self.find_output(step, path) {
                    Found::Value(json) => Some(json.into()),
                    Found::Skipped(_) | Found::Unreadable(..) => None,
                }
            }
        }
    }

    /// Costs O(steps), once.
    fn aftermath(&self) -> Aftermath {
        work(self.plan.len());
        let mut after = Aftermath::default();
        for (node, step) in self.nodes.iter().zip(&self.plan.record().steps) {
            let id = || step.id.clone();
            if let (StepState::Failed { failure }, true) =
                (&node.state, step.best_effort || step.section != Section::Main)
            {
                after.failures.push((id(), failure.clone()));
            }
            let effect = node.intent.is_some() && has_effect(step);
            if effect && node.undo != UndoState::Done && node.is_unclear() {
                after.in_doubt.push(id());
            }
            let stands = effect && step.section == Section::Main && self.leaving.is_some();
            match node.undo {
                UndoState::Kept => after.kept.push(id()),
                UndoState::Left => after.left.push(id()),
                UndoState::No if !stands || self.something_undone => {}
                UndoState::No if step.undo == UndoPolicy::Keep => after.kept.push(id()),
                UndoState::No if step.methods.compensate => after.left.push(id()),
                _ => {}
            }
        }
        after
    }
}

/// Whether a step that began may have changed something outside: itself, or through its items.
pub(crate) fn has_effect(step: &StepRecord) -> bool {
    step.in_doubt != InDoubt::NoEffect || (step.role != Role::Step && step.methods.compensate)
}
