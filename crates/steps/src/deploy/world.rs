//! What these steps see of an environment, and what was there before they began.

use super::{Previous, Release};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use towpath_provider::{
    MetricsSource, Platform, ProviderError, ReleaseSpec, ReleaseState, Routes, TrafficRouter,
};
use towpath_step::{Environment, Need, StepContext, StepError};

/// The roles of an environment that these steps ask for.
pub(super) const PLATFORM: &str = "platform";
pub(super) const ROUTER: &str = "router";
pub(super) const METRICS: &str = "metrics";

/// What these steps need of an environment.
pub(super) fn needs(environment: &Environment, with_metrics: bool) -> Vec<Need> {
    let mut needs = vec![
        Need::of::<dyn Platform>(environment.binding(PLATFORM)),
        Need::of::<dyn TrafficRouter>(environment.binding(ROUTER)),
    ];
    if with_metrics {
        needs.push(Need::of::<dyn MetricsSource>(environment.binding(METRICS)));
    }
    needs
}

/// The providers of an environment.
pub(super) struct World {
    pub(super) platform: Arc<dyn Platform>,
    pub(super) router: Arc<dyn TrafficRouter>,
}

impl World {
    pub(super) fn of(cx: &StepContext, environment: &Environment) -> Result<Self, StepError> {
        Ok(World {
            platform: environment.provider::<dyn Platform>(cx, PLATFORM)?,
            router: environment.provider::<dyn TrafficRouter>(cx, ROUTER)?,
        })
    }

    /// How long a request of somebody who died may still take effect.
    pub(super) fn settles_within(&self) -> Duration {
        self.platform.capability().settles_within.max(self.router.capability().settles_within)
    }

    /// A release as the platform shows it now.
    pub(super) async fn release(
        &self,
        service: &str,
        version: &str,
    ) -> Result<Option<ReleaseState>, ProviderError> {
        let all = self.platform.releases(service).await?;
        Ok(all.into_iter().find(|release| release.version == version))
    }
}

/// What was there before a step began: its before-image.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Before {
    pub(super) routes: Option<Routes>,
    pub(super) releases: Vec<Was>,
    /// How often the step had refused to go on when this was looked at: who is handed back what others took over gets a new
    /// image, and who is only told to try again does not.
    #[serde(default)]
    pub(super) refusals: u32,
}

/// What a step saves that refuses to go on because somebody else has moved the traffic.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Refused {
    /// How often it has.
    pub(super) refusals: u32,
}

/// A release that was there.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Was {
    pub(super) version: String,
    pub(super) digest: String,
    pub(super) wanted: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) spec: Option<ReleaseSpec>,
}

impl Before {
    pub(super) async fn look(cx: &StepContext, world: &World, service: &str) -> Result<Self, StepError> {
        let releases = world.platform.releases(service).await?.into_iter().map(|release| Was {
            version: release.version,
            digest: release.digest,
            wanted: release.wanted,
            spec: release.spec,
        });
        let releases = releases.collect();
        let refusals = cx.last_checkpoint::<Refused>().ok().flatten().map_or(0, |refused| refused.refusals);
        Ok(Before { routes: world.router.routes(service).await?, releases, refusals })
    }

    pub(super) fn release(&self, version: &str) -> Option<&Was> {
        self.releases.iter().find(|was| was.version == version)
    }

    /// The release that had the traffic, if it is one that runs.
    pub(super) fn stable(&self) -> Option<&str> {
        let stable = self.routes.as_ref()?.stable.as_str();
        self.release(stable).map(|_| stable)
    }

    /// What had the traffic before `version` has it.
    pub(super) fn previous(&self, version: &str) -> Option<Previous> {
        let stable = self.stable().filter(|stable| *stable != version)?;
        let was = self.release(stable)?;
        Some(Previous {
            version: was.version.clone(),
            digest: Some(was.digest.clone()),
            release: was.spec.clone().map(Release::from),
        })
    }

    /// Whether the world was handed back to a step that had refused to go on.
    pub(super) fn is_handed_back(&self, refused: &Refused) -> bool {
        refused.refusals > 0 && self.refusals == refused.refusals
    }

    pub(super) fn revision(&self) -> Option<&str> {
        self.routes.as_ref().map(|routes| routes.revision.as_str())
    }
}

/// The last words of the instances of a release that are not healthy.
pub(super) fn last_words(state: &ReleaseState) -> String {
    let said = state.instances.iter().filter(|instance| instance.last_words.is_some());
    let words: Vec<_> =
        said.map(|i| format!("{}: {}", i.id, i.last_words.as_deref().unwrap_or_default())).collect();
    if words.is_empty() { "its instances say nothing".to_owned() } else { words.join("; ") }
}
