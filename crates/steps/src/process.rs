//! Child processes that do not outlive whoever started them.

mod found;
mod gate;
mod group;
mod output;
mod redact;

pub(crate) use found::Record;
pub(crate) use gate::{Ended, Ran, Spec, run};
pub(crate) use group::bury;
pub(crate) use redact::Redactor;
