//! What the cross-crate tests of Towpath share. Not published.
#![deny(missing_docs)]

pub mod crash;
pub mod release;
mod skips;

pub use skips::skipped;
