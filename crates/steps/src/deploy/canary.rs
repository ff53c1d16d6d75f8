//! The steps that shift traffic to a release: a little at first, or all at once.

use super::{
    Live, Release, preview,
    rollout::{Rollout, back, observed},
    shift::{Shift, shift_setters},
    world::{Before, METRICS, PLATFORM, ROUTER, World, needs},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use towpath_model::{Change, InDoubt, Json, Methods};
use towpath_provider::{MetricsSource, Platform, TrafficRouter};
use towpath_step::{
    Claim, Environment, Input, IntoInput, Need, Observed, Reads, Step, StepContext, StepError, Undo,
};

/// Sends a growing part of the traffic to a release, and judges each part: kind `towpath.canary/v1`. Its output is a [`Live`].
///
/// ```
/// # extern crate towpath_step as towpath;
/// use std::time::Duration;
/// use towpath_step::{Environment, Pipeline, PlanErrors};
/// use towpath_steps::deploy::{Canary, ErrorRate, Promote, Release};
///
/// let production = Environment::named("production");
/// let p = Pipeline::new("orders");
/// let release = p.param::<Release>("release");
/// let canary = p.step(
///     "canary",
///     Canary::of(&release)
///         .to(&production)
///         .weights([10, 50, 100])
///         .bake(Duration::from_secs(600))
///         .judge(ErrorRate::not_worse_than_baseline()),
/// );
/// p.step("promote", Promote::of(&canary).to(&production));
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// It asks the environment for a `platform`, a `router` and, unless it is judged [by health
/// alone](Self::by_health_alone), for `metrics`. What it does in every case is in the book, under *stock steps*.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    release: Input<Release>,
    environment: Environment,
    shift: Shift,
}

/// Sends all traffic to a release at once, watches it, and goes back when it is worse than what was there before: kind
/// `towpath.blue-green/v1`. Its output is a [`Live`].
///
/// ```
/// # extern crate towpath_step as towpath;
/// use std::time::Duration;
/// use towpath_step::{Environment, Pipeline, PlanErrors};
/// use towpath_steps::deploy::{BlueGreen, Release};
///
/// let staging = Environment::named("staging");
/// let p = Pipeline::new("orders");
/// let release = p.param::<Release>("release");
/// p.step("green", BlueGreen::of(&release).to(&staging).bake(Duration::from_secs(60)));
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// It is a [`Canary`] whose only weight is 100: the release is there with all of its instances, and healthy, before it gets
/// anything, and the one before it stays for as long as it may be gone back to. Its baseline is what the one before it
/// answered until then.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlueGreen {
    release: Input<Release>,
    environment: Environment,
    shift: Shift,
}

/// Replaces the instances of a service a few at a time, with the traffic that belongs to them: kind `towpath.rolling/v1`. Its
/// output is a [`Live`].
///
/// ```
/// # extern crate towpath_step as towpath;
/// use std::time::Duration;
/// use towpath_step::{Environment, Pipeline, PlanErrors};
/// use towpath_steps::deploy::{Release, Rolling};
///
/// let staging = Environment::named("staging");
/// let p = Pipeline::new("orders");
/// let release = p.param::<Release>("release");
/// p.step("roll", Rolling::of(&release).to(&staging).batch(2).bake(Duration::from_secs(30)));
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// After each batch the new release has that part of the traffic, is watched, and the release before it gives up as many
/// instances; one of them stays until it is retired. For where there is no room for two whole releases. It holds no weight
/// by a dead man's switch: a release that has given up instances could not take all traffic back at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rolling {
    release: Input<Release>,
    environment: Environment,
    shift: Shift,
}

/// A step of which is not known yet where it goes: [`to`](Self::to) says so.
#[derive(Clone, Debug)]
#[must_use = "say where it goes, with `to`"]
pub struct Unplaced<S> {
    release: Input<Release>,
    place: fn(Input<Release>, Environment) -> S,
}

impl<S> Unplaced<S> {
    pub(super) fn new(release: Input<Release>, place: fn(Input<Release>, Environment) -> S) -> Self {
        Unplaced { release, place }
    }

    /// Goes into this environment.
    pub fn to(self, environment: &Environment) -> S {
        (self.place)(self.release, environment.clone())
    }
}

impl Canary {
    /// A canary of this release, or of one that has passed a gate: 10, 50 and 100 % of the traffic, for ten minutes each,
    /// judged by the error rate.
    pub fn of(release: impl IntoInput<Release>) -> Unplaced<Canary> {
        Unplaced::new(release.into_input(), |release, environment| {
            let shift = Shift::through(vec![10, 50, 100], Duration::from_secs(600));
            Canary { release, environment, shift }
        })
    }

