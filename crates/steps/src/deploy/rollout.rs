//! The body of the steps that shift traffic: orders the release, waits until it is healthy, and raises its weight.

mod bake;
mod undo;

pub(super) use undo::{back, observed, put_back};

use super::{
    Live, Release,
    progress::Progress,
    shift::Shift,
    traffic::{Belief, Stand, move_to, mover, seen, weights},
    world::{Before, World, last_words},
};
use bake::Baked;
use std::time::Duration;
use towpath_model::{FailureKind, Key};
use towpath_provider::{ReleaseState, RouteChange, Routes};
use towpath_step::{Environment, StepContext, StepError};

/// How often the switch may act, or the step be handed back what others took over, before somebody has to look.
const AGAIN_MAX: u32 = 20;

/// One entry of such a body.
pub(super) struct Rollout<'a> {
    pub(super) cx: &'a StepContext,
    pub(super) world: World,
    pub(super) environment: &'a Environment,
    pub(super) release: Release,
    pub(super) before: Before,
    pub(super) shift: &'a Shift,
    pub(super) now: Progress,
}

/// What came of setting a weight.
enum Set {
    There,
    Again,
}

impl<'a> Rollout<'a> {
    pub(super) fn of(
        cx: &'a StepContext,
        environment: &'a Environment,
        release: Release,
        shift: &'a Shift,
    ) -> Result<Self, StepError> {
        let world = World::of(cx, environment)?;
        let (before, now) = (cx.before()?, cx.last_checkpoint()?.unwrap_or_default());
        Ok(Rollout { cx, world, environment, release, before, shift, now })
    }

    /// The whole way, from wherever an earlier entry left it.
    pub(super) async fn go(mut self) -> Result<Live, StepError> {
        self.release.check()?;
        self.shift.check(self.world.router.capability().weights)?;
        self.order().await?;
        self.become_healthy().await?;
        match self.before.stable() {
            None => self.first().await?,
            Some(stable) if stable == self.release.version => {
                self.cx.log(format_args!("{self} is the stable release already: no traffic is moved"));
                self.now.moved = None;
            }
            Some(_) => self.climb().await?,
        }
        self.cx.checkpoint(&self.now).await?;
        self.live().await
    }

    /// Has the platform run the release.
    async fn order(&mut self) -> Result<(), StepError> {
        if self.now.ordered {
            return Ok(());
        }
        self.now.created |= self.before.release(&self.release.version).is_none();
        self.now.sent = Some(self.cx.now());
        self.cx.checkpoint(&self.now).await?;
        self.cx.progress(0, format_args!("order {self}"));
        self.world.platform.deploy(&self.release.clone().into(), &self.cx.run_key("deploy")).await?;
        self.now.ordered = true;
        self.now.sent = None;
        Ok(())
    }

    /// Waits until all of its instances can take traffic.
    async fn become_healthy(&mut self) -> Result<(), StepError> {
        if self.now.is_healthy {
            return Ok(());
        }
        let within = self.shift.healthy_within();
        let every = (within / 60).clamp(Duration::from_millis(250), Duration::from_secs(5));
        let by = *self.now.healthy_by.get_or_insert(self.cx.now().plus(within));
        loop {
            let (healthy, why) = match self.instances().await {
                Ok(state) if state.is_ready() => break,
                Ok(state) => (state.healthy(), last_words(&state)),
                Err(error) if is_passing(&error) && self.cx.now() < by => (0, error.to_string()),
                Err(error) => return Err(error),
            };
            if self.cx.now() >= by {
                return Err(StepError::rejected(format!(
                    "{self} did not become healthy within {within:?}: {healthy} of {} instances are; {why}",
                    self.release.instances
                )));
            }
            self.cx
                .progress(0, format_args!("{healthy} of {} instances are healthy", self.release.instances));
            self.now.waits += 1;
            self.cx.sleep(&format!("healthy-{}", self.now.waits), every).saving(&self.now).await?;
        }
        self.now.is_healthy = true;
        Ok(())
    }

    /// The release as the platform shows it; one that somebody has removed is no longer the step's own.
    async fn instances(&self) -> Result<ReleaseState, StepError> {
        let (service, version) = (&self.release.service, &self.release.version);
        self.world.release(service, version).await?.ok_or_else(|| {
            let seen = serde_json::json!({"service": service, "version": version, "removed": true});
            StepError::taken_over(&seen)
        })
    }

    /// The first release of a service: there is nothing to compare it with.
    async fn first(&mut self) -> Result<(), StepError> {
        self.cx.log(format_args!(
            "{self} is the first release of its service, or what had the traffic is gone: it gets all traffic at once"
        ));
        let change = RouteChange::all_to(&self.release.version, None);
        while let Set::Again = self.set("all", &change).await? {}
        self.now.verdicts = vec!["there was nothing to compare it with".to_owned()];
        Ok(())
    }

    /// Raises the weight, and watches each.
    async fn climb(&mut self) -> Result<(), StepError> {
        loop {
            while let Some(weight) = self.shift.weights.get(self.now.at).copied() {
                if let Set::Again = self.weigh(weight).await? {
                    continue;
                }
                if let Baked::Done = self.bake(weight).await? {
                    (self.now.at, self.now.bake) = (self.now.at + 1, None);
                }
            }
            // It has been found good: from here on it stays without us.
            match self.keep().await? {
                Set::There => return Ok(()),
                Set::Again => self.now.at = self.shift.weights.len() - 1,
            }
        }
    }

