//! What keeps images for others.

use crate::{BuiltImage, Capability, ProviderError};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::path::Path;
use towpath_model::Key;

/// What keeps images under references, such as `registry.example/orders:2.1.0`.
///
/// Content is known by its digest, so that a repetition is harmless by itself; a reference is a name that can be moved.
#[async_trait]
pub trait Registry: Send + Sync {
    /// What this registry can do.
    fn capability(&self) -> RegistryCapability;

    /// What a reference stands for; `None` when it stands for nothing.
    ///
    /// # Contract
    /// - It changes nothing.
    /// - What a push was answered with is resolved until somebody moves the reference.
    async fn resolve(&self, reference: &str) -> Result<Option<ImageDescriptor>, ProviderError>;

    /// Sends an image of a layout, and has a reference stand for it, whatever it stood for before.
    ///
    /// # Contract
    /// - The reference stands for what it stood for until all of the image is there: nobody finds half of one.
    /// - What is there already is not sent again. An upload that breaks goes on where the other side says, or begins anew.
    /// - A repetition changes nothing.
    /// - An image that is not what its digest says is `Unexpected`, and nothing is sent.
    /// - `Unavailable` and `RateLimited` say that the reference stands for what it stood for. Where it may have been moved and
    ///   the answer was lost, that is `OutcomeUnknown`, and [`resolve`](Self::resolve) tells.
    async fn push(
        &self,
        image: &BuiltImage,
        reference: &str,
        key: &Key,
    ) -> Result<ImageDescriptor, ProviderError>;

    /// Fetches an image into a layout in this folder, which is made when it is not there. Its name there is the reference.
    ///
    /// # Contract
    /// - Nothing that is not what its digest says is kept, and nothing half is found under the name.
    /// - A reference that stands for nothing is `NotFound`.
    /// - A repetition fetches what is missing, and nothing else.
    async fn pull(&self, reference: &str, layout: &Path, key: &Key) -> Result<BuiltImage, ProviderError>;
}

/// What a reference stands for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageDescriptor {
    /// What it is, as a media type.
    pub media_type: String,
    /// The digest of its manifest, `sha256:…`.
    pub digest: String,
    /// Bytes of its manifest.
    pub size_bytes: u64,
}

/// What a registry can do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct RegistryCapability {
    /// It takes images.
    pub push: bool,
    /// It gives images.
    pub pull: bool,
    /// An upload that breaks goes on where it stood, if the other side lets it.
    pub resumes: bool,
}

impl RegistryCapability {
    /// It takes images.
    #[must_use]
    pub fn push(mut self) -> Self {
        self.push = true;
        self
    }

    /// It gives images.
    #[must_use]
    pub fn pull(mut self) -> Self {
        self.pull = true;
        self
    }

    /// An upload that breaks goes on where it stood, if the other side lets it.
    #[must_use]
    pub fn resumes(mut self) -> Self {
        self.resumes = true;
        self
    }
}

impl Capability for RegistryCapability {
    fn missing(&self, wanted: &Self) -> Vec<&'static str> {
        [
            (self.push || !wanted.push, "push"),
            (self.pull || !wanted.pull, "pull"),
            (self.resumes || !wanted.resumes, "resumes"),
        ]
        .into_iter()
        .filter_map(|(offered, name)| (!offered).then_some(name))
        .collect()
    }
}
