//! What can go wrong with a command, and the exit code that it has.

use std::{error::Error, fmt, io};
use towpath::{
    engine::{EngineError, archive::ArchiveError},
    store::StoreError,
};

/// Exit codes. They are part of the command's contract, see the README.
pub(crate) mod exit {
    /// All is well.
    pub(crate) const OK: u8 = 0;
    /// It failed, was refused, or what was verified is not intact.
    pub(crate) const FAILED: u8 = 1;
    /// The command line is wrong.
    pub(crate) const USAGE: u8 = 2;
    /// What was asked for is in the run's inbox, and nobody has answered it yet.
    pub(crate) const UNANSWERED: u8 = 3;
    /// What drives or waits: something is parked.
    pub(crate) const PARKED: u8 = 10;
    /// What drives or waits: a run needs an operator.
    pub(crate) const STUCK: u8 = 20;
    /// It was asked to stop by a signal, as shells have it.
    pub(crate) const INTERRUPTED: u8 = 130;
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Fault {
    kind: FaultKind,
    message: String,
}

/// The kinds of faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FaultKind {
    /// It could not be done.
    Failed,
    /// The command line asks for what cannot be.
    Usage,
    /// Nobody reads the output any more: as in `towpath runs | head`.
    Unread,
}

impl Fault {
    /// A command that could not do its part.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Fault { kind: FaultKind::Failed, message: message.into() }
    }

    /// A command line that asks for what cannot be.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Fault { kind: FaultKind::Usage, message: message.into() }
    }

    /// The kind.
    pub(crate) fn kind(&self) -> FaultKind {
        self.kind
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> u8 {
        match self.kind {
            FaultKind::Failed => exit::FAILED,
            FaultKind::Usage => exit::USAGE,
            FaultKind::Unread => exit::OK,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Fault {}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::failed(chain(&error))
    }
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        Fault::failed(chain(&error))
    }
}

impl From<ArchiveError> for Fault {
    fn from(error: ArchiveError) -> Self {
        Fault::failed(chain(&error))
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::BrokenPipe => FaultKind::Unread,
            _ => FaultKind::Failed,
        };
        Fault { kind, message: format!("write the output: {error}") }
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Fault::failed(format!("write the output as JSON: {error}"))
    }
}

/// An error with everything beneath it, in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(beneath) = cause {
        text.push_str(": ");
        text.push_str(&beneath.to_string());
        cause = beneath.source();
    }
    text
}
