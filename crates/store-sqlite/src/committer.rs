//! The one connection that writes, and one commit of it.

use crate::{
    Options,
    checkpoint::LogSize,
    error::{is_busy, kind},
    open,
    paths::Paths,
    request::{Tx, Write},
    stats::Counters,
    want::Want,
};
use rusqlite::{Connection, ErrorCode, ffi};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};
use towpath_model::Timestamp;
use towpath_store::{Changes, StoreError, StoreErrorKind};

pub(crate) struct Committer {
    connection: Connection,
    paths: Paths,
    options: Options,
    want: Want,
    /// `PRAGMA data_version` when we last looked: it moves when another connection commits.
    version: i64,
    log: LogSize,
    changes: Changes,
    counters: Arc<Counters>,
    last_commit: Arc<LastCommit>,
}

/// What became of the last attempt to commit.
#[derive(Debug)]
pub(crate) struct LastCommit {
    /// When something was last committed, in microseconds; the least there is while nothing was.
    at: AtomicI64,
    /// Why nothing can be committed since then. A store that can be read and not written looks well otherwise.
    failing: Mutex<Option<Arc<rusqlite::Error>>>,
}

impl Default for LastCommit {
    fn default() -> Self {
        LastCommit { at: AtomicI64::new(i64::MIN), failing: Mutex::default() }
    }
}

impl LastCommit {
    pub(crate) fn at(&self) -> Option<Timestamp> {
        let at = self.at.load(Ordering::Relaxed);
        (at != i64::MIN).then(|| Timestamp::from_micros(at))
    }

    /// Why nothing can be committed any more.
    pub(crate) fn failing(&self) -> Option<StoreError> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(crate::error::shared("commit", failing))
    }

    fn is(&self, failing: Option<Arc<rusqlite::Error>>) {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = failing;
    }
}

/// What a committer tells others.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) changes: Changes,
    pub(crate) counters: Arc<Counters>,
    pub(crate) last_commit: Arc<LastCommit>,
}

impl Committer {
    pub(crate) fn open(
        paths: &Paths,
        options: &Options,
        log: LogSize,
        told: Told,
    ) -> Result<Self, StoreError> {
        let mut connection = open::open(paths, options)?;
        let want = Want::open(&paths.want()).map_err(|e| crate::error::io("open the store", e))?;
        log.follow(&mut connection).map_err(|e| crate::error::sql("open the store", e))?;
        let Told { changes, counters, last_commit } = told;
        let (paths, options) = (paths.clone(), options.clone());
        let mut committer =
            Committer { connection, paths, options, want, version: 0, log, changes, counters, last_commit };
        committer.version = committer.data_version().unwrap_or_default();
        Ok(committer)
    }

    /// Makes these writes durable and answers them. One that fails does not take the others with it, unless the
    /// failure would be theirs as well.
    pub(crate) fn commit(&mut self, mut batch: Vec<Box<dyn Write>>) {
        match self.attempt(&mut batch) {
            Ok(()) => {
                self.last_commit.is(None);
                batch.into_iter().for_each(Write::finish);
                self.log.committed(&self.connection, &self.counters);
            }
            Err(error) if batch.len() > 1 && kind(&error) != StoreErrorKind::Unavailable => {
                for write in batch {
                    self.commit(vec![write]);
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                if kind(&error) == StoreErrorKind::Unavailable {
                    self.last_commit.is(Some(error.clone()));
                }
                batch.into_iter().for_each(|write| write.fail(&error));
            }
        }
    }

    fn attempt(&mut self, batch: &mut [Box<dyn Write>]) -> rusqlite::Result<()> {
        let done = self.transact(batch);
        self.want.done();
        if done.is_err() {
            self.counters.rollbacks.add(1);
            self.recover();
        } else {
            self.counters.commits.add(1);
            self.counters.writes.add(batch.len() as u64);
        }
        done
    }

    fn transact(&mut self, batch: &mut [Box<dyn Write>]) -> rusqlite::Result<()> {
        self.begin()?;
        let version = self.data_version()?;
        let is_foreign = std::mem::replace(&mut self.version, version) != version;
        let tx = Tx::new(&self.connection, self.options.clock.now());
        for write in batch {
            write.apply(&tx)?;
        }
        let is_noticed = tx.is_noticed();
        self.run("COMMIT")?;
        self.last_commit.at.store(tx.now.as_micros(), Ordering::Relaxed);
        if is_noticed || is_foreign {
            self.changes.tell();
        }
        Ok(())
    }

    /// Gets the database for writing: politely, and before long.
    fn begin(&mut self) -> rusqlite::Result<()> {
        if !self.connection.is_autocommit() {
            // What a thread has left that panicked.
            self.recover();
        }
        if self.want.step_aside() {
            self.counters.steps_aside.add(1);
        }
        let begin = |connection: &Connection| match run(connection, "BEGIN IMMEDIATE") {
            Err(error) if is_busy(&error) => None,
            done => Some(done),
        };
        if let Some(done) = begin(&self.connection) {
            return done;
        }
        self.counters.waits.add(1);
        let Committer { connection, want, options, .. } = self;
        want.wait(options.patience, || begin(connection)).unwrap_or_else(|| Err(busy()))
    }

    /// Whether another connection has committed since anybody looked.
    pub(crate) fn look_for_others(&mut self) {
        // A store that cannot be read has worse to tell, and will.
        let Ok(version) = self.data_version() else { return };
        if std::mem::replace(&mut self.version, version) != version {
            self.changes.tell();
        }
    }

    fn data_version(&self) -> rusqlite::Result<i64> {
        self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
    }

    /// Undoes what a transaction has done so far. A connection that cannot even do that is replaced.
    fn recover(&mut self) {
        if self.connection.is_autocommit() || self.run("ROLLBACK").is_ok() {
            return;
        }
        let reopened = open::open(&self.paths, &self.options);
        if let Ok(mut connection) = reopened
            && self.log.follow(&mut connection).is_ok()
        {
            self.connection = connection;
        }
    }

    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        run(&self.connection, sql)
    }
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn busy() -> rusqlite::Error {
    let failure = ffi::Error { code: ErrorCode::DatabaseBusy, extended_code: ffi::SQLITE_BUSY };
    rusqlite::Error::SqliteFailure(failure, None)
}

#[cfg(test)]
mod tests;
