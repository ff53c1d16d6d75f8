//! A place with sources, migrations, a registry and what runs from it, and what has to be so in the end.

use crate::registry::Server;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use towpath::{
    model::{Chain, Event, RunId, Seq},
    oci::Layout,
    provider::{Database, Health, Mover, Registry, Routes},
};
use towpath_tests::{
    crash::child::open,
    release::{
        load::Load,
        pipeline::{Place, SERVICE, Version},
    },
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_release-service");
const SUPERVISOR: &str = env!("CARGO_BIN_EXE_rollout-service");

/// A place that ends with its test.
pub(crate) struct Site {
    pub(crate) place: Place,
    _registry: Option<Server>,
    _temp: tempfile::TempDir,
}

/// What has to be there when a run is over.
pub(crate) struct Expected<'a> {
    /// The version with all of the traffic.
    pub(crate) live: &'a str,
    /// Every version that runs, with the number of its only instance: one that is started twice has another.
    pub(crate) releases: &'a [(&'a str, usize)],
    /// How often the traffic was moved, from the first release on: no move is made twice.
    pub(crate) moves: usize,
    /// How many migrations are applied.
    pub(crate) schema: usize,
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

impl Site {
    /// Sources of the service, and as many migrations of its database.
    pub(crate) fn new(test: &str, migrations: usize) -> Self {
        let (temp, registry) = (tempfile::tempdir().unwrap(), Server::open(test));
        // As the kernel names it, so that processes can be told by where they are.
        let folder = temp.path().canonicalize().unwrap();
        for name in ["sources", "migrations"] {
            fs::create_dir(folder.join(name)).unwrap();
        }
        let program = folder.join("sources/service");
        // Without what only a debugger reads, an image of it is small.
        let strip = Command::new("strip").arg("-o").arg(&program).arg(PROGRAM).stderr(Stdio::null()).status();
        if !strip.is_ok_and(|status| status.success()) {
            fs::copy(PROGRAM, &program).unwrap();
        }
        fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        for n in 1..=migrations {
            let sql = match n {
                1 => "CREATE TABLE orders (id INTEGER PRIMARY KEY);".to_owned(),
                n => format!("ALTER TABLE orders ADD COLUMN note_{n} TEXT;"),
            };
            fs::write(folder.join(format!("migrations/{}_step.sql", migration(n))), sql).unwrap();
        }
        let host = registry.as_ref().map(|server| server.host.clone());
        let place = Place { folder, supervisor: SUPERVISOR.into(), registry: host };
        Site { place, _registry: registry, _temp: temp }
    }

    pub(crate) fn customers(&self) -> Load {
        block_on(self.customers_here())
    }

    pub(crate) async fn customers_here(&self) -> Load {
        let address = self.place.local().address(SERVICE).await.unwrap().unwrap();
        Load::on(&address)
    }

    /// Every request since the last time was answered well, or with a status that the release itself may have given.
    pub(crate) fn served(&self, load: &Load, case: &str, own: &[u16]) {
        let (requests, failed) = load.counts();
        let failed: Vec<_> = failed.into_iter().filter(|status| !own.contains(status)).collect();
        assert_eq!(failed, [0_u16; 0], "{case}: of {requests} requests");
        assert!(requests > 10, "{case}: {requests} requests prove nothing");
        eprintln!("{case}: {requests} requests, none failed because of it");
    }

    pub(crate) fn find(&self, key: &str) -> Option<RunId> {
        block_on(async {
            let store = open(&self.place.journal()).unwrap();
            let row = store.find_key(&SERVICE.parse().unwrap(), &key.parse().unwrap()).await.unwrap();
            row.map(|row| row.run)
        })
    }

    /// What is journaled of a run, none when it is not there; its chain is verified.
    pub(crate) fn journal(&self, key: &str) -> Vec<Event> {
        let Some(run) = self.find(key) else { return Vec::new() };
        block_on(async {
            let store = open(&self.place.journal()).unwrap();
            let row = store.find(run).await.unwrap().unwrap();
            let stored = store.events(row.no, Seq(0), 50_000).await.unwrap();
            let mut chain = Chain::new(run);
            let read = |event| {
                let header = chain.verify(event).expect("the chain is whole");
                Event::decode(header.kind, event.payload.as_ref().unwrap()).unwrap()
            };
            let events = stored.iter().map(read).collect();
            assert_eq!(store.head(row.no).await.unwrap().hash, chain.hash(), "the chain ends at its head");
            events
        })
    }

