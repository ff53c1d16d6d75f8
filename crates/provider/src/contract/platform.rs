//! What a [`Platform`] promises.

use super::{Fault, World, answered, armed, faulted, key, refused};
use crate::{Health, Platform, ProviderErrorKind as Kind, ReleaseSpec, ReleaseState};
use async_trait::async_trait;
use std::{collections::BTreeSet, time::Duration};

/// A platform and what is around it.
#[async_trait]
pub trait PlatformWorld: World {
    /// The platform.
    fn platform(&self) -> &dyn Platform;

    /// A release that comes up and becomes healthy, with one instance.
    async fn good(&self, service: &str, version: &str) -> ReleaseSpec;

    /// A release with an image of another digest, that comes up as well.
    async fn other_image(&self, service: &str, version: &str) -> ReleaseSpec;

    /// A release whose instances never become healthy.
    async fn broken(&self, service: &str, version: &str) -> ReleaseSpec;
}

/// How long a release may take to come up.
const UP_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at the platform.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long requests under way have in these tests.
const DRAIN: Duration = Duration::from_secs(1);

/// Runs every test, one after the other.
pub async fn all(world: &dyn PlatformWorld) {
    what_is_not_known_has_no_releases(world).await;
    a_release_comes_up_and_is_shown(world).await;
    a_repetition_changes_nothing(world).await;
    scaling_leaves_those_that_stay(world).await;
    a_version_is_one_release(world).await;
    releases_stand_side_by_side(world).await;
    what_does_not_come_up_says_why(world).await;
    a_lost_order_is_repeated_without_harm(world).await;
    what_did_not_get_there_began_nothing(world).await;
    a_lost_removal_is_repeated_without_harm(world).await;
}

async fn all_of(world: &dyn PlatformWorld, service: &str) -> Vec<ReleaseState> {
    answered(world.platform().releases(service).await, "releases")
}

async fn deploy(world: &dyn PlatformWorld, release: &ReleaseSpec, n: u8) {
    answered(world.platform().deploy(release, &key(n)).await, "deploy");
}

async fn remove(world: &dyn PlatformWorld, service: &str, version: &str) {
    answered(world.platform().remove(service, version, DRAIN, &key(9)).await, "remove");
}

/// Looks at a release until it is as it should be.
async fn until(
    world: &dyn PlatformWorld,
    release: &ReleaseSpec,
    what: &str,
    is: impl Fn(&ReleaseState) -> bool,
) -> ReleaseState {
    let mut last = None;
    for _ in 0..UP_WITHIN.as_millis() / LOOK_EVERY.as_millis() {
        last =
            all_of(world, &release.service).await.into_iter().find(|state| state.version == release.version);
        match last {
            Some(state) if is(&state) => return state,
            _ => world.pass(LOOK_EVERY).await,
        }
    }
    panic!("{} {} must be {what} within {UP_WITHIN:?}, and it is {last:?}", release.service, release.version)
}

async fn ready(world: &dyn PlatformWorld, release: &ReleaseSpec) -> ReleaseState {
    until(world, release, "ready", ReleaseState::is_ready).await
}

/// Which instances there are, and how often each was started again.
fn who(state: &ReleaseState) -> BTreeSet<(String, u32)> {
    state.instances.iter().map(|instance| (instance.id.clone(), instance.restarts)).collect()
}

/// A service that is not known has no releases, and removing one of it is no error.
pub async fn what_is_not_known_has_no_releases(world: &dyn PlatformWorld) {
    assert_eq!(all_of(world, "nobody").await, []);
    remove(world, "nobody", "1.0.0").await;
    assert_eq!(all_of(world, "nobody").await, [], "removing what is not there makes nothing known");
}

/// A release is shown as it was asked for as soon as the order was answered, and becomes ready.
pub async fn a_release_comes_up_and_is_shown(world: &dyn PlatformWorld) {
    let release = ReleaseSpec { instances: 2, ..world.good("up", "1.0.0").await };
    deploy(world, &release, 1).await;
    let states = all_of(world, "up").await;
    assert_eq!(states.len(), 1, "{states:?}");
    assert_eq!((states[0].digest.as_str(), states[0].wanted), (release.digest.as_str(), 2));
    let state = ready(world, &release).await;
    assert_eq!(who(&state).len(), 2, "instances have names of their own: {state:?}");
    assert_eq!(all_of(world, "up").await, [state], "reading changes nothing");
    remove(world, "up", "1.0.0").await;
    assert_eq!(all_of(world, "up").await, []);
    remove(world, "up", "1.0.0").await;
}

/// The same release again changes nothing, with the same key and with another.
pub async fn a_repetition_changes_nothing(world: &dyn PlatformWorld) {
    let release = world.good("again", "1.0.0").await;
    deploy(world, &release, 1).await;
    let before = ready(world, &release).await;
    deploy(world, &release, 1).await;
    deploy(world, &release, 2).await;
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(who(&ready(world, &release).await), who(&before));
    remove(world, "again", "1.0.0").await;
}