    /// Percents of the traffic, one after the other, each above the one before. They need not end with 100.
    #[must_use]
    pub fn weights(mut self, percents: impl IntoIterator<Item = u8>) -> Self {
        self.shift.weights = percents.into_iter().collect();
        self
    }

    shift_setters!();
}

impl BlueGreen {
    /// All traffic to this release, or to one that has passed a gate, at once; watched for five minutes.
    pub fn of(release: impl IntoInput<Release>) -> Unplaced<BlueGreen> {
        Unplaced::new(release.into_input(), |release, environment| {
            let shift = Shift::through(vec![100], Duration::from_secs(300));
            BlueGreen { release, environment, shift }
        })
    }

    shift_setters!();
}

impl Rolling {
    /// This release, or one that has passed a gate, in the place of the one that is there: one instance at a time, each
    /// watched for half a minute, judged by health alone unless a rule is given.
    pub fn of(release: impl IntoInput<Release>) -> Unplaced<Rolling> {
        Unplaced::new(release.into_input(), |release, environment| {
            let shift = Shift::through(Vec::new(), Duration::from_secs(30));
            Rolling {
                release,
                environment,
                shift: Shift { batch: Some(1), judge: Some(Vec::new()), ..shift },
            }
        })
    }

    /// How many instances are replaced at a time; one by default.
    #[must_use]
    pub fn batch(mut self, instances: u32) -> Self {
        self.shift.batch = Some(instances);
        self
    }

    shift_setters!();
}

/// What these do as steps.
macro_rules! shifting_step {
    ($step:ty, $kind:literal) => {
        impl Step for $step {
            const KIND: &'static str = $kind;
            const IN_DOUBT: InDoubt = InDoubt::Observe;
            const METHODS: Methods =
                Methods { preview: true, before: true, observe: true, compensate: true, local: false };
            type Output = Live;

            fn reads(&self) -> Reads {
                Reads::none().and("release", &self.release)
            }

            fn needs() -> Vec<Need> {
                vec![
                    Need::of::<dyn Platform>(PLATFORM),
                    Need::of::<dyn TrafficRouter>(ROUTER),
                    Need::of::<dyn MetricsSource>(METRICS),
                ]
            }

            fn needs_here(&self) -> Vec<Need> {
                needs(&self.environment, self.shift.is_judged())
            }

            fn environment(&self) -> Option<&Environment> {
                Some(&self.environment)
            }

            fn claims(&self) -> Vec<Claim> {
                claims(&self.release, &self.environment)
            }

            fn foresee(&self, cx: &StepContext) -> Result<Option<Live>, StepError> {
                let weight = self.shift.weights.last().copied().unwrap_or(0);
                Ok(cx
                    .known(&self.release)?
                    .map(|release| preview::live(cx, &self.environment, release, weight)))
            }

            async fn preview(&self, cx: &StepContext) -> Result<Vec<Change>, StepError> {
                let Some(release) = cx.known(&self.release)? else { return Ok(vec![preview::not_known(cx)]) };
                let world = World::of(cx, &self.environment)?;
                preview::of_shift(&world, &self.environment, &release, &self.shift).await
            }

            async fn before(&self, cx: &StepContext) -> Result<Json, StepError> {
                let world = World::of(cx, &self.environment)?;
                let before = Before::look(cx, &world, &cx.get(&self.release)?.service).await?;
                Json::of(&before).map_err(|e| StepError::permanent("what is there cannot be json").because(e))
            }

            async fn run(&self, cx: &StepContext) -> Result<Live, StepError> {
                Rollout::of(cx, &self.environment, cx.get(&self.release)?, &self.shift)?.go().await
            }

            async fn observe(&self, cx: &StepContext) -> Result<Observed<Live>, StepError> {
                let world = World::of(cx, &self.environment)?;
                observed(cx, &world, &cx.get(&self.release)?, &self.shift).await
            }

            async fn compensate(&self, cx: &StepContext, undo: Undo<Live>) -> Result<(), StepError> {
                let world = World::of(cx, &self.environment)?;
                back(cx, &world, &cx.get(&self.release)?, &self.shift, &undo).await
            }
        }
    };
}

shifting_step!(Canary, "towpath.canary/v1");
shifting_step!(BlueGreen, "towpath.blue-green/v1");
shifting_step!(Rolling, "towpath.rolling/v1");

/// The power over the weight of a service, where its name is known before the run.
pub(super) fn claims(release: &Input<Release>, environment: &Environment) -> Vec<Claim> {
    let claim =
        |release: &Release| Claim::own(format!("weight of {} in {}", release.service, environment.name()));
    release.as_value().map(claim).into_iter().collect()
}
