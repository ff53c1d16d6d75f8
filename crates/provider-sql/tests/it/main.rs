//! Migrations of real databases.

#[cfg(all(unix, feature = "postgres"))]
mod between;
#[cfg(any(feature = "sqlite", all(unix, feature = "postgres")))]
mod common;
#[cfg(feature = "sqlite")]
mod killed;
#[cfg(all(unix, feature = "postgres"))]
mod postgres;
#[cfg(all(unix, feature = "postgres"))]
mod server;
#[cfg(feature = "sqlite")]
mod sqlite;
