//! One service: its releases, its traffic, and what is kept of both.

use super::{
    choice::Choice,
    instance::Instance,
    keeper,
    meters::Meters,
    probe, proxy,
    saved::{Saved, SavedInstance, SavedRelease},
    switch,
};
use crate::{files, files::Folder, image::Program, note, process::Process, time::after, wire::ServiceState};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{MutexGuard, Notify, watch},
    task::JoinSet,
    time::Instant,
};
use towpath_provider::{Health, ProviderError, ProviderErrorKind as Kind, ReleaseSpec, ReleaseState, Routes};

/// How long requests have when a release is scaled down.
const SCALE_DRAIN: Duration = Duration::from_secs(30);
/// Most instances of one release.
pub(crate) const INSTANCES_MAX: u32 = 64;

/// A service.
pub(super) struct Service {
    pub(super) name: String,
    pub(super) root: Folder,
    pub(super) meters: Arc<Meters>,
    pub(super) choice: Choice,
    /// Told when the end of a hold has moved.
    pub(super) moved: Notify,
    /// What is on the disk. Whoever changes it writes it first.
    saved: tokio::sync::Mutex<Saved>,
    shown: Mutex<Shown>,
    /// Told when an instance is gone.
    gone: Notify,
    /// Its instances end, and are not forgotten.
    halts: AtomicBool,
    /// It takes no more requests.
    closed: watch::Sender<bool>,
}

/// What is looked at without waiting for a write.
struct Shown {
    saved: Saved,
    instances: BTreeMap<u64, Arc<Instance>>,
    hold_ends: Option<Instant>,
    problem: Option<String>,
}

impl Service {
    fn new(root: &Folder, saved: Saved) -> Arc<Self> {
        let choice = Choice::default();
        if let Some(routes) = &saved.routes {
            choice.weigh(&routes.routes.weights);
        }
        let shown = Shown {
            hold_ends: saved.routes.as_ref().and_then(switch::deadline),
            instances: BTreeMap::new(),
            saved: saved.clone(),
            problem: None,
        };
        Arc::new(Service {
            name: saved.service.clone(),
            root: root.clone(),
            meters: Arc::new(Meters::new()),
            choice,
            moved: Notify::new(),
            saved: tokio::sync::Mutex::new(saved),
            shown: Mutex::new(shown),
            gone: Notify::new(),
            halts: AtomicBool::new(false),
            closed: watch::Sender::new(false),
        })
    }

