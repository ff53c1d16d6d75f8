//! The places in a journal at which a process can be killed, by name: two runs of one pipeline have the same, however often
//! they waited or were tried again.

use serde::{Deserialize, Serialize};
use towpath::model::{Answer, Event, Payload};

/// One side of the append of such an event.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Boundary {
    /// What the event says: see [`name`].
    pub event: String,
    /// Just after the append, and not just before it.
    pub after: bool,
}

/// What an event says, without what differs between two tries: `canary checkpointed at 20 %, sends`.
pub fn name(event: &Event) -> String {
    let kind = event.kind().word();
    match event {
        Event::StepStarted(e) => format!("{} {kind}", e.step),
        Event::StepDone(e) => format!("{} {kind}", e.step),
        Event::StepFailed(e) => format!("{} {kind}", e.step),
        Event::StepInDoubt(e) => format!("{} {kind}", e.step),
        Event::StepObserved(e) => {
            let answer = match e.answer {
                Answer::NotDone => "not done",
                Answer::TakenOver { .. } => "taken over",
                Answer::Unknown { .. } => "unknown",
            };
            format!("{} {kind} {answer}", e.step)
        }
        Event::Checkpointed(e) => {
            let undoing = if e.undoing { " while undoing" } else { "" };
            format!("{} {kind}{undoing} {}", e.step, progress(&e.value))
        }
        Event::WaitStarted(e) => format!("{} {kind} {}", e.step, without_number(e.wait.as_str())),
        Event::WaitOver(e) => format!("{} {kind} {}", e.step, without_number(e.wait.as_str())),
        Event::CompensationStarted(e) => format!("{} {kind}", e.step),
        Event::CompensationDone(e) => format!("{} {kind}", e.step),
        Event::CompensationFailed(e) => format!("{} {kind}", e.step),
        _ => kind.to_owned(),
    }
}

/// `bake-20-7` is the seventh wait, at 20 %.
fn without_number(wait: &str) -> &str {
    wait.rsplit_once('-').map_or(wait, |(name, _)| name)
}

/// What of the checkpoint of a rollout says how far it is.
#[derive(Deserialize)]
struct Progress {
    ordered: bool,
    at: u32,
    sent: Option<i64>,
    moved: Option<Moved>,
}

#[derive(Deserialize)]
struct Moved {
    is_held: bool,
}

fn progress(value: &Payload) -> String {
    let Some(now) = value.inline().and_then(|json| json.read::<Progress>().ok()) else {
        return "a value".into();
    };
    let traffic = match now.moved {
        None => "nothing moved",
        Some(Moved { is_held: true }) => "held",
        Some(Moved { is_held: false }) => "kept",
    };
    let ordered = if now.ordered { "ordered" } else { "not ordered" };
    let sends = if now.sent.is_some() { ", sends" } else { "" };
    format!("{ordered}, at {}, {traffic}{sends}", now.at)
}
