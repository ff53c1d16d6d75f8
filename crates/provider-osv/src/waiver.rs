//! Waivers: findings that somebody accepts until a day.

use crate::fault;
use jiff::{civil::Date, tz::TimeZone};
use serde::Deserialize;
use std::path::Path;
use towpath_model::Timestamp;
use towpath_provider::{Finding, ProviderError, UnusedWaiver, Waiver};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    waiver: Vec<Raw>,
}

/// One waiver as it is written. A field that is not known is an error: `expire` for `expires` must not be overlooked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    advisory: String,
    package: Option<String>,
    reason: String,
    expires: Day,
    owner: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Day {
    Written(toml::value::Datetime),
    Quoted(String),
}

/// The waivers of a file.
#[derive(Debug, Default)]
pub(crate) struct Waivers(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    waiver: Waiver,
    has_expired: bool,
    is_used: bool,
}

impl Waivers {
    /// Reads a file of waivers as they count at this time.
    pub(crate) fn read(path: &Path, text: &str, at: Timestamp) -> Result<Self, ProviderError> {
        let file: File = toml::from_str(text)
            .map_err(|error| fault::invalid(path, "this is no file of waivers").because(error.to_string()))?;
        let entries = file.waiver.into_iter().map(|raw| {
            let wrong = |what: &str| fault::invalid(path, format!("the waiver of {:?} {what}", raw.advisory));
            for (field, value) in [
                ("advisory", Some(&raw.advisory)),
                ("reason", Some(&raw.reason)),
                ("package", raw.package.as_ref()),
            ] {
                if value.is_some_and(|value| value.trim().is_empty()) {
                    return Err(wrong(&format!("has an empty {field}")));
                }
            }
            let text = match &raw.expires {
                Day::Written(day) => day.to_string(),
                Day::Quoted(day) => day.clone(),
            };
            let expires: Date = strict_date(&text)
                .ok_or_else(|| wrong(&format!("expires on {text:?}, which is no day: write 2026-12-31")))?;
            let has_expired = end_of(expires).is_none_or(|end| at >= end);
            let Raw { advisory, package, reason, owner, .. } = raw;
            let waiver = Waiver { advisory, package, reason, expires: expires.to_string(), owner };
            Ok(Entry { waiver, has_expired, is_used: false })
        });
        entries.collect::<Result<_, _>>().map(Waivers)
    }

    /// Waives a finding when a waiver counts for it, and remembers which ones match it.
    pub(crate) fn apply(&mut self, finding: &mut Finding) {
        for entry in &mut self.0 {
            let Waiver { advisory, package, .. } = &entry.waiver;
            let is_meant = (*advisory == finding.id || finding.aliases.contains(advisory))
                && package.as_ref().is_none_or(|package| *package == finding.package);
            if !is_meant {
                continue;
            }
            entry.is_used = true;
            if !entry.has_expired && finding.waived.is_none() {
                finding.waived = Some(entry.waiver.clone());
            }
        }
    }

    /// Those that match something and have expired, and those that match nothing; in the order of the file.
    pub(crate) fn left(self) -> (Vec<Waiver>, Vec<UnusedWaiver>) {
        let (used, unused): (Vec<Entry>, Vec<Entry>) = self.0.into_iter().partition(|entry| entry.is_used);
        let expired = used.into_iter().filter(|entry| entry.has_expired).map(|entry| entry.waiver);
        let unused = unused
            .into_iter()
            .map(|entry| UnusedWaiver { waiver: entry.waiver, has_expired: entry.has_expired });
        (expired.collect(), unused.collect())
    }
}

/// A day and nothing but a day: a time in it would be read as a promise of more than there is.
fn strict_date(text: &str) -> Option<Date> {
    (text.len() == 10).then(|| text.parse().ok()).flatten()
}

