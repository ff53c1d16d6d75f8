//! What a list of runs shows of one: a projection, written with the events that change it.

use crate::Outcome;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a run stands, for lists and searches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Something of it runs, or is about to.
    Running,
    /// It waits: for a time, a signal, an approval or a lock.
    Waiting,
    /// It waits for a worker that knows its kinds.
    Blocked,
    /// An operator has paused it.
    Paused,
    /// It undoes what it did.
    Unwinding,
    /// An operator has to decide.
    Stuck,
    /// It cannot be folded; see the reason.
    Quarantined,
    /// It is over.
    Settled,
}

impl Status {
    /// All of them, in the order of [`Status::code`].
    pub const ALL: [Status; 8] = [
        Status::Running,
        Status::Waiting,
        Status::Blocked,
        Status::Paused,
        Status::Unwinding,
        Status::Stuck,
        Status::Quarantined,
        Status::Settled,
    ];

    /// The number that stores keep; never changes for a status.
    pub fn code(self) -> i64 {
        Status::ALL.iter().position(|s| *s == self).map_or(-1, |i| i as i64)
    }

    /// The status of a number.
    pub fn from_code(code: i64) -> Option<Self> {
        Status::ALL.get(usize::try_from(code).ok()?).copied()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Status::Running => "running",
            Status::Waiting => "waiting",
            Status::Blocked => "blocked",
            Status::Paused => "paused",
            Status::Unwinding => "unwinding",
            Status::Stuck => "stuck",
            Status::Quarantined => "quarantined",
            Status::Settled => "settled",
        })
    }
}

/// The row of one run in a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Listing {
    /// Where it stands.
    pub status: Status,
    /// One line about it: what it waits for, why it is stuck.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// How it ended, when it has settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}
