//! One image of a layout.

use super::Layout;
use crate::{
    Digest,
    fault::invalid,
    spec::{Descriptor, ImageConfig, Index, Manifest, Platform, host_architecture, host_os, media},
};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use towpath_provider::ProviderError;

/// Most bytes of a manifest or a configuration: what registries take at most.
pub(crate) const DOCUMENT_BYTES: u64 = 4 << 20;

/// How deep an index may hold another.
const DEPTH: usize = 3;

/// One image of a [`Layout`]: manifest and configuration, held against their digests.
#[derive(Clone, Debug)]
pub struct Image {
    pub(crate) layout: Layout,
    pub(crate) descriptor: Descriptor,
    digest: Digest,
    pub(crate) manifest: Manifest,
    pub(crate) config: ImageConfig,
}

impl Image {
    pub(super) fn read(layout: &Layout, mut descriptor: Descriptor) -> Result<Self, ProviderError> {
        for _ in 0..DEPTH {
            match descriptor.media_type.as_str() {
                media::INDEX | media::DOCKER_INDEX => {
                    let index: Index = document(layout, &descriptor)?;
                    descriptor = for_this_machine(index, &descriptor)?;
                }
                media::MANIFEST | media::DOCKER_MANIFEST => return Image::of_manifest(layout, descriptor),
                other => {
                    return Err(ProviderError::unsupported("what is there is no image")
                        .during("image")
                        .with("digest", crate::digest::cut(&descriptor.digest))
                        .with("media_type", crate::digest::cut(other)));
                }
            }
        }
        Err(invalid("an index within an index within an index").during("image"))
    }

    fn of_manifest(layout: &Layout, descriptor: Descriptor) -> Result<Self, ProviderError> {
        let manifest: Manifest = document(layout, &descriptor)?;
        let config: ImageConfig = document(layout, &manifest.config)?;
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(invalid("the manifest of an image has other layers than its configuration")
                .during("image")
                .with("digest", &descriptor.digest));
        }
        let digest = Digest::parse(&descriptor.digest)?;
        Ok(Image { layout: layout.clone(), descriptor, digest, manifest, config })
    }

    /// The digest of its manifest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Bytes of its manifest, configuration and layers.
    pub fn size_bytes(&self) -> u64 {
        let blobs = self.manifest.layers.iter().chain([&self.manifest.config, &self.descriptor]);
        blobs.map(|blob| blob.size).fold(0, u64::saturating_add)
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its configuration.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// What is run: the entry point and, after it, what its configuration says as further arguments.
    pub fn entrypoint(&self) -> Vec<String> {
        let config = &self.config.config;
        config.entrypoint.iter().chain(&config.cmd).cloned().collect()
    }

    /// The environment that it is run in. Of a name that is there twice, the last counts; a line without `=` does not.
    pub fn env(&self) -> BTreeMap<String, String> {
        let pair = |line: &String| {
            let (name, value) = line.split_once('=')?;
            (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
        };
        self.config.config.env.iter().filter_map(pair).collect()
    }

    /// Reads all of it, and holds it against its digests.
    ///
    /// # Errors
    /// When something is missing, or is not what its digest says.
    pub fn verify(&self) -> Result<(), ProviderError> {
        for blob in self.manifest.layers.iter().chain([&self.manifest.config, &self.descriptor]) {
            self.layout.open_blob(blob)?.end().map_err(|e| e.during("verify"))?;
        }
        Ok(())
    }
}

fn document<T: DeserializeOwned>(layout: &Layout, descriptor: &Descriptor) -> Result<T, ProviderError> {
    let bytes = layout.read_blob(descriptor, DOCUMENT_BYTES).map_err(|e| e.during("image"))?;
    serde_json::from_slice(&bytes).map_err(|e| {
        invalid("a document of an image cannot be understood")
            .during("image")
            .with("digest", crate::digest::cut(&descriptor.digest))
            .with("media_type", crate::digest::cut(&descriptor.media_type))
            .because(e)
    })
}

fn for_this_machine(index: Index, of: &Descriptor) -> Result<Descriptor, ProviderError> {
    let fits = |platform: &Platform| platform.os == host_os() && platform.architecture == host_architecture();
    let found = index.manifests.into_iter().find(|manifest| manifest.platform.as_ref().is_some_and(fits));
    found.ok_or_else(|| {
        ProviderError::unsupported("the image is not there for this machine")
            .during("image")
            .with("digest", crate::digest::cut(&of.digest))
            .with("platform", format_args!("{}/{}", host_os(), host_architecture()))
    })
}
