//! What is written, each part in the transaction of its commit.

mod anchor;
mod commit;
mod inbox;
mod lease;
mod listing;
mod lock;
mod log;
mod note;
mod project;
mod redact;
mod remove;
mod start;

pub(crate) use anchor::anchor;
pub(crate) use commit::commit;
pub(crate) use inbox::put_entry;
pub(crate) use lease::{claim, heartbeat, quarantine, register, retire};
pub(crate) use note::write_note;
pub(crate) use project::{Projection, project};
pub(crate) use redact::redact;
pub(crate) use remove::{remove, sweep};
pub(crate) use start::{check_starts, start};
