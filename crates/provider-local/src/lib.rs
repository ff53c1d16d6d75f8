//! Releases on one machine: supervised processes that outlive the engine, behind a weighted proxy.
#![deny(missing_docs)]
