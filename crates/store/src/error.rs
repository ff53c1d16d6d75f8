//! What can go wrong with a store.

use std::{error::Error, fmt};
use towpath_model::Seq;

/// Why a store could not do what it was asked. On a commit it means *unknown*: read the head and compare.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    operation: &'static str,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of store errors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It cannot be reached, is locked, or its disk is full: try again later.
    Unavailable,
    /// It was written by a newer release, or is not a store at all. It was left untouched.
    Format,
    /// What it holds contradicts itself.
    Corrupt,
    /// The run, blob or worker is not there.
    NotFound,
    /// The request itself is wrong, such as a batch above the limits.
    Invalid,
}

impl StoreError {
    /// An error of an operation, named by its verb: "commit", "claim runs".
    pub fn new(kind: StoreErrorKind, operation: &'static str) -> Self {
        StoreError { kind, operation, context: Vec::new(), source: None }
    }

    /// Adds a fact: a file, a run, a limit.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.context.push((key, value.to_string()));
        self
    }

    /// Adds the error beneath.
    #[must_use]
    pub fn from_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        self.kind == StoreErrorKind::Unavailable
    }

    /// What was attempted.
    pub fn operation(&self) -> &'static str {
        self.operation
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            StoreErrorKind::Unavailable => "the store is unavailable",
            StoreErrorKind::Format => "the store has another format",
            StoreErrorKind::Corrupt => "the store is corrupt",
            StoreErrorKind::NotFound => "it is not there",
            StoreErrorKind::Invalid => "the request is invalid",
        };
        write!(f, "{}: {kind}", self.operation)?;
        self.context.iter().try_for_each(|(key, value)| write!(f, ", {key}: {value}"))
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

/// Why a transition was not taken. The others of its batch are not touched by that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The epoch is not the run's: the lease was lost.
    Fenced,
    /// The last event of the run is another one.
    Sequence {
        /// Number of the run's last event.
        found: Seq,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Fenced => f.write_str("the lease was lost: another worker drives the run"),
            Refused::Sequence { found } => write!(f, "the journal is at event {found}"),
        }
    }
}

impl Error for Refused {}
