//! An image, unpacked into a folder: `layer.md` of the OCI image specification 1.1.

mod entries;
mod names;
mod tree;

use crate::{
    Digest, Image,
    digest::{Hash, cut},
    fault::{disk, invalid},
    layout::Blob,
    spec::{Descriptor, media},
};
use entries::{Content, Entry};
use flate2::read::MultiGzDecoder;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use towpath_provider::{ProviderError, ProviderErrorKind};
use tree::Tree;

pub(crate) use names::check_link;

/// The name of something within an image, without a slash at its begin or end.
pub(crate) fn clean_name(name: &[u8]) -> Result<PathBuf, &'static str> {
    names::clean(name).map(|parts| parts.iter().collect())
}

/// How much is unpacked at most. An image that goes beyond is refused, and nothing of it stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct UnpackLimits {
    /// Bytes of all layers together, without compression; 4 GiB by default.
    pub bytes: u64,
    /// Files, folders and links of all layers together; 200,000 by default.
    pub entries: u64,
    /// Layers; 128 by default.
    pub layers: usize,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        UnpackLimits { bytes: 4 << 30, entries: 200_000, layers: 128 }
    }
}

impl UnpackLimits {
    /// At most so many bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// At most so many files, folders and links.
    #[must_use]
    pub fn entries(mut self, entries: u64) -> Self {
        self.entries = entries;
        self
    }
}

/// An image in a folder, ready to be run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unpacked {
    /// Where its root is; an absolute path.
    pub folder: PathBuf,
    /// The digest of its manifest.
    pub digest: String,
    /// The program, as it is named within the image, and its arguments: entry point and further arguments.
    pub entrypoint: Vec<String>,
    /// The environment that the image asks for.
    pub env: BTreeMap<String, String>,
    /// The folder to run it in, as it is named within the image; `/` when the image does not say.
    pub working_dir: String,
}

impl Unpacked {
    /// The program as a path of this machine: a name with a slash is one of the image, any other is looked for by the system.
    /// `None` when the image does not say what to run, or names what is not below its root.
    pub fn program(&self) -> Option<PathBuf> {
        let name = self.entrypoint.first().filter(|name| !name.is_empty())?;
        if name.starts_with('/') {
            return self.within(name);
        }
        if name.contains('/') {
            return self.within(&format!("{}/{name}", self.working_dir));
        }
        Some(PathBuf::from(name))
    }

    /// The folder to run it in, as a path of this machine; its root when the image names what is not below it.
    pub fn working_folder(&self) -> PathBuf {
        self.within(&self.working_dir).unwrap_or_else(|| self.folder.clone())
    }

    fn within(&self, name: &str) -> Option<PathBuf> {
        let name = names::clean(name.as_bytes()).ok()?;
        Some(name.iter().fold(self.folder.clone(), |path, part| path.join(part)))
    }
}

impl Image {
    /// Unpacks it into a folder that is not there yet, within the [limits](UnpackLimits) that hold by default.
    ///
    /// The folder appears when all of the image is in it, and durable, and not before. Every byte was held against the
    /// digests of manifest and configuration before anything was written. It blocks: call it where that is allowed.
    ///
    /// What an image for a machine without containers must not do is refused: names and links that lead out of the folder
    /// (absolute links too), writing through a link, devices, pipes and sparse files. Owners, times and the bits for another
    /// user's rights (setuid, setgid, sticky) are left out; a folder is always open to its owner.
    ///
    /// # Errors
    /// `AlreadyExists` when the folder is there; `Invalid` for an image that is refused or too large; `Unsupported` for layers
    /// in a format that is not known; `Unexpected` when a blob is not what its digest says.
    pub fn unpack(&self, to: impl AsRef<Path>) -> Result<Unpacked, ProviderError> {
        self.unpack_within(to, UnpackLimits::default())
    }

    /// Unpacks it within other limits; the rest is as with [`unpack`](Self::unpack).
    ///
    /// # Errors
    /// As those of [`unpack`](Self::unpack).
    pub fn unpack_within(
        &self,
        to: impl AsRef<Path>,
        limits: UnpackLimits,
    ) -> Result<Unpacked, ProviderError> {
        let to = std::path::absolute(to.as_ref())
            .map_err(|e| disk(e, "the folder to unpack into makes no path", to.as_ref()))?;
        let context = |error: ProviderError| error.during("unpack").with("image", self.digest());
        self.unpack_to(&to, limits).map_err(context)?;
        Ok(Unpacked {
            folder: to,
            digest: self.digest().to_string(),
            entrypoint: self.entrypoint(),
            env: self.env(),
            working_dir: match self.config.config.working_dir.as_str() {
                "" => "/".to_owned(),
                folder => folder.to_owned(),
            },
        })
    }

