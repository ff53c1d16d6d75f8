//! What is read, on connections of its own.

mod journal;
mod list;
mod locks;
mod row;
mod small;

pub(crate) use journal::{Trails, events};
pub(crate) use list::list;
pub(crate) use locks::locks;
pub(crate) use row::{listing_at, row_by_key, row_by_run};
pub(crate) use small::{blob, entries, head, health, logs, next_wake, progress, runs_after};
