//! What a plan may touch, and what would become of it.

use crate::{
    PlanView,
    nature::{self, Undoing},
};
use serde::Serialize;
use std::collections::BTreeSet;
use towpath_model::{Role, Section, StepId};

/// What a plan may touch: its blast radius. Steps of plans below it count as the step that has the plan.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Blast {
    /// The environments that its steps name, and the locks that they hold.
    pub environments: BTreeSet<String>,
    /// Steps that change something outside.
    pub effects: Vec<StepId>,
    /// Of them, those that are undone when the run unwinds.
    pub undone: Vec<StepId>,
    /// Those whose effect stays, by their policy.
    pub kept: Vec<StepId>,
    /// Those about which an operator is asked.
    pub asked: Vec<StepId>,
    /// Those whose effect stays because they cannot be undone, or because they are not on the way forward.
    pub left: Vec<StepId>,
    /// Steps after which nothing is undone any more.
    pub no_return: Vec<StepId>,
}

pub(super) fn of(view: &PlanView<'_>) -> Blast {
    let mut blast = Blast::default();
    for step in &view.record.steps {
        blast.environments.extend(nature::environments(step));
        if let Role::ForEach { each: below, .. } | Role::SubRun { plan: below } = &step.role {
            let below = of(&view.below(below));
            blast.environments.extend(below.environments);
            if !below.effects.is_empty() {
                blast.effects.push(step.id.clone());
                // What is below is undone by policies of its own: the worst of them says what can be promised.
                let to = match (below.left.is_empty(), below.kept.is_empty(), below.asked.is_empty()) {
                    (false, _, _) => &mut blast.left,
                    (_, false, _) => &mut blast.kept,
                    (_, _, false) => &mut blast.asked,
                    _ => &mut blast.undone,
                };
                to.push(step.id.clone());
            }
            continue;
        }
        let Some(undoing) = nature::undoing(step) else { continue };
        blast.effects.push(step.id.clone());
        let to = match undoing {
            _ if step.section != Section::Main => &mut blast.left,
            Undoing::Undone => &mut blast.undone,
            Undoing::Kept => &mut blast.kept,
            Undoing::Asked => &mut blast.asked,
            Undoing::Impossible => &mut blast.left,
        };
        to.push(step.id.clone());
        if step.point_of_no_return {
            blast.no_return.push(step.id.clone());
        }
    }
    blast
}
