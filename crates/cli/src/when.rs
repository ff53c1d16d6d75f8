//! Times as people read and write them.

use std::time::Duration;
use towpath::model::Timestamp;

/// A time in UTC, to the second.
pub(crate) fn at(time: Timestamp) -> String {
    format!("{}Z", &time.to_string()[..19])
}

/// A time in UTC, to the millisecond.
pub(crate) fn precisely(time: Timestamp) -> String {
    format!("{}Z", &time.to_string()[..23])
}

/// A time with how long ago it was, or how far ahead it is.
pub(crate) fn at_and_ago(time: Timestamp, now: Timestamp) -> String {
    if time > now {
        return format!("{} (in {})", at(time), length(time.since(now)));
    }
    format!("{} ({} ago)", at(time), length(now.since(time)))
}

/// A length of time in at most two units.
pub(crate) fn length(time: Duration) -> String {
    let (ms, secs) = (time.as_millis(), time.as_secs());
    let two = |big: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{big} {unit}"),
        _ => format!("{big} {unit} {small} {small_unit}"),
    };
    match secs {
        0 => format!("{ms} ms"),
        1..10 => format!("{}.{} s", secs, ms % 1_000 / 100),
        10..60 => format!("{secs} s"),
        60..3_600 => two(secs / 60, "min", secs % 60, "s"),
        3_600..86_400 => two(secs / 3_600, "h", secs / 60 % 60, "min"),
        _ => two(secs / 86_400, "d", secs / 3_600 % 24, "h"),
    }
}

/// A length of time in one unit, for tables.
pub(crate) fn short(time: Duration) -> String {
    let secs = time.as_secs();
    match secs {
        0..60 => format!("{secs}s"),
        60..3_600 => format!("{}m", secs / 60),
        3_600..86_400 => format!("{}h", secs / 3_600),
        _ => format!("{}d", secs / 86_400),
    }
}

/// Reads an age: as [`parse`], and `90d` and `2w` as well, each day of 24 hours.
pub(crate) fn parse_age(text: &str) -> Result<Duration, String> {
    let whole = |unit: char| text.strip_suffix(unit).and_then(|n| n.parse::<u32>().ok());
    match whole('d').or_else(|| whole('w').and_then(|weeks| weeks.checked_mul(7))) {
        Some(days) => Ok(Duration::from_secs(u64::from(days) * 86_400)),
        None => parse(text).map_err(|e| format!("{e}, 90d or 2w")),
    }
}

/// Reads a time, as in `2026-11-30T08:00:00Z` or with an offset.
pub(crate) fn parse_moment(text: &str) -> Result<Timestamp, String> {
    let moment: jiff::Timestamp = text.parse().map_err(|_| {
        format!("{text:?} is no time: want one with its zone, as in 2026-11-30T08:00:00Z or …+01:00")
    })?;
    Ok(Timestamp::from_micros(moment.as_microsecond()))
}

/// Reads a length of time: `90` and `90s` are ninety seconds; `10m`, `1h 30m` and ISO 8601 are read too.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a length of time: want 90, 90s, 10m or 1h30m");
    if let Ok(secs) = text.parse::<u64>() {
        return Ok(Duration::from_secs(secs));
    }
    let time: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(time).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        for (ms, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_250, "1.2 s"),
            (59_000, "59 s"),
            (60_000, "1 min"),
            (61_000, "1 min 1 s"),
            (3_660_000, "1 h 1 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(length(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn lengths_are_read_as_people_write_them() {
        for (text, secs) in [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5_400), ("1h 30m", 5_400)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(secs)));
        }
        assert_eq!(
            parse("soon"),
            Err("\"soon\" is not a length of time: want 90, 90s, 10m or 1h30m".to_owned())
        );
        assert!(parse("-5m").is_err());
    }
}