    async fn weigh(&mut self, weight: u8) -> Result<Set, StepError> {
        if self.now.bake.is_some() {
            return Ok(Set::There);
        }
        let now = self.cx.now();
        let early = if self.shift.weights[0] == 100 { self.shift.bake() } else { Duration::ZERO };
        self.now.baseline.get_or_insert((earlier(now, early), None));
        let change = RouteChange::split(self.stable()?, &self.release.version, weight, None);
        let change =
            if self.world.router.capability().dead_man { change.held_for(self.shift.hold()) } else { change };
        self.set(&format!("weight-{weight}"), &change).await
    }

    async fn keep(&mut self) -> Result<Set, StepError> {
        let weight = self.shift.weights.last().copied().unwrap_or(100);
        if !self.now.moved.as_ref().is_some_and(|moved| moved.is_held) {
            return Ok(Set::There);
        }
        let change = RouteChange::split(self.stable()?, &self.release.version, weight, None);
        self.set("keep", &change).await
    }

    /// Makes one move, and settles one that is in doubt by what is there.
    async fn set(&mut self, what: &str, change: &RouteChange) -> Result<Set, StepError> {
        let key = self.cx.run_key(&self.now.name_of(what));
        self.now.sent = Some(self.cx.now());
        self.cx.checkpoint(&self.now).await?;
        let belief = self.belief(&key);
        match move_to(&self.world, &self.release.service, change, belief).await? {
            Stand::There(routes) => {
                self.cx.log(format_args!("the traffic of {}: {}", self.release.service, weights(&routes)));
                self.now.adopt(&routes, &key);
                Ok(Set::There)
            }
            stand => self.not_there(stand).map(|()| Set::Again),
        }
    }

    /// The traffic is not as the step left it: says whether the step may go on.
    fn not_there(&mut self, stand: Stand) -> Result<(), StepError> {
        let service = &self.release.service;
        match stand {
            Stand::There(_) | Stand::Free(_) => return Ok(()),
            Stand::Switched(routes) => {
                self.cx.log(format_args!(
                    "nobody looked after the traffic of {service} in time, and the dead man's switch has acted: {}; the weight \
                     is set again, and bakes anew",
                    weights(&routes)
                ));
                self.now.set_again(&routes);
            }
            Stand::HandedBack(routes) => {
                self.cx.log(format_args!(
                    "the traffic of {service} was handed back as {} left it: {}",
                    mover(&routes),
                    weights(&routes)
                ));
                self.now.set_again(&routes);
            }
            Stand::Taken(routes) => {
                if let Some(routes) = &routes {
                    let (mover, weights) = (mover(routes), weights(routes));
                    self.cx.log(format_args!("{mover} has moved the traffic of {service}: {weights}"));
                }
                return Err(StepError::taken_over(&seen(service, routes.as_ref())));
            }
        }
        if self.now.again > AGAIN_MAX {
            return Err(StepError::needs_operator(format!(
                "the weight of {self} had to be set again {AGAIN_MAX} times: nobody stays with it for as long as it is held"
            )));
        }
        Ok(())
    }

    fn belief<'b>(&'b self, key: &'b Key) -> Belief<'b> {
        let before = self.before.revision();
        Belief {
            key,
            revision: self.now.revision.as_deref().or(before),
            last: self.now.moved.as_ref().map(|moved| &moved.key),
            before,
        }
    }

    /// The release that had the traffic before.
    fn stable(&self) -> Result<&str, StepError> {
        self.before.stable().ok_or_else(|| StepError::permanent("the release that had the traffic is gone"))
    }

    /// What it gives back.
    async fn live(self) -> Result<Live, StepError> {
        let routes = match &self.now.moved {
            Some(moved) => Some((moved.revision.clone(), moved.stable.clone(), moved.weights.clone())),
            None => self
                .before
                .routes
                .clone()
                .map(|Routes { revision, stable, weights, .. }| (revision, stable, weights)),
        };
        let (revision, stable, weights) = routes.unwrap_or_default();
        let version = &self.release.version;
        let replaced = self.before.previous(version);
        Ok(Live {
            service: self.release.service.clone(),
            environment: self.environment.name().to_owned(),
            version: version.clone(),
            digest: self.release.digest.clone(),
            previous: replaced.as_ref().map(|previous| previous.version.clone()),
            replaced,
            weight: weights.get(version).copied().unwrap_or(0),
            is_stable: stable == *version,
            revision,
            verdicts: self.now.verdicts,
            since: self.cx.now(),
            release: self.release,
        })
    }
}

impl std::fmt::Display for Rollout<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.release.service, self.release.version)
    }
}

/// Whether a question may be asked again as if it had not been asked: it changes nothing, so that a lost answer is none.
fn is_passing(error: &StepError) -> bool {
    matches!(error.kind(), FailureKind::Transient | FailureKind::Unknown)
}

fn earlier(time: towpath_model::Timestamp, by: Duration) -> towpath_model::Timestamp {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    towpath_model::Timestamp::from_micros(time.as_micros().saturating_sub(by).max(0))
}
