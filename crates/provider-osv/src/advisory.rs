//! Advisories in the OSV format (<https://ossf.github.io/osv-schema/>, versions 1.0 to 1.7).
//!
//! An advisory is read twice. The first reading looks at every one, and takes only what says whether anything that is scanned
//! can be meant; the second takes the rest of those few. Fields that are not known are left alone: the format grows.

use crate::{
    affected::{Affected, RawRange},
    component::{Component, Ecosystem},
    severity::{Rating, RawSeverity, rate},
};
use serde::{Deserialize, Deserializer};
use std::{borrow::Cow, collections::HashSet};
use towpath_model::Timestamp;

/// What the first reading takes.
#[derive(Deserialize)]
pub(crate) struct Head<'a> {
    #[serde(borrow)]
    pub(crate) id: Cow<'a, str>,
    #[serde(borrow)]
    modified: Cow<'a, str>,
    #[serde(borrow, default)]
    withdrawn: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    affected: Option<Vec<HeadAffected<'a>>>,
}

#[derive(Deserialize)]
struct HeadAffected<'a> {
    #[serde(borrow, default)]
    package: Option<Name<'a>>,
}

#[derive(Deserialize)]
struct Name<'a> {
    #[serde(borrow)]
    ecosystem: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

impl<'a> Head<'a> {
    pub(crate) fn read(text: &'a [u8]) -> Result<Self, String> {
        let head: Head<'_> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if head.id.is_empty() {
            return Err("its id is empty".to_owned());
        }
        Ok(head)
    }

    pub(crate) fn modified(&self) -> Result<Timestamp, String> {
        let time: jiff::Timestamp = self
            .modified
            .parse()
            .map_err(|_| format!("{:?} is no point in time; `modified` has to be one", self.modified))?;
        Ok(Timestamp::from_micros(time.as_microsecond()))
    }

    /// Whether it was withdrawn. The specification gives the field one meaning whatever time it holds.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.withdrawn.is_some()
    }

    /// Whether it is about one of these packages.
    pub(crate) fn is_about(&self, packages: &HashSet<(Ecosystem, &str)>) -> bool {
        self.affected.iter().flatten().filter_map(|affected| affected.package.as_ref()).any(|package| {
            let ecosystem = Ecosystem::named(&package.ecosystem);
            ecosystem.is_some_and(|ecosystem| packages.contains(&(ecosystem, package.name.as_ref())))
        })
    }
}

/// What is known of a vulnerability.
#[derive(Clone, Debug)]
pub(crate) struct Advisory {
    pub(crate) id: String,
    /// Other names of it, as they are written.
    aliases: Vec<String>,
    pub(crate) summary: String,
    pub(crate) url: Option<String>,
    packages: Vec<Package>,
}

/// What it says of one package.
#[derive(Clone, Debug)]
struct Package {
    ecosystem: Ecosystem,
    name: String,
    affected: Affected,
    rating: Rating,
    unread: Vec<String>,
}

/// That an advisory is about a component.
#[derive(Clone, Debug)]
pub(crate) struct Match {
    pub(crate) rating: Rating,
    pub(crate) fixed: Vec<semver::Version>,
}

#[derive(Deserialize)]
struct Raw {
    id: String,
    #[serde(default, deserialize_with = "or_none")]
    aliases: Vec<String>,
    #[serde(default, deserialize_with = "or_none")]
    summary: String,
    #[serde(default, deserialize_with = "or_none")]
    details: String,
    #[serde(default, deserialize_with = "or_none")]
    severity: Vec<RawSeverity>,
    #[serde(default, deserialize_with = "or_none")]
    affected: Vec<RawAffected>,
    #[serde(default, deserialize_with = "or_none")]
    references: Vec<Reference>,
    #[serde(default, deserialize_with = "or_none")]
    database_specific: Words,
}

