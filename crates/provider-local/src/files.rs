//! What lies in the folder, and how it is written: whole, or not at all.

use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The folder of releases of one machine.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        Folder(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the supervisor can be reached.
    pub(crate) fn seat(&self) -> PathBuf {
        self.0.join("supervisor.json")
    }

    /// Who holds its lock is the supervisor.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("supervisor.lock")
    }

    /// What the supervisor has to say.
    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("supervisor.log")
    }

    pub(crate) fn services(&self) -> PathBuf {
        self.0.join("services")
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.0.join("images")
    }
}

/// Makes a folder, and those around it, for its owner alone.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file for its owner alone: beside it, flushed, and then in its place, so that a reader and a crash see the old
/// one or the new one.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    let folder = path.parent().ok_or_else(|| io::Error::other("a file has a folder"))?;
    let beside = path.with_extension("json.new");
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written?;
    // The name itself is durable only with its folder. What cannot be flushed here is in its place all the same.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Reads a file that [`write`] has written; `None` when it is not there.
///
/// # Errors
/// When it cannot be read or holds something else; the message is one line.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Opens a log to append to.
pub(crate) fn log(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Holds a log that somebody else appends to within a size: what it holds goes to a second file, and it begins anew. Lines
/// that are written in between are lost.
pub(crate) fn rotate(path: &Path, most_bytes: u64) -> io::Result<bool> {
    let file = OpenOptions::new().write(true).open(path)?;
    if file.metadata()?.len() <= most_bytes {
        return Ok(false);
    }
    std::fs::copy(path, path.with_extension("log.1"))?;
    file.set_len(0)?;
    Ok(true)
}

/// The last lines of a file that were written after `from`, at most this many bytes and lines.
pub(crate) fn tail(path: &Path, from: u64, bytes: u64, lines: usize) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let end = file.metadata().ok()?.len();
    let begin = if from > end { 0 } else { from }.max(end.saturating_sub(bytes));
    file.seek(SeekFrom::Start(begin)).ok()?;
    let mut text = Vec::new();
    file.take(bytes).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = all[all.len().saturating_sub(lines)..].join("\n");
    (!last.is_empty()).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_written_whole_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert_eq!(read::<Vec<u32>>(&path).unwrap(), None);
        write(&path, &[1, 2]).unwrap();
        write(&path, &[3]).unwrap();
        assert_eq!(read::<Vec<u32>>(&path).unwrap(), Some(vec![3]));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        std::fs::write(&path, "[3").unwrap();
        read::<Vec<u32>>(&path).unwrap_err();
    }

    #[test]
    fn a_log_is_held_within_a_size_and_its_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut writer = log(&path).unwrap();
        writer.write_all(b"one\ntwo\n\nthree\n").unwrap();
        assert_eq!(tail(&path, 0, 1_000, 2).unwrap(), "two\nthree");
        assert_eq!(tail(&path, 4, 1_000, 9).unwrap(), "two\nthree");
        assert_eq!(tail(&path, 0, 6, 9).unwrap(), "three");
        assert_eq!(tail(&path, 15, 1_000, 9), None);
        assert!(!rotate(&path, 100).unwrap());
        assert!(rotate(&path, 10).unwrap());
        writer.write_all(b"four\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "four\n", "it is appended to from its begin");
        assert_eq!(std::fs::read_to_string(folder.path().join("a.log.1")).unwrap().lines().count(), 4);
        assert_eq!(tail(&path, 15, 1_000, 9).unwrap(), "four", "what was written before is gone");
    }
}
