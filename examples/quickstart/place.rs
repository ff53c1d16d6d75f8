//! Where everything of the quickstart is, and the engine that knows how to do it.

use crate::pipeline::orders;
use crate::show::Failed;
use crate::slow::Slow;
use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};
use towpath::{
    Offering,
    engine::Builder,
    local::Local,
    oci::OciBuilder,
    osv::OsvScanner,
    prelude::*,
    provider::{Database, ImageBuilder, MetricsSource, Platform, Scanner, TrafficRouter},
    sql::Sqlite,
};

const EXAMPLES: &str = env!("CARGO_MANIFEST_DIR");
/// What the images of the service are scanned for.
pub(crate) const CARGO_LOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
const ADVISORIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/provider-osv/sample/advisories");
pub(crate) const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/orders/migrations");

/// The place of this process, once it is known.
static HERE: OnceLock<Place> = OnceLock::new();

/// A folder with everything in it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    port: u16,
}

impl Place {
    /// A new place in the system's folder for what is temporary, with a port that is free.
    pub(crate) fn new() -> Result<Self, Failed> {
        let name = format!("towpath-quickstart-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).map_err(|e| format!("make the folder {}: {e}", folder.display()))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        std::fs::write(folder.join("port"), port.to_string())?;
        Ok(Place { folder, port }.here())
    }

    /// The place in a folder that another process made.
    pub(crate) fn at(folder: &Path) -> Result<Self, Failed> {
        let file = folder.join("port");
        let text = std::fs::read_to_string(&file).map_err(|e| format!("read {}: {e}", file.display()))?;
        Ok(Place { folder: folder.to_owned(), port: text.trim().parse()? }.here())
    }

    fn here(self) -> Self {
        HERE.get_or_init(|| self).clone()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Where customers come.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(crate) fn journal(&self) -> String {
        self.path("deploys.db")
    }

    /// How `towpath` is called about this journal, in another terminal.
    pub(crate) fn command(&self) -> String {
        format!("cargo run -q --example quickstart -- towpath --store sqlite:{}", self.journal())
    }

    pub(crate) fn local(&self) -> Local {
        Local::at(self.folder.join("releases")).listen("orders", self.port)
    }

    pub(crate) fn log(&self, name: &str) -> Result<File, Failed> {
        Ok(File::options().create(true).append(true).open(self.folder.join(name))?)
    }

    /// An engine on this journal, with everything that the pipeline needs.
    pub(crate) fn engine(&self) -> Result<Builder, Failed> {
        self.ready(Engine::open(&format!("sqlite:{}", self.journal())))
    }

    /// The same, on a journal that somebody else opens.
    pub(crate) fn ready(&self, engine: Builder) -> Result<Builder, Failed> {
        let local = Arc::new((*self.local()).clone());
        let router = Slow::new(local.clone(), Duration::from_millis(300));
        let database = Sqlite::at(self.folder.join("orders.db")).create();
        let builder = OciBuilder::new(self.folder.join("images"))?.sources(built()?);
        Ok(engine
            // All of it is on this machine, where what a dead engine has sent arrives within five seconds, as `Local` says.
            .settle_after(seconds(5))
            .steps(stock::steps())
            .pipelines([orders()?])
            .bind("builder", Offering::<dyn ImageBuilder>(Arc::new(builder)))
            .bind("scanner", Offering::<dyn Scanner>(Arc::new(OsvScanner::new(ADVISORIES))))
            .bind("production", Offering::<dyn Platform>(local.clone()))
            .bind("production", Offering::<dyn TrafficRouter>(Arc::new(router)))
            .bind("production", Offering::<dyn MetricsSource>(local))
            .bind("production", Offering::<dyn Database>(Arc::new(database))))
    }

    /// Ends what runs here. What is left is the journal, with the logs and the reports.
    pub(crate) async fn clear(&self, local: &Local) -> Result<(), Failed> {
        local.stop(Duration::from_secs(2)).await?;
        for folder in ["releases", "images"] {
            match std::fs::remove_dir_all(self.folder.join(folder)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Where cargo puts what it builds: two folders above this program.
fn built() -> Result<PathBuf, Failed> {
    let program = std::env::current_exe()?;
    let folder = program.parent().and_then(Path::parent);
    Ok(folder.ok_or("this program is in no build folder of cargo: run it with `cargo run`")?.to_owned())
}

/// The command that builds the service, with the same profile as this program, so that nothing is compiled twice.
pub(crate) fn cargo_build() -> Vec<String> {
    let manifest = format!("{EXAMPLES}/../Cargo.toml");
    // Where this program was built, whatever the environment says by now.
    let target = built().ok().and_then(|folder| folder.parent().map(|target| target.display().to_string()));
    // Without the time that a build of an image sets: libraries in C would be compiled anew for it, and change nothing.
    let mut command = vec!["env", "-u", "SOURCE_DATE_EPOCH", "cargo", "build", "--quiet", "--frozen"];
    command.extend(["--manifest-path", &manifest, "--example", "orders"]);
    if let Some(target) = &target {
        command.extend(["--target-dir", target]);
    }
    if !cfg!(debug_assertions) {
        command.push("--release");
    }
    command.into_iter().map(str::to_owned).collect()
}

/// The database of the service.
pub(crate) fn database() -> String {
    HERE.get().map(|place| place.path("orders.db")).unwrap_or_default()
}

/// Where the reports of scans are written.
pub(crate) fn reports() -> String {
    HERE.get().map(|place| place.path("reports")).unwrap_or_default()
}

/// An address of the service, where its customers come.
pub(crate) fn url(path: &str) -> String {
    let port = HERE.get().map_or(0, |place| place.port);
    format!("http://127.0.0.1:{port}{path}")
}
