//! When a schedule ticks.

use croner::parser::{CronParser, Seconds, Year};
use jiff::{Timestamp as Moment, tz::TimeZone};
use towpath_model::Timestamp;

/// A cron expression in a time zone.
///
/// Five fields as in `crontab(5)`: minute, hour, day of month, month, day of week; `*`, lists, ranges, steps and names; and
/// `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. With both days given either of them is enough. Of a time that
/// the clock skips, the tick is when it goes on; of one that comes twice, the first one counts for expressions that name
/// an hour, and both for those that go through all hours, as Vixie cron has it.
#[derive(Clone, Debug)]
pub(super) struct Cron {
    cron: croner::Cron,
    zone: TimeZone,
}

impl Cron {
    /// # Errors
    /// Everything that is wrong with the expression and the zone.
    pub(super) fn parse(expression: &str, zone: &str) -> Result<Self, Vec<String>> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|e| {
            format!(
                "{expression:?} is no cron expression: {}; want five fields, as in \"30 3 * * 1-5\" for half past three on \
                 working days",
                lower(&e.to_string())
            )
        });
        let zone = TimeZone::get(zone).map_err(|_| {
            format!(
                "{zone:?} is no time zone that this system knows: want a name as in Europe/Berlin, or UTC"
            )
        });
        match (cron, zone) {
            (Ok(cron), Ok(zone)) => Ok(Cron { cron, zone }),
            (cron, zone) => Err([cron.err(), zone.err()].into_iter().flatten().collect()),
        }
    }

    /// The first tick after a moment; `None` when there is none, as for a 30th of February.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let from = Moment::from_microsecond(after.as_micros()).ok()?.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&from, false).ok()?;
        Some(Timestamp::from_micros(next.timestamp().as_microsecond()))
    }
}

/// A message as it stands within another one.
fn lower(message: &str) -> String {
    let mut chars = message.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_micros(text.parse::<Moment>().unwrap().as_microsecond())
    }

    /// The next ticks after a moment, in UTC.
    fn ticks(expression: &str, zone: &str, after: &str, n: usize) -> Vec<String> {
        let cron = Cron::parse(expression, zone).unwrap();
        let mut last = at(after);
        let mut all = Vec::new();
        while all.len() < n {
            last = cron.next(last).unwrap();
            all.push(last.to_string()[..16].to_owned());
        }
        all
    }

    #[test]
    fn ticks_are_those_of_the_zone() {
        let berlin = ticks("30 3 * * 1-5", "Europe/Berlin", "2026-11-27T02:30:00Z", 2);
        assert_eq!(berlin, ["2026-11-30T02:30", "2026-12-01T02:30"], "the tick itself is not after itself");
        assert_eq!(ticks("@daily", "UTC", "2026-11-27T00:00:01Z", 1), ["2026-11-28T00:00"]);
        assert_eq!(ticks("0 0 1 JAN *", "UTC", "2026-11-27T00:00:00Z", 1), ["2027-01-01T00:00"]);
    }

    #[test]
    fn a_time_that_the_clock_skips_ticks_when_it_goes_on_and_one_that_comes_twice_ticks_once() {
        // 2026-03-29 has no 02:30 in Berlin: 02:00 is 03:00.
        let spring = ticks("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2);
        assert_eq!(spring, ["2026-03-29T01:00", "2026-03-30T00:30"]);
        // 2026-10-25 has 02:30 twice.
        let autumn = ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert_eq!(autumn, ["2026-10-25T00:30", "2026-10-26T01:30"]);
        let hourly = ticks("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 4);
        assert_eq!(hourly, ["2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00", "2026-10-25T03:00"]);
    }

    #[test]
    fn what_is_wrong_is_said_at_once() {
        let wrong = Cron::parse("61 3 * *", "Europe/Atlantis").unwrap_err();
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("\"61 3 * *\" is no cron expression") && wrong[0].contains("five fields"));
        assert!(wrong[1].contains("Europe/Atlantis"));
        assert!(Cron::parse("0 0 0 * * *", "UTC").is_err(), "seconds are not counted");
        assert_eq!(Cron::parse("0 0 30 2 *", "UTC").unwrap().next(at("2026-01-01T00:00:00Z")), None);
    }
}
