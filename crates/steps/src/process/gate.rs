//! Starting a process that is held back until it is recorded, and that ends with whoever started it.

use super::{
    Record, Redactor,
    group::signal,
    output::{Kept, floor},
    redact::Lines,
};
use rustix::process::Signal;
use std::{io, path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::timeout,
};
use towpath_step::{StepContext, StepError};

/// The gate: see the script for what it does.
const GATE: &str = include_str!("gate.sh");

/// How long output is awaited after a command has ended: something that left its group may hold it open for ever.
const OUTPUT_WITHIN: Duration = Duration::from_secs(2);

/// Most bytes of one line of the log.
const LOG_LINE_BYTES: usize = 16 << 10;

/// Most bytes of standard error that are kept for a failure; all of it is in the log.
const ERROR_BYTES: usize = 4 << 10;

/// What is run.
#[derive(Default)]
pub(crate) struct Spec {
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) clear_env: bool,
    pub(crate) folder: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) output_bytes: usize,
    pub(crate) redactor: Redactor,
    /// The key under which the process is recorded before it may act; none for what changes nothing.
    pub(crate) record: Option<String>,
}

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// By itself. Above 128 it was a signal, by the shell's convention.
    Code(i32),
    /// Its time was over.
    TimedOut,
    /// The step was asked to stop.
    Stopped,
}

/// What became of a command.
pub(crate) struct Ran {
    pub(crate) ended: Ended,
    pub(crate) out: Kept,
    pub(crate) err: Kept,
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started, or its checkpoint cannot be saved.
///
/// # Cancel safety
/// Dropped, it ends the command and all that it started: asked first, and killed after the grace period.
pub(crate) async fn run(cx: &StepContext, spec: Spec) -> Result<Ran, StepError> {
    let mut child = spawn(&spec)?;
    let pid =
        child.id().and_then(|id| i32::try_from(id).ok()).expect("a child that nobody has awaited has an id");
    // Held until the end: the gate ends the command when it is dropped, by whatever end of this future or process.
    let mut hold = child.stdin.take().expect("the input of the gate is a pipe");
    if let Some(key) = &spec.record
        && let Some(record) = Record::of(pid, key)
    {
        cx.checkpoint(&record).await?;
    }
    if cx.is_cancelled() {
        return Err(StepError::transient("the step was asked to stop before its command began"));
    }
    // An error is that of a gate that is gone: its end says why.
    let _ = hold.write_all(b"go\n").await;
    let (mut out, mut err) = (Kept::new(spec.output_bytes), Kept::new(ERROR_BYTES));
    let ended = {
        let streams = (child.stdout.take(), child.stderr.take());
        let pumps = pump(cx, &spec.redactor, streams, (&mut out, &mut err));
        let mut whole = std::pin::pin!(to_the_end(&mut child, pid, pumps));
        tokio::select! {
            code = &mut whole => Ended::Code(code?),
            why = interrupted(cx, spec.timeout) => {
                // Its leader has not been awaited yet, so that the group's number is nobody else's.
                signal(pid, Signal::TERM);
                if timeout(spec.grace, &mut whole).await.is_err() {
                    signal(pid, Signal::KILL);
                    whole.await?;
                }
                why
            }
        }
    };
    drop(hold);
    Ok(Ran { ended, out, err })
}

fn spawn(spec: &Spec) -> Result<Child, StepError> {
    // As whole seconds: that is what every `sleep` takes.
    let grace = spec.grace.as_millis().div_ceil(1_000).to_string();
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(GATE.replace("GRACE_SECONDS", &grace)).arg("towpath-gate").args(&spec.argv);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    if spec.clear_env {
        command.env_clear();
    }
    // Secrets of the worker are for whoever is given them by name.
    let secret = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("TOWPATH_SECRET_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| secret(name)) {
        command.env_remove(name);
    }
    command.envs(spec.env.iter().map(|(name, value)| (name, value)));
    if let Some(folder) = &spec.folder {
        if !Path::new(folder).is_dir() {
            return Err(StepError::permanent(format!("the folder {folder:?} of the command is not there")));
        }
        command.current_dir(folder);
    }
    command.spawn().map_err(|e| match e.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => {
            StepError::transient("the system has no room for another process").because(e)
        }
        _ => StepError::permanent("the command cannot be started").because(e),
    })
}

/// Resolves when a command has to end before its time.
async fn interrupted(cx: &StepContext, limit: Option<Duration>) -> Ended {
    match limit {
        Some(limit) => match timeout(limit, cx.cancelled()).await {
            Ok(()) => Ended::Stopped,
            Err(_) => Ended::TimedOut,
        },
        None => {
            cx.cancelled().await;
            Ended::Stopped
        }
    }
}

/// Awaits the end of the command and of its output. What it left running in its group is killed.
async fn to_the_end(child: &mut Child, pid: i32, pumps: impl Future<Output = ()>) -> Result<i32, StepError> {
    let mut pumps = std::pin::pin!(pumps);
    let mut is_pumped = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            () = &mut pumps, if !is_pumped => is_pumped = true,
        }
    };
    // At once: the number is given out again only after all others were.
    signal(pid, Signal::KILL);
    if !is_pumped {
        let _ = timeout(OUTPUT_WITHIN, pumps).await;
    }
    let status = status.map_err(|e| StepError::unknown("the command's end cannot be told").because(e))?;
    // The gate itself is ended by a signal only when somebody kills it from outside.
    Ok(status
        .code()
        .unwrap_or_else(|| 128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0)))
}

async fn pump(
    cx: &StepContext,
    redactor: &Redactor,
    (stdout, stderr): (Option<impl AsyncRead + Unpin>, Option<impl AsyncRead + Unpin>),
    (out, err): (&mut Kept, &mut Kept),
) {
    tokio::join!(read(cx, redactor, stdout, out), read(cx, redactor, stderr, err));
}

/// Reads a stream to its end, into the log and into what is kept.
async fn read(
    cx: &StepContext,
    redactor: &Redactor,
    stream: Option<impl AsyncRead + Unpin>,
    kept: &mut Kept,
) {
    let Some(mut stream) = stream else { return };
    let (mut lines, mut buffer) = (Lines::new(redactor), vec![0; 16 << 10]);
    let mut line = |text: &str| {
        kept.push(text);
        log(cx, text);
    };
    // An error reading a pipe is its end.
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        lines.push(&buffer[..n], &mut line);
    }
    lines.end(line);
}

fn log(cx: &StepContext, line: &str) {
    let line = line.trim_end_matches(['\n', '\r']);
    let cut = floor(line, LOG_LINE_BYTES);
    if cut < line.len() {
        cx.log(format_args!("{} … {} bytes of this line left out", &line[..cut], line.len() - cut));
    } else {
        cx.log(line);
    }
}
