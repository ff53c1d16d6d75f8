//! What errors of SQLite mean.

use crate::invalid::invalid;
use rusqlite::{Error, ErrorCode};
use towpath_provider::{ProviderError, ProviderErrorKind};

/// What SQLite said, in its words and without the text of the statement: that may be long, and holds data.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::SqliteFailure(_, Some(message)) => message.clone(),
        Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

/// An error before the end of a transaction: nothing of it takes effect.
pub(super) fn before(error: Error) -> ProviderError {
    let said = words(&error);
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ProviderError::unavailable(
            "somebody else writes to the database: nothing was changed, try again when they have ended",
        ),
        Some(ErrorCode::OperationInterrupted | ErrorCode::OperationAborted) => {
            ProviderError::unavailable("it was broken off, and nothing was changed")
        }
        Some(ErrorCode::DiskFull) => ProviderError::unavailable("the disk is full: make room"),
        Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => {
            ProviderError::unavailable(format!("the file cannot be read or written: {said}"))
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => ProviderError::new(
            ProviderErrorKind::Forbidden,
            "the file cannot be written: give this process the right to, for its folder as well",
        ),
        Some(ErrorCode::CannotOpen) => ProviderError::new(
            ProviderErrorKind::Forbidden,
            "the file cannot be opened: look whether its folder is there and may be written to",
        ),
        Some(ErrorCode::NotADatabase) => invalid("the file is no database of SQLite"),
        Some(ErrorCode::DatabaseCorrupt) => {
            ProviderError::unexpected("the database is damaged: `PRAGMA integrity_check` says where")
        }
        _ => invalid(said),
    }
}

/// An error of the statement that ends a transaction. `is_over` says whether the transaction was still open and could be
/// rolled back: then nothing of it takes effect.
pub(super) fn at_commit(error: Error, is_over: bool) -> ProviderError {
    match error.sqlite_error_code() {
        _ if !is_over => before(error),
        // SQLite rolls back by itself, and says so.
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::ConstraintViolation) => before(error),
        _ => ProviderError::outcome_unknown(format!("the end of its transaction failed: {}", words(&error))),
    }
}
