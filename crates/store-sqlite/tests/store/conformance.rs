//! The store on SQLite keeps the contract.

use crate::common::Sqlite;

towpath_store::store_conformance!(Sqlite::new());
