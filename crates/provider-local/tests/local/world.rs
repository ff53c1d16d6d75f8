//! A folder of releases, images for it, and what is around it.

use super::{http::Client, relay::Relay};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant, SystemTime},
};
use towpath_model::{Key, KeyPhase, RunId, StepId, Timestamp};
use towpath_provider::{
    HealthProbe, MetricsSource, Platform, ReleaseSpec, RouteChange, TrafficRouter,
    contract::{
        Fault, World as Around, metrics::MetricsWorld, platform::PlatformWorld, routing::RoutingWorld,
    },
};
use towpath_provider_local::{Local, folder_digest};

pub(crate) struct World {
    pub(crate) local: Local,
    pub(crate) folder: tempfile::TempDir,
    images: tempfile::TempDir,
    relay: Option<Relay>,
}

/// The binary of this crate.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_towpath-local");

/// The service of `examples/instance.rs`, which `cargo test` builds.
fn service() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join("examples/instance");
    assert!(
        path.is_file(),
        "{} is not built: run the tests without `--test`, or build the examples",
        path.display()
    );
    path
}

pub(crate) fn key(n: u8) -> Key {
    Key::derive(RunId::from_bytes([n; 16]), &StepId::new("local").unwrap(), KeyPhase::Run, "effect", 0)
}

pub(crate) fn local(folder: &Path) -> Local {
    Local::at(folder).supervisor(PROGRAM, None::<&str>)
}

/// The number of the process that a file of this folder names.
pub(crate) fn supervisor_pid(folder: &Path) -> i32 {
    let seat: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("supervisor.json")).unwrap()).unwrap();
    i32::try_from(seat["process"]["pid"].as_i64().unwrap()).unwrap()
}

/// Kills a process and waits until it is gone.
pub(crate) async fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
    let is_gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    until("the process is gone", || async { is_gone() }).await;
}

