//! The suite that every store passes; not held stable.
//!
//! One function for each bullet under *Contract* in [`Store`](crate::Store), of the same words, and some that compare a
//! store with a small model over random calls. [`store_conformance!`](crate::store_conformance) makes a test of each:
//!
//! ```
//! use std::sync::Arc;
//! use towpath_store::{ManualClock, MemoryStore, Store, conformance::Fixture};
//!
//! struct Memory {
//!     clock: Arc<ManualClock>,
//!     store: MemoryStore,
//! }
//!
//! impl Fixture for Memory {
//!     fn open(&self) -> Arc<dyn Store> {
//!         Arc::new(self.store.clone())
//!     }
//!     fn clock(&self) -> &ManualClock {
//!         &self.clock
//!     }
//! }
//!
//! fn memory() -> Memory {
//!     let clock = Arc::new(ManualClock::default());
//!     Memory { store: MemoryStore::new(clock.clone()), clock }
//! }
//!
//! towpath_store::store_conformance!(memory());
//! ```

mod anchoring;
mod block_on;
mod changing;
mod claiming;
mod committing;
mod fixture;
mod inbox;
mod leasing;
mod listing;
mod locking;
mod logging;
mod noting;
mod random;
mod reading;
mod redacting;
mod removing;
mod rules;
mod starting;

pub use block_on::block_on;
pub use fixture::Fixture;
pub use rules::{check, rules};
