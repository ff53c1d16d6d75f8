//! Database migrations: ordered SQL files with checksums, in SQLite and Postgres.
#![deny(missing_docs)]
