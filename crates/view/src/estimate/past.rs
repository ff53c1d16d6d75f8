//! The estimate.

use super::{
    Blast, blast,
    schedule::{Length, Scheduled, schedule},
};
use crate::PlanView;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};
use towpath_model::StepId;

/// How long the steps of one past run took. Steps that did not end well are left out by whoever makes it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PastRun {
    /// The steps that ran.
    pub steps: BTreeMap<StepId, Took>,
}

/// How long one step took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Took {
    /// From its first intent to its end, retries and sleeps included, without `people`.
    pub work: Duration,
    /// How much of it was spent waiting for a signal: for people.
    pub people: Duration,
}

/// How long a plan may take, and what it may touch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Estimate {
    /// Number of past runs that it is made of.
    pub runs: usize,
    /// As half of the time, or faster.
    pub median: Span,
    /// When every step is as slow as in the slowest tenth of its past: seldom all at once, so that a run is hardly
    /// longer.
    pub p90: Span,
    /// The steps that decide how long it takes, by their medians, first to last.
    pub critical: Vec<Leg>,
    /// Steps without a past, which count for nothing here.
    pub unknown: Vec<StepId>,
    /// What it may touch.
    pub blast: Blast,
}

/// A length of time, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Span {
    /// From the start to the end.
    pub total_ms: u64,
    /// How long it would take if people answered at once.
    pub work_ms: u64,
    /// How much longer it takes because they do not.
    pub people_ms: u64,
}

/// A step on the critical path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Leg {
    /// The step.
    pub step: StepId,
    /// Its median at work, in milliseconds.
    pub work_ms: u64,
    /// Its median of waiting for people, in milliseconds.
    pub people_ms: u64,
}

/// Estimates how long a plan takes when nothing fails, and says what it may touch.
///
/// Steps are scheduled by their medians and by their ninetieth percentiles (nearest rank), as many at once as the plan
/// allows; a step that waits for people holds no place meanwhile.
///
/// ```
/// use std::{collections::BTreeMap, time::Duration};
/// use towpath_view::{PastRun, PlanView, Took, estimate};
/// # let record: towpath_model::PlanRecord = serde_json::from_str(towpath_view::doc::PLAN)?;
/// let took = Took { work: Duration::from_secs(90), people: Duration::ZERO };
/// let past = PastRun { steps: BTreeMap::from([("build".parse()?, took)]) };
/// let found = estimate(&PlanView::of(&record), &[past]);
/// assert_eq!(found.median.total_ms, 90_000);
/// assert!(found.blast.environments.contains("production"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn estimate(view: &PlanView<'_>, past: &[PastRun]) -> Estimate {
    let (record, graph) = (view.record, view.graph());
    let lengths = |percent: usize| -> Vec<Length> {
        record.steps.iter().map(|step| length(past, &step.id, percent)).collect()
    };
    let span = |lengths: &[Length]| -> (Span, Scheduled) {
        let whole = schedule(record, &graph, lengths);
        let alone: Vec<Length> = lengths.iter().map(|l| Length { people: 0, ..*l }).collect();
        let work = schedule(record, &graph, &alone).end;
        // Waiting can, seldom, make a schedule shorter: it lets another step go first.
        let people = whole.end.saturating_sub(work);
        (Span { total_ms: whole.end, work_ms: whole.end - people, people_ms: people }, whole)
    };
    let medians = lengths(50);
    let (median, scheduled) = span(&medians);
    let leg = |i: usize| Leg {
        step: record.steps[i].id.clone(),
        work_ms: medians[i].work,
        people_ms: medians[i].people,
    };
    let critical = scheduled.critical.into_iter().filter(|i| medians[*i].work + medians[*i].people > 0);
    let has_past = |id: &StepId| past.iter().any(|run| run.steps.contains_key(id));
    Estimate {
        runs: past.len(),
        median,
        p90: span(&lengths(90)).0,
        critical: critical.map(leg).collect(),
        unknown: record.steps.iter().map(|s| &s.id).filter(|id| !has_past(id)).cloned().collect(),
        blast: blast::of(view),
    }
}

/// A percentile of a step's past.
fn length(past: &[PastRun], step: &StepId, percent: usize) -> Length {
    let of = |part: fn(&Took) -> Duration| {
        let all = past.iter().filter_map(|run| run.steps.get(step));
        // A year is longer than any step; sums of years do not overflow.
        let mut all: Vec<u64> =
            all.map(|took| u64::try_from(part(took).as_millis()).unwrap_or(u64::MAX).min(1 << 40)).collect();
        all.sort_unstable();
        nearest_rank(&all, percent)
    };
    Length { work: of(|took| took.work), people: of(|took| took.people) }
}

/// The nearest-rank percentile: the smallest value that at least so many percent are not above.
fn nearest_rank(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}
