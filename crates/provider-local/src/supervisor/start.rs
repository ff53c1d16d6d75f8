//! Starting the process of an instance, held back until it is recorded.

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
const GATE: &str = "read -r go || exit 0; exec \"$@\" </dev/null";

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
    command.args(["-c", GATE, "towpath-instance"]);
    for (i, word) in program.argv.iter().enumerate() {
        // The program itself is within its image; what is given to it is its own.
        if i == 0 {
            command.arg(folder.join(word))
        } else {
            command.arg(word)
        };
    }
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
