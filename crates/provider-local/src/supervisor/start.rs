//! Starting the process of an instance, held back until it is recorded.

use super::limits;
use crate::{files, image::Program, process::Process};
use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::Stdio,
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
};
use towpath_provider::ReleaseSpec;

/// The process waits for a line before it becomes the program, so that its number and its start are recorded first; when
/// the supervisor dies before that, the line never comes.
const GATE: &str = "read -r go || exit 0; ulimit -S -n \"$1\" 2>/dev/null; shift; exec \"$@\" </dev/null";

/// What an instance inherits of the supervisor's environment. Everything else is its release's own.
const INHERITED: [&str; 8] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE"];

/// A process that waits.
pub(super) struct Held {
    pub(super) child: Child,
    pub(super) process: Process,
    gate: ChildStdin,
}

impl Held {
    /// Lets it begin.
    pub(super) async fn go(mut self) -> Child {
        // A process that is gone says so by its end.
        let _ = self.gate.write_all(b"go\n").await;
        self.child
    }
}

/// A port of the loopback interface at which nothing listens. Somebody may be faster: the instance then ends, and is
/// started again on another one.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Starts the process of an instance, which waits to be let go.
pub(super) fn start(
    root: &Path,
    spec: &ReleaseSpec,
    program: &Program,
    (name, port): (&str, u16),
    log: &Path,
) -> io::Result<Held> {
    let out = files::log(log)?;
    let folder = root.join(&program.folder);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", GATE, "towpath-instance", &limits::files_before()]);
    let mut argv = program.argv.iter();
    if let Some(name) = argv.next() {
        // A path from the root, so that it is found from wherever it is run.
        match name.strip_prefix("./") {
            Some(path) => command.arg(folder.join(path)),
            None => command.arg(name),
        };
    }
    command.args(argv);
    command.env_clear();
    command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.envs(&program.env).envs(&spec.env);
    command.env("HOST", "127.0.0.1").env("PORT", port.to_string());
    command.env("SERVICE", &spec.service).env("VERSION", &spec.version).env("TOWPATH_INSTANCE", name);
    command.stdin(Stdio::piped()).stdout(out.try_clone()?).stderr(out);
    command.process_group(0).current_dir(folder.join(&program.working_dir));
    let mut child = command.spawn()?;
    let gate = child.stdin.take().ok_or_else(|| io::Error::other("the gate has no input"))?;
    let process = child.id().and_then(Process::of);
    let process = process.ok_or_else(|| io::Error::other("the process ended before it began"))?;
    Ok(Held { child, process, gate })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, time::Duration};
    use towpath_provider::HealthProbe;

    /// Starts a program that leaves a file behind.
    fn held(folder: &Path) -> Held {
        let spec = ReleaseSpec {
            service: "orders".into(),
            version: "1".into(),
            digest: String::new(),
            image: String::new(),
            instances: 1,
            env: BTreeMap::new(),
            health: HealthProbe::at("/"),
        };
        let argv = ["touch", "begun"].map(str::to_owned).to_vec();
        let program =
            Program { argv, working_dir: String::new(), env: BTreeMap::new(), folder: String::new() };
        start(folder, &spec, &program, ("orders-1-1", 1), &folder.join("log")).unwrap()
    }

    #[tokio::test]
    async fn what_is_not_let_go_ends_without_having_begun() {
        let folder = tempfile::tempdir().unwrap();
        let begun = folder.path().join("begun");
        // What is dropped here, a supervisor that dies drops as well.
        let Held { mut child, process, gate } = held(folder.path());
        assert!(process.lives() && !begun.exists());
        drop(gate);
        let ended = tokio::time::timeout(Duration::from_secs(10), child.wait()).await.unwrap().unwrap();
        assert_eq!((ended.code(), begun.exists()), (Some(0), false));
        let held = held(folder.path());
        let process = held.process.clone();
        let mut child = held.go().await;
        assert_eq!(child.id(), u32::try_from(process.pid).ok(), "it is the one that was recorded");
        let ended = child.wait().await.unwrap();
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!((ended.code(), begun.exists(), log.as_str()), (Some(0), true, ""));
    }
}
