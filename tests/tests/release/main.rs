//! Releases by the real providers, with customers: killed with SIGKILL just before and just after the append of every event,
//! and one after the other. Image, schema, weights and processes are right in the end, and no customer has noticed.
//!
//! `TOWPATH_RELEASES=50` releases so many versions in a row, `TOWPATH_LIVES=500` kills so many lives at random, and
//! `TOWPATH_KILLS=1` tells each kill.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod lives;
mod registry;
mod row;
mod site;

use lives::{Lives, Part, run};
use site::{Expected, Site, version};
use std::collections::BTreeSet;
use towpath_tests::release::{
    boundary::{Boundary, name},
    pipeline::{Version, What},
};

/// Every event that is journaled was killed at on both sides, and these were as well: the harness has not gone blind.
fn covered(site: &Site, what: &What, lives: &Lives, undoing: bool, expected: &[&str]) {
    let journal: BTreeSet<String> = site.journal(what.key()).iter().map(name).collect();
    let all = journal.iter().map(String::as_str).filter(|_| !undoing).chain(expected.iter().copied());
    let missed: Vec<_> = all
        .flat_map(|event| [false, true].map(|after| Boundary { event: event.to_owned(), after }))
        .filter(|boundary| !lives.hit.contains(boundary))
        .collect();
    assert!(missed.is_empty(), "{}: never killed at {missed:#?}, but at {:#?}", what.key(), lives.hit);
}

/// What every good release journals, whatever comes between; what is pushed as well where there is a registry.
const GOOD: [&str; 27] = [
    "run-started",
    "build step-started",
    "build step-done",
    "release step-started",
    "release step-done",
    "migrate step-started",
    "migrate step-observed not done",
    "migrate step-done",
    "canary step-started",
    "canary step-observed not done",
    "canary step-observed unknown",
    "canary checkpointed not ordered, at 0, nothing moved, sends",
    "canary checkpointed ordered, at 0, nothing moved, sends",
    "canary checkpointed ordered, at 1, held, sends",
    "canary checkpointed ordered, at 2, held, sends",
    "canary checkpointed ordered, at 2, kept",
    "canary wait-started bake-20",
    "canary wait-over bake-20",
    "canary wait-started bake-100",
    "canary wait-over bake-100",
    "canary step-done",
    "promote step-started",
    "promote step-observed not done",
    "promote step-done",
    "retire step-started",
    "retire step-done",
    "run-settled",
];
const PUSHED: [&str; 3] = ["push step-started", "push step-observed not done", "push step-done"];

#[test]
fn a_good_release_is_killed_at_every_boundary_and_nobody_notices() {
    let site = Site::new("a_good_release_is_killed_at_every_boundary_and_nobody_notices", 2);
    run(&site, &What::Release(version("1.0.0", 1)), "succeeded");
    let load = site.customers();
    let good = What::Release(Version { keep: 0, ..version("2.0.0", 2) });
    let lives = Lives::new(&site, &good).at_every_boundary(Part::All, "succeeded");
    covered(&site, &good, &lives, false, &GOOD);
    if site.place.registry.is_some() {
        covered(&site, &good, &lives, false, &PUSHED);
    }
    site.served(&load, "a good release", &[]);
    // All at once, 20 %, 100 %, for good, promoted.
    let expected = Expected { live: "2.0.0", releases: &[("2.0.0", 2)], moves: 5, schema: 2 };
    site.check("a good release", &expected);
    site.check_images("a good release", &["1.0.0", "2.0.0"]);
}

#[test]
fn a_rollback_is_killed_at_every_boundary_and_nobody_notices() {
    let site = Site::new("a_rollback_is_killed_at_every_boundary_and_nobody_notices", 2);
    run(&site, &What::Release(version("1.0.0", 1)), "succeeded");
    let load = site.customers();
    run(&site, &What::Release(version("2.0.0", 2)), "succeeded");
    site.served(&load, "the release before", &[]);
    let back = What::Back("back".into());
    let lives = Lives::new(&site, &back).at_every_boundary(Part::All, "succeeded");
    let expected = [
        "run-started",
        "back step-started",
        "back step-observed not done",
        "back step-observed unknown",
        "back checkpointed not ordered, at 0, nothing moved, sends",
        "back checkpointed ordered, at 0, nothing moved, sends",
        "back checkpointed ordered, at 0, kept",
        "back step-done",
        "run-settled",
    ];
    covered(&site, &back, &lives, false, &expected);
    site.served(&load, "a rollback", &[]);
    let releases = &[("1.0.0", 1), ("2.0.0", 2)];
    site.check("a rollback", &Expected { live: "1.0.0", releases, moves: 6, schema: 2 });
}

/// What undoing a canary journals.
const UNDOING: [&str; 4] =
    ["unwind-started", "canary compensation-started", "canary compensation-done", "run-settled"];

#[test]
fn a_release_that_is_worse_is_undone_wherever_that_is_killed() {
    let site = Site::new("a_release_that_is_worse_is_undone_wherever_that_is_killed", 2);
    run(&site, &What::Release(version("1.0.0", 1)), "succeeded");
    let load = site.customers();
    let worse = What::Release(Version { errors: 60, ..version("2.0.0", 2) });
    let lives = Lives::new(&site, &worse).at_every_boundary(Part::Undoing, "compensated");
    covered(&site, &worse, &lives, true, &UNDOING);
    covered(&site, &worse, &lives, true, &["canary step-failed"]);
    // The release itself got some wrong, and nobody else did.
    site.served(&load, "a worse release", &[500]);
    // All at once, 20 %, back; the schema stays.
    let expected = Expected { live: "1.0.0", releases: &[("1.0.0", 1)], moves: 3, schema: 2 };
    site.check("a worse release", &expected);
    site.check_images("a worse release", &["1.0.0", "2.0.0"]);
}

#[test]
fn a_release_with_all_traffic_is_undone_wherever_that_is_killed_and_nobody_notices() {
    let site =
        Site::new("a_release_with_all_traffic_is_undone_wherever_that_is_killed_and_nobody_notices", 2);
    run(&site, &What::Release(version("1.0.0", 1)), "succeeded");
    let load = site.customers();
    let refused = What::Release(Version { refused: true, ..version("2.0.0", 2) });
    let lives = Lives::new(&site, &refused).at_every_boundary(Part::Undoing, "compensated");
    covered(&site, &refused, &lives, true, &UNDOING);
    covered(&site, &refused, &lives, true, &["refuse step-failed"]);
    site.served(&load, "a refused release", &[]);
    // All at once, 20 %, 100 %, for good, back.
    let expected = Expected { live: "1.0.0", releases: &[("1.0.0", 1)], moves: 5, schema: 2 };
    site.check("a refused release", &expected);
}

#[test]
fn releases_killed_at_random_come_to_their_ends() {
    let migrations = 60;
    lives::at_random(&Site::new("releases_killed_at_random_come_to_their_ends", migrations), migrations);
}
