//! How a store is opened.

use std::{sync::Arc, time::Duration};
use towpath_store::{Clock, SystemClock};

/// What survives a power cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// Everything that was answered: each commit waits for the disk (`synchronous=FULL`).
    #[default]
    Full,
    /// Everything but perhaps the last commits (`synchronous=NORMAL`). What is lost is lost whole: the store stays
    /// consistent. A killed process loses nothing.
    Normal,
}

/// How a store is opened.
///
/// ```
/// use towpath_store_sqlite::{Durability, Options};
/// let options = Options { durability: Durability::Normal, ..Options::default() };
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// What survives a power cut.
    pub durability: Durability,
    /// Where its time comes from. Deadlines are computed with it, so processes that share a file have to agree on it.
    pub clock: Arc<dyn Clock>,
    /// How long a write waits for other processes before it fails as unavailable.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            durability: Durability::default(),
            clock: Arc::new(SystemClock),
            patience: Duration::from_secs(10),
        }
    }
}
