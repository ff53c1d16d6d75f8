//! Towpath's store contract: where journals live.
//!
//! A [`Store`] keeps events as opaque bytes, appends them in [`Transition`]s that are fenced by an epoch and checked
//! against the expected sequence number, keeps an inbox per run, and leases runs to workers. It never looks inside an
//! event. [`MemoryStore`] is the smallest one; feature `conformance` holds the suite that every store passes.
#![deny(missing_docs)]

mod anchor;
mod batch;
mod changes;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod logs;
mod memory;
mod note;
mod redact;
mod remove;
mod store;
mod transition;

pub use anchor::{NewAnchor, Unanchored};
pub use batch::{check_batch, lock_grant};
pub use changes::{Changes, Waiting};
pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{Refused, StoreError, StoreErrorKind};
pub use logs::{LOG_BYTES, LOG_GAP, LOG_LINE_BYTES, LogCut, LogRoom, log_pieces};
pub use memory::MemoryStore;
pub use note::{Note, NoteVersion, check_note};
pub use redact::Redaction;
pub use remove::{Removal, Remove, RemovedRun};
pub use store::{
    Changed, Cursor, Filter, Head, Level, LockRow, Page, Projector, Put, RunRow, Started, Store, StoreHealth,
};
pub use transition::{Blob, Claim, Claimed, LockChange, LogLine, NewRun, Progress, Transition, Wake};
