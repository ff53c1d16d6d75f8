//! Migrations of real databases.

mod common;
#[cfg(feature = "sqlite")]
mod killed;
#[cfg(feature = "sqlite")]
mod sqlite;
