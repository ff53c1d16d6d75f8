//! Values beside the journals.

use crate::{StoreError, StoreErrorKind};
use towpath_model::Name;

/// A value of an engine's own that belongs to no run, such as a schedule: a text under a kind and a name.
///
/// It is replaced as a whole, over the version that was read, and never removed: a version says for ever which text it
/// was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// What it is of.
    pub kind: Name,
    /// Its name, one of its kind.
    pub name: Name,
    /// How often it was written.
    pub version: u64,
    /// What it says: at most [`Note::MOST_BYTES`].
    pub text: String,
}

impl Note {
    /// Most bytes of a note's text: 1 MiB.
    pub const MOST_BYTES: usize = 1 << 20;
}

/// A version of a note that somebody goes by; version 0 is that there is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoteVersion {
    /// The note's kind.
    pub kind: Name,
    /// The note's name.
    pub name: Name,
    /// The version.
    pub version: u64,
}

/// Checks a note that is to be written.
///
/// # Errors
/// The text is too long; the error names the limit.
pub fn check_note(over: &NoteVersion, text: &str) -> Result<(), StoreError> {
    if text.len() <= Note::MOST_BYTES {
        return Ok(());
    }
    let long = StoreError::new(StoreErrorKind::Invalid, "write a note");
    Err(long.with("note", &over.name).with("bytes", text.len()).with("limit", Note::MOST_BYTES))
}
