//! Which versions an advisory is about: the evaluation algorithm of the OSV schema
//! (<https://ossf.github.io/osv-schema/#evaluation>, version 1.7).
//!
//! A version is affected when it is listed, or when it is in one of the ranges. A range is a line of events: walked in the
//! order of their versions, the last one at or below a version says whether it is affected. The specification does not say in
//! which order events of *one* version come. Here a fix comes before an introduction, so that what was fixed and introduced in
//! the same version counts as affected: a finding too many is looked at, one too few is not.

use crate::version::{compare, parse};
use semver::Version;
use serde::Deserialize;
use std::cmp::Ordering;

/// A range as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct RawRange {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) events: Option<Vec<RawEvent>>,
}

/// An event as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct RawEvent {
    pub(crate) introduced: Option<String>,
    pub(crate) fixed: Option<String>,
    pub(crate) last_affected: Option<String>,
    pub(crate) limit: Option<String>,
}

/// The versions of one package that an advisory is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Affected {
    versions: Vec<String>,
    ranges: Vec<Range>,
    /// Ranges of git commits are there, which say nothing about versions.
    pub(crate) has_git: bool,
}

/// One range, its events in order.
#[derive(Clone, Debug)]
struct Range {
    events: Vec<Event>,
    /// Below one of these; `None` when there is no limit.
    limits: Option<Vec<Version>>,
}

/// The order of the variants is that of events of one version.
#[derive(Clone, Debug)]
enum Event {
    /// `None` is before every version.
    Fixed(Version),
    Introduced(Option<Version>),
    LastAffected(Version),
}

impl Event {
    fn version(&self) -> Option<&Version> {
        match self {
            Event::Introduced(version) => version.as_ref(),
            Event::Fixed(version) | Event::LastAffected(version) => Some(version),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Event::Fixed(_) => 0,
            Event::Introduced(_) => 1,
            Event::LastAffected(_) => 2,
        }
    }

    fn order(&self, other: &Event) -> Ordering {
        let versions = match (self.version(), other.version()) {
            (Some(a), Some(b)) => compare(a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        versions.then(self.rank().cmp(&other.rank()))
    }
}

impl Affected {
    /// Reads what an advisory says of one package of an ecosystem whose versions are semantic. What cannot be read is an error
    /// that says what.
    pub(crate) fn read(versions: Vec<String>, ranges: &[RawRange]) -> Result<Self, String> {
        let mut affected = Affected { versions, ..Affected::default() };
        for range in ranges {
            match range.kind.as_str() {
                "SEMVER" | "ECOSYSTEM" => {
                    affected.ranges.push(Range::read(range.events.as_deref().unwrap_or_default())?);
                }
                "GIT" => affected.has_git = true,
                other => return Err(format!("{other:?} is no type of a range")),
            }
        }
        Ok(affected)
    }

    /// Nothing here can be evaluated.
    pub(crate) fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.ranges.is_empty()
    }

    pub(crate) fn includes(&self, version: &Version) -> bool {
        let text = version.to_string();
        self.versions.contains(&text) || self.ranges.iter().any(|range| range.includes(version))
    }

    /// The versions above this one in which it is fixed, ascending, without those that are affected in another way.
    pub(crate) fn fixed_after(&self, version: &Version) -> Vec<Version> {
        let events = self.ranges.iter().flat_map(|range| &range.events);
        let mut fixed: Vec<Version> = events
            .filter_map(|event| match event {
                Event::Fixed(fixed) => Some(fixed.clone()),
                _ => None,
            })
            .filter(|fixed| compare(fixed, version).is_gt() && !self.includes(fixed))
            .collect();
        fixed.sort();
        fixed.dedup();
        fixed
    }
}

impl Range {
    fn read(events: &[RawEvent]) -> Result<Self, String> {
        let version = |text: &str| parse(text).ok_or_else(|| format!("{text:?} is no semantic version"));
        let mut range = Range { events: Vec::new(), limits: None };
        let mut is_unlimited = false;
        for event in events {
            match (&event.introduced, &event.fixed, &event.last_affected, &event.limit) {
                (Some(text), None, None, None) => {
                    let introduced = if text == "0" { None } else { Some(version(text)?) };
                    range.events.push(Event::Introduced(introduced));
                }
                (None, Some(text), None, None) => range.events.push(Event::Fixed(version(text)?)),
                (None, None, Some(text), None) => range.events.push(Event::LastAffected(version(text)?)),
                (None, None, None, Some(text)) if text == "*" => is_unlimited = true,
                (None, None, None, Some(text)) => {
                    range.limits.get_or_insert_default().push(version(text)?);
                }
                _ => {
                    return Err(
                        "an event must be one of introduced, fixed, last_affected and limit".to_owned()
                    );
                }
            }
        }
        if !range.events.iter().any(|event| matches!(event, Event::Introduced(_))) {
            return Err("a range does not say where it was introduced".to_owned());
        }
        if is_unlimited {
            range.limits = None;
        }
        range.events.sort_by(Event::order);
        Ok(range)
    }

    fn includes(&self, version: &Version) -> bool {
        let is_below = |limit: &Version| compare(version, limit).is_lt();
        if self.limits.as_ref().is_some_and(|limits| !limits.iter().any(is_below)) {
            return false;
        }
        let mut is_affected = false;
        for event in &self.events {
            match event {
                Event::Introduced(None) => is_affected = true,
                Event::Introduced(Some(from)) if compare(version, from).is_ge() => is_affected = true,
                Event::Fixed(from) if compare(version, from).is_ge() => is_affected = false,
                Event::LastAffected(last) if compare(version, last).is_gt() => is_affected = false,
                _ => {}
            }
        }
        is_affected
    }
}

#[cfg(test)]
mod tests;
