//! Calendars: when something may be done.

use super::rule::{Closed, Weekly};
use jiff::{civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::{collections::BTreeSet, fmt};
use towpath_model::{Json, Timestamp};
use towpath_step::Times;

/// How far ahead an opening is looked for.
const DAYS_AHEAD: i64 = 731;

/// When something may be done: times of a week in which it is open, and spans in which it is closed whatever they say.
///
/// Without a time of the week it is always open but for what is closed. What is wrong with a rule is reported when the plan
/// is built, with everything else.
///
/// Times are those of its zone, also over the changes of summer time: an hour that is left out is open to nobody, and one
/// that comes twice is open twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Calendar {
    stored: Stored,
}

/// As plans store it: as it was written.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    zone: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    open: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    closed: Vec<StoredSpan>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSpan {
    from: String,
    to: String,
    why: String,
}

/// How a calendar stands at a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Open, until then if it ever closes within two years.
    Open { until: Option<Timestamp> },
    /// Closed, until then if it ever opens within two years.
    Closed { until: Option<Timestamp>, why: String },
}

impl Calendar {
    /// In UTC.
    pub fn utc() -> Self {
        Calendar::in_zone("UTC")
    }

    /// In a zone of the IANA time zone database, such as `Europe/Berlin`. The worker's system has to know it.
    pub fn in_zone(zone: impl Into<String>) -> Self {
        Calendar { stored: Stored { zone: zone.into(), ..Stored::default() } }
    }

    /// Open at these times of the week: `mon-thu 09:00-16:00`, `sat,sun 10:00-12:00`, `daily 22:00-04:00` (into the day
    /// after), `fri` (the whole day). Given more than once, at all of them.
    #[must_use]
    pub fn open(mut self, weekly: impl Into<String>) -> Self {
        self.stored.open.push(weekly.into());
        self
    }

    /// Closed from a date to a date, both included, or from a time to a time (`2026-12-24T12:00`); and why, for whoever waits.
    #[must_use]
    pub fn closed(mut self, from: impl Into<String>, to: impl Into<String>, why: impl Into<String>) -> Self {
        self.stored.closed.push(StoredSpan { from: from.into(), to: to.into(), why: why.into() });
        self
    }

    /// The calendar read, or what is wrong with it.
    fn rules(&self) -> Result<(Vec<Weekly>, Vec<Closed>), String> {
        let open = self.stored.open.iter().map(|text| Weekly::parse(text)).collect::<Result<_, _>>()?;
        let span = |span: &StoredSpan| Closed::parse(&span.from, &span.to, &span.why);
        let closed = self.stored.closed.iter().map(span).collect::<Result<_, _>>()?;
        Ok((open, closed))
    }

    /// The calendar with the rules of its zone, which only a system knows.
    pub(super) fn clock(&self) -> Result<Clock, String> {
        let (open, closed) = self.rules()?;
        let zone = &self.stored.zone;
        let zone = TimeZone::get(zone).map_err(|e| {
            format!("the time zone {zone:?} is not known here: {e}; is it an IANA name, and are its data installed (tzdata)?")
        })?;
        Ok(Clock { open, closed, zone })
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stored { zone, open, closed } = &self.stored;
        let open = if open.is_empty() { "always".to_owned() } else { open.join(" and ") };
        write!(f, "open {open}, {zone}")?;
        closed.iter().try_for_each(|span| write!(f, "; closed {} to {}", span.from, span.to))
    }
}

impl Times for Calendar {
    fn stored(&self) -> Result<Json, String> {
        Json::of(self).map_err(|e| e.to_string())
    }

    fn words(&self) -> String {
        self.to_string()
    }
}

impl Serialize for Calendar {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.rules().map_err(ser::Error::custom)?;
        self.stored.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Calendar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let calendar = Calendar { stored: Stored::deserialize(from)? };
        calendar.rules().map_err(de::Error::custom)?;
        Ok(calendar)
    }
}

/// A calendar in its zone.
#[derive(Debug)]
pub(super) struct Clock {
    open: Vec<Weekly>,
    closed: Vec<Closed>,
    zone: TimeZone,
}

impl Clock {
    /// How it stands at a time, and until when.
    pub(super) fn standing(&self, at: Timestamp) -> Standing {
        let local = self.local(at);
        match self.shut(local) {
            None => Standing::Open { until: self.next(at, |shut| shut.is_some()) },
            Some(why) => Standing::Closed { until: self.next(at, |shut| shut.is_none()), why },
        }
    }

    /// Why it is closed at a local time; `None` when it is open.
    fn shut(&self, local: DateTime) -> Option<String> {
        if let Some(span) = self.closed.iter().find(|span| span.holds(local)) {
            return Some(span.to_string());
        }
        let is_open = self.open.is_empty() || self.open.iter().any(|weekly| weekly.holds(local));
        (!is_open).then(|| "it is outside of the times of the week".to_owned())
    }

    /// The first moment after `at` that stands as asked for. It can only be where a rule begins or ends, or where the clock of
    /// the zone is moved.
    fn next(&self, at: Timestamp, wanted: impl Fn(Option<String>) -> bool) -> Option<Timestamp> {
        let first = self.local(at).date().yesterday().ok()?;
        let mut edges = BTreeSet::new();
        for span in &self.closed {
            edges.extend(self.moments(span.from));
            edges.extend(self.moments(span.to));
        }
        let last = at.as_micros() + DAYS_AHEAD * 86_400_000_000;
        let from = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
        let moved = self.zone.following(from).map(|transition| transition.timestamp().as_microsecond());
        edges.extend(moved.take_while(|micros| *micros <= last));
        let mut day = first;
        // Days are looked at one after the other, so that an opening tomorrow costs two of them.
        for _ in 0..DAYS_AHEAD {
            for edge in self.open.iter().filter_map(|weekly| weekly.edges(day)).flatten() {
                edges.extend(self.moments(edge));
            }
            let end = self.moments(day.to_datetime(jiff::civil::Time::midnight())).into_iter().min()?;
            let known = edges.iter().copied().filter(|edge| *edge > at.as_micros() && *edge < end);
            let found = known.map(Timestamp::from_micros).find(|edge| wanted(self.shut(self.local(*edge))));
            if found.is_some() {
                return found;
            }
            day = day.tomorrow().ok()?;
        }
        let rest = edges.into_iter().filter(|edge| *edge > at.as_micros() && *edge <= last);
        rest.map(Timestamp::from_micros).find(|edge| wanted(self.shut(self.local(*edge))))
    }

    /// The moments, in microseconds, at which the clocks of the zone show a time: two when it comes twice, and when it is
    /// left out those around the gap.
    fn moments(&self, local: DateTime) -> Vec<i64> {
        let moment = self.zone.to_ambiguous_timestamp(local);
        let all = [moment.earlier(), moment.later()];
        all.into_iter().flatten().map(|moment| moment.as_microsecond()).collect()
    }

    fn local(&self, at: Timestamp) -> DateTime {
        // Every time of a run is one that jiff knows: years −9999 to 9999.
        let moment = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or(jiff::Timestamp::MAX);
        self.zone.to_datetime(moment)
    }
}

#[cfg(test)]
mod tests;
