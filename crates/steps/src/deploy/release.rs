//! What is to run: a release.

use super::Image;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use towpath_model::InDoubt;
use towpath_provider::{HealthProbe, ReleaseSpec};
use towpath_step::{
    Approved, Handle, Input, IntoInput, Output, Reads, Step, StepContext, StepError, Verified,
};

/// A version of a service, as it is to run wherever it goes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
pub struct Release {
    /// Of which service.
    pub service: String,
    /// What people call it, such as `2.1.0`.
    pub version: String,
    /// The digest of the image that it runs, `sha256:…`.
    pub digest: String,
    /// Where the image is.
    pub image: String,
    /// How many instances.
    pub instances: u32,
    /// What its processes find in their environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// How it is found out that an instance can take traffic.
    pub health: Health,
}

/// How it is found out that an instance can take traffic: `GET path` answers with a status below 400.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
pub struct Health {
    /// The path, with its leading slash.
    pub path: String,
    /// Between two questions, in milliseconds.
    pub every_ms: u64,
    /// How long one answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// How many good answers in a row make an instance healthy.
    pub successes: u32,
    /// How many bad ones in a row make it unhealthy.
    pub failures: u32,
}

impl From<HealthProbe> for Health {
    fn from(probe: HealthProbe) -> Self {
        let HealthProbe { path, every_ms, timeout_ms, successes, failures } = probe;
        Health { path, every_ms, timeout_ms, successes, failures }
    }
}

impl From<Health> for HealthProbe {
    fn from(health: Health) -> Self {
        let Health { path, every_ms, timeout_ms, successes, failures } = health;
        HealthProbe { path, every_ms, timeout_ms, successes, failures }
    }
}

impl From<ReleaseSpec> for Release {
    fn from(spec: ReleaseSpec) -> Self {
        let ReleaseSpec { service, version, digest, image, instances, env, health } = spec;
        Release { service, version, digest, image, instances, env, health: health.into() }
    }
}

impl From<Release> for ReleaseSpec {
    fn from(release: Release) -> Self {
        let Release { service, version, digest, image, instances, env, health } = release;
        ReleaseSpec { service, version, digest, image, instances, env, health: health.into() }
    }
}

impl Release {
    /// What is wrong with it, before anybody is asked to run it.
    pub(crate) fn check(&self) -> Result<(), StepError> {
        for (what, text) in [("service", &self.service), ("version", &self.version), ("digest", &self.digest)]
        {
            if text.trim().is_empty() {
                return Err(StepError::permanent(format!("the release has no {what}: say which it is")));
            }
        }
        if self.instances == 0 {
            return Err(StepError::permanent(format!(
                "the release {} of {} has 0 instances: nothing would run",
                self.version, self.service
            )));
        }
        Ok(())
    }
}

/// A release that people have approved goes wherever a release goes.
impl IntoInput<Release> for &Handle<Approved<Release>> {
    fn into_input(self) -> Input<Release> {
        (&self.value).into_input()
    }
}

/// A release that was verified goes wherever a release goes.
impl IntoInput<Release> for &Handle<Verified<Release>> {
    fn into_input(self) -> Input<Release> {
        (&self.value).into_input()
    }
}

/// A release that was verified and then approved goes wherever a release goes.
impl IntoInput<Release> for &Handle<Approved<Verified<Release>>> {
    fn into_input(self) -> Input<Release> {
        (&self.value.value).into_input()
    }
}

/// A release that was approved and then verified goes wherever a release goes.
impl IntoInput<Release> for &Handle<Verified<Approved<Release>>> {
    fn into_input(self) -> Input<Release> {
        (&self.value.value).into_input()
    }
}

/// Says what is to run: kind `towpath.make-release/v1`. Its output is a [`Release`].
///
/// ```
/// # extern crate towpath_step as towpath;
/// use towpath_step::{Pipeline, PlanErrors};
/// use towpath_steps::deploy::{Image, MakeRelease};
///
/// let p = Pipeline::new("orders");
/// let (version, image) = (p.param::<String>("version"), p.param::<Image>("image"));
/// let release = p.step(
///     "release",
///     MakeRelease::new("orders", &version, &image).instances(2).env("LOG", "info").health("/health"),
/// );
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// It changes nothing, and there is nothing to undo.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakeRelease {
    service: Input<String>,
    version: Input<String>,
    image: Input<Image>,
    instances: Input<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<String, Input<String>>,
    health: Input<String>,
    every_ms: u64,
    timeout_ms: u64,
}

