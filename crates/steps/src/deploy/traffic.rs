//! Moving traffic without ever overwriting what somebody else has moved.

use super::world::World;
use serde::Serialize;
use std::collections::BTreeMap;
use towpath_model::{Json, Key, Timestamp};
use towpath_provider::{Mover, ProviderErrorKind, RouteChange, Routes};
use towpath_step::StepError;

/// What a step believes about the traffic of a service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Belief<'a> {
    /// The key of the move that it makes next.
    pub(super) key: &'a Key,
    /// The revision that it saw last; none when the router did not know the service.
    pub(super) revision: Option<&'a str>,
    /// The key of its last move.
    pub(super) last: Option<&'a Key>,
    /// The revision of its before-image: the world as it was, or as it was handed back.
    pub(super) before: Option<&'a str>,
}

/// How the traffic stands.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Stand {
    /// The move with the key is there.
    There(Routes),
    /// It is as the step believes; a move has to name this revision.
    Free(Option<String>),
    /// The dead man's switch has acted after a move of the step.
    Switched(Routes),
    /// It is as the step was handed it back.
    HandedBack(Routes),
    /// Somebody else has moved it.
    Taken(Option<Routes>),
}

impl Stand {
    pub(super) fn of(routes: Option<Routes>, belief: Belief<'_>) -> Self {
        let Some(routes) = routes else {
            return if belief.revision.is_none() { Stand::Free(None) } else { Stand::Taken(None) };
        };
        let is_ours = |key: &Key| key == belief.key || Some(key) == belief.last;
        match &routes.moved_by {
            Mover::Key(key) if key == belief.key => Stand::There(routes),
            _ if Some(routes.revision.as_str()) == belief.revision => Stand::Free(Some(routes.revision)),
            Mover::Switch(key) if is_ours(key) => Stand::Switched(routes),
            _ if Some(routes.revision.as_str()) == belief.before => Stand::HandedBack(routes),
            _ => Stand::Taken(Some(routes)),
        }
    }
}

/// Makes a move if the traffic stands as it is believed to; says how it stands then. A move that was refused because somebody
/// was faster is looked at again: whoever it was is in the answer.
pub(super) async fn move_to(
    world: &World,
    service: &str,
    change: &RouteChange,
    belief: Belief<'_>,
) -> Result<Stand, StepError> {
    let stand = Stand::of(world.router.routes(service).await?, belief);
    let Stand::Free(expected) = stand else { return Ok(stand) };
    let change = RouteChange { expected, ..change.clone() };
    match world.router.set_routes(service, &change, belief.key).await {
        Ok(routes) => Ok(Stand::There(routes)),
        Err(error) if error.kind() == ProviderErrorKind::ConditionFailed => {
            match Stand::of(world.router.routes(service).await?, belief) {
                Stand::Free(_) => {
                    Err(StepError::transient("a move was refused though nobody moved the traffic")
                        .because(error))
                }
                stand => Ok(stand),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// What is told of traffic that somebody else has moved.
#[derive(Serialize)]
struct Seen<'a> {
    service: &'a str,
    stable: Option<&'a str>,
    weights: BTreeMap<&'a str, u8>,
    moved_by: Option<&'a Mover>,
    at: Option<Timestamp>,
}

pub(super) fn seen(service: &str, routes: Option<&Routes>) -> Json {
    let seen = Seen {
        service,
        stable: routes.map(|routes| routes.stable.as_str()),
        weights: routes.iter().flat_map(|r| &r.weights).map(|(v, w)| (v.as_str(), *w)).collect(),
        moved_by: routes.map(|routes| &routes.moved_by),
        at: routes.map(|routes| routes.at),
    };
    Json::of(&seen).unwrap_or_else(|_| Json::null())
}

/// Weights in words: `1.0.0 90 %, 2.0.0 10 %`.
pub(super) fn weights(routes: &Routes) -> String {
    let all: Vec<_> =
        routes.weights.iter().map(|(version, weight)| format!("{version} {weight} %")).collect();
    all.join(", ")
}

/// Who moved it, in words.
pub(super) fn mover(routes: &Routes) -> String {
    match &routes.moved_by {
        Mover::Key(key) => format!("the call with the key {key}"),
        Mover::Switch(_) => "the dead man's switch".to_owned(),
        Mover::Other(who) => who.clone(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Belief, Stand};
    use std::collections::BTreeMap;
    use towpath_model::{Key, KeyPhase, RunId, StepId, Timestamp};
    use towpath_provider::{Mover, Routes};

    fn key(name: &str) -> Key {
        Key::derive(RunId::from_bytes([7; 16]), &StepId::new("canary").unwrap(), KeyPhase::Run, name, 0)
    }

    fn routes(revision: &str, moved_by: Mover) -> Option<Routes> {
        let weights = BTreeMap::from([("1.0.0".to_owned(), 100)]);
        let (stable, revision, at) = ("1.0.0".into(), revision.into(), Timestamp::MIN);
        Some(Routes { stable, weights, revision, moved_by, at, held_until: None })
    }

    #[test]
    fn a_third_value_is_never_taken_for_ones_own() {
        let (next, last, other) = (key("weight-50"), key("weight-10"), key("weight-99"));
        let belief = Belief { key: &next, revision: Some("r2"), last: Some(&last), before: Some("r1") };
        let of = |revision, mover| match Stand::of(routes(revision, mover), belief) {
            Stand::There(_) => "there",
            Stand::Free(_) => "free",
            Stand::Switched(_) => "switched",
            Stand::HandedBack(_) => "handed back",
            Stand::Taken(_) => "taken",
        };
        assert_eq!(of("r2", Mover::Key(last.clone())), "free");
        assert_eq!(of("r3", Mover::Key(next.clone())), "there");
        assert_eq!(of("r3", Mover::Switch(last.clone())), "switched");
        assert_eq!(of("r4", Mover::Switch(next.clone())), "switched");
        assert_eq!(of("r1", Mover::Other("ann".into())), "handed back");
        assert_eq!(of("r3", Mover::Other("ann".into())), "taken");
        assert_eq!(of("r3", Mover::Key(last.clone())), "taken", "a move of ours that we do not know of");
        assert_eq!(of("r3", Mover::Switch(other)), "taken");
        assert_eq!(Stand::of(None, belief), Stand::Taken(None));
        let first = Belief { revision: None, before: None, last: None, ..belief };
        assert_eq!(Stand::of(None, first), Stand::Free(None));
    }
}
