//! One run as a JSON document.

use crate::{show::Shown, steps, story::Tried};
use serde::Serialize;
use std::collections::BTreeMap;
use towpath::{
    machine::{Node, RunState, StepState},
    model::{Aftermath, Failure, Json, Outcome, Payload, Section, Status, StepRecord, UndoPolicy},
};

/// A run.
#[derive(Serialize)]
pub(crate) struct Document<'a> {
    run: String,
    pipeline: &'a str,
    key: &'a str,
    status: Status,
    note: &'a str,
    outcome: Option<&'a Outcome>,
    aftermath: Option<&'a Aftermath>,
    plan_hash: String,
    pipeline_hash: Option<String>,
    started_at: String,
    changed_at: String,
    started_by: Option<&'a str>,
    reason: Option<&'a str>,
    values: Option<&'a BTreeMap<String, Json>>,
    labels: BTreeMap<&'a str, &'a str>,
    parent: Option<String>,
    forked_from: Option<String>,
    deadline: Option<String>,
    owner: Option<&'a str>,
    wake_at: Option<String>,
    unread: usize,
    events: u64,
    unfolded: Option<&'a str>,
    steps: Option<Vec<Step<'a>>>,
}

/// A step of a run.
#[derive(Serialize)]
struct Step<'a> {
    id: &'a str,
    kind: &'a str,
    section: Section,
    state: &'static str,
    since: Option<String>,
    attempt: u32,
    started_at: Option<String>,
    ended_at: Option<String>,
    again_at: Option<String>,
    output: Option<&'a Payload>,
    checkpoint: Option<&'a Payload>,
    failure: Option<&'a Failure>,
    failures: Vec<Failed<'a>>,
    said: Option<String>,
    waits: Vec<Wait<'a>>,
    progress: Option<Progress<'a>>,
    undo_policy: UndoPolicy,
    undo: Option<Undo<'a>>,
    items: Option<Items<'a>>,
}

/// The items of a `for_each`.
#[derive(Serialize)]
struct Items<'a> {
    count: u64,
    done: u64,
    open: usize,
    /// The first of those that have begun.
    first: Vec<Item<'a>>,
}

/// An item.
#[derive(Serialize)]
struct Item<'a> {
    key: Option<&'a str>,
    run: String,
    status: Option<Status>,
    outcome: Option<&'static str>,
}

/// An attempt that failed.
#[derive(Serialize)]
struct Failed<'a> {
    attempt: u32,
    at: String,
    failure: &'a Failure,
}

/// A durable wait of a step.
#[derive(Serialize)]
struct Wait<'a> {
    name: &'a str,
    signal: Option<&'a str>,
    until: Option<String>,
    over: bool,
    value: Option<&'a Json>,
}

/// How far a step is.
#[derive(Serialize)]
struct Progress<'a> {
    percent: u8,
    message: &'a str,
    at: String,
}

/// The undoing of a step.
#[derive(Serialize)]
struct Undo<'a> {
    state: &'static str,
    attempt: u32,
    failures: Vec<Failed<'a>>,
}

/// The document of a run.
pub(crate) fn of(shown: &Shown) -> Document<'_> {
    let (row, story) = (&shown.row, &shown.story);
    let start = story.start.as_ref().map(|(start, _)| start);
    let state = story.state.as_ref();
    Document {
        run: row.run.to_string(),
        pipeline: row.pipeline.as_str(),
        key: row.key.as_str(),
        status: row.listing.status,
        note: &row.listing.note,
        outcome: row.listing.outcome.as_ref(),
        aftermath: story.aftermath.as_ref(),
        plan_hash: row.plan_hash.to_string(),
        pipeline_hash: start.map(|s| s.plan.digest.to_string()),
        started_at: row.started_at.to_string(),
        changed_at: row.changed_at.to_string(),
        started_by: story.start.as_ref().map(|(_, by)| by.as_str()),
        reason: start.map(|s| s.reason.as_str()).filter(|r| !r.is_empty()),
        values: start.map(|s| &s.values),
        labels: row.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect(),
        parent: start.and_then(|s| s.parent.as_ref()).map(|p| p.run.to_string()),
        forked_from: start.and_then(|s| s.forked_from).map(|r| r.to_string()),
        deadline: start.and_then(|s| s.deadline).map(|t| t.to_string()),
        owner: row.owner.as_ref().map(|w| w.as_str()),
        wake_at: row.wake_at.map(|t| t.to_string()),
        unread: shown.unread,
        events: story.events,
        unfolded: state.err().map(String::as_str),
        steps: state.ok().map(|state| steps_of(shown, state)),
    }
}