impl MakeRelease {
    /// This version of a service, which runs this image: one instance, asked at `/health` whether it can take traffic.
    pub fn new(
        service: impl IntoInput<String>,
        version: impl IntoInput<String>,
        image: impl IntoInput<Image>,
    ) -> Self {
        let probe = HealthProbe::at("/health");
        MakeRelease {
            service: service.into_input(),
            version: version.into_input(),
            image: image.into_input(),
            instances: Input::value(1),
            env: BTreeMap::new(),
            health: Input::value(probe.path),
            every_ms: probe.every_ms,
            timeout_ms: probe.timeout_ms,
        }
    }

    /// How many instances; one by default.
    #[must_use]
    pub fn instances(mut self, instances: impl IntoInput<u32>) -> Self {
        self.instances = instances.into_input();
        self
    }

    /// What its processes find in their environment. Not for secrets: it is stored and shown.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl IntoInput<String>) -> Self {
        self.env.insert(name.to_owned(), value.into_input());
        self
    }

    /// The path at which an instance says whether it can take traffic; `/health` by default.
    #[must_use]
    pub fn health(mut self, path: impl IntoInput<String>) -> Self {
        self.health = path.into_input();
        self
    }

    /// How often an instance is asked, and how long its answer may take; twice a second and 2 seconds by default.
    #[must_use]
    pub fn probe(mut self, every: Duration, timeout: Duration) -> Self {
        (self.every_ms, self.timeout_ms) = (crate::time::millis(every).max(1), crate::time::millis(timeout));
        self
    }

    fn made(&self, cx: &StepContext, image: Image) -> Result<Release, StepError> {
        let env = self.env.iter().map(|(name, value)| Ok((name.clone(), cx.get(value)?)));
        let probe = HealthProbe::at(cx.get(&self.health)?);
        let release = Release {
            service: cx.get(&self.service)?,
            version: cx.get(&self.version)?,
            digest: image.digest,
            image: image.location,
            instances: cx.get(&self.instances)?,
            env: env.collect::<Result<_, StepError>>()?,
            health: HealthProbe { every_ms: self.every_ms, timeout_ms: self.timeout_ms, ..probe }.into(),
        };
        if !release.health.path.starts_with('/') {
            return Err(StepError::permanent(format!(
                "the path {:?} at which health is asked begins without a slash",
                release.health.path
            )));
        }
        release.check().map(|()| release)
    }
}

impl Step for MakeRelease {
    const KIND: &'static str = "towpath.make-release/v1";
    const IN_DOUBT: InDoubt = InDoubt::NoEffect;
    type Output = Release;

    fn reads(&self) -> Reads {
        let reads = Reads::none()
            .and("service", &self.service)
            .and("version", &self.version)
            .and("image", &self.image)
            .and("instances", &self.instances)
            .and("health", &self.health);
        self.env.values().fold(reads, |reads, value| reads.and("env", value))
    }

    fn foresee(&self, cx: &StepContext) -> Result<Option<Release>, StepError> {
        let is_known = [&self.service, &self.version, &self.health]
            .into_iter()
            .all(|text| matches!(cx.known(text), Ok(Some(_))))
            && self.env.values().all(|value| matches!(cx.known(value), Ok(Some(_))))
            && matches!(cx.known(&self.instances), Ok(Some(_)));
        match cx.known(&self.image)? {
            Some(image) if is_known => self.made(cx, image).map(Some),
            _ => Ok(None),
        }
    }

    async fn run(&self, cx: &StepContext) -> Result<Release, StepError> {
        self.made(cx, cx.get(&self.image)?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Health, Release};
    use std::collections::BTreeMap;
    use towpath_provider::{HealthProbe, ReleaseSpec};

    #[test]
    fn a_release_is_what_a_platform_is_asked_to_run_and_back() {
        let release = Release {
            service: "orders".into(),
            version: "2.0.0".into(),
            digest: "sha256:4f2c".into(),
            image: "oci:images".into(),
            instances: 2,
            env: BTreeMap::from([("LOG".into(), "info".into())]),
            health: Health::from(HealthProbe::at("/ready")),
        };
        let spec = ReleaseSpec::from(release.clone());
        assert_eq!((spec.instances, spec.health.path.as_str()), (2, "/ready"));
        assert_eq!(Release::from(spec), release);
    }
}
