//! What the exit codes of a command mean.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What the exit codes of a command mean. Those that are nowhere are permanent failures; but 129 to 192 say that a signal
/// ended it, so that it is not known what it did.
///
/// By default 0 is success, and 75 (`EX_TEMPFAIL` of sysexits(3)) may pass.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitCodes {
    /// It is done.
    pub ok: BTreeSet<i32>,
    /// It may pass: tried again by the retry policy.
    pub transient: BTreeSet<i32>,
    /// A gate said no.
    pub rejected: BTreeSet<i32>,
    /// It is not known whether it took effect.
    pub unknown: BTreeSet<i32>,
    /// It fails for good: only for codes that say something else by themselves, those of signals.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub permanent: BTreeSet<i32>,
}

impl Default for ExitCodes {
    fn default() -> Self {
        ExitCodes {
            ok: BTreeSet::from([0]),
            transient: BTreeSet::from([75]),
            rejected: BTreeSet::new(),
            unknown: BTreeSet::new(),
            permanent: BTreeSet::new(),
        }
    }
}

impl ExitCodes {
    pub(super) fn is_default(&self) -> bool {
        *self == ExitCodes::default()
    }
}
