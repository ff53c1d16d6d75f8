//! How failures are classed.

use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// The class of a failure: what the machine does about it hangs on this alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// May pass: try again by the retry policy.
    Transient,
    /// A gate said no: unwind. Permanent under another name, for people.
    Rejected,
    /// Will not pass: unwind.
    Permanent,
    /// It is not known whether the effect happened: observe first, never retry blindly.
    Unknown,
    /// Somebody has to decide: rest and say so.
    NeedsOperator,
    /// The run is to end here, though nothing was wrong: it is cancelled, and what it did stays.
    Cancelled,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FailureKind::Transient => "transient",
            FailureKind::Rejected => "rejected",
            FailureKind::Permanent => "permanent",
            FailureKind::Unknown => "unknown",
            FailureKind::NeedsOperator => "needs operator",
            FailureKind::Cancelled => "cancelled",
        })
    }
}

/// An error that knows its class, so that a step may pass it on with `?`.
///
/// Provider errors implement it. An error that does not has to be classed at the call: `StepError::transient(…)`.
pub trait Classified: std::error::Error + Send + Sync + 'static {
    /// The class of this error.
    fn kind(&self) -> FailureKind;

    /// How long to wait at least before trying again, where the other side said so.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}
