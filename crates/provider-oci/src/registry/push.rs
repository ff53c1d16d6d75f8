//! Sending an image: distribution specification 1.1, *Pushing a blob in chunks* and *Pushing Manifests*.

use super::{
    Reference, RegistryClient, fault,
    http::{Call, Lost, RETRIES, backoff, location},
};
use crate::{
    Image,
    fault::{damaged, disk, invalid},
    spec::Descriptor,
};
use backon::BackoffBuilder;
use reqwest::{Method, Response, Url};
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};
use towpath_provider::{ImageDescriptor, ProviderError, ProviderErrorKind};

impl RegistryClient {
    pub(super) async fn push_now(
        &self,
        image: &Image,
        to: &Reference,
    ) -> Result<ImageDescriptor, ProviderError> {
        let digest = image.digest();
        if to.digest().is_some_and(|wanted| wanted != digest) {
            return Err(
                invalid("the reference names another digest than the image has").with("digest", digest)
            );
        }
        let pushed = ImageDescriptor {
            media_type: image.descriptor.media_type.clone(),
            digest: digest.to_string(),
            size_bytes: image.descriptor.size,
        };
        if self.resolve_now(to).await?.is_some_and(|found| found.digest == pushed.digest) {
            return Ok(pushed);
        }
        for blob in image.manifest.layers.iter().chain([&image.manifest.config]) {
            self.push_blob(image, blob, to).await.map_err(|e| e.with("blob", &blob.digest))?;
        }
        // Last, so that nobody finds half of it.
        let manifest = image.layout.read_blob(&image.descriptor, image.descriptor.size)?;
        let url = self.url(to, &format!("manifests/{}", to.tag().map_or_else(|| to.asked(), Ok)?))?;
        let call = Call::new(Method::PUT, url, to).body(&pushed.media_type, manifest);
        let answer = self
            .retrying(|| async { fault::good(self.send(&call, Lost::Effect).await?, Lost::Effect).await });
        let answer = answer.await?;
        let said = answer.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        match said {
            Some(said) if said != pushed.digest => {
                Err(damaged("the registry keeps the image under another digest")
                    .with("found", crate::digest::cut(said)))
            }
            _ => Ok(pushed),
        }
    }

    async fn push_blob(&self, image: &Image, blob: &Descriptor, to: &Reference) -> Result<(), ProviderError> {
        if self.has_blob(blob, to).await? {
            return Ok(());
        }
        let path = image.layout.blob_path(&crate::Digest::parse(&blob.digest)?);
        let mut file = File::open(&path).map_err(|e| disk(e, "a blob of the image cannot be read", &path))?;
        let mut waits = backoff().build();
        let mut upload = None;
        loop {
            let error = match self.upload(&mut file, blob, to, &mut upload).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // What is not known to have ended may have: the other side knows.
            if error.is_transient() && self.has_blob(blob, to).await.unwrap_or(false) {
                return Ok(());
            }
            let is_over = matches!(
                error.kind(),
                // An upload that the other side has given up is begun anew.
                ProviderErrorKind::NotFound | ProviderErrorKind::Invalid
            );
            let wait = waits.next().filter(|_| error.is_transient() || (is_over && upload.is_some()));
            let Some(wait) = wait else { return Err(error.with("tries", RETRIES + 1)) };
            if is_over {
                upload = None;
            }
            let asked = error.retry_after().unwrap_or_default();
            if asked > super::http::WAIT_MOST {
                return Err(error);
            }
            self.pause(wait.max(asked)).await;
        }
    }

    /// Waits, by the process's own clock: the other side is a real one.
    async fn pause(&self, time: std::time::Duration) {
        let mut wait = tokio::time::interval_at(
            tokio::time::Instant::now() + time,
            time.max(std::time::Duration::from_millis(1)),
        );
        wait.tick().await;
    }