    /// Holds what is there against what has to be.
    pub(crate) fn check(&self, case: &str, expected: &Expected<'_>) {
        let Expected { live, releases, moves, schema } = *expected;
        let local = self.place.local();
        let state = block_on(local.service(SERVICE)).unwrap().unwrap();
        let routes = state.routes.unwrap();
        let Routes { stable, weights, held_until, moved_by, revision, .. } = routes;
        let all = BTreeMap::from([(live.to_owned(), 100)]);
        assert_eq!((stable.as_str(), weights, held_until), (live, all, None), "{case}: the traffic");
        assert!(matches!(moved_by, Mover::Key(_)), "{case}: the switch had no part in it: {moved_by:?}");
        assert_eq!(revision, moves.to_string(), "{case}: how often the traffic was moved");
        assert_eq!(state.proxy_failures, 0, "{case}: requests that the proxy itself had to fail");
        let running = state.releases.iter().flat_map(|release| &release.instances);
        let running: Vec<_> = running.map(|i| (i.id.clone(), i.health)).collect();
        let all = releases.iter().map(|(version, n)| (format!("{SERVICE}-{version}-{n}"), Health::Healthy));
        assert_eq!(running, all.collect::<Vec<_>>(), "{case}: what runs");
        // The supervisor and one instance of each: nobody else has anything to do here.
        self.processes(case, 1 + releases.len());
        let applied = block_on(self.place.database().applied()).unwrap();
        let ids: Vec<_> = applied.iter().map(|row| row.id.clone()).collect();
        assert_eq!(ids, (1..=schema).map(migration).collect::<Vec<_>>(), "{case}: each migration once");
    }

    /// Every version has its tag, which stands for the same image in the layout and in the registry.
    pub(crate) fn check_images(&self, case: &str, versions: &[&str]) {
        let layout = Layout::open(self.place.folder.join("images")).unwrap();
        let mut tags: Vec<_> = layout.tags().unwrap();
        tags.sort();
        let names: Vec<_> = tags.iter().map(|(tag, _)| tag.clone()).collect();
        let want: Vec<_> = versions.iter().map(|version| format!("{SERVICE}:{version}")).collect();
        assert_eq!(names, want, "{case}: what is tagged");
        let Some(host) = &self.place.registry else { return };
        for (version, (_, digest)) in versions.iter().zip(&tags) {
            let client = self.place.client(host).unwrap();
            let found = block_on(client.resolve(&Place::reference(host, version))).unwrap().unwrap();
            assert_eq!(found.digest, digest.to_string(), "{case}: what the registry has of {version}");
        }
    }

    /// Waits until so many processes are somewhere in this place, and no more.
    fn processes(&self, case: &str, want: usize) {
        let since = Instant::now();
        loop {
            let there = self.processes_now();
            if there.len() == want {
                return;
            }
            assert!(since.elapsed() < Duration::from_secs(10), "{case}: {want} processes, not {there:?}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// The processes that are somewhere in this place: their numbers and commands.
    fn processes_now(&self) -> Vec<(PathBuf, String)> {
        let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let is_here = |process: &PathBuf| {
            fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&self.place.folder))
        };
        let named = |process: PathBuf| {
            let command = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
            (process, command.replace('\0', " "))
        };
        all.filter(is_here).map(named).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let ended = block_on(self.place.local().stop(Duration::from_secs(5)));
        if !std::thread::panicking() {
            ended.unwrap();
            self.processes("in the end", 0);
        }
    }
}

/// The number of a migration.
pub(crate) fn migration(n: usize) -> String {
    format!("{n:04}")
}

/// A version that is good.
pub(crate) fn version(name: &str, schema: usize) -> Version {
    Version { name: name.to_owned(), errors: 0, refused: false, schema: migration(schema), keep: 1 }
}
