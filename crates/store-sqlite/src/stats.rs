//! What a store has done, counted.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What was done through one handle since it was opened.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
        }

        impl Counters {
            pub(crate) fn read(&self) -> Stats {
                Stats { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Commits of the database. Each is one flush of the disk, when durability is full.
    commits,
    /// Writes that shared these commits: batches of transitions, starts, entries, claims, heartbeats.
    writes,
    /// Transitions that were taken.
    transitions,
    /// How often committing was handed to the store's own thread, because there was no end of it.
    handovers,
    /// How often a commit waited for a moment, because another process wanted the database.
    steps_aside,
    /// How often the database was busy when it was wanted.
    waits,
    /// Transactions that were rolled back.
    rollbacks,
    /// Checkpoints of the write-ahead log.
    checkpoints,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
}
