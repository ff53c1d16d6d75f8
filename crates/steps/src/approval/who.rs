//! Who may decide.

use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Those who may decide; nobody named means anybody.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Who {
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    actors: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    teams: BTreeMap<String, BTreeSet<String>>,
}

impl Who {
    pub(super) fn is_anybody(&self) -> bool {
        self.actors.is_empty() && self.teams.is_empty()
    }

    pub(super) fn add<A: Into<String>>(&mut self, team: Option<&str>, actors: impl IntoIterator<Item = A>) {
        let group = match team {
            Some(team) => self.teams.entry(team.to_owned()).or_default(),
            None => &mut self.actors,
        };
        group.extend(actors.into_iter().map(Into::into));
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.actors.iter().chain(self.teams.values().flatten())
    }

    pub(super) fn includes(&self, actor: &str) -> bool {
        self.is_anybody() || self.all().any(|there| there == actor)
    }

    /// How many voices there can be without these; as many as you like when anybody may decide.
    pub(super) fn at_most(&self, excluded: &[String]) -> Option<usize> {
        let may: BTreeSet<_> = self.all().filter(|actor| !excluded.contains(actor)).collect();
        (!self.is_anybody()).then_some(may.len())
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_anybody() {
            return f.write_str("anybody");
        }
        let teams = self.teams.keys().map(|team| format!("the team {team}"));
        let names: Vec<String> = self.actors.iter().cloned().chain(teams).collect();
        f.write_str(&names.join(", "))
    }
}
