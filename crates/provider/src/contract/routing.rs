//! What a [`TrafficRouter`] promises.

use super::{Fault, World, answered, armed, faulted, key, refused};
use crate::{Mover, ProviderErrorKind as Kind, RouteChange, Routes, TrafficRouter};
use async_trait::async_trait;
use std::{collections::BTreeMap, time::Duration};

/// A router and what is around it.
#[async_trait]
pub trait RoutingWorld: World {
    /// The router.
    fn router(&self) -> &dyn TrafficRouter;

    /// Has a release that traffic can be sent to; it returns when that is so.
    async fn have(&self, service: &str, version: &str);

    /// Moves the traffic behind the router's back, or as somebody else. `false` where this cannot be done.
    async fn by_hand(&self, service: &str, weights: &BTreeMap<String, u8>) -> bool;
}

/// How long a move is held in these tests.
const HOLD: Duration = Duration::from_secs(3);

/// Runs every test, one after the other.
pub async fn all(world: &dyn RoutingWorld) {
    what_is_not_known_has_no_routes(world).await;
    a_move_is_shown(world).await;
    a_move_that_makes_no_sense_changes_nothing(world).await;
    an_old_revision_is_refused(world).await;
    a_repetition_is_known_by_its_key(world).await;
    a_lost_answer_is_found_by_its_key(world).await;
    what_did_not_get_there_changed_nothing(world).await;
    somebody_else_is_not_overwritten(world).await;
    the_switch_acts(world).await;
    a_heartbeat_keeps_a_held_move(world).await;
}

/// Two releases and all traffic on the first of them.
async fn two(world: &dyn RoutingWorld, service: &str) -> Routes {
    world.have(service, "1.0.0").await;
    world.have(service, "2.0.0").await;
    let first = world.router().set_routes(service, &RouteChange::all_to("1.0.0", None), &key(1)).await;
    answered(first, "the first move of a service")
}

async fn now(world: &dyn RoutingWorld, service: &str) -> Routes {
    let routes = answered(world.router().routes(service).await, "routes");
    routes.unwrap_or_else(|| panic!("the router must know {service}"))
}

fn canary(percent: u8, seen: &Routes) -> RouteChange {
    RouteChange::split("1.0.0", "2.0.0", percent, Some(seen.revision.clone()))
}

/// `routes` of a service that is not known is `None`, and a heartbeat for it is refused.
pub async fn what_is_not_known_has_no_routes(world: &dyn RoutingWorld) {
    assert_eq!(answered(world.router().routes("nobody").await, "routes of what is not known"), None);
    let heartbeat = world.router().heartbeat("nobody", "1").await;
    refused(heartbeat, Kind::ConditionFailed, "a heartbeat for what is not known");
}

/// A move that was answered is what every later call shows, with its mover; reading changes nothing.
pub async fn a_move_is_shown(world: &dyn RoutingWorld) {
    let first = two(world, "shown").await;
    assert_eq!(first.weights, BTreeMap::from([("1.0.0".to_owned(), 100)]));
    assert_eq!((first.moved_by.clone(), first.held_until), (Mover::Key(key(1)), None));
    assert_eq!(now(world, "shown").await, first);
    if !world.router().capability().weights {
        return;
    }
    let moved = answered(
        world.router().set_routes("shown", &canary(25, &first), &key(2)).await,
        "a split of traffic",
    );
    assert_eq!((moved.weight("1.0.0"), moved.weight("2.0.0")), (75, 25));
    assert_eq!((moved.stable.as_str(), moved.moved_by.clone()), ("1.0.0", Mover::Key(key(2))));
    assert_ne!(moved.revision, first.revision, "a move must have a revision of its own");
    assert_eq!(now(world, "shown").await, moved);
    assert_eq!(now(world, "shown").await, moved, "reading changes nothing");
}

