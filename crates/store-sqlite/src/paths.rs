//! The files of a store.

use crate::error::io;
use std::path::{Path, PathBuf};
use towpath_model::WorkerId;
use towpath_store::StoreError;

/// The database and what lies beside it, under one name whatever link it was opened by.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub(crate) database: PathBuf,
}

impl Paths {
    /// # Errors
    /// When the folder is not there.
    pub(crate) fn of(path: &Path) -> Result<Self, StoreError> {
        if let Ok(database) = path.canonicalize() {
            return Ok(Paths { database });
        }
        let failed = |e| io("open the store", e).with("path", path.display());
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let name = path.file_name().ok_or_else(|| failed(std::io::ErrorKind::InvalidInput.into()))?;
        Ok(Paths { database: folder.canonicalize().map_err(failed)?.join(name) })
    }

    /// What a writer locks while it waits for the database.
    pub(crate) fn want(&self) -> PathBuf {
        self.beside("want")
    }

    /// What a worker locks while it lives. Bytes that a file name cannot hold everywhere are written as `%xx`.
    pub(crate) fn worker(&self, worker: &WorkerId) -> PathBuf {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let escaped: String = (worker.as_str().bytes())
            .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02x}") })
            .collect();
        self.beside(&format!("{escaped}.lock"))
    }

    /// The database as a URI with these parameters.
    pub(crate) fn uri(&self, parameters: &str) -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
        let path: String = (self.database.as_os_str().as_encoded_bytes().iter())
            .map(|b| if plain(*b) { char::from(*b).to_string() } else { format!("%{b:02x}") })
            .collect();
        format!("file:{path}?{parameters}")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.database.clone().into_os_string();
        name.push(".");
        name.push(suffix);
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_the_database() {
        let paths = Paths { database: "/srv/a b%/deploys.db".into() };
        let worker = |id| paths.worker(&WorkerId::new(id).unwrap());
        assert_eq!(paths.want(), Path::new("/srv/a b%/deploys.db.want"));
        assert_eq!(worker("host-1.4711"), Path::new("/srv/a b%/deploys.db.host-1.4711.lock"));
        assert_eq!(worker("a:b ü"), Path::new("/srv/a b%/deploys.db.a%3ab%20%c3%bc.lock"));
        assert_eq!(paths.uri("immutable=1"), "file:/srv/a%20b%25/deploys.db?immutable=1");
    }
}
