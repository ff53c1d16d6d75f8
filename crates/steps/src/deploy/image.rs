//! What releases are made of.

use serde::{Deserialize, Serialize};
use towpath_provider::BuiltImage;
use towpath_step::Output;

/// An image that was built, and where it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
pub struct Image {
    /// Its name, without a tag.
    pub name: String,
    /// Where it is: `oci:FOLDER:NAME` for a layout on this machine, or a reference in a registry.
    pub location: String,
    /// The digest of its manifest, `sha256:…`.
    pub digest: String,
    /// How large it is, in bytes.
    pub size_bytes: u64,
}

impl From<BuiltImage> for Image {
    fn from(image: BuiltImage) -> Self {
        let BuiltImage { name, location, digest, size_bytes } = image;
        Image { name, location, digest, size_bytes }
    }
}

impl From<Image> for BuiltImage {
    fn from(image: Image) -> Self {
        let Image { name, location, digest, size_bytes } = image;
        BuiltImage { name, location, digest, size_bytes }
    }
}
