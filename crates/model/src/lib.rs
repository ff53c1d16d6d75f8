//! Towpath's record: what is stored, and nothing that runs.
//!
//! Ids, plans, events, failures and the chain that binds a run's events together. Everything here is plain data with
//! a format version; there is no clock, no randomness and no I/O.
//!
//! * [`PlanRecord`]: a frozen pipeline with its values, hashed over [canonical JSON](canonical).
//! * [`Event`]: what happened to a run, one numbered entry of its journal.
//! * [`Header`], [`StoredEvent`], [`Chain`]: how an event is stored, hashed and verified.
//! * [`Failure`]: what went wrong, in the form that is stored.
//! * [`limits`]: the bounds that every part keeps.
#![deny(missing_docs)]

pub mod canonical;
mod chain;
mod change;
mod class;
mod condition;
mod event;
mod evidence;
mod failure;
mod ids;
mod inbox;
mod json;
mod key;
pub mod limits;
mod listing;
mod outcome;
mod plan;
mod preview;
mod retry;
mod saved;
#[cfg(test)]
mod snapshot;
mod time;

pub use chain::{
    Chain, ChainFault, ChainFaultKind, Digest, FORMAT, Header, HeaderError, Sealed, StoredEvent,
};
pub use change::{Change, ChangeAction};
pub use class::{Classified, FailureKind};
pub use condition::{Condition, Operand};
pub use event::*;
pub use evidence::{Anchor, KeyId, Leaf, Signature, SignedHead, StoredAnchor, merkle_root};
pub use failure::Failure;
pub use ids::{
    Actor, Attempt, Epoch, IdError, ItemKey, Kind, Name, PipelineName, RunId, RunKey, RunNo, Seq, StepId,
    WorkerId,
};
pub use inbox::{Entry, EntryId, Message, NewEntry, Order, ResolveAs, Verb};
pub use json::{BlobRef, Json, Payload};
pub use key::{Key, KeyPhase};
pub use listing::{Listing, Status};
pub use outcome::{Aftermath, Outcome, Why};
pub use plan::{
    InDoubt, Methods, PLAN_FORMAT, PlanRecord, Read, ReadMode, Role, Section, StepRecord, UndoPolicy,
    plan_hash,
};
pub use preview::{PlanPreview, StepPreview};
pub use retry::RetryPolicy;
pub use saved::{SAVED_PLAN_FORMAT, SavedPlan, SavedPlanError};
pub use time::Timestamp;
