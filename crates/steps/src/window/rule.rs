//! When a calendar is open, by the days of a week; and when it is closed whatever they say.

use jiff::civil::{Date, DateTime, Time, Weekday};
use std::fmt;

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A span of minutes on some days of the week. One that ends before it begins ends on the day after.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Weekly {
    /// Monday first.
    days: [bool; 7],
    from: u16,
    /// After `from`; up to a day more than a day has.
    to: u16,
}

impl Weekly {
    /// Reads `mon-thu 09:00-16:00`, `sat,sun 10:00-12:00`, `daily 22:00-04:00`, `fri`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: String| {
            format!("{text:?} says no time of a week: {what}; want as in \"mon-thu 09:00-16:00\"")
        };
        let mut words = text.split_whitespace();
        let days = days(words.next().unwrap_or("")).map_err(&wrong)?;
        let (from, mut to) = match words.next() {
            None => (0, DAY),
            Some(span) => {
                let (from, to) = span.split_once('-').ok_or_else(|| wrong(format!("{span:?} has no -")))?;
                (minute(from).map_err(&wrong)?, minute(to).map_err(&wrong)?)
            }
        };
        if let Some(more) = words.next() {
            return Err(wrong(format!("{more:?} is too much")));
        }
        if from == DAY {
            return Err(wrong("24:00 is an end and no begin".into()));
        }
        if from == to {
            return Err(wrong("it ends when it begins".into()));
        }
        if to < from {
            to += DAY;
        }
        Ok(Weekly { days, from, to })
    }

    /// Whether a moment is within it.
    pub(super) fn holds(&self, at: DateTime) -> bool {
        let minute = u16::try_from(at.hour()).unwrap_or(0) * 60 + u16::try_from(at.minute()).unwrap_or(0);
        let today = self.on(at.weekday()) && (self.from..self.to.min(DAY)).contains(&minute);
        let of_yesterday = self.on(at.weekday().previous()) && minute + DAY < self.to;
        today || of_yesterday
    }

    /// Its begin and its end on a day, if it begins on that day.
    pub(super) fn edges(&self, day: Date) -> Option<[DateTime; 2]> {
        let at = |minute: u16| {
            let day = if minute >= DAY { day.tomorrow().ok()? } else { day };
            let minute = minute % DAY;
            let time = Time::new((minute / 60) as i8, (minute % 60) as i8, 0, 0).ok()?;
            Some(day.to_datetime(time))
        };
        if !self.on(day.weekday()) {
            return None;
        }
        Some([at(self.from)?, at(self.to)?])
    }

    fn on(&self, day: Weekday) -> bool {
        self.days[day.to_monday_zero_offset() as usize]
    }
}

fn days(text: &str) -> Result<[bool; 7], String> {
    let place = |name: &str| {
        let found = DAYS.iter().position(|(day, _)| *day == name.to_ascii_lowercase());
        found.ok_or_else(|| {
            format!("{name:?} is no day; the days are mon, tue, wed, thu, fri, sat, sun and daily")
        })
    };
    if text.eq_ignore_ascii_case("daily") {
        return Ok([true; 7]);
    }
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (place(first)?, place(last)?);
        let length = (last + 7 - first) % 7;
        (first..=first + length).for_each(|day| days[day % 7] = true);
    }
    Ok(days)
}

fn minute(text: &str) -> Result<u16, String> {
    let wrong = || format!("{text:?} is no time of a day, as 09:00 is");
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let digits = |text: &str| -> Option<u16> {
        let plain = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    match (digits(hour), digits(minute)) {
        (Some(24), Some(0)) => Ok(DAY),
        (Some(hour @ 0..24), Some(minute @ 0..60)) => Ok(hour * 60 + minute),
        _ => Err(wrong()),
    }
}

/// A span in which a calendar is closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Closed {
    pub(super) from: DateTime,
    pub(super) to: DateTime,
    pub(super) why: String,
}

impl Closed {
    /// Reads a begin and an end: a date, or a date and a time. A date as an end means the end of that day.
    pub(super) fn parse(from: &str, to: &str, why: &str) -> Result<Self, String> {
        let begin = match from.parse::<Date>() {
            Ok(date) if !from.contains(':') => date.to_datetime(Time::midnight()),
            _ => moment(from)?,
        };
        let end = match to.parse::<Date>() {
            Ok(date) if !to.contains(':') => {
                date.tomorrow().map_err(|e| format!("{to:?}: {e}"))?.to_datetime(Time::midnight())
            }
            _ => moment(to)?,
        };
        if end <= begin {
            return Err(format!("closed from {from} to {to}: it ends before it begins"));
        }
        Ok(Closed { from: begin, to: end, why: why.to_owned() })
    }

    pub(super) fn holds(&self, at: DateTime) -> bool {
        (self.from..self.to).contains(&at)
    }
}

fn moment(text: &str) -> Result<DateTime, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no date and no time, as 2026-12-24 and 2026-12-24T18:00 are"))
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "closed from {} to {}", self.from, self.to)?;
        if self.why.is_empty() { Ok(()) } else { write!(f, ": {}", self.why) }
    }
}