/// Weights that do not add up, and a release that cannot be reached, are `Invalid`, and nothing changes.
pub async fn a_move_that_makes_no_sense_changes_nothing(world: &dyn RoutingWorld) {
    let first = two(world, "sense").await;
    let mut wrong = canary(25, &first);
    wrong.weights.insert("1.0.0".into(), 50);
    let result = world.router().set_routes("sense", &wrong, &key(2)).await;
    refused(result, Kind::Invalid, "weights that add up to 75");
    let nowhere = RouteChange::all_to("9.9.9", Some(first.revision.clone()));
    let result = world.router().set_routes("sense", &nowhere, &key(3)).await;
    refused(result, Kind::Invalid, "a weight for a release that is not there");
    assert_eq!(now(world, "sense").await, first);
}

/// A revision that is no longer there is refused, as is to expect that nothing is known; nothing changes.
pub async fn an_old_revision_is_refused(world: &dyn RoutingWorld) {
    let first = two(world, "old").await;
    let all = |seen: Option<&Routes>| RouteChange::all_to("2.0.0", seen.map(|seen| seen.revision.clone()));
    let second = answered(world.router().set_routes("old", &all(Some(&first)), &key(2)).await, "a move");
    for (expected, what) in [(Some(&first), "a revision that is gone"), (None, "that nothing is known")] {
        let result = world.router().set_routes("old", &all(expected), &key(3)).await;
        refused(result, Kind::ConditionFailed, what);
    }
    assert_eq!(now(world, "old").await, second);
    let heartbeat = world.router().heartbeat("old", &first.revision).await;
    refused(heartbeat, Kind::ConditionFailed, "a heartbeat for a revision that is gone");
    let result = world
        .router()
        .set_routes("never-seen", &RouteChange::all_to("1.0.0", Some(first.revision.clone())), &key(4))
        .await;
    refused(result, Kind::ConditionFailed, "a revision of a service that is not known");
}

/// The same key again answers with what is there, with the revision that was seen before the move, and changes nothing.
pub async fn a_repetition_is_known_by_its_key(world: &dyn RoutingWorld) {
    let first = two(world, "again").await;
    let change = RouteChange::all_to("2.0.0", Some(first.revision.clone()));
    let moved = answered(world.router().set_routes("again", &change, &key(2)).await, "a move");
    let again = answered(world.router().set_routes("again", &change, &key(2)).await, "a move again");
    assert_eq!(again, moved, "a repetition changes nothing");
    assert_eq!(now(world, "again").await, moved);
}

/// An answer that was lost is `OutcomeUnknown`; the move is there under its key, and repeating it is harmless.
pub async fn a_lost_answer_is_found_by_its_key(world: &dyn RoutingWorld) {
    let first = two(world, "lost").await;
    let Some(before) = armed(world, Fault::LostAnswer).await else { return };
    let change = RouteChange::all_to("2.0.0", Some(first.revision.clone()));
    let result = world.router().set_routes("lost", &change, &key(2)).await;
    faulted(world, Fault::LostAnswer, before, result).await;
    let found = now(world, "lost").await;
    assert_eq!((found.weight("2.0.0"), found.moved_by.clone()), (100, Mover::Key(key(2))));
    let again = answered(world.router().set_routes("lost", &change, &key(2)).await, "the move again");
    assert_eq!(again, found, "a repetition changes nothing");
}

/// `Unavailable` says that nothing was moved.
pub async fn what_did_not_get_there_changed_nothing(world: &dyn RoutingWorld) {
    let first = two(world, "unsent").await;
    let Some(before) = armed(world, Fault::Unavailable).await else { return };
    let change = RouteChange::all_to("2.0.0", Some(first.revision.clone()));
    let result = world.router().set_routes("unsent", &change, &key(2)).await;
    faulted(world, Fault::Unavailable, before, result).await;
    assert_eq!(now(world, "unsent").await, first);
    let moved = answered(world.router().set_routes("unsent", &change, &key(2)).await, "the move again");
    assert_eq!(moved.weight("2.0.0"), 100);
}

