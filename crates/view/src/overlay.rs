//! The state of a run, to be laid over the picture of its plan.

use crate::paint::Tone;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};
use towpath_machine::{RunState, StepState, UndoState};
use towpath_model::StepId;

/// Where a step stands, in a picture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It has not begun.
    Waiting,
    /// It is under way: its body runs, or is to be entered again.
    Running,
    /// It waits for its time, for a signal or for people.
    Parked,
    /// An operator has to decide about it.
    Stuck,
    /// It took effect.
    Done,
    /// It failed for good.
    Failed,
    /// It will not run.
    Skipped,
    /// What it did is undone.
    Undone,
}

impl Standing {
    /// All of them.
    pub const ALL: [Standing; 8] = [
        Standing::Waiting,
        Standing::Running,
        Standing::Parked,
        Standing::Stuck,
        Standing::Done,
        Standing::Failed,
        Standing::Skipped,
        Standing::Undone,
    ];

    /// It in one word.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Waiting => "waiting",
            Standing::Running => "running",
            Standing::Parked => "parked",
            Standing::Stuck => "stuck",
            Standing::Done => "done",
            Standing::Failed => "failed",
            Standing::Skipped => "skipped",
            Standing::Undone => "undone",
        }
    }

    pub(crate) fn mark(self) -> &'static str {
        match self {
            Standing::Waiting => "·",
            Standing::Running => "▸",
            Standing::Parked => "◦",
            Standing::Stuck => "!",
            Standing::Done => "✓",
            Standing::Failed => "✗",
            Standing::Skipped => "-",
            Standing::Undone => "↶",
        }
    }

    pub(crate) fn tone(self) -> Tone {
        match self {
            Standing::Waiting | Standing::Skipped | Standing::Undone => Tone::Dim,
            Standing::Running | Standing::Parked => Tone::Busy,
            Standing::Stuck => Tone::Needs,
            Standing::Done => Tone::Good,
            Standing::Failed => Tone::Bad,
        }
    }
}

/// What is shown of one step of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Seen {
    /// Where it stands.
    pub standing: Standing,
    /// Its last attempt; 0 before the first.
    pub attempt: u32,
    /// How long it took, or has taken so far.
    #[serde(rename = "took_ms", serialize_with = "as_millis", skip_serializing_if = "Option::is_none")]
    pub took: Option<Duration>,
}

fn as_millis<S: serde::Serializer>(took: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
    took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)).serialize(s)
}

/// The state of a run, step by step. A step that is not in it is drawn as one that waits.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Overlay(BTreeMap<StepId, Seen>);

impl Overlay {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        Overlay::default()
    }

    /// How a run stands. It does not tell how long steps took: [`Overlay::took`] adds that.
    pub fn of(state: &RunState) -> Self {
        let steps = state.plan().record().steps.iter().zip(0..);
        let seen = |ix| {
            let node = state.node(ix);
            let standing = match node.undo_state() {
                UndoState::Done => Standing::Undone,
                undo if undo.is_resting() => Standing::Stuck,
                _ => standing(node.state()),
            };
            Seen { standing, attempt: node.attempt().0, took: None }
        };
        Overlay(steps.map(|(step, ix)| (step.id.clone(), seen(ix))).collect())
    }

    /// The overlay and how one step stands.
    #[must_use]
    pub fn with(mut self, step: StepId, seen: Seen) -> Self {
        self.0.insert(step, seen);
        self
    }

    /// Says how long a step took.
    pub fn took(&mut self, step: &StepId, took: Duration) {
        if let Some(seen) = self.0.get_mut(step) {
            seen.took = Some(took);
        }
    }

    /// How a step stands.
    pub fn step(&self, id: &StepId) -> Seen {
        let nothing = Seen { standing: Standing::Waiting, attempt: 0, took: None };
        self.0.get(id).copied().unwrap_or(nothing)
    }
}

impl Seen {
    /// It in words: `done in 12 s, attempt 2`.
    pub(crate) fn words(&self) -> String {
        let took = match (self.took, self.standing) {
            (None, _) => String::new(),
            (Some(took), Standing::Running | Standing::Parked) => {
                format!(" for {}", crate::words::length(took))
            }
            (Some(took), _) => format!(" in {}", crate::words::length(took)),
        };
        let attempt = if self.attempt > 1 { format!(", attempt {}", self.attempt) } else { String::new() };
        format!("{}{took}{attempt}", self.standing.word())
    }
}

fn standing(state: &StepState) -> Standing {
    match state {
        StepState::Pending | StepState::Ready => Standing::Waiting,
        StepState::Running | StepState::Items | StepState::InDoubt { .. } => Standing::Running,
        StepState::Parked { .. } | StepState::Backoff { .. } => Standing::Parked,
        StepState::Resting(_) => Standing::Stuck,
        StepState::Done { .. } => Standing::Done,
        StepState::Failed { .. } => Standing::Failed,
        StepState::Skipped { .. } => Standing::Skipped,
    }
}
