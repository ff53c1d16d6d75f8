//! What is read, on connections of its own.

mod anchor;
mod journal;
mod list;
mod locks;
mod note;
mod removed;
mod row;
mod small;

pub(crate) use anchor::{anchors, signed_head, unanchored};
pub(crate) use journal::{Trails, events};
pub(crate) use list::list;
pub(crate) use locks::locks;
pub(crate) use note::{is_at, notes};
pub(crate) use removed::{is_unswept, removed};
pub(crate) use row::{listing_at, row_by_key, row_by_run};
pub(crate) use small::{blob, entries, head, health, logs, next_wake, progress, runs_after};
