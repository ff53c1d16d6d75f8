//! What is stored of a schedule.

use crate::note::Record;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use towpath_model::{Actor, Json, Name, PipelineName, RunId, Timestamp};

/// The kind of the notes.
pub(super) const KIND: &str = "schedule";
/// How many acts are remembered.
const ACTS: usize = 100;

/// What happens at a tick while the run of an earlier one goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// The tick is left out.
    #[default]
    Skip,
    /// The tick waits until the run is over.
    Queue,
    /// It starts beside it.
    Allow,
}

/// What happens with ticks at which no engine was there to start a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// The last of them is made up for.
    #[default]
    Latest,
    /// All of them are made up for.
    All,
    /// They are left out.
    Skip,
}

/// What a schedule starts, and when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spec {
    pub(super) pipeline: PipelineName,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) params: BTreeMap<String, Json>,
    pub(super) cron: String,
    pub(super) zone: String,
    pub(super) overlap: Overlap,
    pub(super) missed: Missed,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) labels: BTreeMap<String, String>,
}

/// A tick for which a run is to be started.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Due {
    pub(super) tick: Timestamp,
    /// Who asked for it, when the clock did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) backfill: Option<Actor>,
}

/// A tick that was left out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// When it was.
    pub tick: Timestamp,
    /// Why it was left out.
    pub why: String,
}

/// A tick for which a run was started.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticked {
    /// When it was.
    pub tick: Timestamp,
    /// The run.
    pub run: RunId,
}

/// Who did something about a schedule, when and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// What: set, paused, resumed, removed, backfilled.
    pub what: String,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// The note of a schedule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    /// Version of this format.
    pub(super) format: u32,
    /// What it does; nothing of one that was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) spec: Option<Spec>,
    /// All ticks up to this were decided about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seen: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) paused: Option<Act>,
    /// Ticks for which runs are to be started, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) due: Vec<Due>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<Ticked>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) skipped: Option<Skipped>,
    /// Why the first of what is due cannot be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trouble: Option<String>,
    /// The last that was done, oldest first.
    pub(super) acts: Vec<Act>,
}

impl Default for Stored {
    fn default() -> Self {
        Stored {
            format: 1,
            spec: None,
            seen: None,
            paused: None,
            due: Vec::new(),
            last: None,
            skipped: None,
            trouble: None,
            acts: Vec::new(),
        }
    }
}

impl Record for Stored {
    const KIND: &'static str = KIND;
    const OPERATION: &'static str = "look at schedules";
}

impl Stored {
    /// Forgets everything but what was done with it.
    pub(super) fn forget(&mut self) {
        *self = Stored { acts: std::mem::take(&mut self.acts), ..Stored::default() };
    }

    /// Remembers what was done.
    pub(super) fn act(&mut self, act: Act) {
        self.acts.push(act);
        let over = self.acts.len().saturating_sub(ACTS);
        self.acts.drain(..over);
    }

    pub(super) fn skip(&mut self, tick: Timestamp, why: impl Into<String>) {
        self.skipped = Some(Skipped { tick, why: why.into() });
    }
}

/// The key of the run of a tick: one for each, so that no tick starts two.
pub(super) fn key(schedule: &Name, tick: Timestamp) -> String {
    format!("{schedule}@{}", text(tick))
}

/// A tick as text, to the second: what the parameter `tick` of a pipeline gets.
pub(super) fn text(tick: Timestamp) -> String {
    format!("{}Z", &tick.to_string()[..19])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_what_was_stored() {
        let at = Timestamp::from_micros(1_700_000_000_000_000);
        let by = Actor::new("os-user:anna").unwrap();
        let act = |what: &str| Act { at, by: by.clone(), what: what.to_owned(), reason: String::new() };
        let spec = Spec {
            pipeline: PipelineName::new("shop").unwrap(),
            params: BTreeMap::from([("region".to_owned(), Json::parse("\"eu\"").unwrap())]),
            cron: "0 3 * * *".to_owned(),
            zone: "Europe/Berlin".to_owned(),
            overlap: Overlap::Queue,
            missed: Missed::All,
            labels: BTreeMap::from([("service".to_owned(), "shop".to_owned())]),
        };
        let stored = Stored {
            spec: Some(spec),
            seen: Some(at),
            paused: Some(act("paused")),
            due: vec![Due { tick: at, backfill: Some(by.clone()) }, Due { tick: at, backfill: None }],
            last: Some(Ticked { tick: at, run: RunId::from_bytes([7; 16]) }),
            skipped: Some(Skipped { tick: at, why: "why".to_owned() }),
            trouble: Some("trouble".to_owned()),
            acts: vec![act("set")],
            ..Stored::default()
        };
        let text = serde_json::to_string_pretty(&stored).unwrap();
        crate::snapshot::check("schedule.json", &format!("{text}\n"));
        assert_eq!(serde_json::from_str::<Stored>(&text).unwrap(), stored);
    }

    #[test]
    fn keys_name_the_tick() {
        let name = Name::new("nightly").unwrap();
        assert_eq!(key(&name, Timestamp::from_micros(1_700_000_000_000_000)), "nightly@2023-11-14T22:13:20Z");
    }
}