    fn unpack_to(&self, to: &Path, limits: UnpackLimits) -> Result<(), ProviderError> {
        let there = || {
            ProviderError::new(ProviderErrorKind::AlreadyExists, "the folder to unpack into is there already")
                .with("path", to.display())
        };
        if to.symlink_metadata().is_ok() {
            return Err(there());
        }
        if self.manifest.layers.len() > limits.layers {
            return Err(invalid("the image has more layers than are unpacked")
                .with("layers", self.manifest.layers.len())
                .with("limit", limits.layers));
        }
        let partial = Partial::beside(to)?;
        let tree = Tree::open(partial.folder.path())?;
        let mut left = limits;
        for (layer, diff_id) in self.manifest.layers.iter().zip(&self.config.rootfs.diff_ids) {
            let layer = Layer { image: self, blob: layer, diff_id: Digest::parse(diff_id)? };
            // Twice: a layer hides what is below it, whatever the order of its entries is; and nothing is written of a layer
            // of which not all was seen.
            let mut hidden = Vec::new();
            left.bytes = layer.read(left, &mut |entry| {
                left.entries = left.entries.checked_sub(1).ok_or_else(|| too_many(limits))?;
                if let Content::Hides(hides) = entry.content {
                    hidden.push((entry.name, hides));
                }
                Ok(())
            })?;
            for (name, hides) in hidden {
                tree.hide(&name, hides)?;
            }
            layer.read(limits, &mut |entry| tree.add(entry))?;
        }
        tree.sync()?;
        partial.keep(to).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists
            | io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::NotADirectory => there(),
            _ => disk(e, "the folder cannot be put in its place", to),
        })
    }
}

fn too_many(limits: UnpackLimits) -> ProviderError {
    invalid("the image has more files than are unpacked").with("limit", limits.entries)
}

/// A layer that is read.
struct Layer<'a> {
    image: &'a Image,
    blob: &'a Descriptor,
    diff_id: Digest,
}

impl Layer<'_> {
    /// Reads all entries, and holds the layer against both of its digests. Answers with how many bytes are left.
    fn read(
        &self,
        limits: UnpackLimits,
        each: &mut dyn FnMut(Entry<'_>) -> Result<(), ProviderError>,
    ) -> Result<u64, ProviderError> {
        let fault = |error: ProviderError| error.with("layer", cut(&self.blob.digest));
        let mut blob = self.image.layout.open_blob(self.blob)?;
        let stream: Box<dyn Read + '_> = match self.blob.media_type.as_str() {
            media::LAYER => Box::new(Plain(&mut blob)),
            media::LAYER_GZIP | media::DOCKER_LAYER_GZIP => Box::new(MultiGzDecoder::new(Plain(&mut blob))),
            other => {
                return Err(fault(ProviderError::unsupported("a layer in a format that is not unpacked"))
                    .with("media_type", cut(other)));
            }
        };
        let mut stream = Counted { stream, hash: Hash::new(), most: limits.bytes };
        let walked = entries::each(&mut stream, each);
        // What is wrong with the bytes comes before what is wrong with what they say.
        let whole = stream.end();
        blob.end().map_err(fault)?;
        walked.map_err(fault)?;
        let (bytes, found) = whole.map_err(fault)?;
        if found != self.diff_id {
            return Err(fault(crate::fault::damaged("a layer is not what its configuration says"))
                .with("diff_id", &self.diff_id)
                .with("found", found));
        }
        Ok(limits.bytes - bytes)
    }
}

/// A blob, read by somebody else for a while.
struct Plain<'a>(&'a mut Blob);

impl Read for Plain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// A stream that is hashed, and that has an end.
struct Counted<'a> {
    stream: Box<dyn Read + 'a>,
    hash: Hash,
    most: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buffer)?;
        self.hash.update(&buffer[..n]);
        if self.hash.bytes() > self.most {
            let text = "the image is larger than what is unpacked";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        Ok(n)
    }
}

impl Counted<'_> {
    /// Reads what is left: how much it was, and its digest.
    fn end(mut self) -> Result<(u64, Digest), ProviderError> {
        io::copy(&mut self, &mut io::sink()).map_err(unreadable)?;
        Ok((self.hash.bytes(), self.hash.end()))
    }
}

/// A layer cannot be read to its end.
fn unreadable(error: io::Error) -> ProviderError {
    match error.kind() {
        io::ErrorKind::FileTooLarge => invalid("the image is larger than what is unpacked"),
        _ => invalid("a layer of the image cannot be read").because(error),
    }
}

/// A folder that is not whole yet, beside the one it will be. Dropped, it is gone.
struct Partial {
    folder: TempDir,
    /// Says that somebody is at it. The system takes it back when the process ends.
    lock: File,
}

impl Partial {
    fn beside(to: &Path) -> Result<Self, ProviderError> {
        let fault = |e| disk(e, "the folder to unpack into cannot be made", to);
        let (Some(parent), Some(name)) = (to.parent(), to.file_name()) else {
            return Err(invalid("the folder to unpack into has no name").with("path", to.display()));
        };
        fs::create_dir_all(parent).map_err(fault)?;
        let prefix = format!(".{}.partial-", name.to_string_lossy());
        sweep(parent, &prefix);
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent).map_err(fault)?;
        let lock = File::open(folder.path()).map_err(fault)?;
        lock.lock().map_err(fault)?;
        Ok(Partial { folder, lock })
    }

    fn keep(self, to: &Path) -> io::Result<()> {
        fs::rename(self.folder.path(), to)?;
        // It is not there any more under that name.
        let _ = self.folder.keep();
        drop(self.lock);
        crate::layout::sync_folder(to.parent().expect("a folder that was made has a parent"))
    }
}

/// Removes what somebody left who died: a folder that nobody holds. One that cannot be removed harms nobody.
fn sweep(parent: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)) {
        if let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
