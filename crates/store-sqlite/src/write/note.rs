//! Notes.

use crate::{error::Failure, read, request::Tx};
use rusqlite::params;
use towpath_store::NoteVersion;

/// Writes a note, unless it has another version; whether it was written.
pub(crate) fn write_note(tx: &Tx<'_>, over: &NoteVersion, text: &str) -> Result<bool, Failure> {
    const WRITE: &str = "INSERT INTO notes (kind, name, version, text) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (kind, name) DO UPDATE SET version = excluded.version, text = excluded.text";
    if !read::is_at(tx.connection, over)? {
        return Ok(false);
    }
    let version = over.version as i64 + 1;
    tx.execute(WRITE, params![over.kind.as_str(), over.name.as_str(), version, text])?;
    tx.notice();
    Ok(true)
}
