//! Reading an archive, line by line.

use super::{
    ARCHIVE_FORMAT, ArchiveError, ArchiveErrorKind,
    record::{End, First, Record},
};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};
use towpath_model::limits;

const OPERATION: &str = "read an archive";

/// No line is longer: a blob whose every byte is escaped, and what is around it.
const LINE_BYTES: u64 = 6 * limits::BLOB_BYTES as u64 + (64 << 10);

/// The lines of an archive, in order, each checked to stand where it may.
pub(super) struct Lines {
    from: BufReader<File>,
    path: PathBuf,
    number: u64,
    seen: End,
    is_over: bool,
}

impl Lines {
    /// Opens a file, and reads its first line.
    ///
    /// # Errors
    /// When it cannot be read, is no archive, or is one of a newer release.
    pub(super) fn open(path: &Path) -> Result<(Self, First), ArchiveError> {
        let file = File::open(path).map_err(|e| ArchiveError::file(OPERATION, path, e))?;
        let mut lines = Lines {
            from: BufReader::new(file),
            path: path.to_owned(),
            number: 0,
            seen: End::default(),
            is_over: false,
        };
        let other = |lines: &Lines| {
            ArchiveError::new(ArchiveErrorKind::Format, OPERATION).with("file", lines.path.display())
        };
        let first = lines.line()?.ok_or_else(|| other(&lines))?;
        // A newer format may have further fields, so that its number is read first.
        #[derive(serde::Deserialize)]
        struct Any {
            archive: Format,
        }
        #[derive(serde::Deserialize)]
        struct Format {
            format: u16,
        }
        let any: Any = serde_json::from_slice(&first).map_err(|e| other(&lines).because(e))?;
        if any.archive.format != ARCHIVE_FORMAT {
            let newer = other(&lines).with("format", any.archive.format);
            return Err(newer.with("newest known", ARCHIVE_FORMAT));
        }
        match serde_json::from_slice(&first) {
            Ok(Record::Archive(first)) => Ok((lines, first)),
            Ok(_) => Err(other(&lines)),
            Err(e) => Err(other(&lines).because(e)),
        }
    }

    /// Something is wrong with the line that was read last.
    pub(super) fn damaged(&self, what: &'static str) -> ArchiveError {
        let damaged = ArchiveError::new(ArchiveErrorKind::Damaged, OPERATION);
        damaged.with("file", self.path.display()).with("line", self.number).with("what", what)
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, ArchiveError> {
        let mut line = Vec::new();
        let read = self.from.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line);
        read.map_err(|e| ArchiveError::file(OPERATION, &self.path, e))?;
        if line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if line.pop() != Some(b'\n') {
            return Err(self.damaged("it is cut off"));
        }
        Ok(Some(line))
    }

    /// The next record; `None` behind the last one.
    ///
    /// # Errors
    /// When the file is cut off, or a line of it cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Record>, ArchiveError> {
        let line = match self.line()? {
            Some(_) if self.is_over => return Err(self.damaged("it stands behind the end")),
            Some(line) => line,
            None if self.is_over => return Ok(None),
            None => return Err(self.damaged("the file is cut off behind it")),
        };
        let record: Record =
            serde_json::from_slice(&line).map_err(|e| self.damaged("it cannot be read").because(e))?;
        match &record {
            Record::Archive(_) => return Err(self.damaged("a second beginning")),
            Record::End(end) if *end != self.seen => {
                return Err(self.damaged("the file does not hold what its end says"));
            }
            Record::End(_) => self.is_over = true,
            _ => self.seen.count(&record),
        }
        Ok(Some(record))
    }
}
