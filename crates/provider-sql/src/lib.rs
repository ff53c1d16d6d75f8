//! Databases whose schema migrations change: what the step `Migrate` asks.
//!
//! | Type | Feature | What |
//! |---|---|---|
//! | `Sqlite` | `sqlite` | a file of SQLite |
//! | `Postgres` | `postgres` | a database of Postgres, without TLS |
//!
//! Each offers [`Database`](towpath_provider::Database), and is bound to an engine under the name that an environment has
//! for it. The layout of the files, and what happens in every case, is in the book, under *migrations*.
#![deny(missing_docs)]

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod invalid;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "postgres")]
pub use postgres::Postgres;
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
