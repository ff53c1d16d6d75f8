//! The errors of files and of what is in them, as errors of a provider.

use std::{io, path::Path};
use towpath_provider::{ProviderError, ProviderErrorKind};

/// An error of the file system. No room may pass: somebody makes some.
pub(crate) fn disk(error: io::Error, what: &'static str, path: &Path) -> ProviderError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ProviderErrorKind::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ProviderErrorKind::Forbidden,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ProviderErrorKind::Unavailable,
        _ => ProviderErrorKind::Unexpected,
    };
    let wrong = ProviderError::new(kind, what).with("path", path.display());
    let wrong = match kind {
        ProviderErrorKind::Forbidden => wrong.with("what to do", "let this user write there"),
        ProviderErrorKind::Unavailable => wrong.with("what to do", "make room on its disk"),
        _ if error.kind() == io::ErrorKind::NotADirectory => wrong
            .with("what to do", "a file is where a folder should be: take it away, or name another folder"),
        _ => wrong,
    };
    wrong.because(error)
}

/// What was read makes no sense, or is more than is taken.
pub(crate) fn invalid(what: impl Into<std::borrow::Cow<'static, str>>) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Invalid, what)
}

/// What is on the disk is not what its digest says.
pub(crate) fn damaged(what: &'static str) -> ProviderError {
    ProviderError::unexpected(what)
}