    /// A new service that listens at this port, or at any that is free.
    pub(super) async fn create(root: &Folder, name: &str, port: u16) -> Result<Arc<Self>, ProviderError> {
        let taken = |error: std::io::Error| {
            let text = "the service cannot listen at its port, and nothing was begun: end what listens there, or give it \
                        another port";
            ProviderError::unavailable(text).with("service", name).with("port", port).because(error)
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(taken)?;
        let port = listener.local_addr().map_err(taken)?.port();
        let service = Service::new(root, Saved::new(name, port));
        let mut saved = service.saved.lock().await;
        let new = saved.clone();
        service.commit(&mut saved, new).await?;
        drop(saved);
        tokio::spawn(accept(Arc::clone(&service), listener));
        tokio::spawn(switch::watch(Arc::clone(&service)));
        Ok(service)
    }

    /// A service that an earlier supervisor has left: its instances that still live are taken over, those that do not are
    /// started again, and then it listens.
    pub(super) async fn resume(root: &Folder, saved: Saved) -> Arc<Self> {
        let service = Service::new(root, saved.clone());
        let mut asked = JoinSet::new();
        for (version, release) in &saved.releases {
            for (id, instance) in &release.instances {
                let (service, version, id) = (Arc::clone(&service), version.clone(), *id);
                let (found, probe) = (instance.clone(), release.spec.health.clone());
                asked.spawn(async move {
                    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, found.port));
                    let lives = found.process.as_ref().is_some_and(Process::lives);
                    let is_good = lives && probe::ask(address, &probe).await.is_ok();
                    service.begin(&version, id, Some((found, is_good)));
                });
            }
        }
        asked.join_all().await;
        for release in saved.releases.values() {
            let drain = release.removing_ms.map_or(SCALE_DRAIN, Duration::from_millis);
            service.send_away(release, drain);
        }
        tokio::spawn(listen(Arc::clone(&service)));
        tokio::spawn(switch::watch(Arc::clone(&service)));
        service
    }

    fn show<T>(&self, f: impl FnOnce(&mut Shown) -> T) -> T {
        f(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is on the disk, to be changed by [`commit`](Self::commit).
    pub(super) async fn saved(&self) -> MutexGuard<'_, Saved> {
        self.saved.lock().await
    }

    fn folder(&self) -> PathBuf {
        self.root.services().join(&self.name)
    }

    /// Where an instance writes.
    pub(super) fn log(&self, instance: &Instance) -> PathBuf {
        self.folder().join(&instance.version).join(format!("{}.log", instance.id))
    }

    /// Writes a new state and makes it the one that is shown.
    ///
    /// # Errors
    /// Unavailable: then it was not written, and nothing has changed.
    pub(super) async fn commit(
        &self,
        saved: &mut MutexGuard<'_, Saved>,
        new: Saved,
    ) -> Result<(), ProviderError> {
        let (folder, state) = (self.folder(), new.clone());
        let written = tokio::task::spawn_blocking(move || {
            files::make(&folder)?;
            files::write(&folder.join("state.json"), &state)
        });
        let written = written.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        written.map_err(|error| {
            let text = "the state cannot be written, and nothing was changed: look for space and rights";
            ProviderError::unavailable(text).with("folder", self.folder().display()).because(error)
        })?;
        self.accept_state(saved, new);
        Ok(())
    }

    /// Makes a state the one that is shown, written or not.
    pub(super) fn accept_state(&self, saved: &mut MutexGuard<'_, Saved>, new: Saved) {
        **saved = new.clone();
        self.show(|shown| shown.saved = new);
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.show(|shown| shown.saved.port)))
    }

    pub(super) fn routes_now(&self) -> Option<Routes> {
        self.show(|shown| shown.saved.routes.as_ref().map(|saved| saved.routes.clone()))
    }

    pub(super) fn hold_ends(&self) -> Option<Instant> {
        self.show(|shown| shown.hold_ends)
    }

    pub(super) fn set_hold_end(&self, at: Option<Instant>) {
        self.show(|shown| shown.hold_ends = at);
        self.moved.notify_waiters();
    }

    pub(super) fn releases_now(&self) -> Vec<ReleaseState> {
        self.show(|shown| {
            let releases = shown.saved.releases.iter().map(|(version, release)| ReleaseState {
                version: version.clone(),
                digest: release.spec.digest.clone(),
                wanted: if release.removing_ms.is_some() { 0 } else { release.spec.instances },
                instances: release
                    .instances
                    .keys()
                    .filter_map(|id| Some(shown.instances.get(id)?.state()))
                    .collect(),
                spec: Some(release.spec.clone()),
            });
            releases.collect()
        })
    }

    /// The images that it runs.
    pub(super) fn images(&self) -> Vec<String> {
        self.show(|shown| {
            shown.saved.releases.values().map(|release| release.program.folder.clone()).collect()
        })
    }

    /// Why it does not listen, when it does not.
    pub(super) fn problem(&self) -> Option<String> {
        self.show(|shown| shown.problem.clone())
    }

    pub(super) fn state(&self) -> ServiceState {
        ServiceState {
            service: self.name.clone(),
            address: self.address().to_string(),
            problem: self.problem(),
            routes: self.routes_now(),
            releases: self.releases_now(),
            proxy_failures: self.meters.troubles().values().sum(),
        }
    }

    /// The release of an instance.
    pub(super) fn release(&self, version: &str) -> Option<SavedRelease> {
        self.show(|shown| shown.saved.releases.get(version).cloned())
    }

    /// Whether it runs this very release already, however many instances of it.
    ///
    /// # Errors
    /// When it runs another one of that version.
    pub(super) fn runs(&self, spec: &ReleaseSpec) -> Result<bool, ProviderError> {
        self.release(&spec.version).map_or(Ok(false), |known| same(&known, spec).map(|()| true))
    }

    /// Has this many instances of a release run.
    pub(super) async fn deploy(
        self: &Arc<Self>,
        spec: ReleaseSpec,
        program: Option<Program>,
    ) -> Result<(), ProviderError> {
        let mut saved = self.saved.lock().await;
        let (mut new, version) = (saved.clone(), spec.version.clone());
        let wanted = spec.instances;
        if !new.releases.contains_key(&version) {
            let Some(program) = program else {
                return Err(ProviderError::unavailable("the release was removed at this very moment"));
            };
            let instances = BTreeMap::new();
            let release = SavedRelease { spec: spec.clone(), program, removing_ms: None, instances };
            new.releases.insert(version.clone(), release);
        }
        let release = new.releases.get_mut(&version).expect("it is there or was just put there");
        same(release, &spec)?;
        release.spec.instances = wanted;
        let staying = release.instances.values().filter(|instance| !instance.leaving).count();
        let (mut added, surplus) = (Vec::new(), staying.saturating_sub(wanted as usize));
        for _ in staying..wanted as usize {
            release.instances.insert(new.next, SavedInstance::default());
            added.push(new.next);
            new.next += 1;
        }
        // The youngest leave first.
        let mut stay = release.instances.values_mut().rev().filter(|instance| !instance.leaving);
        stay.by_ref().take(surplus).for_each(|instance| instance.leaving = true);
        let release = release.clone();
        if new == *saved {
            return Ok(());
        }
        self.commit(&mut saved, new).await?;
        drop(saved);
        for id in added {
            self.begin(&version, id, None);
        }
        self.send_away(&release, SCALE_DRAIN);
        Ok(())
    }

    /// Removes a release; it returns when nothing of it runs any more.
    pub(super) async fn remove(&self, version: &str, drain: Duration) -> Result<(), ProviderError> {
        let mut saved = self.saved.lock().await;
        let mut new = saved.clone();
        let Some(release) = new.releases.get_mut(version) else { return Ok(()) };
        if let Some(routes) = &new.routes
            && (routes.routes.weight(version) > 0
                || (routes.routes.held_until.is_some() && routes.routes.stable == version))
        {
            let text = "the release has traffic, or a held move returns to it: move the traffic first";
            let error = ProviderError::new(Kind::ConditionFailed, text).with("service", &self.name);
            return Err(error.with("version", version));
        }
        release.removing_ms = Some(crate::time::ms(drain));
        release.instances.values_mut().for_each(|instance| instance.leaving = true);
        let release = release.clone();
        if release.instances.is_empty() {
            new.releases.remove(version);
        }
        if new != *saved {
            self.commit(&mut saved, new).await?;
        }
        drop(saved);
        self.send_away(&release, drain);
        loop {
            let told = self.gone.notified();
            let mut told = std::pin::pin!(told);
            told.as_mut().enable();
            if self.release(version).is_none_or(|release| release.removing_ms.is_none()) {
                return Ok(());
            }
            told.await;
        }
    }

    fn begin(self: &Arc<Self>, version: &str, id: u64, found: Option<(SavedInstance, bool)>) {
        let restarts = found.as_ref().map_or(0, |(found, _)| found.restarts);
        let instance = Arc::new(Instance::new(&self.name, version, id, restarts));
        self.show(|shown| shown.instances.insert(id, Arc::clone(&instance)));
        let is_adopted = match found {
            Some((SavedInstance { process: Some(process), port, .. }, is_good)) if process.lives() => {
                instance.began(port, restarts);
                if is_good {
                    instance.set_health(Health::Healthy);
                }
                Some(process)
            }
            Some((SavedInstance { process: Some(_), .. }, _)) => {
                instance.set_health(Health::Exited);
                instance.say("it ended while no supervisor ran".to_owned());
                None
            }
            _ => None,
        };
        self.choice.add(&instance);
        tokio::spawn(keeper::keep(Arc::clone(self), instance, is_adopted));
    }

    /// Sends those instances away that are no longer wanted.
    fn send_away(&self, release: &SavedRelease, drain: Duration) {
        let leaving = release.instances.iter().filter(|(_, instance)| instance.leaving);
        for instance in leaving.filter_map(|(id, _)| self.show(|shown| shown.instances.get(id).cloned())) {
            instance.send_away(drain);
        }
    }

    /// Writes which process an instance has.
    pub(super) async fn record(&self, instance: &Instance, is: SavedInstance) -> Result<(), ProviderError> {
        let mut saved = self.saved.lock().await;
        let mut new = saved.clone();
        let release = new.releases.get_mut(&instance.version);
        let Some(known) = release.and_then(|release| release.instances.get_mut(&instance.id)) else {
            return Err(ProviderError::not_found("the instance is no longer wanted"));
        };
        *known = SavedInstance { leaving: known.leaving, ..is };
        self.commit(&mut saved, new).await
    }

    /// An instance has ended for good. It is tried until it is written: a removal waits for it.
    pub(super) async fn forget(&self, instance: &Instance) {
        while !self.halts.load(Ordering::Acquire) {
            let mut saved = self.saved.lock().await;
            let mut new = saved.clone();
            if let Some(release) = new.releases.get_mut(&instance.version) {
                release.instances.remove(&instance.id);
                if release.removing_ms.is_some() && release.instances.is_empty() {
                    new.releases.remove(&instance.version);
                }
            }
            let is_removed = !new.releases.contains_key(&instance.version);
            match self.commit(&mut saved, new).await {
                Ok(()) if is_removed => {
                    let _ = std::fs::remove_dir_all(self.folder().join(&instance.version));
                    break;
                }
                Ok(()) => break,
                Err(error) => note(format_args!("{}: {error}", instance.name)),
            }
            drop(saved);
            after(Duration::from_secs(1)).await;
        }
        self.show(|shown| shown.instances.remove(&instance.id));
        self.gone.notify_waiters();
    }

    /// Takes no more requests: those that are under way are finished, and connections are closed after them.
    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Resolves when no more requests are to be taken.
    pub(super) async fn closed(&self) {
        // The sender is this very service.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Ends all instances; what is kept says that they are to run, so that the next supervisor starts them again.
    pub(super) async fn halt(&self, drain: Duration) {
        self.halts.store(true, Ordering::Release);
        self.close();
        loop {
            let told = self.gone.notified();
            let mut told = std::pin::pin!(told);
            told.as_mut().enable();
            let left = self.show(|shown| shown.instances.values().cloned().collect::<Vec<_>>());
            left.iter().for_each(|instance| instance.send_away(drain));
            if left.is_empty() {
                return;
            }
            told.await;
        }
    }

    /// How many requests are under way.
    pub(super) fn under_way(&self) -> usize {
        self.show(|shown| shown.instances.values().map(|instance| instance.under_way()).sum())
    }
}

