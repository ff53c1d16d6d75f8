//! The door: releases of one machine, in a folder.

use crate::{
    image,
    reach::{Call, Reach},
    supervise::is_no_supervisor,
    supervisor::{INSTANCES_MAX, KEEPS, RESOLUTION},
    wire::{Beat, DeployOrder, RouteOrder, ServiceState, check_service, check_version},
};
use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use towpath_model::Key;
use towpath_provider::{
    Counts, MetricsCapability, MetricsSource, Platform, PlatformCapability, ProviderError, ReleaseSpec,
    ReleaseState, RouteChange, Routes, RoutingCapability, TrafficRouter, Window,
};

/// How long the supervisor may take to answer what it knows.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);
/// How long it may take to copy an image.
const DEPLOYS_WITHIN: Duration = Duration::from_secs(300);
/// What a removal may take beside the time for requests under way: asking, killing, writing.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// How long an order that was sent may still take effect after its sender has died, but for the copying of an image.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

/// Releases on this machine: a [`Platform`], a [`TrafficRouter`] and a [`MetricsSource`] in one.
///
/// Instances are processes, kept running by a supervisor that is also the proxy before them. It is a process of its own that
/// outlives this one; it is started by the first call that needs it and found again by its folder. It is this program itself,
/// run once more: see [`supervise_here`](crate::supervise_here).
///
/// Making one does nothing yet. Two for the same folder, also in two processes, are the same machine.
///
/// ```
/// use towpath_provider_local::Local;
///
/// let local = Local::at("releases").listen("orders", 8080);
/// assert!(local.folder().ends_with("releases"));
/// ```
#[derive(Clone, Debug)]
pub struct Local {
    reach: Arc<Reach>,
    ports: Arc<BTreeMap<String, u16>>,
}

impl Local {
    /// The releases in this folder. It is made when something is deployed; its owner alone may look into it.
    pub fn at(folder: impl AsRef<Path>) -> Self {
        is_no_supervisor();
        Local { reach: Arc::new(Reach::new(folder.as_ref())), ports: Arc::default() }
    }

    /// Has a service listen at this port of the loopback interface. Without it, the service gets a free one when it is deployed
    /// for the first time, and keeps it: see [`address`](Self::address).
    #[must_use]
    pub fn listen(mut self, service: impl Into<String>, port: u16) -> Self {
        Arc::make_mut(&mut self.ports).insert(service.into(), port);
        self
    }

    /// Has this program become the supervisor, instead of the one that calls: `towpath-local`, or any that calls
    /// [`supervise_here`](crate::supervise_here) first.
    #[must_use]
    pub fn supervisor(
        self,
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        let mut reach = Reach::new(self.reach.folder.path());
        reach.program = Some((program.into(), arguments.into_iter().map(Into::into).collect()));
        Local { reach: Arc::new(reach), ..self }
    }

    /// The folder, from the root.
    pub fn folder(&self) -> PathBuf {
        self.reach.folder.path().to_owned()
    }

    /// Where the traffic of a service arrives, `host:port`; `None` when nothing of it was ever deployed.
    ///
    /// # Errors
    /// When the supervisor cannot be asked.
    pub async fn address(&self, service: &str) -> Result<Option<String>, ProviderError> {
        Ok(self.service(service).await?.map(|state| state.address))
    }

    /// A service with its releases and routes; `None` when nothing of it was ever deployed.
    ///
    /// # Errors
    /// When the supervisor cannot be asked.
    pub async fn service(&self, service: &str) -> Result<Option<ServiceState>, ProviderError> {
        check_service(service)?;
        if self.reach.is_fresh() {
            return Ok(None);
        }
        self.get("service", service, format!("/v1/services/{service}")).await
    }

    /// All services.
    ///
    /// # Errors
    /// When the supervisor cannot be asked.
    pub async fn services(&self) -> Result<Vec<ServiceState>, ProviderError> {
        if self.reach.is_fresh() {
            return Ok(Vec::new());
        }
        self.get("services", "", "/v1/services".to_owned()).await
    }

    /// Moves the traffic of a service by a human's hand: no revision is asked for, and a held move is not held any more. What is
    /// left to 100 percent goes to the stable release. Steps see that somebody took over.
    ///
    /// # Errors
    /// When the weights make no sense, or the supervisor cannot be asked.
    pub async fn move_by_hand(
        &self,
        service: &str,
        weights: &BTreeMap<String, u8>,
        who: &str,
    ) -> Result<Routes, ProviderError> {
        let order = RouteOrder {
            weights: weights.clone(),
            stable: None,
            expected: None,
            hold_ms: None,
            key: None,
            by: Some(who.to_owned()),
        };
        self.put_routes("move_by_hand", service, &order).await
    }

    /// Ends all instances and the supervisor; requests under way have `drain`. The next call starts them again.
    ///
    /// # Errors
    /// When the supervisor cannot be asked.
    pub async fn stop(&self, drain: Duration) -> Result<(), ProviderError> {
        if self.reach.is_fresh() {
            return Ok(());
        }
        let path = format!("/v1/stop?drain_ms={}", crate::time::ms(drain));
        self.send::<()>("stop", "", ("POST", path), Vec::new(), drain + ENDS_WITHIN).await?;
        self.reach.is_left().await.map_err(|error| error.during("stop"))
    }

