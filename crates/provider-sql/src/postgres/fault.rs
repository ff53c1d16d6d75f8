//! What errors of Postgres mean: by their codes ("PostgreSQL Error Codes" in its documentation).

use crate::invalid::invalid;
use std::borrow::Cow;
use tokio_postgres::{Error, error::ErrorPosition, error::SqlState};
use towpath_provider::{ProviderError, ProviderErrorKind};

/// What the server said, in its words and without its details: those hold values of rows.
pub(super) fn words(error: &Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        // Nothing of what was sent is in these.
        None => error.to_string(),
    }
}

/// Where in the text that was sent the server's parser stopped, in characters from 0.
pub(super) fn position(error: &Error) -> Option<usize> {
    match error.as_db_error()?.position()? {
        ErrorPosition::Original(at) => usize::try_from(*at).ok()?.checked_sub(1),
        ErrorPosition::Internal { .. } => None,
    }
}

/// Whether the server, or what is between, went away, so that nobody knows how far it was.
pub(super) fn is_lost(error: &Error) -> bool {
    error.code().is_none_or(|code| {
        let class = &code.code()[..2];
        class == "08" || (class == "57" && *code != SqlState::QUERY_CANCELED)
    })
}

/// Whether the server refused the statement before it did anything of it: what it cannot understand, and what may not be done.
pub(super) fn is_refusal(error: &Error) -> bool {
    error.code().is_some_and(|code| ["42", "25", "0A"].contains(&&code.code()[..2]))
}

/// An error of a connection that is being made.
pub(super) fn connecting(error: Error) -> ProviderError {
    match error.code() {
        None => ProviderError::unavailable("the server cannot be reached").because(Words(words(&error))),
        Some(_) => before(error),
    }
}

/// An error before the end of a transaction: nothing of it takes effect.
pub(super) fn before(error: Error) -> ProviderError {
    let said = words(&error);
    let Some(code) = error.code() else {
        return ProviderError::unavailable("the connection was lost").because(Words(said));
    };
    let passes = [
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::DISK_FULL,
        SqlState::OUT_OF_MEMORY,
    ];
    let kind = match &code.code()[..2] {
        "28" => ProviderErrorKind::Unauthenticated,
        _ if *code == SqlState::INSUFFICIENT_PRIVILEGE => ProviderErrorKind::Forbidden,
        _ if passes.contains(code) || is_lost(&error) => ProviderErrorKind::Unavailable,
        "3D" => ProviderErrorKind::NotFound,
        _ => return invalid(said),
    };
    let message: Cow<'static, str> = if *code == SqlState::LOCK_NOT_AVAILABLE {
        "a table is in use for longer than `lock_timeout`: nothing was changed, try again when it is quiet"
            .into()
    } else {
        said.into()
    };
    ProviderError::new(kind, message)
}

/// An error of the statement that ends a transaction.
pub(super) fn at_commit(error: Error) -> ProviderError {
    if is_lost(&error) {
        let said = words(&error);
        return ProviderError::outcome_unknown("the answer to COMMIT was lost").because(Words(said));
    }
    // The server says that it rolled back, such as for a constraint that is checked at the end.
    before(error)
}

/// What lies beneath, in words.
#[derive(Debug)]
pub(super) struct Words(pub(super) String);

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Words {}
