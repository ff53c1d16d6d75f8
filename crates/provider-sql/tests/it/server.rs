//! A server of Postgres for a test: started by it in a folder of its own, on a Unix socket alone, and gone when it is dropped.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// A server that runs.
pub(crate) struct Server {
    process: Child,
    folder: TempDir,
}

impl Server {
    /// Starts one; `None`, and a line that says so, when this machine has none.
    pub(crate) async fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            skipped("there is no Postgres on this machine: apt-get install postgresql");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let data = folder.path().join("data");
        let made = as_somebody(&programs.join("initdb"))
            .args(["--auth=trust", "--username=towpath", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data)
            .current_dir("/")
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = as_somebody(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=30", "-k"])
            .arg(folder.path())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Server { process, folder };
        let (since, mut again) = (Instant::now(), tokio::time::interval(Duration::from_millis(20)));
        while server.connect("postgres").await.is_err() {
            let log = std::fs::read_to_string(server.folder.path().join("log")).unwrap();
            assert!(since.elapsed() < Duration::from_secs(60), "it does not come up: {log}");
            again.tick().await;
        }
        Some(server)
    }

    /// The folder in which its socket is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The address of one of its databases.
    pub(crate) fn address(&self, name: &str) -> String {
        address(self.folder(), name)
    }

    async fn connect(&self, name: &str) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.address(name), NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Somebody else's connection.
    pub(crate) async fn open(&self, name: &str) -> Client {
        self.connect(name).await.unwrap()
    }

    /// Makes a database.
    pub(crate) async fn create(&self, name: &str) {
        self.open("postgres").await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // At once, and with its children.
        let _ = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

/// The address of a database behind a socket in this folder.
pub(crate) fn address(folder: &Path, name: &str) -> String {
    format!("host={} user=towpath dbname={name}", folder.display())
}

/// Where the server's programs are: on the path, or where Debian has those of the newest release.
fn programs() -> Option<PathBuf> {
    let there = |folder: &PathBuf| ["initdb", "postgres"].iter().all(|name| folder.join(name).exists());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let release = |folder: &PathBuf| -> u32 {
        let name = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        name.and_then(|name| name.parse().ok()).unwrap_or_default()
    };
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let debian = debian.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).filter(there);
    std::env::split_paths(&path).find(there).or_else(|| debian.max_by_key(release))
}

/// A command as a user who is not root, which a server insists on.
fn as_somebody(program: &Path) -> Command {
    let id = Command::new("id").arg("-u").output().unwrap();
    if String::from_utf8_lossy(&id.stdout).trim() != "0" {
        return Command::new(program);
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let user = if users.lines().any(|line| line.starts_with("postgres:")) { "postgres" } else { "nobody" };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--clear-groups", "--"]).arg(program);
    command
}

fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    if let Some(path) = std::env::var_os("TOWPATH_SKIPS") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "SKIPPED: {test}: {why}").unwrap();
    }
}
