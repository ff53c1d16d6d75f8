//! How a run ends.

use crate::{Ix, Leaving, RunState, StepState, UndoState, state_of::Found};
use towpath_model::{
    Aftermath, InDoubt, Operand, Outcome, Payload, RunSettled, Section, StepId, UndoPolicy, Why,
};

impl RunState {
    pub(crate) fn settle(&self) -> RunSettled {
        let outcome = match &self.leaving {
            None => Outcome::Succeeded { output: self.output() },
            Some(Leaving::Abandoned { by, reason }) => {
                Outcome::Abandoned { by: by.clone(), reason: reason.clone() }
            }
            Some(Leaving::For { why, .. }) => {
                let why = why.clone();
                match why {
                    Why::Cancelled { .. } => Outcome::Cancelled { why },
                    Why::StepFailed { .. } if self.something_undone => Outcome::Compensated { why },
                    Why::StepFailed { .. } | Why::Deadline => Outcome::Failed { why },
                }
            }
        };
        RunSettled { outcome, aftermath: self.aftermath() }
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

    fn aftermath(&self) -> Aftermath {
        let mut after = Aftermath::default();
        for (node, step) in self.nodes.iter().zip(&self.plan.record().steps) {
            let id = || step.id.clone();
            let best_effort = step.best_effort || step.section != Section::Main;
            if let (StepState::Failed { failure }, true) = (&node.state, best_effort) {
                after.failures.push((id(), failure.clone()));
            }
            if self.leaving.is_none() || node.intent.is_none() || step.section != Section::Main {
                continue;
            }
            let effect = step.in_doubt != InDoubt::NoEffect;
            match node.undo {
                UndoState::Kept => after.kept.push(id()),
                UndoState::Left => after.left.push(id()),
                UndoState::No if effect && !self.something_undone && step.undo == UndoPolicy::Keep => {
                    after.kept.push(id());
                }
                UndoState::No if effect && !self.something_undone && step.methods.compensate => {
                    after.left.push(id())
                }
                _ => {}
            }
            let settled_by_undo = node.undo == UndoState::Done;
            if effect && !settled_by_undo && self.is_unclear(&node.state) {
                after.in_doubt.push(id());
            }
        }
        after
    }

    fn is_unclear(&self, state: &StepState) -> bool {
        use crate::Rest;
        matches!(
            state,
            StepState::InDoubt { .. }
                | StepState::Resting(Rest::InDoubt(..) | Rest::Unknown(_) | Rest::TakenOver(_))
        )
    }

    /// Ids of the steps at these places.
    pub(crate) fn ids<'a>(
        &'a self,
        all: impl Iterator<Item = Ix> + 'a,
    ) -> impl Iterator<Item = &'a StepId> + 'a {
        all.map(|ix| &self.plan.step(ix).id)
    }
}
