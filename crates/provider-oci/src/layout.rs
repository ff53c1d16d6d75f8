//! A folder of images.

mod blobs;
mod image;
mod index;

pub use image::Image;

pub(crate) use blobs::{Blob, sync_folder};
#[cfg(feature = "registry")]
pub(crate) use {blobs::Draft, image::DOCUMENT_BYTES};

use crate::{
    Digest,
    fault::{disk, invalid},
    spec::{self, Descriptor, LayoutFile, REF_NAME},
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use towpath_provider::{ProviderError, ProviderErrorKind};

const VERSION: &str = "1.0.0";

/// A folder of images, each blob under its digest: an image layout of the OCI image specification 1.1.
///
/// Any number of processes may read and write one at a time: a blob appears whole or not at all, and the index, which names
/// the images, is replaced as a whole under a lock. What other programs have written into the index is kept.
///
/// ```
/// use towpath_provider_oci::Layout;
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("images");
/// let layout = Layout::create(&folder)?;
/// assert!(layout.tags()?.is_empty());
/// let error = Layout::open(&folder)?.image("orders:2.1.0").unwrap_err();
/// assert_eq!(error.kind(), towpath_provider::ProviderErrorKind::NotFound);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// Opens a layout that is there.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Unsupported` when it is of another version.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, ProviderError> {
        let folder = std::path::absolute(folder.as_ref())
            .map_err(|e| disk(e, "the folder of a layout makes no path", folder.as_ref()))?;
        let path = folder.join("oci-layout");
        let bytes =
            fs::read(&path).map_err(|e| disk(e, "there is no layout of images", &folder).during("open"))?;
        let file: LayoutFile = serde_json::from_slice(&bytes).map_err(|e| {
            invalid("the file that says that a folder is a layout cannot be read")
                .during("open")
                .with("path", path.display())
                .because(e)
        })?;
        if file.image_layout_version != VERSION {
            return Err(ProviderError::unsupported("a layout of another version than 1.0.0")
                .during("open")
                .with("path", path.display())
                .with("version", crate::digest::cut(&file.image_layout_version)));
        }
        Ok(Layout { folder })
    }

    /// Opens a layout, or makes one: the folder and those above it, as far as they are not there.
    ///
    /// # Errors
    /// When it cannot be written, or is something else.
    pub fn create(folder: impl AsRef<Path>) -> Result<Self, ProviderError> {
        let folder = folder.as_ref();
        let blobs = folder.join("blobs").join("sha256");
        fs::create_dir_all(&blobs)
            .map_err(|e| disk(e, "a layout cannot be made", folder).during("create"))?;
        if !folder.join("oci-layout").exists() {
            let layout = Layout { folder: folder.to_owned() };
            let _lock = layout.lock()?;
            // The file that says that it is one comes last.
            if !folder.join("index.json").exists() {
                layout.write_index(&spec::Index::default())?;
            }
            let file = LayoutFile { image_layout_version: VERSION.to_owned() };
            let bytes = serde_json::to_vec(&file).expect("a version is JSON");
            blobs::replace(&folder.join("oci-layout"), &bytes)?;
        }
        Layout::open(folder)
    }

    /// Where a [location](towpath_provider) leads, `oci:FOLDER` or `oci:FOLDER:NAME`: the layout, and the name when it has one.
    ///
    /// # Errors
    /// `Invalid` when it is no such location; those of [`open`](Self::open).
    pub fn locate(location: &str) -> Result<(Self, Option<String>), ProviderError> {
        let rest = location.strip_prefix("oci:").filter(|rest| !rest.is_empty()).ok_or_else(|| {
            invalid("no location of a layout; it begins with `oci:` and a folder")
                .during("locate")
                .with("location", crate::digest::cut(location))
        })?;
        let (folder, name) = match rest.split_once(':') {
            Some((folder, name)) if !name.is_empty() => (folder, Some(name.to_owned())),
            Some((folder, _)) => (folder, None),
            None => (rest, None),
        };
        Ok((Layout::open(folder)?, name))
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The location of an image of this layout, `oci:FOLDER:NAME`, as other tools (`skopeo`) understand it too.
    pub fn location(&self, name: &str) -> String {
        format!("oci:{}:{name}", self.folder.display())
    }

    /// The images that have a name, in the order of their names.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn tags(&self) -> Result<Vec<(String, Digest)>, ProviderError> {
        let mut tags = Vec::new();
        for descriptor in self.read_index()?.manifests {
            if let Some(name) = descriptor.annotations.get(REF_NAME) {
                tags.push((name.clone(), Digest::parse(&descriptor.digest)?));
            }
        }
        tags.sort();
        Ok(tags)
    }

    /// An image, by the name that the index gives it (`orders:2.1.0`) or by the digest of its manifest (`sha256:…`). Of an
    /// image for several platforms, the one for this machine.
    ///
    /// Manifest and configuration are read and held against their digests; layers are when they are read.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Unsupported` when there is none for this machine, or in a format that is not known;
    /// `Unexpected` when what is there is not what its digest says.
    pub fn image(&self, reference: &str) -> Result<Image, ProviderError> {
        let found = match reference.starts_with("sha256:") {
            true => self.by_digest(&Digest::parse(reference)?)?,
            false => self.by_name(reference)?,
        };
        let descriptor = found.ok_or_else(|| {
            ProviderError::not_found("no such image in the layout")
                .during("image")
                .with("image", crate::digest::cut(reference))
                .with("layout", self.folder.display())
        })?;
        Image::read(self, descriptor)
    }

    pub(crate) fn by_name(&self, name: &str) -> Result<Option<Descriptor>, ProviderError> {
        let named = |descriptor: &Descriptor| descriptor.annotations.get(REF_NAME).is_some_and(|n| n == name);
        Ok(self.read_index()?.manifests.into_iter().find(named))
    }

    /// The manifest that has an annotation in the index.
    pub(crate) fn by_annotation(&self, name: &str, value: &str) -> Result<Option<Descriptor>, ProviderError> {
        let has = |descriptor: &Descriptor| descriptor.annotations.get(name).is_some_and(|v| v == value);
        Ok(self.read_index()?.manifests.into_iter().find(has))
    }

    fn by_digest(&self, digest: &Digest) -> Result<Option<Descriptor>, ProviderError> {
        let same = |descriptor: &Descriptor| descriptor.digest == digest.as_str();
        Ok(self.read_index()?.manifests.into_iter().find(same))
    }
}

/// Whether this may name an image in an index: the grammar of `org.opencontainers.image.ref.name` (`annotations.md`).
///
/// # Errors
/// `Invalid` when it may not.
pub(crate) fn check_name(name: &str) -> Result<(), ProviderError> {
    let is_component = |component: &str| {
        let bytes = component.as_bytes();
        let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        ends(bytes.first())
            && ends(bytes.last())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-._:@+".contains(b))
            && bytes.windows(2).all(|two| two.iter().any(u8::is_ascii_alphanumeric) || two == b"--")
            && !component.contains("---")
    };
    if name.len() <= 255 && !name.starts_with("sha256:") && name.split('/').all(is_component) {
        return Ok(());
    }
    Err(ProviderError::new(
        ProviderErrorKind::Invalid,
        "no name of an image: letters and digits, joined by one of `-._:@+/` or by `--`",
    )
    .with("name", crate::digest::cut(name)))
}
