//! Runs in files: one file that holds a run, its items and all that they refer to, and needs no store.
//!
//! The format is described in `docs/archives.md`. A file is written beside its place and moved there when it is whole and
//! on the disk. [`verify`] reads it from the disk again, event by event, and keeps none of them; [`open`] gives a store
//! that holds what the file holds, for everything that can look at a store.

mod check;
mod error;
mod load;
mod read;
mod record;
mod write;

pub use check::{ArchiveVerdict, verify};
pub use error::{ArchiveError, ArchiveErrorKind};
pub use load::{Opened, open};
pub use write::{Written, write};

/// Format of the archives that this release writes.
pub const ARCHIVE_FORMAT: u16 = 1;
