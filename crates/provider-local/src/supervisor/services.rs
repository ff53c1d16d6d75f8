//! All services of a folder.

use super::{
    saved::Saved,
    service::{INSTANCES_MAX, Service},
};
use crate::{
    files::{self, Folder},
    image, note,
    wire::{DeployOrder, check_service, check_version},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::{Mutex, RwLock};
use towpath_provider::{ProviderError, ProviderErrorKind as Kind, ReleaseSpec};

/// The services of a folder.
pub(super) struct Services {
    folder: Folder,
    known: RwLock<BTreeMap<String, Arc<Service>>>,
    /// Held while an image is copied until its release is known, and while copies are swept.
    images: Mutex<()>,
}

impl Services {
    /// Takes over what an earlier supervisor has left.
    pub(super) async fn resume(folder: Folder) -> Self {
        let services = Services { folder, known: RwLock::default(), images: Mutex::new(()) };
        let entries = std::fs::read_dir(services.folder.services()).into_iter().flatten().flatten();
        for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
            if let Err(error) = services.find(&name).await {
                note(format_args!("{name}: {error}"));
            }
        }
        services
    }

    /// A service; `None` when it is not known. One whose state could not be read is read again, so that it is there as soon as
    /// somebody has put it right.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Arc<Service>>, ProviderError> {
        check_service(name)?;
        if let Some(service) = self.known.read().await.get(name) {
            return Ok(Some(Arc::clone(service)));
        }
        let mut known = self.known.write().await;
        if let Some(service) = known.get(name) {
            return Ok(Some(Arc::clone(service)));
        }
        let path = self.folder.services().join(name).join("state.json");
        let Some(saved) = Saved::read(&path)? else { return Ok(None) };
        let service = Service::resume(&self.folder, saved).await;
        known.insert(name.to_owned(), Arc::clone(&service));
        Ok(Some(service))
    }

    pub(super) async fn all(&self) -> Vec<Arc<Service>> {
        self.known.read().await.values().cloned().collect()
    }

    /// Has a release run; the first one of a service makes the service.
    pub(super) async fn deploy(&self, order: DeployOrder) -> Result<(), ProviderError> {
        let release = &order.release;
        check(release)?;
        let service = self.find(&release.service).await?;
        if let Some(service) = &service {
            check_port(service, order.port)?;
            if service.runs(release)? {
                return service.deploy(order.release, None).await;
            }
            is_reached(service)?;
        }
        let _images = self.images.lock().await;
        let (folder, image, digest) = (self.folder.clone(), release.image.clone(), release.digest.clone());
        let prepared = tokio::task::spawn_blocking(move || image::prepare(&folder, &image, &digest)).await;
        let program = prepared
            .map_err(|error| ProviderError::unexpected("copying the image broke off").because(error))??;
        let service = match service {
            Some(service) => service,
            None => self.create(&release.service, order.port.unwrap_or(0)).await?,
        };
        service.deploy(order.release, Some(program)).await
    }

    async fn create(&self, name: &str, port: u16) -> Result<Arc<Service>, ProviderError> {
        let mut known = self.known.write().await;
        if let Some(service) = known.get(name) {
            return Ok(Arc::clone(service));
        }
        let service = Service::create(&self.folder, name, port).await?;
        known.insert(name.to_owned(), Arc::clone(&service));
        Ok(service)
    }

    /// Removes a release, and the copies of images that nothing runs after that.
    pub(super) async fn remove(
        &self,
        name: &str,
        version: &str,
        drain: Duration,
    ) -> Result<(), ProviderError> {
        check_version(version)?;
        let Some(service) = self.find(name).await? else { return Ok(()) };
        service.remove(version, drain).await?;
        let _images = self.images.lock().await;
        // A service whose state cannot be read may run any of them.
        let is_whole = std::fs::read_dir(self.folder.services()).map_or(0, Iterator::count);
        let all = self.all().await;
        if all.len() == is_whole {
            let in_use: Vec<String> = all.iter().flat_map(|service| service.images()).collect();
            let folder = self.folder.clone();
            let _ = tokio::task::spawn_blocking(move || image::sweep(&folder, &in_use)).await;
        }
        Ok(())
    }

    /// Takes no more requests.
    pub(super) async fn close(&self) {
        self.all().await.iter().for_each(|service| service.close());
    }

    /// Ends everything that runs.
    pub(super) async fn halt(&self, drain: Duration) {
        let all = self.all().await;
        let mut halts = tokio::task::JoinSet::new();
        for service in all {
            halts.spawn(async move { service.halt(drain).await });
        }
        halts.join_all().await;
    }

    /// How many requests are under way.
    pub(super) async fn under_way(&self) -> usize {
        self.all().await.iter().map(|service| service.under_way()).sum()
    }
}

fn check(release: &ReleaseSpec) -> Result<(), ProviderError> {
    check_service(&release.service)?;
    check_version(&release.version)?;
    let invalid =
        |text: &'static str| ProviderError::new(Kind::Invalid, text).with("version", &release.version);
    if release.instances > INSTANCES_MAX {
        return Err(
            invalid("one machine runs at most 64 instances of a release").with("asked", release.instances)
        );
    }
    if !release.health.path.starts_with('/') || release.health.path.contains(char::is_whitespace) {
        return Err(invalid("the path of a health probe begins with / and has no spaces"));
    }
    let is_bad = |(name, value): (&String, &String)| {
        name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')
    };
    if release.env.iter().any(is_bad) {
        return Err(invalid(
            "a name in the environment is empty or has a = in it, or a value has a zero byte",
        ));
    }
    Ok(())
}

fn check_port(service: &Service, port: Option<u16>) -> Result<(), ProviderError> {
    let has = service.address().port();
    match port {
        Some(asked) if asked != 0 && asked != has => {
            let text = "the service listens at another port already: ask for that one, or end it with `towpath-local stop`, \
                        move its folder away and deploy it anew";
            let error = ProviderError::new(Kind::Invalid, text).with("service", &service.name);
            Err(error.with("listens", has).with("asked", asked))
        }
        _ => Ok(()),
    }
}

/// A new release of a service that nobody can reach would look healthy, and be found good by who asks nothing but that.
fn is_reached(service: &Service) -> Result<(), ProviderError> {
    let Some(problem) = service.problem() else { return Ok(()) };
    let text = "the service cannot listen at its port, and nothing was begun: end what listens there";
    Err(ProviderError::unavailable(text).with("service", &service.name).with("problem", problem))
}

/// Makes the folders that there are to be.
pub(super) fn make_folders(folder: &Folder) -> std::io::Result<()> {
    files::make(folder.path())?;
    files::make(&folder.services())?;
    files::make(&folder.images())
}
