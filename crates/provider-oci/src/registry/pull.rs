//! Fetching an image: distribution specification 1.1, *Pull*.

use super::{
    MANIFESTS, Reference, RegistryClient, fault,
    http::{Call, Lost, unanswered},
};
use crate::{
    Digest, Layout,
    blocking::blocking,
    fault::{damaged, disk, invalid},
    layout::{DOCUMENT_BYTES, Draft, check_name},
    spec::{Descriptor, Index, Manifest, Platform, host_architecture, host_os, media},
};
use reqwest::{Method, Response};
use std::io::Write;
use tokio::sync::Mutex;
use towpath_provider::{BuiltImage, ProviderError};

impl RegistryClient {
    pub(super) async fn pull_now(
        &self,
        from: &Reference,
        name: &str,
        layout: &Layout,
    ) -> Result<BuiltImage, ProviderError> {
        check_name(name)?;
        let (mut descriptor, mut bytes) = self.manifest(from, from.asked()?).await?;
        if matches!(descriptor.media_type.as_str(), media::INDEX | media::DOCKER_INDEX) {
            let inner = for_this_machine(&bytes)?;
            (descriptor, bytes) = self.manifest(from, &inner).await?;
        }
        if !matches!(descriptor.media_type.as_str(), media::MANIFEST | media::DOCKER_MANIFEST) {
            return Err(ProviderError::unsupported("what the reference stands for is no image")
                .with("media_type", crate::digest::cut(&descriptor.media_type)));
        }
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|e| invalid("the manifest cannot be understood").because(e))?;
        if manifest.config.size > DOCUMENT_BYTES {
            return Err(invalid("the configuration of the image is larger than what is read"));
        }
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            self.pull_blob(from, blob, layout)
                .await
                .map_err(|e| e.with("blob", crate::digest::cut(&blob.digest)))?;
        }
        let (layout, tag, location) = (layout.clone(), name.to_owned(), layout.location(name));
        let name = format!("{}/{}", from.host(), from.repository());
        blocking(move || {
            let written = layout.write_blob(&bytes, &descriptor.media_type)?;
            layout.set_name(&tag, written.clone())?;
            // By its digest: the name may have moved on already.
            let image = layout.image(&written.digest)?;
            let (digest, size_bytes) = (image.digest().to_string(), image.size_bytes());
            Ok(BuiltImage { name, location, digest, size_bytes })
        })
        .await
    }

    /// A manifest or an index, held against what was asked for.
    pub(super) async fn manifest(
        &self,
        from: &Reference,
        asked: &str,
    ) -> Result<(Descriptor, Vec<u8>), ProviderError> {
        let url = self.url(from, &format!("manifests/{asked}"))?;
        let call = Call::new(Method::GET, url, from).accepting(&MANIFESTS);
        self.retrying(|| async {
            let mut answer = fault::good(self.send(&call, Lost::Nothing).await?, Lost::Nothing).await?;
            let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
            let media_type = header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
            let (media_type, said) =
                (media_type.trim().to_owned(), header("docker-content-digest").map(str::to_owned));
            let mut bytes = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(|e| unanswered(e, Lost::Nothing))? {
                bytes.extend_from_slice(&chunk);
                if bytes.len() as u64 > DOCUMENT_BYTES {
                    return Err(invalid("the manifest is larger than 4 MiB"));
                }
            }
            let found = Digest::of(&bytes);
            let wanted = if asked.starts_with("sha256:") { Some(asked) } else { said.as_deref() };
            if wanted.is_some_and(|wanted| wanted != found.as_str()) {
                return Err(damaged("the manifest is not what its digest says")
                    .with("digest", crate::digest::cut(wanted.unwrap_or_default()))
                    .with("found", found));
            }
            let size = bytes.len() as u64;
            Ok((Descriptor { media_type, digest: found.to_string(), size, ..Descriptor::default() }, bytes))
        })
        .await
    }

    /// Fetches a blob, unless it is there. What breaks off goes on where it stood.
    async fn pull_blob(
        &self,
        from: &Reference,
        blob: &Descriptor,
        layout: &Layout,
    ) -> Result<(), ProviderError> {
        let (here, wanted) = (layout.clone(), blob.clone());
        let is_there = blocking(move || {
            let digest = Digest::parse(&wanted.digest)?;
            let is_whole = || here.open_blob(&wanted).and_then(crate::layout::Blob::end).is_ok();
            Ok(here.has_blob(&digest, wanted.size) && is_whole())
        });
        if is_there.await? {
            return Ok(());
        }
        let url = self.url(from, &format!("blobs/{}", blob.digest))?;
        let draft = Mutex::new(layout.draft()?);
        self.retrying(|| async {
            let mut draft = draft.lock().await;
            let mut call = Call::new(Method::GET, url.clone(), from);
            if draft.bytes() > 0 {
                call = call.header("range", format!("bytes={}-", draft.bytes()));
            }
            let answer = fault::good(self.send(&call, Lost::Nothing).await?, Lost::Nothing).await?;
            if answer.status() != 206 || !begins_at(&answer, draft.bytes()) {
                *draft = layout.draft()?;
                if answer.status() == 206 {
                    return Err(ProviderError::unavailable(
                        "the registry went on elsewhere than was asked for",
                    ));
                }
            }
            fill(&mut draft, answer, blob).await
        })
        .await?;
        let (draft, wanted) = (draft.into_inner(), blob.clone());
        blocking(move || draft.keep_as(&wanted)).await
    }
}

/// Whether the answer goes on at this byte: `Content-Range: bytes FROM-TO/ALL`.
fn begins_at(answer: &Response, byte: u64) -> bool {
    let text = answer.headers().get("content-range").and_then(|value| value.to_str().ok());
    let from = text.and_then(|text| text.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
    from == Some(byte)
}

async fn fill(draft: &mut Draft, mut answer: Response, blob: &Descriptor) -> Result<(), ProviderError> {
    while let Some(chunk) = answer.chunk().await.map_err(|e| unanswered(e, Lost::Nothing))? {
        if draft.bytes() + chunk.len() as u64 > blob.size {
            return Err(damaged("more came than the image says").with("size_bytes", blob.size));
        }
        draft.write_all(&chunk).map_err(|e| disk(e, "a blob cannot be written", draft.folder()))?;
    }
    if draft.bytes() < blob.size {
        return Err(ProviderError::unavailable("the registry ended before all of a blob had come"));
    }
    Ok(())
}

fn for_this_machine(bytes: &[u8]) -> Result<String, ProviderError> {
    let index: Index =
        serde_json::from_slice(bytes).map_err(|e| invalid("the index cannot be understood").because(e))?;
    let fits = |platform: &Platform| platform.os == host_os() && platform.architecture == host_architecture();
    let found = index.manifests.into_iter().find(|manifest| manifest.platform.as_ref().is_some_and(fits));
    let found = found.ok_or_else(|| {
        ProviderError::unsupported("the image is not there for this machine")
            .with("platform", format_args!("{}/{}", host_os(), host_architecture()))
    })?;
    Ok(Digest::parse(&found.digest)?.to_string())
}
