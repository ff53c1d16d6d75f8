//! Connections for reads.

use crate::{Options, error::Failure, open, paths::Paths};
use rusqlite::Connection;
use std::sync::{Mutex, PoisonError};
use towpath_store::StoreError;

/// Connections that are kept open while nobody reads.
const KEPT: usize = 4;

/// As many connections as reads go on at once. A read never waits for a write, nor a write for a read.
#[derive(Debug)]
pub(crate) struct Readers {
    idle: Mutex<Vec<Connection>>,
    paths: Paths,
    options: Options,
}

impl Readers {
    pub(crate) fn new(paths: &Paths, options: &Options) -> Self {
        Readers { idle: Mutex::default(), paths: paths.clone(), options: options.clone() }
    }

    pub(crate) fn read<T>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.try_read(read).map_err(|e| e.at(operation))
    }

    fn try_read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, Failure> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open::reading(&self.paths, &self.options)?,
        };
        let found = read(&connection)?;
        // One whose read has failed is closed instead.
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(connection);
        }
        Ok(found)
    }
}
