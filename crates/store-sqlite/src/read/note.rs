//! Notes.

use super::row::text;
use crate::error::Failure;
use rusqlite::{Connection, OptionalExtension, params};
use towpath_model::Name;
use towpath_store::{Note, NoteVersion};

/// The notes of a kind, in the order of their names.
pub(crate) fn notes(connection: &Connection, kind: &Name) -> Result<Vec<Note>, Failure> {
    const NOTES: &str = "SELECT name, version, text FROM notes WHERE kind = ?1 ORDER BY name";
    let note = |row: &rusqlite::Row<'_>| {
        let version = row.get::<_, i64>(1)? as u64;
        Ok(Note { kind: kind.clone(), name: text(row, 0, Name::new)?, version, text: row.get(2)? })
    };
    let mut notes = connection.prepare_cached(NOTES)?;
    Ok(notes.query_map([kind.as_str()], note)?.collect::<Result<_, _>>()?)
}

/// Whether a note has this version.
pub(crate) fn is_at(connection: &Connection, over: &NoteVersion) -> rusqlite::Result<bool> {
    const VERSION: &str = "SELECT version FROM notes WHERE kind = ?1 AND name = ?2";
    let of = params![over.kind.as_str(), over.name.as_str()];
    let version: Option<i64> =
        connection.prepare_cached(VERSION)?.query_row(of, |row| row.get(0)).optional()?;
    Ok(version.unwrap_or(0) as u64 == over.version)
}
