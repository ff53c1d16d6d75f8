//! A real registry: `docker-registry` of Debian, on loopback.

use std::{
    fs::{self, File},
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The user and the password of [`Server::with_password`].
pub(crate) const USER: (&str, &str) = ("alice", "wonderland");

/// Made with `htpasswd -nbB alice wonderland`, for its lowest cost.
const HTPASSWD: &str = "alice:$2b$04$OxNXOkD1fzjXTVWDoDJJXeVUvqnN/xpDcStmgiJQRmx/5URM/3QNi\n";

/// A server that ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) temp: TempDir,
    child: Child,
}

impl Server {
    /// A registry that asks nobody who he is; `None` where there is none, which is then said.
    pub(crate) async fn open(test: &str) -> Option<Self> {
        Server::start(test, "").await
    }

    /// A registry for one user.
    pub(crate) async fn with_password(test: &str) -> Option<Self> {
        Server::start(test, "auth:\n  htpasswd:\n    realm: towpath\n    path: TEMP/htpasswd\n").await
    }

    async fn start(test: &str, more: &str) -> Option<Self> {
        if !has(test, "docker-registry") {
            return None;
        }
        // Another process may take the port between two lines: it is tried again.
        for _ in 0..5 {
            let temp = tempfile::tempdir().unwrap();
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let path = temp.path().display().to_string();
            let config = format!(
                "version: 0.1\nlog:\n  level: debug\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: TEMP/store\n  \
                 delete:\n    enabled: true\nhttp:\n  addr: {address}\n{more}"
            );
            fs::write(temp.path().join("config.yml"), config.replace("TEMP", &path)).unwrap();
            fs::write(temp.path().join("htpasswd"), HTPASSWD).unwrap();
            let log = File::create(temp.path().join("log")).unwrap();
            let child = Command::new("docker-registry")
                .arg("serve")
                .arg(temp.path().join("config.yml"))
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap();
            let mut server = Server { address, temp, child };
            if server.comes_up().await {
                return Some(server);
            }
        }
        panic!("no registry came up");
    }

    async fn comes_up(&mut self) -> bool {
        let (since, mut look) = (Instant::now(), tokio::time::interval(Duration::from_millis(20)));
        while since.elapsed() < Duration::from_secs(30) {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
            look.tick().await;
        }
        panic!("it does not listen: {}", fs::read_to_string(self.temp.path().join("log")).unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a program is there; that it is not is said to whoever counts.
pub(crate) fn has(test: &str, program: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join(program).is_file());
    if !found {
        let why = format!("there is no {program}");
        if let Some(path) = std::env::var_os("TOWPATH_SKIPS") {
            let mut file = File::options().append(true).create(true).open(path).unwrap();
            writeln!(file, "SKIPPED: {test}: {why}").unwrap();
        }
    }
    found
}
