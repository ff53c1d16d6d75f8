//! From SQLite's errors to the store's.

use rusqlite::ErrorCode;
use std::sync::Arc;
use towpath_store::{StoreError, StoreErrorKind};

/// Why a part of a transaction did not come about.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Refused before anything was written; the rest of the transaction is not touched.
    Refused(StoreError),
    /// A statement failed; what the transaction has written by then is in doubt until it is rolled back.
    Sql(rusqlite::Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Refused(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sql(error)
    }
}

impl Failure {
    pub(crate) fn at(self, operation: &'static str) -> StoreError {
        match self {
            Failure::Refused(error) => error,
            Failure::Sql(error) => sql(operation, error),
        }
    }
}

/// An error of SQLite during an operation.
pub(crate) fn sql(operation: &'static str, error: rusqlite::Error) -> StoreError {
    advised(operation, &error).from_source(error)
}

/// An error of SQLite that several operations had together.
pub(crate) fn shared(operation: &'static str, error: Arc<rusqlite::Error>) -> StoreError {
    advised(operation, &error).from_source(error)
}

fn advised(operation: &'static str, error: &rusqlite::Error) -> StoreError {
    let wrong = StoreError::new(kind(error), operation);
    match error.sqlite_error_code().and_then(advice) {
        Some(advice) => wrong.with("what to do", advice),
        None => wrong,
    }
}

/// What somebody can do about it.
fn advice(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::DiskFull => Some("make room on its disk"),
        ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Some(REACH),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            Some("it is left as it is: put a backup in its place, or name another file")
        }
        _ => None,
    }
}

const REACH: &str = "its folder has to be there, and this user has to be allowed to write in it";

/// An error of the file system during an operation.
pub(crate) fn io(operation: &'static str, error: std::io::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, operation).with("what to do", REACH).from_source(error)
}

/// Something stored that cannot have been written by this store.
pub(crate) fn corrupt(operation: &'static str, what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, operation).with("what", what)
}

pub(crate) fn not_found(operation: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::NotFound, operation)
}

pub(crate) fn kind(error: &rusqlite::Error) -> StoreErrorKind {
    use rusqlite::Error as E;
    match error {
        E::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DatabaseCorrupt | ErrorCode::InternalMalfunction | ErrorCode::TypeMismatch => {
                StoreErrorKind::Corrupt
            }
            ErrorCode::NotADatabase => StoreErrorKind::Format,
            ErrorCode::ConstraintViolation | ErrorCode::TooBig => StoreErrorKind::Invalid,
            ErrorCode::Unknown | ErrorCode::ApiMisuse => StoreErrorKind::Corrupt,
            _ => StoreErrorKind::Unavailable,
        },
        E::ToSqlConversionFailure(_) | E::NulError(_) | E::InvalidPath(_) => StoreErrorKind::Invalid,
        E::UnwindingPanic => StoreErrorKind::Unavailable,
        _ => StoreErrorKind::Corrupt,
    }
}

/// Whether somebody else holds what is needed.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
