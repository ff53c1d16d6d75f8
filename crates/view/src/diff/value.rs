//! The difference as a value.

use super::facets::{self, Facets};
use crate::PlanView;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use towpath_model::StepId;

/// What differs between two plans.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PlanDiff {
    /// The plan until now.
    pub from: Side,
    /// The plan from now on.
    pub to: Side,
    /// Steps that were added, removed or changed: in the order of the new plan, then what was removed.
    pub steps: Vec<StepDiff>,
    /// What differs beside the steps: parameters, their values, the output, limits.
    pub plan: Vec<Change>,
    /// Whether steps that both have stand in another order. That changes the hash, and nothing that is done.
    pub reordered: bool,
}

/// One of two plans.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Side {
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline's hash: of what was written.
    pub pipeline_hash: Option<String>,
    /// The plan's hash: of the pipeline and the values; nothing without values.
    pub plan_hash: Option<String>,
}

/// What became of a step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Only the new plan has it.
    Added,
    /// Only the old plan has it.
    Removed,
    /// Both have it, and it is not the same.
    Changed,
}

/// A step that is not the same in both plans.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct StepDiff {
    /// The step.
    pub id: StepId,
    /// What became of it.
    pub what: What,
    /// Its kind, in the new plan if it is there.
    pub kind: String,
    /// Everything that differs.
    pub changes: Vec<Change>,
}

/// One thing that is not the same.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Change {
    /// What it is: `kind`, `with.image`, `after.scan`, `retry.attempts_max`.
    pub path: String,
    /// What it was; nothing when it was not there.
    pub from: Option<Value>,
    /// What it is now; nothing when it is not there any more.
    pub to: Option<Value>,
}

/// What differs between two plans. Steps are the same when their ids are.
///
/// ```
/// use towpath_view::{Look, PlanView, diff};
/// # let old: towpath_model::PlanRecord = serde_json::from_str(towpath_view::doc::PLAN)?;
/// let mut new = old.clone();
/// new.steps[6].timeout_ms = Some(60_000);
/// let found = diff(&PlanView::of(&old), &PlanView::of(&new));
/// assert_eq!(found.steps[0].changes[0].path, "timeout_ms");
/// assert!(found.text(Look::default()).contains("~ smoke"));
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn diff(from: &PlanView<'_>, to: &PlanView<'_>) -> PlanDiff {
    let of = |view: &PlanView<'_>| -> BTreeMap<StepId, (String, Facets)> {
        let steps = view.record.steps.iter();
        steps.map(|s| (s.id.clone(), (s.kind.to_string(), facets::step(s)))).collect()
    };
    let (old, new) = (of(from), of(to));
    let nothing = Facets::new();
    let mut steps = Vec::new();
    let mut told = BTreeSet::new();
    for id in to.record.steps.iter().map(|s| &s.id).filter(|id| told.insert(*id)) {
        let (kind, now) = &new[id];
        let (what, was) = old.get(id).map_or((What::Added, &nothing), |(_, was)| (What::Changed, was));
        let changes = changes(was, now);
        if !changes.is_empty() {
            steps.push(StepDiff { id: id.clone(), what, kind: kind.clone(), changes });
        }
    }
    for id in from.record.steps.iter().map(|s| &s.id).filter(|id| !new.contains_key(*id)) {
        let (kind, was) = &old[id];
        steps.push(StepDiff {
            id: id.clone(),
            what: What::Removed,
            kind: kind.clone(),
            changes: changes(was, &nothing),
        });
    }
    let plan = changes(&facets::plan(from.record, from.values), &facets::plan(to.record, to.values));
    PlanDiff { from: side(from), to: side(to), steps, plan, reordered: reordered(from, to) }
}

fn side(view: &PlanView<'_>) -> Side {
    Side {
        pipeline: view.record.pipeline.to_string(),
        pipeline_hash: view.pipeline_hash().map(|hash| hash.to_string()),
        plan_hash: view.plan_hash().map(|hash| hash.to_string()),
    }
}

fn reordered(from: &PlanView<'_>, to: &PlanView<'_>) -> bool {
    let ids =
        |view: &PlanView<'_>| -> Vec<StepId> { view.record.steps.iter().map(|s| s.id.clone()).collect() };
    let (old, new) = (ids(from), ids(to));
    let (in_old, in_new): (BTreeSet<_>, BTreeSet<_>) = (old.iter().collect(), new.iter().collect());
    let both = |all: &[StepId]| -> Vec<StepId> {
        all.iter().filter(|id| in_old.contains(id) && in_new.contains(id)).cloned().collect()
    };
    both(&old) != both(&new)
}

fn changes(was: &Facets, now: &Facets) -> Vec<Change> {
    let paths: BTreeSet<&String> = was.keys().chain(now.keys()).collect();
    let mut all: Vec<Change> = paths
        .into_iter()
        .filter(|path| was.get(*path) != now.get(*path))
        .map(|path| Change { path: path.clone(), from: was.get(path).cloned(), to: now.get(path).cloned() })
        .collect();
    all.sort_by_key(|change| rank(&change.path));
    all
}

/// What people look for first stands first.
fn rank(path: &str) -> usize {
    const ORDER: [&str; 7] = ["kind", "role", "section", "with", "reads", "after", "when"];
    let first = path.split('.').next().unwrap_or(path);
    ORDER.iter().position(|name| *name == first).unwrap_or(ORDER.len())
}

impl PlanDiff {
    /// Whether nothing differs but, perhaps, the order in which steps were written.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.plan.is_empty()
    }

    /// How many steps were added, changed and removed.
    pub fn counts(&self) -> [usize; 3] {
        [What::Added, What::Changed, What::Removed]
            .map(|what| self.steps.iter().filter(|s| s.what == what).count())
    }
}