/// Whether a release is the one that is asked for, but for the number of its instances.
fn same(known: &SavedRelease, spec: &ReleaseSpec) -> Result<(), ProviderError> {
    if known.removing_ms.is_some() {
        let text = "the release is being removed: ask again when it is gone";
        return Err(ProviderError::unavailable(text).with("version", &spec.version));
    }
    let differs = [
        (known.spec.digest != spec.digest, "digest"),
        (known.spec.env != spec.env, "environment"),
        (known.spec.health != spec.health, "health probe"),
    ];
    let Some((_, what)) = differs.iter().find(|(differs, _)| *differs) else { return Ok(()) };
    let text = "this version runs already, and is another release: give the new one a version of its own";
    let error = ProviderError::new(Kind::AlreadyExists, text).with("version", &spec.version);
    Err(error.with("differs in", what))
}

/// Listens where the service did before.
async fn listen(service: Arc<Service>) {
    loop {
        match TcpListener::bind(service.address()).await {
            Ok(listener) => {
                service.show(|shown| shown.problem = None);
                return accept(service, listener).await;
            }
            Err(error) => {
                let text = format!("cannot listen at {}, and tries again: {error}", service.address());
                if service.show(|shown| shown.problem.replace(text.clone())).as_ref() != Some(&text) {
                    note(format_args!("{}: {text}", service.name));
                }
                // Soon: as a rule it is what a killed supervisor had open, and the kernel has not closed yet.
                after(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn accept(service: Arc<Service>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = service.closed() => return,
        };
        match accepted {
            Ok((stream, from)) => {
                tokio::spawn(proxy::serve(Arc::clone(&service), stream, from));
            }
            // Too many open files, as a rule: those that are served free some.
            Err(_) => after(Duration::from_millis(50)).await,
        }
    }
}
