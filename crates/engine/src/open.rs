//! Stores by address.

use std::sync::Arc;
use towpath_store::{Clock, MemoryStore, Store, StoreError};

/// Why an address led to no store.
pub(crate) enum OpenError {
    /// It is none that this build knows.
    Address(String),
    /// The store could not be opened.
    #[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "a store in memory opens always"))]
    Store(StoreError),
}

/// Opens the store at an address.
pub(crate) async fn open(address: &str, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Store>, OpenError> {
    match address.split_once(':') {
        Some(("memory", _)) => Ok(Arc::new(MemoryStore::new(clock.clone()))),
        Some(("sqlite", path)) => sqlite(path, clock).await,
        Some((scheme, _)) => Err(OpenError::Address(format!(
            "{address:?} is no store that this build can open: the scheme {scheme:?} is not known; it knows {KNOWN}"
        ))),
        None => Err(OpenError::Address(format!(
            "{address:?} is no address of a store: write a scheme and a place, as in sqlite:deploys.db; this build knows \
             {KNOWN}"
        ))),
    }
}

#[cfg(feature = "sqlite")]
const KNOWN: &str = "sqlite: and memory:";
#[cfg(not(feature = "sqlite"))]
const KNOWN: &str = "memory: (build with the feature `sqlite` for sqlite:)";

#[cfg(not(feature = "sqlite"))]
async fn sqlite(path: &str, _clock: &Arc<dyn Clock>) -> Result<Arc<dyn Store>, OpenError> {
    Err(OpenError::Address(format!("sqlite:{path} cannot be opened by this build: it knows {KNOWN}")))
}

#[cfg(feature = "sqlite")]
async fn sqlite(path: &str, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Store>, OpenError> {
    use towpath_store_sqlite::{Options, SqliteStore};
    let (path, clock) = (path.to_owned(), clock.clone());
    let open = move || SqliteStore::open(path, Options { clock, ..Options::default() });
    // Opening may wait for the disk and for other processes.
    match tokio::task::spawn_blocking(open).await {
        Ok(Ok(store)) => Ok(Arc::new(store)),
        Ok(Err(error)) => Err(OpenError::Store(error)),
        Err(error) => {
            let kind = towpath_store::StoreErrorKind::Unavailable;
            Err(OpenError::Store(StoreError::new(kind, "open the store").from_source(error)))
        }
    }
}
