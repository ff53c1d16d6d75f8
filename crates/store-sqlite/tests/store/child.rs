//! Real second processes: this test binary again, in a role that its parent names.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

const ROLE: &str = "TOWPATH_TEST_ROLE";
const DATABASE: &str = "TOWPATH_TEST_DATABASE";

/// Marks what a child says among what the test harness prints.
const MARK: &str = "child: ";

/// A second process. It is killed with the value.
pub(crate) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts one in a role, on a database.
    pub(crate) fn start(role: &str, database: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("a test has a binary"))
            .args(["--exact", "child::serves", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(DATABASE, database)
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn()
            .expect("the test binary starts again");
        let lines = BufReader::new(child.stdout.take().expect("its output is a pipe")).lines();
        Process { child, lines }
    }

    /// The next thing that it says; `None` when it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next()?.ok()?;
            // The harness does not end its own line before the test says something.
            if let Some((_, said)) = line.split_once(MARK) {
                return Some(said.to_owned());
            }
        }
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says a line to the parent.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A line is written at once, so that a kill tears none.
    let _ = out.write_all(format!("{MARK}{line}\n").as_bytes()).and_then(|()| out.flush());
}

/// Waits until the parent is gone.
pub(crate) fn wait_for_ever() {
    let _ = std::io::stdin().lines().count();
}

/// What a child does. Without a role it is an empty test.
#[test]
fn serves() {
    let Some(database) = std::env::var_os(DATABASE).map(PathBuf::from) else { return };
    match std::env::var(ROLE).as_deref() {
        Ok("commit") => crate::crash::commit_for_ever(&database),
        Ok("insert") => crate::foreign::insert(&database),
        Ok("remove") => crate::removal::remove_for_ever(&database),
        Ok("live") => crate::death::live(&database),
        #[cfg(target_os = "linux")]
        Ok("watch") => crate::upkeep::watch_and_stop(&database),
        role => panic!("{role:?} is no role"),
    }
}