/// Another number of instances scales: those that stay are the same.
pub async fn scaling_leaves_those_that_stay(world: &dyn PlatformWorld) {
    let one = world.good("scale", "1.0.0").await;
    let three = ReleaseSpec { instances: 3, ..one.clone() };
    deploy(world, &one, 1).await;
    let first = who(&ready(world, &one).await);
    deploy(world, &three, 2).await;
    let more = who(&ready(world, &three).await);
    assert!(more.is_superset(&first), "{first:?} must be among {more:?}");
    deploy(world, &one, 3).await;
    let fewer = who(&ready(world, &one).await);
    assert!(more.is_superset(&fewer), "{fewer:?} must be among {more:?}");
    remove(world, "scale", "1.0.0").await;
}

/// A version that is there with another digest or another environment is `AlreadyExists`, and nothing changes.
pub async fn a_version_is_one_release(world: &dyn PlatformWorld) {
    let release = world.good("one", "1.0.0").await;
    deploy(world, &release, 1).await;
    let before = ready(world, &release).await;
    let other = world.other_image("one", "1.0.0").await;
    assert_ne!(other.digest, release.digest, "the world must give an image of another digest");
    let result = world.platform().deploy(&other, &key(2)).await;
    refused(result, Kind::AlreadyExists, "another digest under a version that is there");
    let mut changed = release.clone();
    changed.env.insert("COLOUR".into(), "blue".into());
    let result = world.platform().deploy(&changed, &key(3)).await;
    refused(result, Kind::AlreadyExists, "another environment under a version that is there");
    let after = ready(world, &release).await;
    assert_eq!((who(&after), after.digest), (who(&before), before.digest));
    remove(world, "one", "1.0.0").await;
    deploy(world, &other, 4).await;
    ready(world, &other).await;
    remove(world, "one", "1.0.0").await;
}

/// Releases are shown in the order of their versions as text, and none is touched by what happens to another.
pub async fn releases_stand_side_by_side(world: &dyn PlatformWorld) {
    let (old, new) = (world.good("side", "1.10.0").await, world.other_image("side", "1.9.0").await);
    deploy(world, &new, 1).await;
    let before = ready(world, &new).await;
    deploy(world, &old, 2).await;
    ready(world, &old).await;
    let versions: Vec<_> = all_of(world, "side").await.into_iter().map(|state| state.version).collect();
    assert_eq!(versions, ["1.10.0", "1.9.0"]);
    assert_eq!(all_of(world, "another-side").await, [], "services are apart");
    remove(world, "side", "1.10.0").await;
    let left = all_of(world, "side").await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(who(&left[0]), who(&before));
    remove(world, "side", "1.9.0").await;
}

/// A release that does not come up is shown until it is removed, is never healthy, and says why.
pub async fn what_does_not_come_up_says_why(world: &dyn PlatformWorld) {
    let release = world.broken("broken", "1.0.0").await;
    deploy(world, &release, 1).await;
    let says_why = |state: &ReleaseState| {
        state.healthy() == 0 && state.instances.iter().any(|instance| instance.last_words.is_some())
    };
    let state = until(world, &release, "known to be broken, with its last words", says_why).await;
    assert!(!state.is_ready() && state.instances.iter().all(|instance| instance.health != Health::Healthy));
    remove(world, "broken", "1.0.0").await;
    assert_eq!(all_of(world, "broken").await, []);
}

/// An order whose answer was lost is `OutcomeUnknown`, and repeating it ends with what was asked for, once.
pub async fn a_lost_order_is_repeated_without_harm(world: &dyn PlatformWorld) {
    let release = ReleaseSpec { instances: 2, ..world.good("lost", "1.0.0").await };
    let Some(before) = armed(world, Fault::LostAnswer).await else { return };
    let result = world.platform().deploy(&release, &key(1)).await;
    faulted(world, Fault::LostAnswer, before, result).await;
    let found = ready(world, &release).await;
    deploy(world, &release, 1).await;
    assert_eq!(who(&ready(world, &release).await), who(&found));
    remove(world, "lost", "1.0.0").await;
}

/// `Unavailable` says that nothing was begun.
pub async fn what_did_not_get_there_began_nothing(world: &dyn PlatformWorld) {
    let release = world.good("unsent", "1.0.0").await;
    let Some(before) = armed(world, Fault::Unavailable).await else { return };
    let result = world.platform().deploy(&release, &key(1)).await;
    faulted(world, Fault::Unavailable, before, result).await;
    assert_eq!(all_of(world, "unsent").await, []);
    deploy(world, &release, 1).await;
    ready(world, &release).await;
    remove(world, "unsent", "1.0.0").await;
}

/// A removal whose answer was lost is `OutcomeUnknown`, and repeating it is no error.
pub async fn a_lost_removal_is_repeated_without_harm(world: &dyn PlatformWorld) {
    let release = world.good("lost-end", "1.0.0").await;
    deploy(world, &release, 1).await;
    ready(world, &release).await;
    let Some(before) = armed(world, Fault::LostAnswer).await else { return };
    let result = world.platform().remove("lost-end", "1.0.0", DRAIN, &key(2)).await;
    faulted(world, Fault::LostAnswer, before, result).await;
    remove(world, "lost-end", "1.0.0").await;
    assert_eq!(all_of(world, "lost-end").await, []);
}
