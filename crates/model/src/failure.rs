//! Failures as they are stored.

use crate::{FailureKind, Json, limits};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What went wrong, in the form that is stored. Live errors are turned into this, never the reverse.
///
/// ```
/// use towpath_model::{Failure, FailureKind};
/// let failure = Failure::new(FailureKind::Transient, "push the image").caused_by("connection refused");
/// assert_eq!(failure.to_string(), "push the image: connection refused");
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The class.
    pub kind: FailureKind,
    /// One line: lower case, no full stop.
    pub message: String,
    /// What lies beneath, outermost first; at most [`FAILURE_CAUSES`](limits::FAILURE_CAUSES).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// Further facts for programs, such as a status code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Json>,
}

impl Failure {
    /// A failure with its message, cut to [`FAILURE_BYTES`](limits::FAILURE_BYTES).
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        cut(&mut message, limits::FAILURE_BYTES);
        Failure { kind, message, causes: Vec::new(), details: None }
    }

    /// The failure that an error and the chain of its sources make.
    pub fn of(kind: FailureKind, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut failure = Failure::new(kind, error.to_string());
        let mut cause = error.source();
        while let Some(error) = cause {
            failure = failure.caused_by(error.to_string());
            cause = error.source();
        }
        failure
    }

    /// Adds a cause beneath the others. Causes past the limits are left out.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<String>) -> Self {
        let used = self.message.len() + self.causes.iter().map(String::len).sum::<usize>();
        let mut cause = cause.into();
        if self.causes.len() < limits::FAILURE_CAUSES && used < limits::FAILURE_BYTES {
            cut(&mut cause, limits::FAILURE_BYTES - used);
            self.causes.push(cause);
        }
        self
    }

    /// Adds facts for programs.
    #[must_use]
    pub fn with_details(mut self, details: Json) -> Self {
        self.details = Some(details);
        self
    }
}

fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        let end = (0..=most).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_of_causes_holds_at_the_limit_and_one_above() {
        let mut failure = Failure::new(FailureKind::Permanent, "m");
        for _ in 0..=limits::FAILURE_CAUSES {
            failure = failure.caused_by("c");
        }
        assert_eq!(failure.causes.len(), limits::FAILURE_CAUSES);
    }

    #[test]
    fn limit_of_bytes_cuts_at_a_character() {
        let failure =
            Failure::new(FailureKind::Permanent, "ü".repeat(limits::FAILURE_BYTES)).caused_by("more");
        assert_eq!(failure.message.len(), limits::FAILURE_BYTES);
        assert!(failure.causes.is_empty());
    }
}
