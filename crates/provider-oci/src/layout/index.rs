//! The index of a layout, which names its images.

use super::{Layout, blobs::replace};
use crate::{
    fault::{disk, invalid},
    spec::{Descriptor, Index, REF_NAME},
};
use std::fs::{self, File};
use towpath_provider::ProviderError;

/// Most bytes of an index: some ten thousand images.
const INDEX_BYTES: u64 = 16 << 20;

impl Layout {
    pub(super) fn read_index(&self) -> Result<Index, ProviderError> {
        let path = self.folder.join("index.json");
        let fault = |e| disk(e, "the index of a layout cannot be read", &path);
        if fs::metadata(&path).map_err(fault)?.len() > INDEX_BYTES {
            return Err(invalid("the index of a layout is larger than 16 MiB").with("path", path.display()));
        }
        let bytes = fs::read(&path).map_err(fault)?;
        serde_json::from_slice(&bytes)
            .map_err(|e| invalid("the index of a layout is none").with("path", path.display()).because(e))
    }

    pub(super) fn write_index(&self, index: &Index) -> Result<(), ProviderError> {
        let bytes = serde_json::to_vec(index).expect("an index is JSON");
        replace(&self.folder.join("index.json"), &bytes)
    }

    /// Who holds this alone writes the index. The system takes it back when the process ends.
    pub(super) fn lock(&self) -> Result<File, ProviderError> {
        let path = self.folder.join("index.json.lock");
        let fault = |e| disk(e, "the index of a layout cannot be locked", &path);
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(fault)?;
        file.lock().map_err(fault)?;
        Ok(file)
    }

    /// Changes the index; nobody else does at that time.
    pub(crate) fn change_index<T>(&self, change: impl FnOnce(&mut Index) -> T) -> Result<T, ProviderError> {
        let _lock = self.lock()?;
        let mut index = self.read_index()?;
        let before = index.clone();
        let answer = change(&mut index);
        if index != before {
            self.write_index(&index)?;
        }
        Ok(answer)
    }

    /// Has a name stand for a manifest, and for no other. A manifest that loses its name stays, under its digest, with what
    /// else is said of it.
    pub(crate) fn set_name(&self, name: &str, mut descriptor: Descriptor) -> Result<(), ProviderError> {
        super::check_name(name)?;
        descriptor.annotations.insert(REF_NAME.to_owned(), name.to_owned());
        self.change_index(|index| {
            for other in &mut index.manifests {
                if other.annotations.get(REF_NAME).is_some_and(|n| n == name) {
                    other.annotations.remove(REF_NAME);
                }
            }
            index.manifests.retain(|other| other.digest != descriptor.digest || has_more(other, &descriptor));
            index.manifests.push(descriptor);
        })
    }
}

/// Whether an entry says of a manifest what another does not.
fn has_more(entry: &Descriptor, than: &Descriptor) -> bool {
    entry.annotations.iter().any(|(name, value)| than.annotations.get(name) != Some(value))
}
