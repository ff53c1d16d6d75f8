//! Runs that are taken out of a store.

use std::fmt;
use towpath_model::{Actor, Digest, PipelineName, RunId, RunKey, RunNo, Seq, Timestamp};

/// A run that is to be removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remove {
    /// The run.
    pub run: RunId,
    /// Number of its last event, as whoever removes it has seen it.
    pub seq: Seq,
    /// Hash of that event.
    pub hash: Digest,
    /// Who has it removed.
    pub by: Actor,
    /// Why, and where it is kept, for people.
    pub note: String,
}

/// What became of the removal of a run, or of a payload in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Removal {
    /// It is removed.
    Removed,
    /// There is no such run, or no such event in it.
    NotThere,
    /// It is not over.
    Open,
    /// Its journal ends elsewhere: something was appended since it was looked at.
    Moved,
    /// Somebody drives it, or is about to.
    Driven,
    /// There are items of it.
    HasItems,
    /// A run that it is an item of, directly or further up, is not at rest.
    Needed,
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Removal::Removed => "it is removed",
            Removal::NotThere => "there is no such run",
            Removal::Open => "it is not over",
            Removal::Moved => "something was appended to its journal since it was looked at",
            Removal::Driven => "somebody drives it, or is about to",
            Removal::HasItems => "there are items of it",
            Removal::Needed => "a run that it is an item of is not at rest",
        })
    }
}

/// What is left of a run that was removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemovedRun {
    /// Its number; no other run gets it.
    pub no: RunNo,
    /// Its id.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// The key that it had; another run may have it now.
    pub key: RunKey,
    /// Number of its last event.
    pub seq: Seq,
    /// Hash of that event.
    pub hash: Digest,
    /// When it was removed.
    pub at: Timestamp,
    /// Who had it removed.
    pub by: Actor,
    /// Why, and where it is kept.
    pub note: String,
}