/// Who moves the weights in between is never overwritten, and is told apart from any key.
pub async fn somebody_else_is_not_overwritten(world: &dyn RoutingWorld) {
    let first = two(world, "hand").await;
    let weights = BTreeMap::from([("2.0.0".to_owned(), 100)]);
    if !world.by_hand("hand", &weights).await {
        return;
    }
    let seen = now(world, "hand").await;
    assert_eq!(seen.weights, weights);
    assert!(matches!(seen.moved_by, Mover::Other(_)), "somebody else moved it, not {:?}", seen.moved_by);
    assert_ne!(seen.revision, first.revision, "what somebody else did is a move as well");
    let back = RouteChange::all_to("1.0.0", Some(first.revision.clone()));
    let result = world.router().set_routes("hand", &back, &key(2)).await;
    refused(result, Kind::ConditionFailed, "a move that has not seen the hand");
    assert_eq!(now(world, "hand").await, seen);
    // The key of the move before the hand is not what is there any more.
    let result = world.router().set_routes("hand", &RouteChange::all_to("1.0.0", None), &key(1)).await;
    refused(result, Kind::ConditionFailed, "a repetition of the move before the hand");
}

/// A held move goes back by itself when nobody says that he lives, and a repetition does not prolong the hold.
pub async fn the_switch_acts(world: &dyn RoutingWorld) {
    if !world.router().capability().dead_man {
        return;
    }
    let first = two(world, "switch").await;
    let change = canary(if world.router().capability().weights { 40 } else { 100 }, &first).held_for(HOLD);
    let held = answered(world.router().set_routes("switch", &change, &key(2)).await, "a held move");
    let until = held.held_until.expect("a held move says until when");
    assert!(until >= held.at.plus(HOLD / 2) && until <= held.at.plus(HOLD * 2), "{held:?}");
    world.pass(HOLD / 3).await;
    let again = answered(world.router().set_routes("switch", &change, &key(2)).await, "it again");
    assert_eq!(again, held, "a repetition does not prolong the hold");
    world.pass(HOLD).await;
    let back = now(world, "switch").await;
    assert_eq!(back.weights, BTreeMap::from([("1.0.0".to_owned(), 100)]), "the switch must have acted");
    assert_eq!((back.moved_by.clone(), back.held_until), (Mover::Switch(key(2)), None));
    assert_ne!(back.revision, held.revision, "the switch moves, so that there is another revision");
    let result = world.router().set_routes("switch", &change, &key(2)).await;
    refused(result, Kind::ConditionFailed, "the move again after the switch has acted");
    let late = world.router().heartbeat("switch", &held.revision).await;
    refused(late, Kind::ConditionFailed, "a heartbeat after the switch has acted");
    assert_eq!(now(world, "switch").await, back);
}

/// A heartbeat keeps a held move and changes neither weight nor revision; one that is not held is left as it is.
pub async fn a_heartbeat_keeps_a_held_move(world: &dyn RoutingWorld) {
    if !world.router().capability().dead_man {
        return;
    }
    let first = two(world, "beat").await;
    answered(world.router().heartbeat("beat", &first.revision).await, "a heartbeat for what is not held");
    assert_eq!(now(world, "beat").await, first, "what is not held is left as it is");
    let change = RouteChange { stable: "1.0.0".into(), ..RouteChange::all_to("2.0.0", Some(first.revision)) };
    let held = world.router().set_routes("beat", &change.held_for(HOLD), &key(2)).await;
    let held = answered(held, "a held move");
    for _ in 0..3 {
        world.pass(HOLD / 2).await;
        answered(world.router().heartbeat("beat", &held.revision).await, "a heartbeat");
    }
    let kept = now(world, "beat").await;
    assert!(kept.held_until > held.held_until, "a heartbeat moves the end of the hold");
    assert_eq!(Routes { held_until: held.held_until, ..kept }, held, "and nothing else");
    world.pass(HOLD * 2).await;
    assert_eq!(now(world, "beat").await.moved_by, Mover::Switch(key(2)), "without heartbeats it goes back");
}
