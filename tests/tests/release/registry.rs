//! A real registry: `docker-registry` of Debian, on loopback.

use std::{
    fs::{self, File},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A server that ends with the test.
pub(crate) struct Server {
    /// `host:port`.
    pub(crate) host: String,
    child: Child,
    _temp: tempfile::TempDir,
}

impl Server {
    /// A registry that asks nobody who he is; `None` where there is none, which is then said.
    pub(crate) fn open(test: &str) -> Option<Self> {
        if !is_there("docker-registry") {
            towpath_tests::skipped(test, "there is no docker-registry");
            return None;
        }
        // Another process may take the port between two lines: it is tried again.
        for _ in 0..5 {
            let temp = tempfile::tempdir().unwrap();
            let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
            let config = format!(
                "version: 0.1\nlog:\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  \
                 addr: {host}\n",
                temp.path().join("store").display()
            );
            let file = temp.path().join("config.yml");
            fs::write(&file, config).unwrap();
            let log = File::create(temp.path().join("log")).unwrap();
            let mut command = Command::new("docker-registry");
            command.arg("serve").arg(&file).stdin(Stdio::null());
            let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
            let mut server = Server { host, child, _temp: temp };
            if server.comes_up() {
                return Some(server);
            }
        }
        panic!("no registry came up");
    }

    fn comes_up(&mut self) -> bool {
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(30) {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(&self.host).is_ok() {
                return true;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        panic!("the registry at {} does not listen", self.host)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
