//! What the tests of the store share: a folder of their own, and stores in it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use towpath_store::{ManualClock, Store, conformance::Fixture};
use towpath_store_sqlite::{Options, SqliteStore};

/// A folder that is gone with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let name = format!("towpath-store-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
        Folder(folder)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("journal.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A fresh store for one test of the suite.
pub(crate) struct Sqlite {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) folder: Folder,
}

impl Sqlite {
    pub(crate) fn new() -> Self {
        Sqlite { clock: Arc::new(ManualClock::default()), folder: Folder::new() }
    }

    pub(crate) fn store(&self) -> SqliteStore {
        let options = Options { clock: self.clock.clone(), ..Options::default() };
        SqliteStore::open(self.folder.database(), options).expect("the store opens")
    }
}

impl Fixture for Sqlite {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store())
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }
}
