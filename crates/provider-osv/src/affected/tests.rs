use super::{Affected, RawEvent, RawRange};
use proptest::prelude::*;
use semver::Version;
use std::cmp::Ordering;

fn introduced(text: &str) -> RawEvent {
    RawEvent { introduced: Some(text.to_owned()), ..RawEvent::default() }
}

fn fixed(text: &str) -> RawEvent {
    RawEvent { fixed: Some(text.to_owned()), ..RawEvent::default() }
}

fn last(text: &str) -> RawEvent {
    RawEvent { last_affected: Some(text.to_owned()), ..RawEvent::default() }
}

fn limit(text: &str) -> RawEvent {
    RawEvent { limit: Some(text.to_owned()), ..RawEvent::default() }
}

fn range(kind: &str, events: Vec<RawEvent>) -> RawRange {
    RawRange { kind: kind.to_owned(), events: Some(events) }
}

fn affected(ranges: &[RawRange]) -> Affected {
    Affected::read(Vec::new(), ranges).unwrap()
}

fn is_affected(affected: &Affected, version: &str) -> bool {
    affected.includes(&Version::parse(version).unwrap())
}

#[test]
fn the_examples_of_the_specification_hold() {
    let unfixed = affected(&[range("SEMVER", vec![introduced("0")])]);
    for version in ["0.0.0-0", "0.0.0", "99.0.0"] {
        assert!(is_affected(&unfixed, version), "{version}");
    }
    let fixed_one = affected(&[range("SEMVER", vec![introduced("0"), fixed("1.0.2")])]);
    for (version, wanted) in [("0.0.0-0", true), ("1.0.1", true), ("1.0.2-rc.1", true), ("1.0.2", false)] {
        assert_eq!(is_affected(&fixed_one, version), wanted, "{version}");
    }
    let two = [introduced("1.0.0"), fixed("1.0.2"), introduced("3.0.0"), fixed("3.2.5")];
    let two = affected(&[range("SEMVER", two.to_vec())]);
    for (version, wanted) in [
        ("0.9.0", false),
        ("1.0.0-rc.1", false),
        ("1.0.0", true),
        ("1.0.2", false),
        ("2.0.0", false),
        ("3.0.0", true),
        ("3.2.4", true),
        ("3.2.5+build", false),
    ] {
        assert_eq!(is_affected(&two, version), wanted, "{version}");
    }
    let last_one = affected(&[range("ECOSYSTEM", vec![introduced("0"), last("2.1.214")])]);
    assert!(is_affected(&last_one, "2.1.214") && !is_affected(&last_one, "2.1.215"));
}

#[test]
fn events_may_stand_in_any_order() {
    let events = [fixed("3.2.5"), introduced("3.0.0"), fixed("1.0.2"), introduced("1.0.0")];
    let mixed = affected(&[range("SEMVER", events.to_vec())]);
    assert!(is_affected(&mixed, "1.0.1") && !is_affected(&mixed, "2.0.0") && is_affected(&mixed, "3.0.0"));
}

#[test]
fn limits_bound_a_range_and_a_star_is_none() {
    let bounded = affected(&[range("SEMVER", vec![introduced("0"), limit("1.0.0"), limit("2.0.0")])]);
    assert!(is_affected(&bounded, "1.5.0") && !is_affected(&bounded, "2.0.0"), "below one of them is enough");
    let unbounded = affected(&[range("SEMVER", vec![introduced("0"), limit("1.0.0"), limit("*")])]);
    assert!(is_affected(&unbounded, "9.0.0"));
}

#[test]
fn listed_versions_are_compared_as_text() {
    let listed = Affected::read(vec!["1.0.0".into(), "1.2".into()], &[]).unwrap();
    assert!(is_affected(&listed, "1.0.0"));
    assert!(!is_affected(&listed, "1.0.0+build") && !is_affected(&listed, "1.2.0"));
}

#[test]
fn git_ranges_say_nothing_of_versions() {
    let git = affected(&[range("GIT", vec![introduced("0")])]);
    assert!(git.has_git && git.is_empty() && !is_affected(&git, "1.0.0"));
}

#[test]
fn what_is_fixed_elsewhere_is_offered_and_what_is_not_is_not() {
    let events = [introduced("0"), fixed("1.0.2"), introduced("2.0.0"), fixed("2.0.5"), fixed("3.0.0")];
    let listed = Affected::read(vec!["3.0.0".into()], &[range("SEMVER", events.to_vec())]).unwrap();
    let after = |version| listed.fixed_after(&Version::parse(version).unwrap());
    assert_eq!(after("1.0.0").iter().map(ToString::to_string).collect::<Vec<_>>(), ["1.0.2", "2.0.5"]);
    assert_eq!(after("2.0.1").iter().map(ToString::to_string).collect::<Vec<_>>(), ["2.0.5"]);
}

