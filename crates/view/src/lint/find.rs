//! Applying the rules.

use super::{Allow, RULES, Severity};
use crate::{PlanView, graph::Graph, nature};
use serde::Serialize;
use std::fmt;
use towpath_model::{PlanRecord, Role, StepId, StepRecord};

/// One thing that is doubtful in a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The step; `None` for the plan as a whole. A step of a plan below another has the outer step's id before its own.
    pub step: Option<StepId>,
    /// What was found. It never holds a secret.
    pub what: String,
    /// What to do.
    pub fix: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.step {
            Some(step) => write!(f, "step {step}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Everything that is doubtful in a plan, and in the plans below it: what is worst first, then in the order of the plan.
///
/// ```
/// use towpath_view::{PlanView, Severity, lint};
/// # let record: towpath_model::PlanRecord = serde_json::from_str(towpath_view::doc::PLAN)?;
/// let allow = ["no-undo".parse()?];
/// let found = lint(&PlanView::of(&record), &allow);
/// assert!(found.iter().all(|finding| finding.severity < Severity::Error));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn lint(view: &PlanView<'_>, allow: &[Allow]) -> Vec<Finding> {
    let mut found = Vec::new();
    apply(&Scope { view: *view, graph: view.graph(), outer: None }, &mut found);
    found.retain(|f| !allow.iter().any(|a| a.covers(f.rule, f.step.as_ref())));
    found.sort_by_key(|f| std::cmp::Reverse(f.severity));
    found
}

/// Where a rule found something, and what.
pub(super) struct At {
    pub(super) step: Option<StepId>,
    pub(super) what: String,
}

/// A plan that rules look at, with those that it stands below.
pub(super) struct Scope<'a> {
    pub(super) view: PlanView<'a>,
    pub(super) graph: Graph,
    /// The plan above, and which of its steps this one is below.
    pub(super) outer: Option<(&'a Scope<'a>, usize)>,
}

fn apply(scope: &Scope<'_>, found: &mut Vec<Finding>) {
    for rule in RULES {
        for at in (rule.check)(scope) {
            let step = at.step.map(|id| scope.outside(id));
            found.push(Finding {
                rule: rule.id,
                severity: rule.severity,
                step,
                what: at.what,
                fix: rule.fix,
            });
        }
    }
    for (i, step) in scope.steps().iter().enumerate() {
        if let Role::ForEach { each: below, .. } | Role::SubRun { plan: below } = &step.role {
            let view = scope.view.below(below);
            apply(&Scope { view, graph: view.graph(), outer: Some((scope, i)) }, found);
        }
    }
}

impl<'a> Scope<'a> {
    pub(super) fn record(&self) -> &'a PlanRecord {
        self.view.record
    }

    pub(super) fn steps(&self) -> &'a [StepRecord] {
        &self.view.record.steps
    }

    /// The steps for which `is` holds, each with its place.
    pub(super) fn those(&self, is: impl Fn(&StepRecord) -> bool) -> Vec<(usize, &'a StepRecord)> {
        self.steps().iter().enumerate().filter(|(_, step)| is(step)).collect()
    }

    /// Whether a step waits for one for which `is` holds, in this plan or in one above.
    pub(super) fn is_behind(&self, step: usize, is: &dyn Fn(&StepRecord) -> bool) -> bool {
        self.graph.ancestors(step).into_iter().any(|at| is(&self.steps()[at]))
            || self.outer.is_some_and(|(outer, at)| outer.is_behind(at, is))
    }

    /// Whether a step is waited for by one for which `is` holds, in this plan or in one above.
    pub(super) fn is_before(&self, step: usize, is: &dyn Fn(&StepRecord) -> bool) -> bool {
        self.graph.descendants(step).into_iter().any(|at| is(&self.steps()[at]))
            || self.outer.is_some_and(|(outer, at)| outer.is_before(at, is))
    }

    /// The id of a step of this plan, as the outermost one says it.
    fn outside(&self, id: StepId) -> StepId {
        match self.outer {
            Some((outer, at)) => {
                let above = outer.outside(outer.steps()[at].id.clone());
                // Deeper than ids can be is deeper than any plan can be: the inner id says enough.
                id.within(&above).unwrap_or(id)
            }
            None => id,
        }
    }
}

/// Finds something at a step.
pub(super) fn at(step: &StepRecord, what: impl Into<String>) -> At {
    At { step: Some(step.id.clone()), what: what.into() }
}

/// The environments of a step that customers use.
pub(super) fn production(step: &StepRecord) -> Vec<String> {
    nature::environments(step).into_iter().filter(|e| nature::is_production(e)).collect()
}
