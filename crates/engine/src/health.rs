//! How an engine is.

use crate::shared::Shared;
use std::time::Duration;
use towpath_model::Timestamp;
use towpath_store::StoreError;

/// How an engine is, as a value.
#[derive(Debug)]
pub struct Health {
    /// Why the store cannot be reached, when it cannot.
    pub store: Option<StoreError>,
    /// The earliest wake that has passed without anybody taking the run up.
    pub oldest_due: Option<Timestamp>,
    /// When something was last committed through this engine's store.
    pub last_commit: Option<Timestamp>,
    /// Runs that are stuck.
    pub stuck: u64,
    /// Runs that are quarantined.
    pub quarantined: u64,
    /// How long the engine's lease holds if it is not renewed; zero when it has none.
    pub lease_left: Duration,
    /// Runs in memory.
    pub runs_in_memory: usize,
}

impl Health {
    /// Whether the store can be reached and the engine may drive runs.
    pub fn is_well(&self) -> bool {
        self.store.is_none() && !self.lease_left.is_zero()
    }
}

pub(crate) async fn health(shared: &Shared) -> Health {
    let (store, known) = match shared.store.health().await {
        Ok(known) => (None, known),
        Err(error) => (Some(error), Default::default()),
    };
    Health {
        store,
        oldest_due: known.oldest_due,
        last_commit: known.last_commit,
        stuck: known.stuck,
        quarantined: known.quarantined,
        lease_left: shared.lease.left(),
        runs_in_memory: shared.runs.len(),
    }
}
