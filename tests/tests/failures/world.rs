//! A folder in which a release is made, by a process that has to end in time.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};
use towpath::local::Local;

pub(crate) const CHILD: &str = env!("CARGO_BIN_EXE_failure-child");
pub(crate) const SERVICE: &str = env!("CARGO_BIN_EXE_failure-service");
/// What ends well takes a few seconds; on a busy machine, some more. What takes longer hangs.
const WITHIN: Duration = Duration::from_secs(120);

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
}

/// What the process said, without what changes from one time to the next.
pub(crate) struct Said {
    pub(crate) text: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["sources", "journal"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        World { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn local(&self) -> Local {
        Local::at(self.path("releases")).supervisor(CHILD, None::<&str>)
    }

    /// The command that has a version released, in a process that is killed when it does not end in time.
    pub(crate) fn command(&self, version: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=1", &WITHIN.as_secs().to_string()]);
        command.arg(CHILD).arg(self.folder.path()).arg(version);
        command.env("FAILURE_BUILD", words(&["cp", SERVICE, "orders"]));
        command
    }

    /// Has a good version released.
    pub(crate) fn released(&self, version: &str) {
        let said = self.ended(&mut self.command(version));
        assert!(said.text.starts_with(&format!("{version} succeeded: ")), "{}", said.text);
    }

    /// Has a version released whose sources are built so.
    pub(crate) fn built_by(&self, version: &str, build: &[&str]) -> Said {
        self.ended(self.command(version).env("FAILURE_BUILD", words(build)))
    }

    /// Runs a command to its end, which has to come in time.
    pub(crate) fn ended(&self, command: &mut Command) -> Said {
        let output = command.output().expect("coreutils are there");
        self.said(&output)
    }

    pub(crate) fn said(&self, output: &Output) -> Said {
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // By `timeout`: 124, and 137 for who did not even end then.
        assert!(!matches!(output.status.code(), Some(124 | 137) | None), "it hangs: {text}");
        Said { text: plain(&text, self.folder.path()) }
    }
}

pub(crate) fn words(command: &[&str]) -> String {
    serde_json::to_string(command).unwrap()
}

impl Drop for World {
    fn drop(&mut self) {
        if !self.path("releases/services").is_dir() {
            return;
        }
        let local = self.local();
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(local.stop(Duration::from_secs(2))).map_err(|error| error.to_string())
        });
        let ended = ended.join().unwrap();
        assert!(std::thread::panicking() || ended.is_ok(), "{ended:?}");
    }
}

/// The text without what follows a mark, as far as it is made of letters, digits and dashes.
pub(crate) fn without(text: &str, mark: &str) -> String {
    let mut parts = text.split(mark);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(mark);
        plain.push_str("...");
        plain.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-'));
    }
    plain
}

/// The text without folders, digests, times and names that are drawn.
fn plain(text: &str, folder: &Path) -> String {
    let mut plain = String::new();
    let text =
        ["sha256:", "sha256-", ".partial-"].iter().fold(text.to_owned(), |text, mark| without(&text, mark));
    for word in text.replace(&folder.display().to_string(), "FOLDER").split_inclusive([' ', '\n', ',', ')']) {
        let bare = word.trim_end_matches([' ', '\n', ',', ')', ';']);
        let rest = &word[bare.len()..];
        let is_time = bare.len() >= 20 && bare.ends_with('Z') && bare.as_bytes()[4] == b'-';
        match is_time {
            true => plain.push_str(&format!("TIME{rest}")),
            false => plain.push_str(word),
        }
    }
    plain
}
