//! What releases are made of.

use serde::{Deserialize, Serialize};
use towpath_step::Output;

/// An image that was built, and where it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
pub struct Image {
    /// Its name, without a tag.
    pub name: String,
    /// Where it is: `oci:FOLDER` for a layout on this machine, or a reference in a registry.
    pub location: String,
    /// The digest of its manifest, `sha256:…`.
    pub digest: String,
    /// How large it is, in bytes.
    pub size_bytes: u64,
}
