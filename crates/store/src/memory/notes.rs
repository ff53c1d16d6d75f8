//! Notes.

use super::state::State;
use crate::{Note, NoteVersion};
use towpath_model::Name;

impl State {
    pub(super) fn notes(&self, kind: &Name) -> Vec<Note> {
        let of_kind = self.notes.iter().filter(|((of, _), _)| of == kind);
        let note = |((kind, name), (version, text)): (&(Name, Name), &(u64, String))| Note {
            kind: kind.clone(),
            name: name.clone(),
            version: *version,
            text: text.clone(),
        };
        of_kind.map(note).collect()
    }

    /// Whether a note has this version.
    pub(super) fn is_at(&self, over: &NoteVersion) -> bool {
        let key = (over.kind.clone(), over.name.clone());
        self.notes.get(&key).map_or(0, |(version, _)| *version) == over.version
    }

    pub(super) fn write_note(&mut self, over: &NoteVersion, text: &str) -> bool {
        let is_written = self.is_at(over);
        if is_written {
            let key = (over.kind.clone(), over.name.clone());
            self.notes.insert(key, (over.version + 1, text.to_owned()));
        }
        is_written
    }
}
