//! Errors of this provider.

use std::{io, path::Path};
use towpath_provider::{ProviderError, ProviderErrorKind};

/// The one operation that there is.
const OPERATION: &str = "scan";

/// A file says something that cannot be.
pub(crate) fn invalid(path: &Path, what: impl Into<String>) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Invalid, what.into()).during(OPERATION).with("file", path.display())
}

/// The request makes no sense.
pub(crate) fn bad_request(what: &'static str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Invalid, what).during(OPERATION)
}

/// This provider cannot do that.
pub(crate) fn unsupported(path: &Path, what: &'static str) -> ProviderError {
    ProviderError::unsupported(what).during(OPERATION).with("file", path.display())
}

/// A file could not be read or written. Nothing took effect in either case: reports get their names when they are whole.
pub(crate) fn io(what: &'static str, path: &Path, error: io::Error) -> ProviderError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ProviderErrorKind::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ProviderErrorKind::Forbidden,
        io::ErrorKind::IsADirectory
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidFilename => ProviderErrorKind::Invalid,
        _ => ProviderErrorKind::Unavailable,
    };
    ProviderError::new(kind, what).during(OPERATION).with("file", path.display()).because(error)
}
