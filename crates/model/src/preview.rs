//! What a plan would change: the changes of its steps together.

use crate::{Change, ChangeAction, Digest, Failure, Kind, StepId, canonical};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the steps of a plan would change, from where things stand now.
///
/// Its text reads like an infrastructure plan:
///
/// ```
/// use towpath_model::{Change, Kind, PlanPreview, StepId, StepPreview};
/// let changes = vec![Change::update("weight of checkout").from(&10).to(&25)];
/// let (step, kind) = (StepId::new("canary").unwrap(), Kind::new("shop.canary/v1").unwrap());
/// let preview = PlanPreview { steps: vec![StepPreview { step, kind, changes, failure: None }] };
/// assert_eq!(
///     preview.to_string(),
///     "canary (shop.canary/v1)\n  ~ weight of checkout: 10 → 25\n0 to create, 1 to update, 0 to delete\n"
/// );
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanPreview {
    /// Its steps, in an order in which they can run.
    pub steps: Vec<StepPreview>,
}

/// What one step would change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepPreview {
    /// The step.
    pub step: StepId,
    /// Its kind.
    pub kind: Kind,
    /// What it would change; empty when it changes nothing.
    pub changes: Vec<Change>,
    /// Why it could not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl PlanPreview {
    /// What it is an approval of: two previews have one digest when they show the same.
    pub fn digest(&self) -> Digest {
        let text = canonical::of(self).unwrap_or_else(|_| self.to_string());
        Digest::of(text.as_bytes())
    }

    /// How many changes of this sort there are.
    pub fn count(&self, action: ChangeAction) -> usize {
        self.steps.iter().flat_map(|step| &step.changes).filter(|change| change.action == action).count()
    }

    /// Whether every step could tell, and none would change anything.
    pub fn is_empty(&self) -> bool {
        let quiet = |step: &StepPreview| {
            step.failure.is_none() && step.changes.iter().all(|change| change.action == ChangeAction::None)
        };
        self.steps.iter().all(quiet)
    }
}

impl fmt::Display for PlanPreview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            if step.changes.is_empty() && step.failure.is_none() {
                continue;
            }
            writeln!(f, "{} ({})", step.step, step.kind)?;
            step.changes.iter().try_for_each(|change| writeln!(f, "  {change}"))?;
            if let Some(failure) = &step.failure {
                writeln!(f, "  ! it could not tell: {failure}")?;
            }
        }
        let count = |action| self.count(action);
        write!(
            f,
            "{} to create, {} to update, {} to delete",
            count(ChangeAction::Create),
            count(ChangeAction::Update),
            count(ChangeAction::Delete)
        )?;
        match count(ChangeAction::Unknown) + self.steps.iter().filter(|step| step.failure.is_some()).count() {
            0 => writeln!(f),
            unknown => writeln!(f, ", {unknown} cannot be told before the run"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PlanPreview, StepPreview};
    use crate::{Change, Failure, FailureKind, Kind, StepId};

    fn step(id: &str, changes: Vec<Change>, failure: Option<Failure>) -> StepPreview {
        let (step, kind) = (StepId::new(id).unwrap(), Kind::new("shop.a/v1").unwrap());
        StepPreview { step, kind, changes, failure }
    }

    #[test]
    fn previews_count_what_they_show_and_leave_out_what_is_quiet() {
        let failure = Failure::new(FailureKind::Transient, "ask the router");
        let preview = PlanPreview {
            steps: vec![
                step("build", vec![], None),
                step("migrate", vec![Change::create("table orders"), Change::none("table users")], None),
                step("canary", vec![Change::unknown("weight", "the release is not known")], None),
                step("stop", vec![], Some(failure)),
            ],
        };
        assert_eq!(
            preview.to_string(),
            "migrate (shop.a/v1)\n  + table orders\n  = table users\ncanary (shop.a/v1)\n  ? weight (the release is \
             not known)\nstop (shop.a/v1)\n  ! it could not tell: ask the router\n1 to create, 0 to update, 0 to \
             delete, 2 cannot be told before the run\n"
        );
        assert!(!preview.is_empty());
        assert!(PlanPreview { steps: vec![step("a", vec![Change::none("x")], None)] }.is_empty());
    }

    #[test]
    fn previews_that_show_the_same_have_one_digest() {
        let of = |weight: u8| PlanPreview {
            steps: vec![step("a", vec![Change::update("w").from(&weight)], None)],
        };
        assert_eq!(of(10).digest(), of(10).digest());
        assert_ne!(of(10).digest(), of(11).digest());
    }
}
