use super::{Calendar, Clock, Standing};
use proptest::prelude::*;
use towpath_model::Timestamp;

fn time(text: &str) -> Timestamp {
    let moment: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_micros(moment.as_microsecond())
}

fn office() -> Clock {
    Calendar::in_zone("Europe/Berlin")
        .open("mon-thu 09:00-16:00")
        .open("fri 09:00-12:00")
        .closed("2026-12-24T12:00", "2027-01-03", "nobody is there")
        .clock()
        .unwrap()
}

fn open_until(text: &str) -> Standing {
    Standing::Open { until: Some(time(text)) }
}

fn opens(standing: Standing) -> (Option<Timestamp>, String) {
    match standing {
        Standing::Closed { until, why } => (until, why),
        Standing::Open { .. } => panic!("it is open"),
    }
}

#[test]
fn a_calendar_opens_and_closes_by_the_clocks_of_its_zone() {
    let clock = office();
    // In winter Berlin is one hour ahead of UTC, in summer two.
    assert_eq!(clock.standing(time("2026-11-24T08:00:00Z")), open_until("2026-11-24T15:00:00Z"));
    assert_eq!(clock.standing(time("2026-07-14T07:00:00Z")), open_until("2026-07-14T14:00:00Z"));
    let (until, why) = opens(clock.standing(time("2026-11-24T07:59:59Z")));
    assert_eq!(
        (until, why.as_str()),
        (Some(time("2026-11-24T08:00:00Z")), "it is outside of the times of the week")
    );
    let (until, _) = opens(clock.standing(time("2026-11-27T11:00:00Z")));
    assert_eq!(until, Some(time("2026-11-30T08:00:00Z")), "from Friday noon to Monday");
}

#[test]
fn what_is_closed_is_closed_whatever_the_week_says_and_says_why() {
    let clock = office();
    assert_eq!(clock.standing(time("2026-12-24T10:00:00Z")), open_until("2026-12-24T11:00:00Z"));
    let (until, why) = opens(clock.standing(time("2026-12-28T10:00:00Z")));
    assert_eq!(until, Some(time("2027-01-04T08:00:00Z")), "the third is a Sunday, and included");
    assert_eq!(why, "closed from 2026-12-24T12:00:00 to 2027-01-04T00:00:00: nobody is there");
}

#[test]
fn without_times_of_the_week_it_is_open_but_for_what_is_closed() {
    let clock = Calendar::utc().closed("2026-12-24", "2026-12-26", "").clock().unwrap();
    assert_eq!(clock.standing(time("2026-11-24T10:00:00Z")), open_until("2026-12-24T00:00:00Z"));
    assert_eq!(clock.standing(time("2026-12-27T00:00:00Z")), Standing::Open { until: None });
}

#[test]
fn a_calendar_that_never_opens_says_so() {
    let clock =
        Calendar::utc().open("mon").closed("2026-01-01", "2036-01-01", "a long sleep").clock().unwrap();
    let (until, why) = opens(clock.standing(time("2026-11-24T10:00:00Z")));
    assert!(until.is_none() && why.contains("a long sleep"), "{why}");
}

#[test]
fn the_hours_of_summer_time_are_as_the_clocks_show_them() {
    // On 29 March 2026 the hour from two to three is left out in Berlin; on 25 October it comes twice.
    let night = Calendar::in_zone("Europe/Berlin").open("daily 02:15-03:30").clock().unwrap();
    let (until, _) = opens(night.standing(time("2026-03-29T00:30:00Z")));
    assert_eq!(
        until,
        Some(time("2026-03-29T01:00:00Z")),
        "its begin is left out: it is open when the clocks go on"
    );
    assert_eq!(night.standing(time("2026-03-29T01:00:00Z")), open_until("2026-03-29T01:30:00Z"));
    let short = Calendar::in_zone("Europe/Berlin").open("daily 02:15-02:45").clock().unwrap();
    assert_eq!(short.standing(time("2026-10-25T00:15:00Z")), open_until("2026-10-25T00:45:00Z"));
    let (until, _) = opens(short.standing(time("2026-10-25T00:45:00Z")));
    assert_eq!(until, Some(time("2026-10-25T01:15:00Z")), "and again when the hour comes again");
}

