//! One command of a build.

use super::gate::Group;
use crate::fault::invalid;
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::Path,
    sync::Mutex,
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncReadExt};
use towpath_provider::{BuildProgress, ProviderError};

/// How long output is awaited after a command has ended: something that left its group may hold it open for ever.
const OUTPUT_WITHIN: Duration = Duration::from_secs(2);

/// Most bytes of one line.
const LINE_BYTES: usize = 16 << 10;

/// How many lines of each stream an error shows, and most bytes of each.
const LAST_LINES: usize = 20;
const LAST_LINE_BYTES: usize = 400;

/// The lines that a command wrote last to one of its streams. Each has its own: which of two streams is read first is chance,
/// and what went wrong is said on the one that says little.
#[derive(Default)]
struct Last(Mutex<VecDeque<String>>);

impl Last {
    fn push(&self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        let mut lines = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line[..floor(line, LAST_LINE_BYTES)].to_owned());
    }

    fn into_lines(self) -> Vec<String> {
        Vec::from(self.0.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// What a command wrote last: to its standard output, and then to its standard error.
fn last_words(out: Last, err: Last) -> io::Error {
    let lines = [out.into_lines(), err.into_lines()].concat();
    io::Error::other(if lines.is_empty() { "it wrote nothing".to_owned() } else { lines.join("\n") })
}

/// Runs a command to its end.
///
/// # Errors
/// `Invalid` when it cannot be started or ends with a code; `Unavailable` when a signal ended it, or there is no room for
/// another process.
///
/// # Cancel safety
/// Dropped, it kills the command and all that it has started.
pub(super) async fn run(
    argv: &[String],
    env: &BTreeMap<String, String>,
    folder: &Path,
    progress: &BuildProgress<'_>,
) -> Result<(), ProviderError> {
    let program = argv.first().map_or("", String::as_str);
    progress(&format!("run {}", argv.join(" ")));
    let mut group = Group::start(argv, env, folder).map_err(|e| match e.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => {
            ProviderError::unavailable("the system has no room for another process").because(e)
        }
        _ => invalid("the command cannot be started").with("program", program).because(e),
    })?;
    let (out, err) = (Last::default(), Last::default());
    let (stdout, stderr) = group.output();
    let code = {
        let mut pumps = std::pin::pin!(async {
            tokio::join!(read(stdout, &out, progress), read(stderr, &err, progress));
        });
        let mut is_read = false;
        let code = loop {
            tokio::select! {
                code = group.wait() => break code,
                () = &mut pumps, if !is_read => is_read = true,
            }
        };
        if !is_read {
            let _ = tokio::time::timeout(OUTPUT_WITHIN, pumps).await;
        }
        code
    };
    let code = code.map_err(|e| ProviderError::unavailable("the command's end cannot be told").because(e))?;
    let error = match code {
        0 => return Ok(()),
        // By the shell's convention. None of the image is there yet: it can be tried again.
        129.. => {
            ProviderError::unavailable("a signal ended a command of the build").with("signal", code - 128)
        }
        127 => invalid("a command of the build cannot be run").with("code", code),
        _ => invalid("a command of the build failed").with("code", code),
    };
    Err(error.with("program", program).because(last_words(out, err)))
}

/// Reads a stream to its end, line by line. What is too long for one is cut.
async fn read(stream: Option<impl AsyncRead + Unpin>, last: &Last, progress: &BuildProgress<'_>) {
    let Some(mut stream) = stream else { return };
    let (mut line, mut left_out, mut buffer) = (Vec::new(), 0, vec![0; 16 << 10]);
    let say = |line: &mut Vec<u8>, left_out: &mut usize| {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches('\r');
        last.push(text);
        match std::mem::take(left_out) {
            0 => progress(text),
            n => progress(&format!("{text} … {n} bytes of this line left out")),
        }
        line.clear();
    };
    // An error reading a pipe is its end.
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        for byte in &buffer[..n] {
            match byte {
                b'\n' => say(&mut line, &mut left_out),
                _ if line.len() < LINE_BYTES => line.push(*byte),
                _ => left_out += 1,
            }
        }
    }
    if !line.is_empty() {
        say(&mut line, &mut left_out);
    }
}

/// The largest boundary between characters that is at most `most`.
fn floor(text: &str, most: usize) -> usize {
    let mut at = most.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