#[test]
fn what_cannot_be_read_is_said() {
    let both = RawEvent { fixed: Some("2.0.0".into()), ..introduced("1.0.0") };
    for (kind, events, told) in [
        ("SEMVER", vec![], "a range does not say where it was introduced"),
        ("SEMVER", vec![fixed("1.0.0")], "a range does not say where it was introduced"),
        ("SEMVER", vec![introduced("one")], "\"one\" is no semantic version"),
        ("ECOSYSTEM", vec![introduced("0"), fixed("1.2.3.4")], "\"1.2.3.4\" is no semantic version"),
        ("SEMVER", vec![both], "an event must be one of introduced, fixed, last_affected and limit"),
        (
            "SEMVER",
            vec![RawEvent::default()],
            "an event must be one of introduced, fixed, last_affected and limit",
        ),
        ("SVN", vec![introduced("0")], "\"SVN\" is no type of a range"),
    ] {
        assert_eq!(Affected::read(Vec::new(), &[range(kind, events)]).unwrap_err(), told);
    }
}

/// Versions of a small world, in the order of SemVer.
const WORLD: [&str; 14] = [
    "0.0.0-0",
    "0.0.0",
    "0.1.0",
    "0.9.0",
    "1.0.0-alpha",
    "1.0.0-alpha.2",
    "1.0.0-alpha.10",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.1.0",
    "1.10.0",
    "2.0.0-0",
    "2.0.0",
];

/// An event at a place of the world; `None` is "0" or "*".
#[derive(Clone, Copy, Debug)]
enum At {
    Introduced(Option<usize>),
    Fixed(usize),
    Last(usize),
    Limit(Option<usize>),
}

fn raw(event: At) -> RawEvent {
    match event {
        At::Introduced(at) => introduced(at.map_or("0", |at| WORLD[at])),
        At::Fixed(at) => fixed(WORLD[at]),
        At::Last(at) => last(WORLD[at]),
        At::Limit(at) => limit(at.map_or("*", |at| WORLD[at])),
    }
}

/// The pseudocode of the specification, on places of the world and not on versions: slow, and with nothing in common with what
/// is tested. It sorts by asking for each place of the world again which events stand there.
fn reference(events: &[At], version: usize) -> bool {
    let limits: Vec<Option<usize>> =
        events.iter().filter_map(|event| if let At::Limit(at) = event { Some(*at) } else { None }).collect();
    if !limits.is_empty() && !limits.iter().any(|limit| limit.is_none_or(|limit| version < limit)) {
        return false;
    }
    let mut vulnerable = events.iter().any(|event| matches!(event, At::Introduced(None)));
    for place in 0..WORLD.len() {
        for wanted in ["fixed", "introduced", "last"] {
            for event in events {
                match (event, wanted) {
                    (At::Fixed(at), "fixed") if *at == place && version >= *at => vulnerable = false,
                    (At::Introduced(Some(at)), "introduced") if *at == place && version >= *at => {
                        vulnerable = true
                    }
                    (At::Last(at), "last") if *at == place && version > *at => vulnerable = false,
                    _ => {}
                }
            }
        }
    }
    vulnerable
}

fn event() -> impl Strategy<Value = At> {
    let place = || 0..WORLD.len();
    prop_oneof![
        2 => proptest::option::of(place()).prop_map(At::Introduced),
        2 => place().prop_map(At::Fixed),
        1 => place().prop_map(At::Last),
        1 => proptest::option::weighted(0.7, place()).prop_map(At::Limit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn evaluation_is_that_of_the_specification(
        ranges in prop::collection::vec(
            (proptest::option::of(0..WORLD.len()), prop::collection::vec(event(), 0..7)), 1..4),
        listed in prop::collection::vec(0..WORLD.len(), 0..3),
    ) {
        let ranges: Vec<Vec<At>> = ranges
            .into_iter()
            .map(|(first, rest)| rest.into_iter().chain([At::Introduced(first)]).collect())
            .collect();
        let raw: Vec<RawRange> = ranges
            .iter()
            .enumerate()
            .map(|(n, events)| {
                let kind = if n % 2 == 0 { "SEMVER" } else { "ECOSYSTEM" };
                range(kind, events.iter().map(|event| raw(*event)).collect())
            })
            .collect();
        let names = listed.iter().map(|at| WORLD[*at].to_owned()).collect();
        let affected = Affected::read(names, &raw).unwrap();
        for (place, version) in WORLD.iter().enumerate() {
            let wanted = listed.contains(&place) || ranges.iter().any(|events| reference(events, place));
            prop_assert_eq!(is_affected(&affected, version), wanted, "{} in {:?}", version, ranges);
        }
        // A build is not another version.
        let built = format!("{}+build.7", WORLD[8]);
        let by_range = ranges.iter().any(|events| reference(events, 8));
        prop_assert_eq!(is_affected(&affected, &built), by_range);
    }
}

#[test]
fn the_world_is_in_the_order_of_semver() {
    for pair in WORLD.windows(2) {
        let [a, b] = [pair[0], pair[1]].map(|text| Version::parse(text).unwrap());
        assert_eq!(crate::version::compare(&a, &b), Ordering::Less, "{pair:?}");
    }
}
