//! Who may decide.

use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use towpath_model::Actor;
use towpath_step::StepError;

/// Those who may decide; without a list and without a team, anybody.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Who {
    /// An empty list is nobody: whoever gave it meant to say who may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actors: Option<BTreeSet<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    teams: BTreeMap<String, BTreeSet<String>>,
}

impl Who {
    pub(crate) fn is_anybody(&self) -> bool {
        self.actors.is_none() && self.teams.is_empty()
    }

    pub(crate) fn add<A: Into<String>>(&mut self, team: Option<&str>, actors: impl IntoIterator<Item = A>) {
        let group = match team {
            Some(team) => self.teams.entry(team.to_owned()).or_default(),
            None => self.actors.get_or_insert_default(),
        };
        group.extend(actors.into_iter().map(Into::into));
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.actors.iter().flatten().chain(self.teams.values().flatten())
    }

    /// Fails for good when nobody may decide, or a name here or among the excluded is one that nobody sends under.
    pub(crate) fn check(&self, excluded: &[String]) -> Result<(), StepError> {
        if !self.is_anybody() && self.all().next().is_none() {
            return Err(StepError::permanent("the list of those who may decide is empty: name somebody"));
        }
        match self.all().chain(excluded).find(|name| !is_actor(name)) {
            Some(name) => Err(StepError::permanent(format!(
                "{name:?} is not the name of anybody who can decide: names have the form kind:name, such as user:ann \
                 for a person whom a service knows, or os-user:ann for a user of the operating system"
            ))),
            None => Ok(()),
        }
    }

    pub(crate) fn includes(&self, actor: &str) -> bool {
        self.is_anybody() || self.all().any(|there| there == actor)
    }

    /// How many voices there can be without these; as many as you like when anybody may decide.
    pub(crate) fn at_most(&self, excluded: &[String]) -> Option<usize> {
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
        let names: Vec<String> = self.actors.iter().flatten().cloned().chain(teams).collect();
        f.write_str(&names.join(", "))
    }
}

/// Whether somebody can send under this name: `user:ann`.
fn is_actor(name: &str) -> bool {
    let has_form = name.split_once(':').is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty());
    has_form && Actor::new(name).is_ok()
}