    async fn get<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        service: &str,
        path: String,
    ) -> Result<T, ProviderError> {
        let body = Vec::new();
        let call =
            Call { operation, method: "GET", path, body, has_effect: false, within: ANSWERS_WITHIN, service };
        understood(operation, false, &self.reach.call(call).await?)
    }

    async fn send<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        service: &str,
        (method, path): (&'static str, String),
        body: Vec<u8>,
        within: Duration,
    ) -> Result<T, ProviderError> {
        let call = Call { operation, method, path, body, has_effect: true, within, service };
        understood(operation, true, &self.reach.call(call).await?)
    }

    async fn put_routes(
        &self,
        operation: &'static str,
        service: &str,
        order: &RouteOrder,
    ) -> Result<Routes, ProviderError> {
        check_service(service)?;
        let path = format!("/v1/services/{service}/routes");
        self.send(operation, service, ("PUT", path), body(order)?, ANSWERS_WITHIN).await
    }
}

fn body<T: Serialize>(order: &T) -> Result<Vec<u8>, ProviderError> {
    serde_json::to_vec(order)
        .map_err(|error| ProviderError::unexpected("the order cannot be written as JSON").because(error))
}

fn understood<T: DeserializeOwned>(
    operation: &'static str,
    has_effect: bool,
    body: &[u8],
) -> Result<T, ProviderError> {
    serde_json::from_slice(body).map_err(|error| {
        let text = "the supervisor's answer cannot be understood";
        let wrong =
            if has_effect { ProviderError::outcome_unknown(text) } else { ProviderError::unexpected(text) };
        wrong.during(operation).because(error)
    })
}

#[async_trait]
impl Platform for Local {
    fn capability(&self) -> PlatformCapability {
        PlatformCapability::default()
            .instances_max(INSTANCES_MAX)
            .outlives_caller()
            .restarts()
            .drains()
            .settles_within(SETTLES_WITHIN)
    }

    async fn deploy(&self, release: &ReleaseSpec, _key: &Key) -> Result<(), ProviderError> {
        // What is set is what counts, so that a repetition is known without its key.
        let (service, version) = (release.service.as_str(), release.version.as_str());
        check_service(service)?;
        check_version(version)?;
        let image = image::absolute(&release.image).map_err(|error| error.during("deploy"))?;
        let release = ReleaseSpec { image, ..release.clone() };
        let order = DeployOrder { release: release.clone(), port: self.ports.get(service).copied() };
        let path = format!("/v1/services/{service}/releases/{version}");
        self.send("deploy", service, ("PUT", path), body(&order)?, DEPLOYS_WITHIN).await
    }

    async fn releases(&self, service: &str) -> Result<Vec<ReleaseState>, ProviderError> {
        check_service(service)?;
        if self.reach.is_fresh() {
            return Ok(Vec::new());
        }
        self.get("releases", service, format!("/v1/services/{service}/releases")).await
    }

    async fn remove(
        &self,
        service: &str,
        version: &str,
        drain: Duration,
        _key: &Key,
    ) -> Result<(), ProviderError> {
        check_service(service)?;
        check_version(version)?;
        if self.reach.is_fresh() {
            return Ok(());
        }
        let drain_ms = crate::time::ms(drain);
        let path = format!("/v1/services/{service}/releases/{version}?drain_ms={drain_ms}");
        self.send("remove", service, ("DELETE", path), Vec::new(), drain + ENDS_WITHIN).await
    }
}

#[async_trait]
impl TrafficRouter for Local {
    fn capability(&self) -> RoutingCapability {
        RoutingCapability::default().weights().dead_man().conditional().settles_within(SETTLES_WITHIN)
    }

    async fn routes(&self, service: &str) -> Result<Option<Routes>, ProviderError> {
        check_service(service)?;
        if self.reach.is_fresh() {
            return Ok(None);
        }
        self.get("routes", service, format!("/v1/services/{service}/routes")).await
    }

    async fn set_routes(
        &self,
        service: &str,
        change: &RouteChange,
        key: &Key,
    ) -> Result<Routes, ProviderError> {
        let order = RouteOrder {
            weights: change.weights.clone(),
            stable: Some(change.stable.clone()),
            expected: change.expected.clone(),
            hold_ms: change.hold.map(crate::time::ms),
            key: Some(key.clone()),
            by: None,
        };
        self.put_routes("set_routes", service, &order).await
    }

    async fn heartbeat(&self, service: &str, revision: &str) -> Result<(), ProviderError> {
        check_service(service)?;
        let path = format!("/v1/services/{service}/heartbeat");
        let beat = body(&Beat { revision: revision.to_owned() })?;
        self.send("heartbeat", service, ("POST", path), beat, ANSWERS_WITHIN).await
    }
}

#[async_trait]
impl MetricsSource for Local {
    fn capability(&self) -> MetricsCapability {
        MetricsCapability::default().latency().resolution(RESOLUTION).lag(RESOLUTION).keeps(KEEPS)
    }

    async fn counts(&self, service: &str, version: &str, window: Window) -> Result<Counts, ProviderError> {
        check_service(service)?;
        check_version(version)?;
        let (from, to) = (window.from.as_micros(), window.to.as_micros());
        let path = format!("/v1/services/{service}/counts/{version}?from_us={from}&to_us={to}");
        self.get("counts", service, path).await
    }
}