#[test]
fn what_is_wrong_with_a_rule_is_said_in_words() {
    let wrong = |calendar: Calendar| serde_json::to_string(&calendar).unwrap_err().to_string();
    let utc = Calendar::utc;
    let of_week = |text: &str| wrong(utc().open(text));
    assert_eq!(
        of_week("mon-thr 09:00-16:00"),
        "\"mon-thr 09:00-16:00\" says no time of a week: \"thr\" is no day; the days are mon, tue, wed, thu, fri, sat, sun and \
         daily; want as in \"mon-thu 09:00-16:00\""
    );
    assert!(of_week("mon 9:00-16:00").contains("\"9:00\" is no time of a day, as 09:00 is"));
    assert!(of_week("mon 09:00").contains("\"09:00\" has no -"));
    assert!(of_week("mon 09:00-09:00").contains("it ends when it begins"));
    assert!(of_week("mon 09:00-16:00 CET").contains("\"CET\" is too much"));
    assert!(of_week("").contains("\"\" is no day"));
    assert!(of_week("mon 24:00-02:00").contains("24:00 is an end and no begin"));
    let span = |from: &str, to: &str| wrong(utc().closed(from, to, ""));
    assert_eq!(
        span("2026-12-24", "2026-12-23"),
        "closed from 2026-12-24 to 2026-12-23: it ends before it begins"
    );
    assert!(span("christmas", "2026-12-26").contains("\"christmas\" is no date and no time"));
    let nowhere = Calendar::in_zone("Europe/Nowhere").clock().unwrap_err();
    assert!(nowhere.starts_with("the time zone \"Europe/Nowhere\" is not known here"), "{nowhere}");
}

#[test]
fn calendars_are_stored_as_they_were_written() {
    let calendar = Calendar::in_zone("Europe/Berlin").open("mon-thu 09:00-16:00").closed(
        "2026-12-24",
        "2027-01-03",
        "rest",
    );
    let text = serde_json::to_string(&calendar).unwrap();
    assert_eq!(
        text,
        r#"{"zone":"Europe/Berlin","open":["mon-thu 09:00-16:00"],"closed":[{"from":"2026-12-24","to":"2027-01-03","why":"rest"}]}"#
    );
    assert_eq!(serde_json::from_str::<Calendar>(&text).unwrap(), calendar);
    assert_eq!(
        calendar.to_string(),
        "open mon-thu 09:00-16:00, Europe/Berlin; closed 2026-12-24 to 2027-01-03"
    );
}

fn weekly() -> impl Strategy<Value = String> {
    let days = prop::sample::select(vec!["mon", "tue-thu", "sat-mon", "daily", "wed,sun", "fri"]);
    (days, 0_u16..1_440, 1_u16..1_440).prop_map(|(days, from, length)| {
        let to = (from + length) % 1_440;
        format!("{days} {:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Against a clock that is looked at every minute of ten days around the changes of summer time.
    #[test]
    fn a_calendar_stands_as_one_that_is_looked_at_every_minute(
        rules in prop::collection::vec(weekly(), 0..3),
        closed in (0_i64..9, 1_i64..4),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
        season in prop::sample::select(vec!["2026-03-05T00:00:00Z", "2026-03-26T00:00:00Z", "2026-10-03T00:00:00Z", "2026-10-24T00:00:00Z", "2026-10-30T00:00:00Z"]),
        start in 0_i64..14_400,
    ) {
        let begin = time(season).as_micros();
        let date = |day: i64| {
            jiff::Timestamp::from_microsecond(begin + day * 86_400_000_000).unwrap().to_string()[..10].to_owned()
        };
        let calendar = rules.iter().fold(Calendar::in_zone(zone), |calendar, rule| calendar.open(rule.clone()));
        let calendar = calendar.closed(date(closed.0), date(closed.0 + closed.1), "freeze");
        let clock = calendar.clock().unwrap();
        let minute = |n: i64| Timestamp::from_micros(begin + n * 60_000_000);
        let is_open = |n: i64| clock.shut(clock.local(minute(n))).is_none();
        let until = match clock.standing(minute(start)) {
            Standing::Open { until } => { prop_assert!(is_open(start)); until }
            Standing::Closed { until, .. } => { prop_assert!(!is_open(start)); until }
        };
        let changes = (start..start + 14_400).find(|n| is_open(*n) != is_open(start));
        match changes {
            Some(n) => prop_assert_eq!(until, Some(minute(n))),
            None => prop_assert!(until.is_none_or(|until| until > minute(start + 14_400 - 1))),
        }
    }
}