/// The end of a day in UTC. A day after which there is none does not end.
fn end_of(day: Date) -> Option<Timestamp> {
    let end = day.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(Timestamp::from_micros(end.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::Waivers;
    use std::{error::Error as _, path::Path};
    use towpath_model::Timestamp;
    use towpath_provider::{Finding, ProviderError, ProviderErrorKind};

    fn at(text: &str) -> Timestamp {
        let time: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_micros(time.as_microsecond())
    }

    fn read(text: &str, time: &str) -> Result<Waivers, ProviderError> {
        Waivers::read(Path::new("waivers.toml"), text, at(time))
    }

    fn finding(id: &str, package: &str) -> Finding {
        Finding {
            id: id.to_owned(),
            aliases: vec!["CVE-1".to_owned()],
            package: package.to_owned(),
            version: "1.0.0".to_owned(),
            lock_files: Vec::new(),
            severity: None,
            score: None,
            vector: None,
            fixed: Vec::new(),
            summary: String::new(),
            url: None,
            waived: None,
        }
    }

    const ONE: &str =
        "[[waiver]]\nadvisory = \"CVE-1\"\npackage = \"demo-a\"\nreason = \"r\"\nexpires = 2026-12-31\n";

    #[test]
    fn the_last_day_counts_until_its_end_in_utc() {
        for (time, counts) in [
            ("2026-12-31T23:59:59.999999Z", true),
            ("2027-01-01T00:00:00Z", false),
            ("2026-12-31T23:30:00-01:00", false),
            ("1999-01-01T00:00:00Z", true),
        ] {
            let mut waivers = read(ONE, time).unwrap();
            let mut finding = finding("DEMO-1", "demo-a");
            waivers.apply(&mut finding);
            assert_eq!(finding.waived.is_some(), counts, "{time}");
            let (expired, unused) = waivers.left();
            assert_eq!((expired.len(), unused.len()), (usize::from(!counts), 0), "{time}");
        }
    }

    #[test]
    fn a_waiver_means_an_advisory_by_any_of_its_names_and_one_package_if_it_says_so() {
        let mut waivers = read(&ONE.replace("2026-12-31", "\"2026-12-31\""), "2026-01-01T00:00:00Z").unwrap();
        let mut other = finding("DEMO-1", "demo-b");
        waivers.apply(&mut other);
        assert_eq!(other.waived, None);
        let (expired, unused) = waivers.left();
        assert_eq!((expired.len(), unused.len()), (0, 1), "it matched nothing");
        let mut any = read(&ONE.replace("package = \"demo-a\"\n", ""), "2026-01-01T00:00:00Z").unwrap();
        any.apply(&mut other);
        assert_eq!(other.waived.unwrap().to_string(), "CVE-1 until 2026-12-31: r");
    }

    #[test]
    fn one_that_has_expired_does_not_hide_one_that_counts() {
        let text = ONE.to_owned() + &ONE.replace("2026", "2030");
        let mut waivers = read(&text, "2027-01-01T00:00:00Z").unwrap();
        let mut finding = finding("DEMO-1", "demo-a");
        waivers.apply(&mut finding);
        assert_eq!(finding.waived.unwrap().expires, "2030-12-31");
        assert_eq!(waivers.left().0.len(), 1);
    }

    #[test]
    fn what_is_no_waiver_is_said() {
        for (text, told) in [
            (ONE.replace("2026-12-31", "2026-12-31T10:00:00Z"), "is no day: write 2026-12-31"),
            (ONE.replace("2026-12-31", "\"next year\""), "is no day: write 2026-12-31"),
            (ONE.replace("2026-12-31", "\"2026-02-30\""), "is no day: write 2026-12-31"),
            (ONE.replace("\"r\"", "\" \""), "has an empty reason"),
            (ONE.replace("\"demo-a\"", "\"\""), "has an empty package"),
            (ONE.replace("expires", "expire"), "unknown field `expire`"),
            (ONE.replace("reason = \"r\"\n", ""), "missing field `reason`"),
            (ONE.replace("expires = 2026-12-31\n", ""), "missing field `expires`"),
            (ONE.replace("[[waiver]]", "[[waivers]]"), "unknown field `waivers`"),
        ] {
            let error = read(&text, "2026-01-01T00:00:00Z").unwrap_err();
            assert_eq!(error.kind(), ProviderErrorKind::Invalid);
            let whole = format!("{error}: {}", error.source().map(|e| e.to_string()).unwrap_or_default());
            assert!(whole.contains("waivers.toml") && whole.contains(told), "{whole}");
        }
    }
}
