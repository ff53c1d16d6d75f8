//! Going back to a release that was live before.

use super::{
    Live, Release, preview,
    rollout::{Rollout, back, observed},
    shift::Shift,
    world::{Before, PLATFORM, ROUTER, World, needs},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use towpath_model::{Change, InDoubt, Json, Methods};
use towpath_provider::{Platform, TrafficRouter};
use towpath_step::{
    Environment, Input, IntoInput, Need, Observed, Reads, Step, StepContext, StepError, Undo,
};

/// Goes back to a release that was there before: kind `towpath.rollback/v1`. Its output is a [`Live`].
///
/// ```
/// # extern crate towpath_step as towpath;
/// use towpath_step::{Environment, Pipeline, PlanErrors};
/// use towpath_steps::deploy::{Release, Rollback};
///
/// let production = Environment::named("production");
/// let p = Pipeline::new("back");
/// let version = p.param::<String>("version");
/// p.step("back", Rollback::of("orders").to(&production).version(&version));
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// It has the platform run the release, if it does not already, waits until it is healthy, and sends it all traffic at once
/// and for good. It overrides whoever moves the traffic at the time, a canary as well, which then rests as taken over.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    service: Input<String>,
    environment: Environment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<Input<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release: Option<Input<Release>>,
    #[serde(default = "all_at_once")]
    shift: Shift,
}

/// All traffic at once and for good, judged by health alone.
fn all_at_once() -> Shift {
    Shift { judge: Some(Vec::new()), ..Shift::through(vec![100], Duration::ZERO) }
}

/// A rollback of which is not known yet where it happens.
#[derive(Clone, Debug)]
#[must_use = "say where, with `to`"]
pub struct UnplacedRollback(Input<String>);

impl UnplacedRollback {
    /// In this environment.
    pub fn to(self, environment: &Environment) -> Rollback {
        let (environment, shift) = (environment.clone(), all_at_once());
        Rollback { service: self.0, environment, version: None, release: None, shift }
    }
}

impl Rollback {
    /// Of this service: to the one other release that is there, unless [`version`](Self::version) or
    /// [`release`](Self::release) says to which.
    pub fn of(service: impl IntoInput<String>) -> UnplacedRollback {
        UnplacedRollback(service.into_input())
    }

    /// To this version, which the platform still has.
    #[must_use]
    pub fn version(mut self, version: impl IntoInput<String>) -> Self {
        self.version = Some(version.into_input());
        self
    }

    /// To this release, wherever it is known from: it is deployed again when it is gone. The output of a promotion holds the
    /// one before it.
    #[must_use]
    pub fn release(mut self, release: impl IntoInput<Release>) -> Self {
        self.release = Some(release.into_input());
        self
    }

    /// How long its instances may take to become healthy; two minutes by default.
    #[must_use]
    pub fn healthy_within(mut self, time: Duration) -> Self {
        self.shift.healthy_within_ms = crate::time::millis(time);
        self
    }

    /// The release to go back to, as things stood before.
    fn target(&self, cx: &StepContext, before: &Before) -> Result<Release, StepError> {
        let service = cx.get(&self.service)?;
        if let Some(release) = &self.release {
            let release = cx.get(release)?;
            return if release.service == service {
                Ok(release)
            } else {
                Err(StepError::permanent(format!(
                    "the release is one of {}, and not of {service}",
                    release.service
                )))
            };
        }
        let stable = before.routes.as_ref().map(|routes| routes.stable.as_str());
        let version = match &self.version {
            Some(version) => cx.get(version)?,
            None => {
                let others: Vec<&str> = before.releases.iter().map(|was| was.version.as_str()).collect();
                let others: Vec<&str> =
                    others.into_iter().filter(|version| Some(*version) != stable).collect();
                match others[..] {
                    [one] => one.to_owned(),
                    [] => {
                        return Err(StepError::permanent(format!(
                            "there is no other release of {service} to go back to: give the release to be deployed again"
                        )));
                    }
                    _ => {
                        let all = others.join(", ");
                        return Err(StepError::permanent(format!(
                            "say to which version of {service}: {all} are there"
                        )));
                    }
                }
            }
        };
        let was = before.release(&version).ok_or_else(|| {
            StepError::permanent(format!(
                "{service} {version} is not there any more: give the release to be deployed again"
            ))
        })?;
        was.spec.clone().map(Release::from).ok_or_else(|| {
            StepError::permanent(format!(
                "the platform does not say how {service} {version} was deployed: give the release"
            ))
        })
    }
}

impl Step for Rollback {
    const KIND: &'static str = "towpath.rollback/v1";
    const IN_DOUBT: InDoubt = InDoubt::Observe;
    const METHODS: Methods =
        Methods { preview: true, before: true, observe: true, compensate: true, local: false };
    type Output = Live;

    fn reads(&self) -> Reads {
        let mut reads = Reads::none().and("service", &self.service);
        if let Some(version) = &self.version {
            reads = reads.and("version", version);
        }
        match &self.release {
            Some(release) => reads.and("release", release),
            None => reads,
        }
    }

    fn needs() -> Vec<Need> {
        vec![Need::of::<dyn Platform>(PLATFORM), Need::of::<dyn TrafficRouter>(ROUTER)]
    }

    fn needs_here(&self) -> Vec<Need> {
        needs(&self.environment, false)
    }

    fn environment(&self) -> Option<&Environment> {
        Some(&self.environment)
    }

    async fn preview(&self, cx: &StepContext) -> Result<Vec<Change>, StepError> {
        let is_known = self.version.as_ref().is_none_or(|version| matches!(cx.known(version), Ok(Some(_))))
            && self.release.as_ref().is_none_or(|release| matches!(cx.known(release), Ok(Some(_))));
        let Some(service) = cx.known(&self.service)?.filter(|_| is_known) else {
            return Ok(vec![preview::not_known(cx)]);
        };
        let world = World::of(cx, &self.environment)?;
        let before = Before::look(cx, &world, &service).await?;
        let release = self.target(cx, &before)?;
        Ok(vec![
            preview::of_release(&world, &self.environment, &release).await?,
            preview::of_weight(&self.environment, &release, before.routes.as_ref(), 100),
        ])
    }

    async fn before(&self, cx: &StepContext) -> Result<Json, StepError> {
        let world = World::of(cx, &self.environment)?;
        let before = Before::look(cx, &world, &cx.get(&self.service)?).await?;
        Json::of(&before).map_err(|e| StepError::permanent("what is there cannot be json").because(e))
    }

    async fn run(&self, cx: &StepContext) -> Result<Live, StepError> {
        let release = self.target(cx, &cx.before()?)?;
        Rollout::of(cx, &self.environment, release, &self.shift)?.go_at_once().await
    }

    async fn observe(&self, cx: &StepContext) -> Result<Observed<Live>, StepError> {
        let world = World::of(cx, &self.environment)?;
        observed(cx, &world, &self.target(cx, &cx.before()?)?, &self.shift).await
    }

    async fn compensate(&self, cx: &StepContext, undo: Undo<Live>) -> Result<(), StepError> {
        let world = World::of(cx, &self.environment)?;
        // Without a release to go back to nothing was done.
        let Ok(release) = self.target(cx, &undo.read_before()?) else { return Ok(()) };
        back(cx, &world, &release, &self.shift, &undo).await
    }
}
