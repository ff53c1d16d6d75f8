//! Proof of death: a worker holds a lock on a file as long as its process lives, and whoever gets that lock knows.
//!
//! The kernel drops the lock with the process, however it ends. A file that is not there proves nothing.

use crate::{error::io, nap::Nap, paths::Paths};
use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use towpath_model::WorkerId;
use towpath_store::{StoreError, StoreErrorKind};

/// How long a registration waits for a claim that is just clearing away the worker's last life.
const PATIENCE: Duration = Duration::from_millis(250);

/// Looks for proofs.
#[derive(Clone, Debug)]
pub(crate) struct Proofs(Paths);

/// A proof: the lock of a dead worker, held.
#[derive(Debug)]
pub(crate) struct Proven {
    path: PathBuf,
    _lock: File,
}

impl Proofs {
    pub(crate) fn new(paths: &Paths) -> Self {
        Proofs(paths.clone())
    }

    /// The proof that a worker is dead, if there is one.
    pub(crate) fn of_death(&self, worker: &str) -> Option<Proven> {
        let path = self.0.worker(&WorkerId::new(worker).ok()?);
        let lock = OpenOptions::new().read(true).write(true).open(&path).ok()?;
        (lock.try_lock().is_ok() && is_at(&lock, &path)).then_some(Proven { path, _lock: lock })
    }
}

impl Proven {
    /// Removes the file, now that the death is on record. Left over it does no harm.
    pub(crate) fn clear(self) {
        drop(std::fs::remove_file(&self.path));
    }
}

/// Whether an open file is still the one of that name, and not one that was removed while it was opened.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), path.metadata()) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    // A file that is open cannot be removed and made anew there.
    path.exists()
}

/// The locks of the workers that live in this process, through this handle.
#[derive(Debug)]
pub(crate) struct Lives {
    paths: Paths,
    held: Mutex<HashMap<WorkerId, File>>,
    nap: Nap,
}

impl Lives {
    pub(crate) fn new(paths: &Paths) -> Self {
        Lives { paths: paths.clone(), held: Mutex::default(), nap: Nap::default() }
    }

    /// Gets the lock of a worker, which proves that no other life of it goes on.
    ///
    /// # Errors
    /// When it lives.
    pub(crate) fn begin(&self, worker: &WorkerId) -> Result<Life<'_>, StoreError> {
        const OPERATION: &str = "register a worker";
        let lives = || StoreError::new(StoreErrorKind::Invalid, OPERATION).with("lives", worker);
        if self.lock().contains_key(worker) {
            return Err(lives());
        }
        let path = self.paths.worker(worker);
        let get = || {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            match file {
                Ok(file) => (file.try_lock().is_ok() && is_at(&file, &path)).then_some(Ok(file)),
                Err(error) => Some(Err(io(OPERATION, error))),
            }
        };
        let file = self.nap.until(PATIENCE, Duration::from_millis(5), get).ok_or_else(lives)??;
        Ok(Life { lives: self, worker: worker.clone(), file })
    }

    /// Ends a worker that has been retired.
    pub(crate) fn end(&self, worker: &WorkerId) {
        if let Some(file) = self.lock().remove(worker) {
            // Removed while it is held, so that nobody takes it for a death.
            drop(std::fs::remove_file(self.paths.worker(worker)));
            drop(file);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WorkerId, File>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lock that was got, for a registration that is not durable yet.
#[derive(Debug)]
pub(crate) struct Life<'a> {
    lives: &'a Lives,
    worker: WorkerId,
    file: File,
}

impl Life<'_> {
    /// Holds the lock from now on.
    pub(crate) fn keep(self) {
        self.lives.lock().insert(self.worker, self.file);
    }
}
