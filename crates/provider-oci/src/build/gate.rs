//! A command that ends with whoever ordered it.

use rustix::process::{Pid, Signal, kill_process_group};
use std::{collections::BTreeMap, ffi::OsStr, io, path::Path, process::Stdio};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// See the script for what it does.
const GATE: &str = include_str!("gate.sh");

/// Whether a variable of this process is none of a command's business: secrets are for whoever is given them by name, and
/// what `cargo run` says is about the program that it runs. A cargo below would take that for its own environment, and build
/// anew whatever looks at it.
fn is_ours_alone(name: &OsStr) -> bool {
    const BEGINS: [&str; 3] = ["TOWPATH_SECRET_", "CARGO_MANIFEST_", "CARGO_PKG_"];
    let name = name.to_string_lossy();
    BEGINS.iter().any(|begin| name.starts_with(begin))
}

/// A group of processes. Dropped, it is killed.
pub(super) struct Group {
    child: Child,
    id: Option<Pid>,
    /// The gate ends the group when this is closed, which the system does when the process dies.
    _hold: Option<ChildStdin>,
}

impl Group {
    /// Starts a command in a group of its own.
    pub(super) fn start(argv: &[String], env: &BTreeMap<String, String>, folder: &Path) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(GATE).arg("towpath-gate").args(argv).current_dir(folder).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours_alone(name)) {
            command.env_remove(name);
        }
        command.envs(env);
        let mut child = command.spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let hold = child.stdin.take();
        Ok(Group { child, id, _hold: hold })
    }

    pub(super) fn output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Awaits the end of the command, and ends what it has left behind. Above 128 it was a signal, by the shell's convention.
    pub(super) async fn wait(&mut self) -> io::Result<i32> {
        let status = self.child.wait().await;
        // At once: the number is given out again only after all others were.
        self.kill();
        let status = status?;
        Ok(status
            .code()
            .unwrap_or_else(|| 128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0)))
    }

    fn kill(&mut self) {
        if let Some(id) = self.id.take() {
            // That nobody is there any more is what is wanted.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
