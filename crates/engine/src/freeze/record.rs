//! What is stored of freezes.

use crate::{EngineError, note::Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use towpath_model::{Actor, Name, PipelineName, RunId, Timestamp};

/// The kind of the note.
pub(super) const KIND: &str = "freeze";
/// The name of the one note that holds all of them.
pub(super) const NAME: &str = "all";
/// How many acts are remembered.
const ACTS: usize = 200;

/// A constant as a name.
pub(crate) fn name(constant: &str) -> Name {
    Name::new(constant).expect("a constant word is a name")
}

/// What is to stand still, until when, and why.
///
/// It covers the runs for which everything agrees that is given: the pipeline, and all of the labels. Items of a run are
/// covered with it.
///
/// ```
/// use towpath_engine::Freeze;
/// let shop = Freeze::all("stocktaking", "the database is being counted")?.label("service", "shop");
/// assert_eq!(shop.reason(), "the database is being counted");
/// # Ok::<(), towpath_engine::EngineError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use = "a freeze holds nothing until it is declared"]
pub struct Freeze {
    pub(crate) name: Name,
    pub(crate) reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pipeline: Option<PipelineName>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Timestamp>,
}

impl Freeze {
    /// A freeze of all runs, until it is lifted.
    ///
    /// # Errors
    /// When the name is none.
    pub fn all(name: &str, reason: impl Into<String>) -> Result<Self, EngineError> {
        let name =
            Name::new(name).map_err(|e| EngineError::unfit("declare a freeze", vec![e.to_string()]))?;
        Ok(Freeze { name, reason: reason.into(), pipeline: None, labels: BTreeMap::new(), until: None })
    }

    /// Only runs of this pipeline.
    pub fn pipeline(mut self, pipeline: PipelineName) -> Self {
        self.pipeline = Some(pipeline);
        self
    }

    /// Only runs with this label; called again, further ones.
    pub fn label(mut self, label: &str, value: &str) -> Self {
        self.labels.insert(label.to_owned(), value.to_owned());
        self
    }

    /// It is lifted by itself at this time.
    pub fn until(mut self, at: Timestamp) -> Self {
        self.until = Some(at);
        self
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Why, in the words of whoever declared it.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// When it is lifted by itself.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.until
    }

    /// What it covers, in words.
    pub fn scope(&self) -> String {
        let pipeline = self.pipeline.iter().map(|pipeline| format!("pipeline {pipeline}"));
        let labels = self.labels.iter().map(|(label, value)| format!("{label}={value}"));
        let parts: Vec<String> = pipeline.chain(labels).collect();
        if parts.is_empty() { "everything".to_owned() } else { parts.join(" ") }
    }

    fn covers<'l>(
        &self,
        pipeline: &PipelineName,
        labels: impl Iterator<Item = (&'l str, &'l str)> + Clone,
    ) -> bool {
        let has = |(label, value): (&String, &String)| {
            labels.clone().any(|(l, v)| (l, v) == (label.as_str(), value.as_str()))
        };
        self.pipeline.as_ref().is_none_or(|of| of == pipeline) && self.labels.iter().all(has)
    }
}

/// A freeze that was declared.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frozen {
    /// The freeze.
    pub freeze: Freeze,
    /// Who declared it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Runs that it paused, which go on when it is lifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paused: Vec<RunId>,
}

impl Frozen {
    /// Whether its time is not over.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.freeze.until.is_none_or(|until| until > now)
    }
}

/// Something that was done about freezes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    pub(crate) at: Timestamp,
    pub(crate) by: Actor,
    pub(crate) what: String,
    pub(crate) name: Name,
    pub(crate) reason: String,
}

/// The note.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Freezes {
    /// Version of this format.
    format: u32,
    pub(crate) freezes: Vec<Frozen>,
    /// The last that was done, oldest first.
    acts: Vec<Act>,
}

impl Default for Freezes {
    fn default() -> Self {
        Freezes { format: 1, freezes: Vec::new(), acts: Vec::new() }
    }
}

impl Record for Freezes {
    const KIND: &'static str = KIND;
    const OPERATION: &'static str = "look for freezes";
}

impl Freezes {
    /// The first freeze that holds such a run.
    pub(crate) fn holding<'l>(
        &self,
        now: Timestamp,
        pipeline: &PipelineName,
        labels: impl Iterator<Item = (&'l str, &'l str)> + Clone,
    ) -> Option<&Frozen> {
        let holds = |frozen: &&Frozen| frozen.holds_at(now) && frozen.freeze.covers(pipeline, labels.clone());
        self.freezes.iter().find(holds)
    }

    /// Remembers what was done.
    pub(super) fn act(&mut self, act: Act) {
        self.acts.push(act);
        let over = self.acts.len().saturating_sub(ACTS);
        self.acts.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(freeze: &Freeze, pipeline: &str, labels: &[(&str, &str)]) -> bool {
        freeze.covers(&PipelineName::new(pipeline).unwrap(), labels.iter().copied())
    }

    #[test]
    fn a_freeze_covers_what_agrees_with_everything_that_is_given() {
        let all = Freeze::all("all", "").unwrap();
        assert!(covers(&all, "shop", &[]) && all.scope() == "everything");
        let some = all.pipeline(PipelineName::new("shop").unwrap()).label("region", "eu");
        assert_eq!(some.scope(), "pipeline shop region=eu");
        assert!(covers(&some, "shop", &[("service", "cart"), ("region", "eu")]));
        assert!(!covers(&some, "shop", &[("region", "us")]));
        assert!(!covers(&some, "shop", &[]));
        assert!(!covers(&some, "cart", &[("region", "eu")]));
    }

    #[test]
    fn what_is_stored_is_what_was_stored() {
        let freeze = Freeze::all("stocktaking", "counting")
            .unwrap()
            .pipeline(PipelineName::new("shop").unwrap())
            .label("region", "eu")
            .until(Timestamp::from_micros(1_700_000_000_000_000));
        let (by, at) = (Actor::new("os-user:anna").unwrap(), Timestamp::from_micros(1_600_000_000_000_000));
        let mut freezes = Freezes::default();
        let paused = vec![RunId::from_bytes([7; 16])];
        freezes.freezes.push(Frozen { freeze, by: by.clone(), at, paused });
        let (what, reason) = ("declared".to_owned(), "counting".to_owned());
        freezes.act(Act { at, by, what, name: name("stocktaking"), reason });
        let text = serde_json::to_string_pretty(&freezes).unwrap();
        crate::snapshot::check("freeze.json", &format!("{text}\n"));
        assert_eq!(serde_json::from_str::<Freezes>(&text).unwrap(), freezes);
    }

    #[test]
    fn only_the_last_acts_are_kept() {
        let mut freezes = Freezes::default();
        for n in 0..ACTS + 3 {
            freezes.act(Act {
                at: Timestamp::MIN,
                by: Actor::engine(),
                what: n.to_string(),
                name: name("x"),
                reason: String::new(),
            });
        }
        assert_eq!((freezes.acts.len(), freezes.acts[0].what.as_str()), (ACTS, "3"));
    }
}
