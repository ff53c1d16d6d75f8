//! Databases whose schema migrations change: what the step `Migrate` asks.
//!
//! | Type | Feature | What |
//! |---|---|---|
//! | `Sqlite` | `sqlite` | a file of SQLite |
//!
//! Each offers [`Database`](towpath_provider::Database), and is bound to an engine under the name that an environment has
//! for it. The layout of the files, and what happens in every case, is in the book, under *migrations*.
#![deny(missing_docs)]

#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