fn steps_of<'a>(shown: &'a Shown, state: &'a RunState) -> Vec<Step<'a>> {
    let records = state.plan().record().steps.iter().zip(0..);
    records.map(|(record, ix)| step(shown, record, state.node(ix))).collect()
}

fn step<'a>(shown: &'a Shown, record: &'a StepRecord, node: &'a Node) -> Step<'a> {
    let story = shown.story.steps.get(&record.id);
    let (output, failure, said, again_at) = match node.state() {
        StepState::Done { output, unreadable, .. } => (Some(output), unreadable.as_ref(), None, None),
        StepState::Failed { failure } => (None, Some(failure), None, None),
        StepState::Resting(rest) => (None, node.last_failure(), Some(rest.to_string()), None),
        StepState::Skipped { why } => (None, None, Some(crate::summary::skip(why)), None),
        StepState::Backoff { at } => (None, node.last_failure(), None, Some(*at)),
        StepState::InDoubt { ended, again, .. } => {
            (None, node.last_failure(), Some(ended.to_string()), *again)
        }
        StepState::Pending
        | StepState::Ready
        | StepState::Running
        | StepState::Items
        | StepState::Parked { .. } => (None, node.last_failure(), None, None),
    };
    let undo = steps::undo_word(node.undo_state()).map(|state| Undo {
        state,
        attempt: node.undo_attempt().0,
        failures: story.map(|s| failed(&s.undo_failures)).unwrap_or_default(),
    });
    let progress = shown.progress_of(&record.id);
    Step {
        id: record.id.as_str(),
        kind: record.kind.as_str(),
        section: record.section,
        state: steps::word(node.state()),
        // A step that nothing has happened to stands where it stands since ever.
        since: Some(node.since()).filter(|t| t.as_micros() > 0).map(|t| t.to_string()),
        attempt: node.attempt().0,
        started_at: story.and_then(|s| s.started_at).map(|t| t.to_string()),
        ended_at: story.and_then(|s| s.ended_at).map(|t| t.to_string()),
        again_at: again_at.map(|t| t.to_string()),
        output,
        checkpoint: node.checkpoint(),
        failure,
        failures: story.map(|s| failed(&s.failures)).unwrap_or_default(),
        said,
        waits: waits_of(node),
        progress: progress.map(|p| Progress {
            percent: p.percent,
            message: &p.message,
            at: p.at.to_string(),
        }),
        undo_policy: record.undo,
        undo,
        items: node.items().map(|items| Items {
            count: items.count(),
            done: items.done(),
            open: items.open().count(),
            first: shown.items.get(&record.id).into_iter().flatten().map(item).collect(),
        }),
    }
}

fn item(item: &crate::items::Item) -> Item<'_> {
    let listing = item.row.as_ref().map(|row| &row.listing);
    Item {
        key: item.key.as_ref().map(|key| key.as_str()),
        run: item.run.to_string(),
        status: listing.map(|listing| listing.status),
        outcome: listing.and_then(|listing| listing.outcome.as_ref()).map(Outcome::word),
    }
}

fn failed(tries: &[Tried]) -> Vec<Failed<'_>> {
    let one = |t| {
        let Tried { attempt, at, failure }: &Tried = t;
        Failed { attempt: attempt.0, at: at.to_string(), failure }
    };
    tries.iter().map(one).collect()
}

fn waits_of(node: &Node) -> Vec<Wait<'_>> {
    let waits = node.waits().iter().map(|(name, wait)| Wait {
        name: name.as_str(),
        signal: wait.signal.as_ref().map(|s| s.as_str()),
        until: wait.until.map(|t| t.to_string()),
        over: wait.over.is_some(),
        value: wait.over.as_ref().and_then(Option::as_ref),
    });
    waits.collect()
}
