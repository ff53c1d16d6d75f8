//! A write that waits for its commit.

use crate::{
    answer::{Answer, Giver, answer},
    error::Failure,
};
use rusqlite::{Connection, Params};
use std::{cell::Cell, sync::Arc};
use towpath_model::Timestamp;
use towpath_store::{StoreError, StoreErrorKind};

/// The transaction in which writes are made.
pub(crate) struct Tx<'c> {
    pub(crate) connection: &'c Connection,
    /// When it began, by the store's clock.
    pub(crate) now: Timestamp,
    is_noticed: Cell<bool>,
}

impl<'c> Tx<'c> {
    pub(crate) fn new(connection: &'c Connection, now: Timestamp) -> Self {
        Tx { connection, now, is_noticed: Cell::new(false) }
    }

    /// Changes rows; how many.
    pub(crate) fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    /// Remembers that those who wait for a change have to be told.
    pub(crate) fn notice(&self) {
        self.is_noticed.set(true);
    }

    pub(crate) fn is_noticed(&self) -> bool {
        self.is_noticed.get()
    }
}

/// What a write adds to a commit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weight {
    pub(crate) transitions: usize,
    pub(crate) bytes: usize,
}

/// A write in the queue. It may be made more than once, when a transaction was rolled back for another's sake.
pub(crate) trait Write: Send {
    fn weight(&self) -> Weight;
    fn apply(&mut self, tx: &Tx<'_>) -> Result<(), rusqlite::Error>;
    /// Answers what the last [`apply`](Self::apply) has found, now that it is durable.
    fn finish(self: Box<Self>);
    fn fail(self: Box<Self>, error: &Arc<rusqlite::Error>);
}

struct Request<T, F> {
    operation: &'static str,
    weight: Weight,
    work: F,
    found: Option<Result<T, StoreError>>,
    giver: Giver<Result<T, StoreError>>,
}

impl<T, F> Write for Request<T, F>
where
    T: Send,
    F: FnMut(&Tx<'_>) -> Result<T, Failure> + Send,
{
    fn weight(&self) -> Weight {
        self.weight
    }

    fn apply(&mut self, tx: &Tx<'_>) -> Result<(), rusqlite::Error> {
        // What an earlier try has found goes first: it may hold a lock that this one looks for.
        self.found = None;
        self.found = Some(match (self.work)(tx) {
            Ok(value) => Ok(value),
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::Sql(error)) => return Err(error),
        });
        Ok(())
    }

    fn finish(self: Box<Self>) {
        if let Some(found) = self.found {
            self.giver.give(found);
        }
    }

    fn fail(self: Box<Self>, error: &Arc<rusqlite::Error>) {
        self.giver.give(Err(crate::error::shared(self.operation, error.clone())));
    }
}

/// The answer to a write.
pub(crate) struct Written<T> {
    operation: &'static str,
    answer: Answer<Result<T, StoreError>>,
}

impl<T> Written<T> {
    /// # Errors
    /// What the write has found; or that it is not known what became of it, because its thread panicked.
    pub(crate) async fn answer(self) -> Result<T, StoreError> {
        let lost = || {
            StoreError::new(StoreErrorKind::Unavailable, self.operation).with("what", "its thread panicked")
        };
        self.answer.await.unwrap_or_else(|| Err(lost()))
    }
}

pub(crate) fn request<T: Send + 'static>(
    operation: &'static str,
    weight: Weight,
    work: impl FnMut(&Tx<'_>) -> Result<T, Failure> + Send + 'static,
) -> (Box<dyn Write>, Written<T>) {
    let (giver, answer) = answer();
    (Box::new(Request { operation, weight, work, found: None, giver }), Written { operation, answer })
}
