//! The blobs of a layout: each under its digest, whole or not at all.

use super::Layout;
use crate::{
    Digest,
    digest::Hash,
    fault::{damaged, disk, invalid},
    spec::Descriptor,
};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;
use towpath_provider::ProviderError;

impl Layout {
    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs").join("sha256").join(digest.hex())
    }

    /// Reads a document.
    ///
    /// # Errors
    /// When it is not there, is larger than `most` bytes, or is not what its digest says.
    pub(crate) fn read_blob(&self, descriptor: &Descriptor, most: u64) -> Result<Vec<u8>, ProviderError> {
        if descriptor.size > most {
            return Err(invalid("a document of an image is larger than what is read")
                .with("digest", crate::digest::cut(&descriptor.digest))
                .with("size_bytes", descriptor.size)
                .with("limit_bytes", most));
        }
        let mut blob = self.open_blob(descriptor)?;
        let mut bytes = Vec::new();
        blob.read_to_end(&mut bytes).map_err(|e| self.unreadable(e, &blob.digest))?;
        blob.end()?;
        Ok(bytes)
    }

    /// Opens a blob to be read; who has read it asks for its [end](Blob::end).
    pub(crate) fn open_blob(&self, descriptor: &Descriptor) -> Result<Blob, ProviderError> {
        let digest = Digest::parse(&descriptor.digest)?;
        let path = self.blob_path(&digest);
        let file = File::open(&path).map_err(|e| disk(e, "a blob of an image is not there", &path))?;
        Ok(Blob {
            file: file.take(descriptor.size.saturating_add(1)),
            hash: Hash::new(),
            digest,
            size: descriptor.size,
        })
    }

    /// Whether a blob of this digest and size is there, as far as can be told without reading it.
    pub(crate) fn has_blob(&self, digest: &Digest, size: u64) -> bool {
        fs::metadata(self.blob_path(digest))
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
    }

    pub(crate) fn unreadable(&self, error: io::Error, digest: &Digest) -> ProviderError {
        disk(error, "a blob of an image cannot be read", &self.blob_path(digest))
    }

    /// Begins a blob of which the digest is not known yet.
    pub(crate) fn draft(&self) -> Result<Draft, ProviderError> {
        let folder = self.folder.join("blobs").join("sha256");
        let file = tempfile::Builder::new()
            .prefix(".partial-")
            .tempfile_in(&folder)
            .map_err(|e| disk(e, "a blob cannot be written", &folder))?;
        Ok(Draft { layout: self.clone(), file, hash: Hash::new() })
    }

    /// Writes a document.
    pub(crate) fn write_blob(&self, bytes: &[u8], media_type: &str) -> Result<Descriptor, ProviderError> {
        let mut draft = self.draft()?;
        draft.write_all(bytes).map_err(|e| disk(e, "a blob cannot be written", &self.folder))?;
        let (digest, size) = draft.keep()?;
        Ok(Descriptor {
            media_type: media_type.to_owned(),
            digest: digest.to_string(),
            size,
            ..Descriptor::default()
        })
    }
}

/// A blob that is read. What it gives may not be believed before its end.
pub(crate) struct Blob {
    file: io::Take<File>,
    hash: Hash,
    pub(crate) digest: Digest,
    size: u64,
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.hash.update(&buffer[..n]);
        Ok(n)
    }
}

impl Blob {
    /// Reads what is left, and tells whether all of it was what the digest says.
    ///
    /// # Errors
    /// When it was not.
    pub(crate) fn end(mut self) -> Result<(), ProviderError> {
        let name = "a blob of an image is not what its digest says";
        let fault = |error: ProviderError| error.with("digest", &self.digest);
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => self.hash.update(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(fault(damaged("a blob of an image cannot be read")).because(e)),
            }
        }
        if self.hash.bytes() != self.size {
            let found = self.hash.bytes();
            return Err(fault(damaged(name)).with("size_bytes", self.size).with("found_bytes", found));
        }
        let found = self.hash.end();
        if found != self.digest {
            return Err(damaged(name).with("digest", &self.digest).with("found", found));
        }
        Ok(())
    }
}

/// A blob in the making. Dropped, it is gone.
pub(crate) struct Draft {
    layout: Layout,
    file: NamedTempFile,
    hash: Hash,
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Draft {
    /// How much there is of it.
    #[cfg(feature = "registry")]
    pub(crate) fn bytes(&self) -> u64 {
        self.hash.bytes()
    }

    /// The layout's folder.
    #[cfg(feature = "registry")]
    pub(crate) fn folder(&self) -> &Path {
        &self.layout.folder
    }

    /// Puts it under the digest that it was to have.
    ///
    /// # Errors
    /// `Unexpected` when it has another; nothing is kept then.
    #[cfg(feature = "registry")]
    pub(crate) fn keep_as(self, wanted: &Descriptor) -> Result<(), ProviderError> {
        let digest = Digest::parse(&wanted.digest)?;
        let (size, found) = (self.hash.bytes(), self.hash.end());
        if size != wanted.size || found != digest {
            return Err(damaged("what came is not what its digest says")
                .with("digest", digest)
                .with("found", found)
                .with("size_bytes", wanted.size)
                .with("found_bytes", size));
        }
        persist(self.file, &self.layout.blob_path(&digest))
    }

    /// Puts it under its digest, where it stays whatever happens to the machine.
    pub(crate) fn keep(self) -> Result<(Digest, u64), ProviderError> {
        let (size, digest) = (self.hash.bytes(), self.hash.end());
        let path = self.layout.blob_path(&digest);
        persist(self.file, &path)?;
        Ok((digest, size))
    }
}

/// Replaces a file as a whole.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ProviderError> {
    let folder = path.parent().expect("a file of a layout stands in its folder");
    let fault = |e| disk(e, "a file of a layout cannot be written", path);
    let mut file = tempfile::Builder::new().prefix(".partial-").tempfile_in(folder).map_err(fault)?;
    file.write_all(bytes).map_err(fault)?;
    persist(file, path)
}

fn persist(file: NamedTempFile, path: &Path) -> Result<(), ProviderError> {
    let fault = |e| disk(e, "a file of a layout cannot be written", path);
    #[cfg(unix)]
    {
        // Temporary files are for their owner alone; a layout is read by whoever may read its folder.
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).map_err(fault)?;
    }
    file.as_file().sync_all().map_err(fault)?;
    file.persist(path).map_err(|e| fault(e.error))?;
    let folder = path.parent().expect("a file of a layout stands in its folder");
    sync_folder(folder).map_err(fault)
}

/// Makes names within a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
