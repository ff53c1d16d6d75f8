//! What can go wrong with an archive.

use std::{error::Error, fmt, path::Path};
use towpath_store::StoreError;

/// Why an archive could not be written or read.
#[derive(Debug)]
pub struct ArchiveError {
    kind: ArchiveErrorKind,
    operation: &'static str,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of archive errors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ArchiveErrorKind {
    /// The file cannot be read or written.
    File,
    /// The store could not do its part.
    Store,
    /// The file is no archive, or one of a newer release.
    Format,
    /// The file was cut off or changed.
    Damaged,
}

impl ArchiveError {
    pub(crate) fn new(kind: ArchiveErrorKind, operation: &'static str) -> Self {
        ArchiveError { kind, operation, context: Vec::new(), source: None }
    }

    pub(crate) fn store(operation: &'static str, error: StoreError) -> Self {
        ArchiveError::new(ArchiveErrorKind::Store, operation).because(error)
    }

    pub(crate) fn file(operation: &'static str, path: &Path, error: std::io::Error) -> Self {
        ArchiveError::new(ArchiveErrorKind::File, operation).with("file", path.display()).because(error)
    }

    #[must_use]
    pub(crate) fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.context.push((key, value.to_string()));
        self
    }

    #[must_use]
    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind.
    pub fn kind(&self) -> ArchiveErrorKind {
        self.kind
    }
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ArchiveErrorKind::File => "the file cannot be used",
            ArchiveErrorKind::Store => "the store failed",
            ArchiveErrorKind::Format => "it is no archive that this release can read",
            ArchiveErrorKind::Damaged => "the archive is damaged",
        };
        write!(f, "{}: {kind}", self.operation)?;
        self.context.iter().try_for_each(|(key, value)| write!(f, ", {key}: {value}"))
    }
}

impl Error for ArchiveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}
