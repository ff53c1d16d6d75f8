//! What a [`MetricsSource`] promises.

use super::{World, answered, refused};
use crate::{Counts, MetricsSource, ProviderErrorKind as Kind, Window};
use async_trait::async_trait;
use std::time::Duration;
use towpath_model::Timestamp;

/// A source of metrics and what is around it.
#[async_trait]
pub trait MetricsWorld: World {
    /// The source.
    fn source(&self) -> &dyn MetricsSource;

    /// Has a release answer this many requests, `errors` of them with a 500; it returns when the last one was answered.
    async fn serve(&self, service: &str, version: &str, requests: u64, errors: u64);

    /// The time by the clock that windows are told by.
    fn now(&self) -> Timestamp;
}

/// Runs every test, one after the other.
pub async fn all(world: &dyn MetricsWorld) {
    what_is_not_known_has_counts_of_zero(world).await;
    what_was_answered_is_counted(world).await;
    a_window_is_what_was_asked_for(world).await;
    what_is_not_kept_is_not_told(world).await;
}

/// Long enough for what has happened to be in every window that ends now.
async fn settle(world: &dyn MetricsWorld) {
    let capability = world.source().capability();
    world.pass(capability.resolution * 2 + capability.lag).await;
}

async fn counts(world: &dyn MetricsWorld, service: &str, version: &str, window: Window) -> Counts {
    answered(world.source().counts(service, version, window).await, "counts")
}

/// A release that is not known has counts of zero.
pub async fn what_is_not_known_has_counts_of_zero(world: &dyn MetricsWorld) {
    world.serve("known", "1.0.0", 1, 0).await;
    let from = world.now();
    settle(world).await;
    let window = Window { from, to: world.now() };
    for (service, version) in [("nobody", "1.0.0"), ("known", "9.9.9")] {
        let found = counts(world, service, version, window).await;
        assert_eq!((found.requests, found.errors), (0, 0), "{service} {version}");
    }
}

/// What was answered is counted, with its failures and how long it took; asked again, it is the same.
pub async fn what_was_answered_is_counted(world: &dyn MetricsWorld) {
    // Until a release has answered, a source may know nothing of it.
    world.serve("counted", "1.0.0", 1, 0).await;
    world.serve("counted", "2.0.0", 1, 0).await;
    settle(world).await;
    let from = world.now();
    settle(world).await;
    world.serve("counted", "1.0.0", 20, 3).await;
    world.serve("counted", "2.0.0", 5, 0).await;
    settle(world).await;
    let window = Window { from, to: world.now() };
    settle(world).await;
    let one = counts(world, "counted", "1.0.0", window).await;
    assert_eq!((one.requests, one.errors), (20, 3));
    let two = counts(world, "counted", "2.0.0", window).await;
    assert_eq!((two.requests, two.errors), (5, 0), "releases are apart");
    if world.source().capability().latency {
        let steps = &one.latency.at_most;
        assert!(!steps.is_empty(), "a source that tells how long answers took must tell it");
        let rises = steps.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        assert!(rises, "bounds ascend and counts add up: {steps:?}");
        assert!(steps.iter().all(|(_, count)| *count <= one.requests), "{steps:?}");
    }
    world.serve("counted", "1.0.0", 7, 7).await;
    settle(world).await;
    assert_eq!(counts(world, "counted", "1.0.0", window).await, one, "a window that is over stays the same");
}

/// Windows that follow each other count each request once.
pub async fn a_window_is_what_was_asked_for(world: &dyn MetricsWorld) {
    world.serve("windows", "1.0.0", 1, 0).await;
    settle(world).await;
    let from = world.now();
    settle(world).await;
    world.serve("windows", "1.0.0", 4, 1).await;
    settle(world).await;
    let between = world.now();
    settle(world).await;
    world.serve("windows", "1.0.0", 6, 2).await;
    settle(world).await;
    let to = world.now();
    settle(world).await;
    let first = counts(world, "windows", "1.0.0", Window { from, to: between }).await;
    let second = counts(world, "windows", "1.0.0", Window { from: between, to }).await;
    let both = counts(world, "windows", "1.0.0", Window { from, to }).await;
    assert_eq!((first.requests, first.errors), (4, 1));
    assert_eq!((second.requests, second.errors), (6, 2));
    assert_eq!((both.requests, both.errors), (10, 3));
    let nothing = counts(world, "windows", "1.0.0", Window { from, to: from }).await;
    assert_eq!(nothing.requests, 0, "an empty window has nothing");
}

/// A window that begins before what is kept is `Unsupported`, and never answered with less than was asked for.
pub async fn what_is_not_kept_is_not_told(world: &dyn MetricsWorld) {
    let Some(keeps) = world.source().capability().keeps else { return };
    world.serve("kept", "1.0.0", 1, 0).await;
    let to = world.now();
    let back = i64::try_from((keeps + Duration::from_secs(60)).as_micros()).unwrap_or(i64::MAX);
    let from = Timestamp::from_micros(to.as_micros().saturating_sub(back));
    let result = world.source().counts("kept", "1.0.0", Window { from, to }).await;
    refused(result, Kind::Unsupported, "a window from before what is kept");
}