    async fn has_blob(&self, blob: &Descriptor, to: &Reference) -> Result<bool, ProviderError> {
        let url = self.url(to, &format!("blobs/{}", blob.digest))?;
        let call = Call::new(Method::HEAD, url, to);
        self.retrying(|| async {
            let answer = self.send(&call, Lost::Nothing).await?;
            match answer.status().as_u16() {
                404 => Ok(false),
                _ => fault::good(answer, Lost::Nothing).await.map(|_| true),
            }
        })
        .await
    }

    /// Begins an upload, or goes on with one, and brings it to its end. `upload` is where it is, as long as it lives.
    async fn upload(
        &self,
        file: &mut File,
        blob: &Descriptor,
        to: &Reference,
        upload: &mut Option<Url>,
    ) -> Result<(), ProviderError> {
        let (mut at, mut sent) = match upload.take() {
            // It is asked where it stands, and lost from view until it has answered.
            Some(at) => self.stands(&at, to).await.inspect_err(|_| *upload = Some(at))?,
            None => (self.begin(to).await?, 0),
        };
        while sent < blob.size {
            *upload = Some(at.clone());
            let chunk = read(
                file,
                sent,
                self.chunk_bytes.min(usize::try_from(blob.size - sent).unwrap_or(usize::MAX)),
            )?;
            let end = sent + chunk.len() as u64;
            let call = Call::new(Method::PATCH, at.clone(), to)
                .header("content-range", format!("{sent}-{}", end - 1))
                .body("application/octet-stream", chunk);
            let answer = fault::good(self.send(&call, Lost::Nothing).await?, Lost::Nothing).await?;
            at = self.goes_on(&answer, &at, to)?;
            sent = match range_end(&answer) {
                // `0-0` is said of nothing, and of one byte.
                Some(0) if end > 1 => 0,
                Some(last) if last < end => last + 1,
                Some(_) => return Err(ProviderError::unexpected("the registry has more than was sent")),
                None => end,
            };
        }
        *upload = Some(at.clone());
        at.query_pairs_mut().append_pair("digest", &blob.digest);
        let call = Call::new(Method::PUT, at, to).body("application/octet-stream", Vec::new());
        fault::good(self.send(&call, Lost::Nothing).await?, Lost::Nothing).await.map(drop)
    }

    async fn begin(&self, to: &Reference) -> Result<Url, ProviderError> {
        let url = self.url(to, "blobs/uploads/")?;
        let call = Call::new(Method::POST, url.clone(), to).body("application/octet-stream", Vec::new());
        let answer = fault::good(self.send(&call, Lost::Nothing).await?, Lost::Nothing).await?;
        self.goes_on(&answer, &url, to)
    }

    /// Where an upload is, and how much of it is there.
    async fn stands(&self, at: &Url, to: &Reference) -> Result<(Url, u64), ProviderError> {
        let call = Call::new(Method::GET, at.clone(), to);
        let answer = fault::good(self.send(&call, Lost::Nothing).await?, Lost::Nothing).await?;
        let next = match answer.headers().contains_key("location") {
            true => self.goes_on(&answer, at, to)?,
            false => at.clone(),
        };
        let there = match range_end(&answer) {
            None | Some(0) => 0,
            Some(last) => last + 1,
        };
        Ok((next, there))
    }

    fn goes_on(&self, answer: &Response, from: &Url, to: &Reference) -> Result<Url, ProviderError> {
        let next = location(answer, from)?;
        self.check_scheme(&next, to)?;
        Ok(next)
    }
}

/// The number of the last byte that the other side has: `Range: 0-N`.
fn range_end(answer: &Response) -> Option<u64> {
    let text = answer.headers().get("range")?.to_str().ok()?;
    let text = text.strip_prefix("bytes=").unwrap_or(text);
    text.strip_prefix("0-")?.parse().ok()
}

fn read(file: &mut File, from: u64, bytes: usize) -> Result<Vec<u8>, ProviderError> {
    let fault = |e| ProviderError::unexpected("a blob of the image cannot be read").because(e);
    file.seek(SeekFrom::Start(from)).map_err(fault)?;
    let mut chunk = vec![0; bytes];
    file.read_exact(&mut chunk).map_err(fault)?;
    Ok(chunk)
}
