//! Moving the traffic of a service.

use super::{
    saved::{Saved, SavedRoutes},
    service::Service,
    switch,
};
use crate::{note, time::now, wire::RouteOrder};
use std::time::Duration;
use tokio::time::Instant;
use towpath_provider::{Mover, ProviderError, ProviderErrorKind as Kind, RouteChange, Routes};

impl Service {
    /// Moves the traffic, by a key and a revision that was seen, or by hand.
    pub(super) async fn move_traffic(&self, order: RouteOrder) -> Result<Routes, ProviderError> {
        let mut saved = self.saved().await;
        let current = saved.routes.as_ref().map(|saved| &saved.routes);
        if let (Some(key), Some(routes)) = (&order.key, current)
            && routes.moved_by == Mover::Key(key.clone())
        {
            return Ok(routes.clone());
        }
        // A hand need not say what it has seen.
        let must_match = order.key.is_some() || order.expected.is_some();
        let revision = current.map(|routes| &routes.revision);
        if must_match && revision != order.expected.as_ref() {
            return Err(moved_on(&self.name, order.expected.as_deref(), current));
        }
        let routes = self.decide(&saved, &order)?;
        let hold_ends = order.hold_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        let mut new = saved.clone();
        new.moves += 1;
        new.routes = Some(SavedRoutes { routes: routes.clone(), hold_ms: order.hold_ms });
        self.commit(&mut saved, new).await?;
        self.choice.weigh(&routes.weights);
        self.set_hold_end(hold_ends);
        if let Mover::Other(who) = &routes.moved_by {
            note(format_args!("{}: {who} moved the traffic to {:?}", self.name, routes.weights));
        }
        Ok(routes)
    }

    /// Where an order leads, if it can be followed.
    fn decide(&self, saved: &Saved, order: &RouteOrder) -> Result<Routes, ProviderError> {
        let invalid = |text: String| ProviderError::new(Kind::Invalid, text).with("service", &self.name);
        let current = saved.routes.as_ref().map(|saved| &saved.routes);
        let mut weights = order.weights.clone();
        let largest =
            || weights.iter().max_by_key(|(_, weight)| **weight).map(|(version, _)| version.clone());
        let stable = order.stable.clone().or_else(|| current.map(|routes| routes.stable.clone()));
        let stable = stable.or_else(largest).unwrap_or_default();
        if order.key.is_none() {
            // A hand says what it cares for; the stable release has the rest.
            let named: u32 = weights.values().map(|weight| u32::from(*weight)).sum();
            if !weights.contains_key(&stable)
                && let Some(rest @ 1..) = 100u8.checked_sub(u8::try_from(named).unwrap_or(u8::MAX))
            {
                weights.insert(stable.clone(), rest);
            }
        }
        let hold = order.hold_ms.map(Duration::from_millis);
        let change = RouteChange { expected: None, stable: stable.clone(), weights: weights.clone(), hold };
        if let Some(problem) = change.problem() {
            return Err(invalid(problem));
        }
        let is_there = |version: &String| {
            saved.releases.get(version).is_some_and(|release| release.removing_ms.is_none())
        };
        if !is_there(&stable) {
            return Err(invalid(format!("the stable release {stable:?} is not there")));
        }
        for (version, weight) in &weights {
            if !is_there(version) {
                return Err(invalid(format!("the release {version:?} is not there")));
            }
            let has = current.map_or(0, |routes| routes.weight(version));
            if has < *weight && !self.choice.can_take(version) {
                return Err(invalid(format!("no instance of {version} can take traffic")));
            }
        }
        let by_hand = || {
            let who = order.by.as_deref().map_or_else(String::new, |who| format!(" ({who})"));
            Mover::Other(format!("by hand{who}"))
        };
        let at = now();
        Ok(Routes {
            stable,
            weights,
            revision: (saved.moves + 1).to_string(),
            moved_by: order.key.clone().map_or_else(by_hand, Mover::Key),
            at,
            held_until: hold.map(|hold| at.plus(hold)),
        })
    }

    /// Keeps a held move for another while.
    pub(super) async fn heartbeat(&self, revision: &str) -> Result<(), ProviderError> {
        let mut saved = self.saved().await;
        let mut new = saved.clone();
        let current = new.routes.as_mut().filter(|saved| saved.routes.revision == revision);
        let Some(held) = current else {
            return Err(moved_on(
                &self.name,
                Some(revision),
                saved.routes.as_ref().map(|saved| &saved.routes),
            ));
        };
        let Some(hold_ms) = held.hold_ms else { return Ok(()) };
        let hold = Duration::from_millis(hold_ms);
        held.routes.held_until = Some(now().plus(hold));
        let ends = Instant::now() + hold;
        self.commit(&mut saved, new).await?;
        self.set_hold_end(Some(ends));
        Ok(())
    }

    /// Goes back to the stable release, when the hold is over. That it cannot be written does not keep it: the state on the
    /// disk then still says that it is due.
    pub(super) async fn switch(&self) -> Option<Routes> {
        let mut saved = self.saved().await;
        if self.hold_ends().is_none_or(|at| at > Instant::now()) {
            return None;
        }
        let mut new = saved.clone();
        new.moves += 1;
        let held = new.routes.take()?;
        let routes = switch::gone_back(&held.routes, new.moves.to_string());
        new.routes = Some(SavedRoutes { routes: routes.clone(), hold_ms: None });
        self.choice.weigh(&routes.weights);
        if let Err(error) = self.commit(&mut saved, new.clone()).await {
            note(format_args!("{}: the switch has acted, and that is not written: {error}", self.name));
            self.accept_state(&mut saved, new);
        }
        drop(saved);
        self.set_hold_end(None);
        Some(routes)
    }
}

fn moved_on(service: &str, expected: Option<&str>, current: Option<&Routes>) -> ProviderError {
    let text = "the traffic is no longer where the caller has seen it";
    let error = ProviderError::new(Kind::ConditionFailed, text).with("service", service);
    let error = error.with("expected", expected.unwrap_or("that nothing is known"));
    match current {
        Some(routes) => error.with("found", &routes.revision).with("moved by", mover(&routes.moved_by)),
        None => error.with("found", "nothing"),
    }
}

fn mover(by: &Mover) -> String {
    match by {
        Mover::Key(key) => format!("the key {key}"),
        Mover::Switch(key) => format!("the dead man's switch after the key {key}"),
        Mover::Other(who) => who.clone(),
        _ => "somebody".to_owned(),
    }
}
