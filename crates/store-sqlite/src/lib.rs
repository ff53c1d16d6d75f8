//! Towpath's journal on one SQLite file: the embedded default.
//!
//! [`SqliteStore`] keeps the [contract](towpath_store::Store) with SQLite's write-ahead log. Writes share commits
//! without a batching window: whoever comes first commits for all who queue. Events are appended at the tail of a table
//! without an index. Other processes may read, start runs and put entries into inboxes at any time, and take over the
//! runs of a worker whose death is proven by a lock on a file beside the database.
//!
//! It does not work on network file systems, and its clock is that of the host.
#![deny(missing_docs)]

mod answer;
mod backup;
mod checkpoint;
mod committer;
mod error;
mod filesystem;
mod nap;
mod open;
mod options;
mod paths;
mod proof;
mod read;
mod readers;
mod request;
mod stats;
mod store;
mod want;
mod watch;
mod write;
mod writer;

pub use backup::Backup;
pub use options::{Durability, Options};
pub use stats::Stats;
pub use store::SqliteStore;
