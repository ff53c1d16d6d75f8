//! The body of the steps that shift traffic: orders the release, waits until it is healthy, and raises its weight.

mod bake;
mod undo;

pub(super) use undo::{back, observed, put_back};

use super::{
    Live, Release,
    progress::Progress,
    shift::{Point, Shift},
    traffic::{Belief, Stand, move_to, mover, seen, weights},
    world::{Before, World, last_words},
};
use bake::Baked;
use std::time::Duration;
use towpath_model::{FailureKind, Key};
use towpath_provider::{ReleaseSpec, ReleaseState, RouteChange, Routes};
use towpath_step::{Environment, StepContext, StepError};

/// How often the switch may act, or the step be handed back what others took over, before somebody has to look.
const AGAIN_MAX: u32 = 20;

/// How often it is asked at first whether instances have become healthy.
const OFTEN: Duration = Duration::from_millis(250);

/// One entry of such a body.
pub(super) struct Rollout<'a> {
    pub(super) cx: &'a StepContext,
    pub(super) world: World,
    pub(super) environment: &'a Environment,
    pub(super) release: Release,
    pub(super) before: Before,
    pub(super) shift: &'a Shift,
    pub(super) points: Vec<Point>,
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
        let points = shift.points(release.instances);
        Ok(Rollout { cx, world, environment, release, before, shift, points, now })
    }

    /// The whole way, from wherever an earlier entry left it.
    pub(super) async fn go(mut self) -> Result<Live, StepError> {
        self.begin().await?;
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

    /// All traffic at once and for good, with no more than health to go by: the way back.
    pub(super) async fn go_at_once(mut self) -> Result<Live, StepError> {
        self.begin().await?;
        let version = self.release.version.clone();
        let is_there = |routes: &Routes| routes.stable == version && routes.weight(&version) == 100;
        match &self.before.routes {
            Some(routes) if is_there(routes) => {
                self.cx.log(format_args!("{self} is the stable release already: no traffic is moved"));
            }
            _ => {
                let change = RouteChange::all_to(&version, None);
                while let Set::Again = self.set("all", &change).await? {}
            }
        }
        self.cx.checkpoint(&self.now).await?;
        self.live().await
    }

    async fn begin(&mut self) -> Result<(), StepError> {
        self.release.check()?;
        self.shift.check(&self.points, self.world.router.capability().weights)?;
        self.order().await?;
        self.become_healthy().await
    }

    /// Has the platform run the release: all of it, unless it grows behind one that shrinks.
    async fn order(&mut self) -> Result<(), StepError> {
        if self.now.ordered {
            return Ok(());
        }
        let is_alone = self.before.stable().is_none_or(|stable| stable == self.release.version);
        let first = self.points.first().map_or(self.release.instances, |point| point.instances);
        self.now.instances = if is_alone { self.release.instances } else { first };
        self.now.created |= self.before.release(&self.release.version).is_none();
        self.now.sent = Some(self.cx.now());
        self.cx.checkpoint(&self.now).await?;
        self.cx.progress(0, format_args!("order {self}"));
        self.deploy("deploy").await?;
        self.now.ordered = true;
        self.now.sent = None;
        Ok(())
    }

    async fn deploy(&self, what: &str) -> Result<(), StepError> {
        let spec = ReleaseSpec { instances: self.now.instances, ..self.release.clone().into() };
        Ok(self.world.platform.deploy(&spec, &self.cx.run_key(what)).await?)
    }

    /// Has as many instances as belong to the next weight.
    async fn grow(&mut self, to: u32) -> Result<(), StepError> {
        if self.now.instances < to {
            self.now.instances = to;
            (self.now.is_healthy, self.now.healthy_by) = (false, None);
            self.now.sent = Some(self.cx.now());
            self.cx.checkpoint(&self.now).await?;
            self.deploy(&format!("deploy-{to}")).await?;
            self.now.sent = None;
        }
        self.become_healthy().await
    }

    /// The release before has as many instances fewer. One stays until it is retired.
    async fn shrink(&self, point: Point) -> Result<(), StepError> {
        let Some(was) = self.before.release(self.stable()?).filter(|_| self.shift.batch.is_some()) else {
            return Ok(());
        };
        let Some(spec) = &was.spec else {
            self.cx.log(format_args!(
                "the platform does not say how {} was deployed: it keeps its size",
                was.version
            ));
            return Ok(());
        };
        let left = u64::from(was.wanted) * u64::from(100 - point.weight);
        let instances = u32::try_from(left.div_ceil(100)).unwrap_or(was.wanted).max(1);
        let key = self.cx.run_key(&format!("shrink-{instances}"));
        Ok(self.world.platform.deploy(&ReleaseSpec { instances, ..spec.clone() }, &key).await?)
    }

    /// Waits until all of its instances can take traffic.
    async fn become_healthy(&mut self) -> Result<(), StepError> {
        if self.now.is_healthy {
            return Ok(());
        }
        let (within, wanted) = (self.shift.healthy_within(), self.now.instances);
        let every = (within / 60).clamp(OFTEN, Duration::from_secs(5));
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
                    "{self} did not become healthy within {within:?}: {healthy} of {wanted} instances are; {why}"
                )));
            }
            self.cx.progress(0, format_args!("{healthy} of {wanted} instances are healthy"));
            self.now.waits += 1;
            // Most are healthy soon; who takes long is not asked all the time.
            let waited = within.saturating_sub(by.since(self.cx.now()));
            let pause = (waited / 4).clamp(OFTEN, every);
            self.cx.sleep(&format!("healthy-{}", self.now.waits), pause).saving(&self.now).await?;
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
            while let Some(point) = self.points.get(self.now.at).copied() {
                self.grow(point.instances).await?;
                if let Set::Again = self.weigh(point.weight).await? {
                    continue;
                }
                if let Baked::Done = self.bake(point.weight).await? {
                    self.shrink(point).await?;
                    (self.now.at, self.now.bake) = (self.now.at + 1, None);
                }
            }
            // It has been found good: from here on it stays without us.
            match self.keep().await? {
                Set::There => return Ok(()),
                Set::Again => self.now.at = self.points.len() - 1,
            }
        }
    }

    async fn weigh(&mut self, weight: u8) -> Result<Set, StepError> {
        if self.now.bake.is_some() {
            return Ok(Set::There);
        }
        let now = self.cx.now();
        let early = if self.points[0].weight == 100 { self.shift.bake() } else { Duration::ZERO };
        self.now.baseline.get_or_insert((earlier(now, early), None));
        let change = RouteChange::split(self.stable()?, &self.release.version, weight, None);
        // What has shrunk could not take all traffic back at once.
        let is_held = self.world.router.capability().dead_man && self.shift.batch.is_none();
        let change = if is_held { change.held_for(self.shift.hold()) } else { change };
        self.set(&format!("weight-{weight}"), &change).await
    }

    async fn keep(&mut self) -> Result<Set, StepError> {
        let weight = self.points.last().map_or(100, |point| point.weight);
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