#[derive(Deserialize)]
struct RawAffected {
    #[serde(default)]
    package: Option<RawName>,
    #[serde(default, deserialize_with = "or_none")]
    severity: Vec<RawSeverity>,
    #[serde(default, deserialize_with = "or_none")]
    ranges: Vec<RawRange>,
    #[serde(default, deserialize_with = "or_none")]
    versions: Vec<String>,
    #[serde(default, deserialize_with = "or_none")]
    ecosystem_specific: Words,
    #[serde(default, deserialize_with = "or_none")]
    database_specific: Words,
}

#[derive(Deserialize)]
struct RawName {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "type")]
    kind: String,
    url: String,
}

/// The parts of an advisory that belong to its database: of them only a word for its severity is used, when it is one.
#[derive(Default, Deserialize)]
struct Words {
    #[serde(default)]
    severity: Option<serde_json::Value>,
}

impl Words {
    fn word(&self) -> Option<&str> {
        self.severity.as_ref()?.as_str()
    }
}

/// A field that is null is one that is not there: some databases write so.
fn or_none<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

impl Advisory {
    /// The second reading.
    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        let raw: Raw = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let mut packages = Vec::new();
        for affected in raw.affected {
            let Some(package) = affected.package else { continue };
            let Some(ecosystem) = Ecosystem::named(&package.ecosystem) else { continue };
            let own = if affected.severity.is_empty() { &raw.severity } else { &affected.severity };
            let words = [&affected.ecosystem_specific, &affected.database_specific, &raw.database_specific];
            let (rating, unread) = rate(own, words.into_iter().filter_map(|words| words.word()));
            let affected = Affected::read(affected.versions, &affected.ranges)
                .map_err(|what| format!("{}: {what}", package.name))?;
            packages.push(Package { ecosystem, name: package.name, affected, rating, unread });
        }
        let summary = if raw.summary.is_empty() {
            raw.details.lines().find(|line| !line.trim().is_empty()).unwrap_or("no summary").trim().to_owned()
        } else {
            raw.summary
        };
        let first = |kind: &str| raw.references.iter().find(|r| r.kind == kind).map(|r| r.url.clone());
        let url = first("ADVISORY").or_else(|| first("WEB")).or_else(|| first("REPORT"));
        Ok(Advisory { id: raw.id, aliases: raw.aliases, summary, url, packages })
    }

    /// The packages that it is about, each once.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &str> {
        let names: std::collections::BTreeSet<&str> =
            self.packages.iter().map(|package| package.name.as_str()).collect();
        names.into_iter()
    }

    /// Its names: its id, and those that it has elsewhere.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        [self.id.as_str()].into_iter().chain(self.aliases.iter().map(String::as_str))
    }

    /// What it says of this component; `None` when it is not about it. What could not be looked at is added to `notes`.
    pub(crate) fn matches(&self, component: &Component, notes: &mut Vec<String>) -> Option<Match> {
        let same =
            |package: &&Package| package.ecosystem == component.ecosystem && package.name == component.name;
        let mut found: Option<Match> = None;
        for package in self.packages.iter().filter(same) {
            if package.affected.is_empty() {
                let why = if package.affected.has_git { "only git ranges" } else { "no versions" };
                notes.push(format!(
                    "{} has {why} for {}, so that no version can be matched with it",
                    self.id, package.name
                ));
                continue;
            }
            if !package.affected.includes(&component.version) {
                continue;
            }
            for vector in &package.unread {
                notes.push(format!("{}: the severity {vector:?} cannot be read", self.id));
            }
            let fixed = package.affected.fixed_after(&component.version);
            let this = Match { rating: package.rating.clone(), fixed };
            found = Some(match found {
                None => this,
                Some(other) => other.and(this),
            });
        }
        found
    }
}

impl Match {
    /// What two sources say of one vulnerability: the worse rating, and every fix.
    pub(crate) fn and(mut self, other: Match) -> Match {
        self.fixed.extend(other.fixed);
        self.fixed.sort();
        self.fixed.dedup();
        Match { rating: self.rating.max(other.rating), fixed: self.fixed }
    }
}
