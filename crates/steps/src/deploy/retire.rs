//! Removing releases that nobody needs any more.

use super::{
    Live, preview,
    traffic::weights,
    world::{PLATFORM, ROUTER, World, needs},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use towpath_model::{Change, InDoubt, Methods, Timestamp};
use towpath_provider::{Platform, ProviderErrorKind, ReleaseState, TrafficRouter};
use towpath_step::{Environment, Input, IntoInput, Need, Output, Reads, Step, StepContext, StepError};

/// Removes the releases of a service that came before a promoted one, and keeps some of them to go back to: kind
/// `towpath.retire/v1`. Its output is a [`Retired`].
///
/// ```
/// # extern crate towpath_step as towpath;
/// use towpath_step::{Environment, Pipeline, PlanErrors};
/// use towpath_steps::deploy::{Live, Promote, Retire};
///
/// let production = Environment::named("production");
/// let p = Pipeline::new("orders");
/// let live = p.param::<Live>("live");
/// let promoted = p.step("promote", Promote::of(&live).to(&production));
/// p.step("retire", Retire::before(&promoted).from(&production).keep(1));
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// What has traffic, what the traffic would go back to, and what came up after the promotion is never removed. Repeating it
/// does what is left to do. What it removed is not put back when the run unwinds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retire {
    live: Input<Live>,
    environment: Environment,
    keep: u32,
    drain_ms: u64,
}

/// What a [`Retire`] did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
pub struct Retired {
    /// The versions that it removed, in this entry.
    pub removed: Vec<String>,
    /// The versions that are there still, beside the promoted one.
    pub kept: Vec<String>,
}

/// A retirement of which is not known yet where it happens.
#[derive(Clone, Debug)]
#[must_use = "say where, with `from`"]
pub struct UnplacedRetire(Input<Live>);

impl UnplacedRetire {
    /// From this environment: the one that the release is in.
    pub fn from(self, environment: &Environment) -> Retire {
        Retire { live: self.0, environment: environment.clone(), keep: 1, drain_ms: 30_000 }
    }
}

impl Retire {
    /// What came before this one.
    pub fn before(live: impl IntoInput<Live>) -> UnplacedRetire {
        UnplacedRetire(live.into_input())
    }

    /// How many are kept to go back to, the one that was live before first; one by default.
    #[must_use]
    pub fn keep(mut self, releases: u32) -> Self {
        self.keep = releases;
        self
    }

    /// How long requests under way may take; half a minute by default.
    #[must_use]
    pub fn drain(mut self, time: Duration) -> Self {
        self.drain_ms = crate::time::millis(time);
        self
    }

    /// What is to be removed, and what is kept beside the promoted release.
    async fn chosen(&self, cx: &StepContext, world: &World, live: &Live) -> Result<Retired, StepError> {
        let routes = world.router.routes(&live.service).await?;
        let all = world.platform.releases(&live.service).await?;
        let others: Vec<ReleaseState> =
            all.into_iter().filter(|release| release.version != live.version).collect();
        let stands = routes.as_ref().is_some_and(|routes| routes.stable == live.version);
        if !stands {
            let there = routes.as_ref().map_or_else(|| "nowhere".to_owned(), weights);
            cx.log(format_args!(
                "{} is not the stable release of {} any more, and nothing is removed: the traffic goes to {there}",
                live.version, live.service
            ));
            let kept = others.into_iter().map(|release| release.version).collect();
            return Ok(Retired { removed: Vec::new(), kept });
        }
        let weight = |version: &str| routes.as_ref().map_or(0, |routes| routes.weight(version));
        let is_needed = |release: &ReleaseState| weight(&release.version) > 0 || begun(release) >= live.since;
        let (mut kept, mut old): (Vec<_>, Vec<_>) = others.into_iter().partition(is_needed);
        let is_previous = |release: &ReleaseState| Some(&release.version) == live.previous.as_ref();
        old.sort_by(|a, b| {
            (is_previous(b), begun(b), &b.version).cmp(&(is_previous(a), begun(a), &a.version))
        });
        let removed = old.split_off(old.len().min(self.keep as usize));
        kept.extend(old);
        let versions = |all: Vec<ReleaseState>| all.into_iter().map(|release| release.version).collect();
        Ok(Retired { removed: versions(removed), kept: versions(kept) })
    }
}

/// When the first of its instances came to where it is.
fn begun(release: &ReleaseState) -> Timestamp {
    release.instances.iter().map(|instance| instance.since).min().unwrap_or(Timestamp::MIN)
}

impl Step for Retire {
    const KIND: &'static str = "towpath.retire/v1";
    const IN_DOUBT: InDoubt = InDoubt::Idempotent;
    const METHODS: Methods =
        Methods { preview: true, before: false, observe: false, compensate: false, local: false };
    type Output = Retired;

    fn reads(&self) -> Reads {
        Reads::none().and("live", &self.live)
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
        let Some(live) = cx.known(&self.live)? else { return Ok(vec![preview::not_known(cx)]) };
        let world = World::of(cx, &self.environment)?;
        let releases = world.platform.releases(&live.service).await?;
        let name = |release: &ReleaseState| {
            format!("release {} {} in {}", live.service, release.version, self.environment.name())
        };
        let others = releases.iter().filter(|release| release.version != live.version);
        let why = format!("all but {} of those that came before {}", self.keep, live.version);
        Ok(others.map(|release| Change::unknown(name(release), &why)).collect())
    }

    async fn run(&self, cx: &StepContext) -> Result<Retired, StepError> {
        let live = cx.get(&self.live)?;
        if live.environment != self.environment.name() {
            return Err(StepError::permanent(format!(
                "{} {} is live in {}, and nothing can be retired from {} for it",
                live.service,
                live.version,
                live.environment,
                self.environment.name()
            )));
        }
        let world = World::of(cx, &self.environment)?;
        let Retired { removed: chosen, mut kept } = self.chosen(cx, &world, &live).await?;
        let (mut removed, drain) = (Vec::new(), Duration::from_millis(self.drain_ms));
        for version in chosen {
            cx.progress(0, format_args!("remove {} {version}", live.service));
            let key = cx.key(&format!("remove-{version}"))?;
            match world.platform.remove(&live.service, &version, drain, &key).await {
                Ok(()) => removed.push(version),
                Err(error) if error.kind() == ProviderErrorKind::ConditionFailed => {
                    cx.log(format_args!("{} {version} is needed, and stays: {error}", live.service));
                    kept.push(version);
                }
                Err(error) => return Err(error.into()),
            }
        }
        kept.sort();
        Ok(Retired { removed, kept })
    }
}
