//! Records that an engine keeps beside the journals, each in a note of the store.

use crate::{EngineError, EngineErrorKind};
use serde::{Serialize, de::DeserializeOwned};
use towpath_model::Name;
use towpath_store::{Note, NoteVersion, Store};

/// A record that lies in notes of a kind.
pub(crate) trait Record: Default + Serialize + DeserializeOwned {
    /// The kind of its notes.
    const KIND: &'static str;
    /// What is done with it, for errors.
    const OPERATION: &'static str;
}

/// A record with the version of its note.
pub(crate) struct Kept<R> {
    pub(crate) at: NoteVersion,
    pub(crate) record: R,
}

fn kind<R: Record>() -> Name {
    Name::new(R::KIND).expect("a constant word is a name")
}

fn decode<R: Record>(note: Note) -> Result<Kept<R>, EngineError> {
    let at = NoteVersion { kind: note.kind, name: note.name, version: note.version };
    match serde_json::from_str(&note.text) {
        Ok(record) => Ok(Kept { at, record }),
        Err(error) => {
            let unreadable =
                EngineError::new(EngineErrorKind::Unreadable, R::OPERATION).with("name", &at.name);
            Err(unreadable
                .with("hint", "it was perhaps written by a newer release: use that one")
                .because(error))
        }
    }
}

/// All records of a kind, in the order of their names; each, or why it cannot be read.
#[cfg(feature = "schedule")]
pub(crate) async fn all<R: Record>(
    store: &dyn Store,
) -> Result<Vec<Result<Kept<R>, EngineError>>, EngineError> {
    let notes = store.notes(&kind::<R>()).await.map_err(|e| EngineError::store(R::OPERATION, e))?;
    Ok(notes.into_iter().map(decode).collect())
}

/// One record; an empty one when there is none.
pub(crate) async fn read<R: Record>(store: &dyn Store, name: &Name) -> Result<Kept<R>, EngineError> {
    let notes = store.notes(&kind::<R>()).await.map_err(|e| EngineError::store(R::OPERATION, e))?;
    match notes.into_iter().find(|note| note.name == *name) {
        Some(note) => decode(note),
        None => {
            let at = NoteVersion { kind: kind::<R>(), name: name.clone(), version: 0 };
            Ok(Kept { at, record: R::default() })
        }
    }
}

/// Writes a record over the version that was read; whether nobody was faster.
pub(crate) async fn write<R: Record>(store: &dyn Store, kept: &mut Kept<R>) -> Result<bool, EngineError> {
    let text = serde_json::to_string(&kept.record).expect("a record is text, numbers and JSON");
    let written = store.write_note(&kept.at, &text).await.map_err(|e| EngineError::store(R::OPERATION, e))?;
    if written {
        kept.at.version += 1;
    }
    Ok(written)
}

/// Changes a record, again when somebody else was faster. When the change fails nothing is written.
pub(crate) async fn change<R: Record, T>(
    store: &dyn Store,
    name: &Name,
    mut change: impl FnMut(&mut R) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    loop {
        let mut kept = read::<R>(store, name).await?;
        let done = change(&mut kept.record)?;
        if write(store, &mut kept).await? {
            return Ok(done);
        }
        tokio::task::yield_now().await;
    }
}