/// Looks until something is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut is: impl FnMut() -> F) {
    let began = Instant::now();
    while !is().await {
        assert!(began.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        pause(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn pause(time: Duration) {
    tokio::time::sleep_until(tokio::time::Instant::now() + time).await;
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let images = tempfile::tempdir().unwrap();
        World { local: local(folder.path()), folder, images, relay: None }
    }

    /// One in which calls can be broken.
    async fn between() -> Self {
        let mut world = World::new();
        world.up("warm", "1.0.0").await;
        let path = world.folder.path().join("supervisor.json");
        let mut seat: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let relay = Relay::before(seat["admin"].as_str().unwrap().parse::<SocketAddr>().unwrap()).await;
        seat["admin"] = relay.address.to_string().into();
        std::fs::write(&path, seat.to_string()).unwrap();
        world.relay = Some(relay);
        world
    }

    pub(crate) async fn with_relay() -> Self {
        World::between().await
    }

    /// An image with the service in it; each variant has a digest of its own.
    pub(crate) fn image(&self, variant: &str) -> (String, String) {
        let folder = self.images.path().join(variant);
        if !folder.exists() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::copy(service(), folder.join("entrypoint")).unwrap();
            std::fs::set_permissions(folder.join("entrypoint"), PermissionsExt::from_mode(0o755)).unwrap();
            std::fs::write(folder.join("variant"), variant).unwrap();
        }
        (format!("dir:{}", folder.display()), folder_digest(&folder).unwrap())
    }

    pub(crate) fn spec(&self, service: &str, version: &str, variant: &str) -> ReleaseSpec {
        let (image, digest) = self.image(variant);
        ReleaseSpec {
            service: service.into(),
            version: version.into(),
            digest,
            image,
            instances: 1,
            env: BTreeMap::new(),
            health: HealthProbe { every_ms: 100, ..HealthProbe::at("/health") },
        }
    }

    pub(crate) async fn deploy(&self, spec: &ReleaseSpec) {
        self.local.deploy(spec, &key(1)).await.unwrap();
        self.ready(&spec.service, &spec.version).await;
    }

    pub(crate) async fn ready(&self, service: &str, version: &str) {
        until(&format!("{service} {version} is ready"), || async {
            let releases = self.local.releases(service).await.unwrap();
            releases.iter().any(|release| release.version == version && release.is_ready())
        })
        .await;
    }

    /// Has a release run, of the image that is called like its version.
    pub(crate) async fn up(&self, service: &str, version: &str) {
        self.deploy(&self.spec(service, version, "one")).await;
    }

    /// Has a release run and sends all traffic to it; gives a client.
    pub(crate) async fn serving(&self, service: &str, version: &str) -> Client {
        self.up(service, version).await;
        self.all_to(service, version).await;
        self.client(service).await
    }

    pub(crate) async fn all_to(&self, service: &str, version: &str) {
        self.route(service, RouteChange::all_to(version, None)).await;
    }

    /// Moves traffic from wherever it is.
    pub(crate) async fn route(&self, service: &str, change: RouteChange) {
        let seen = self.local.routes(service).await.unwrap().map(|routes| routes.revision);
        let n = seen.as_deref().map_or(0, |revision| revision.parse::<u8>().unwrap_or(0));
        let change = RouteChange { expected: seen, ..change };
        self.local.set_routes(service, &change, &key(n.wrapping_add(100))).await.unwrap();
    }

    pub(crate) async fn client(&self, service: &str) -> Client {
        Client::new(&self.local.address(service).await.unwrap().unwrap())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.folder.path().join("services").is_dir() {
            let log = std::fs::read_to_string(self.folder.path().join("supervisor.log")).unwrap_or_default();
            if std::thread::panicking() {
                eprintln!("the supervisor said:\n{log}");
            }
            let ended = Command::new(PROGRAM).arg("stop").arg(self.folder.path()).status();
            if !ended.is_ok_and(|status| status.success()) {
                eprintln!("what ran in {} could not be ended", self.folder.path().display());
            }
        }
    }
}

#[async_trait]
impl Around for World {
    async fn arm(&self, fault: Fault) -> bool {
        self.relay.as_ref().unwrap().arm(fault);
        true
    }

    async fn hits(&self) -> u64 {
        self.relay.as_ref().unwrap().hits()
    }

    async fn pass(&self, time: Duration) {
        pause(time).await;
    }
}

#[async_trait]
impl PlatformWorld for World {
    fn platform(&self) -> &dyn Platform {
        &self.local
    }

    async fn good(&self, service: &str, version: &str) -> ReleaseSpec {
        self.spec(service, version, "one")
    }

    async fn other_image(&self, service: &str, version: &str) -> ReleaseSpec {
        self.spec(service, version, "two")
    }

    async fn broken(&self, service: &str, version: &str) -> ReleaseSpec {
        let env = BTreeMap::from([("EXIT".to_owned(), "3".to_owned())]);
        ReleaseSpec { env, ..self.spec(service, version, "one") }
    }
}

#[async_trait]
impl RoutingWorld for World {
    fn router(&self) -> &dyn TrafficRouter {
        &self.local
    }

    async fn have(&self, service: &str, version: &str) {
        self.up(service, version).await;
    }

    async fn by_hand(&self, service: &str, weights: &BTreeMap<String, u8>) -> bool {
        self.local.move_by_hand(service, weights, "ann").await.unwrap();
        true
    }
}

#[async_trait]
impl MetricsWorld for World {
    fn source(&self) -> &dyn MetricsSource {
        &self.local
    }

    async fn serve(&self, service: &str, version: &str, requests: u64, errors: u64) {
        let mut client = self.serving(service, version).await;
        for n in 0..requests {
            let (path, status) = if n < errors { ("/fail", 500) } else { ("/", 200) };
            let answer = client.get(path).await.unwrap();
            assert_eq!((answer.status, answer.text().as_str()), (status, version));
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the clock of the machine is what windows are told by")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp::from_micros(since.as_micros() as i64)
    }
}
