//! Running other programs.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::workspace::Workspace;

/// Cargo, the one that runs us, in the root of the workspace.
pub(crate) fn cargo<S: AsRef<OsStr>>(workspace: &Workspace, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(workspace.root());
    // What cargo said to us is about xtask. A cargo below would take it for its own environment, and build anew whatever
    // looks at it: some crates with C code, and all above them.
    let is_about_us = |name: &str| name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_about_us(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
}

/// Runs a command that talks to the terminal itself.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| cannot_start(command, &e))?;
    if status.success() { Ok(()) } else { Err(format!("`{}`: {status}", show(command))) }
}

/// Runs a command and returns what it printed on standard output.
pub(crate) fn read(command: &mut Command) -> Result<String, String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|e| cannot_start(command, &e))?;
    if !output.status.success() {
        return Err(format!("`{}`: {}", show(command), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command, passing its output on line by line and showing each line to `look` as well.
pub(crate) fn stream(command: &mut Command, mut look: impl FnMut(&str)) -> Result<(), String> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|e| cannot_start(command, &e))?;
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        // A failed read ends the reading, not the waiting: the exit status says what happened.
        while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line);
            print!("{text}");
            look(text.trim_end());
            line.clear();
        }
    }
    let status = child.wait().map_err(|e| format!("cannot wait for `{}`: {e}", show(command)))?;
    // What is printed next must not overtake what the child wrote.
    std::io::stdout().flush().map_err(|e| format!("cannot write to standard output: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{}`: {status}", show(command))) }
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("cannot start `{}`: {error}", show(command))
}

/// The command as one would type it, without the path of the program.
fn show(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
