//! A copy of a store that is in use.
//!
//! By `VACUUM INTO`, and not by SQLite's backup interface: that copies pages, starts again whenever another connection
//! has written, and so never ends beside an engine that does not pause. This is one read of one state of the database,
//! which holds up no writer, and what was deleted or redacted is not in the copy, not even in unused pages. The price is
//! that the write-ahead log cannot begin anew while it lasts.

use crate::{
    Options,
    error::{Failure, io},
    open,
    paths::Paths,
};
use rusqlite::{Connection, OpenFlags};
use std::{
    fs::File,
    path::{Path, PathBuf},
};
use towpath_store::{StoreError, StoreErrorKind};

const OPERATION: &str = "back the store up";

/// What was copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backup {
    /// Runs in the copy.
    pub runs: u64,
    /// Size of the file.
    pub bytes: u64,
}

pub(crate) fn backup(paths: &Paths, options: &Options, to: &Path) -> Result<Backup, StoreError> {
    let context = |e: StoreError| e.with("to", to.display());
    if to.symlink_metadata().is_ok() {
        let there = StoreError::new(StoreErrorKind::Invalid, OPERATION);
        return Err(context(there.with("what", "there is something of that name; it was left as it is")));
    }
    let part = Part::beside(to);
    let copied = copy(paths, options, &part.0).map_err(|e| e.at(OPERATION));
    copied.and_then(|copied| part.place(to).map(|()| copied).map_err(|e| io(OPERATION, e))).map_err(context)
}

/// Copies one state of the database, and makes the copy fit to be opened as a store of its own.
fn copy(paths: &Paths, options: &Options, to: &Path) -> Result<Backup, Failure> {
    let source = open::reading(paths, options)?;
    let name = to.to_str().ok_or_else(|| {
        StoreError::new(StoreErrorKind::Invalid, OPERATION).with("what", "the name of the file is not UTF-8")
    })?;
    source.execute("VACUUM INTO ?1", [name])?;
    drop(source);
    let copy = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Whoever drove runs drives them in the original. In the copy nobody does, and nobody's death is proven: what was
    // under way when it was made may still be.
    copy.execute("UPDATE workers SET ended = 1 WHERE ended = 0", [])?;
    let check: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(StoreError::new(StoreErrorKind::Corrupt, OPERATION).with("what", check).into());
    }
    let runs = copy.query_row("SELECT count(*) FROM runs", [], |row| row.get::<_, i64>(0))?;
    copy.close().map_err(|(_, e)| e)?;
    let file = File::open(to).and_then(|file| file.sync_all().and_then(|()| file.metadata()));
    let bytes = file.map_err(|e| io(OPERATION, e))?.len();
    Ok(Backup { runs: runs as u64, bytes })
}

/// A file that is not whole yet; removed with the value, unless it was put in its place.
struct Part(PathBuf);

impl Part {
    fn beside(to: &Path) -> Self {
        let mut name = to.as_os_str().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let part = Part(name.into());
        // Of an earlier process that was killed and had the same number.
        part.remove();
        part
    }

    fn place(self, to: &Path) -> std::io::Result<()> {
        std::fs::rename(&self.0, to)?;
        #[cfg(unix)]
        {
            let folder = match to.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    fn remove(&self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let mut name = self.0.clone().into_os_string();
            name.push(suffix);
            // Mostly there is none.
            drop(std::fs::remove_file(name));
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.remove();
    }
}
