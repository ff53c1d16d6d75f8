//! Registries, over the OCI distribution specification 1.1.

mod auth;
mod credential;
mod fault;
mod http;
mod pull;
mod push;
mod reference;

pub use credential::{Credential, CredentialSource};
pub use reference::Reference;

use crate::{Layout, blocking::blocking, fault::invalid, spec::media};
use async_trait::async_trait;
use auth::Tokens;
use http::{Call, Lost};
use reqwest::{Method, Url};
use std::{collections::BTreeSet, path::Path, sync::Arc};
use towpath_model::Key;
use towpath_provider::{BuiltImage, ImageDescriptor, ProviderError, Registry, RegistryCapability};

/// What is taken for a manifest.
const MANIFESTS: [&str; 4] = [media::MANIFEST, media::INDEX, media::DOCKER_MANIFEST, media::DOCKER_INDEX];

/// Bytes that are sent at a time; what has to be sent again when a connection breaks.
const CHUNK_BYTES: usize = 8 << 20;

/// A client of registries that speak the [OCI distribution specification 1.1], which all that are in use do.
///
/// It speaks HTTPS (rustls, against the roots of the system), and HTTP only with hosts that were named for it. It knows Basic
/// authentication and tokens ([Docker's token specification]); credentials come from a [`CredentialSource`], and go to the
/// host that they are for and to the token service that it names, over HTTPS. What comes is held against its digest while
/// it comes. What may pass is tried again a few times; where a registry asks for more time than that, the error says so.
///
/// [OCI distribution specification 1.1]: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
/// [Docker's token specification]: https://distribution.github.io/distribution/spec/auth/token/
///
/// ```
/// use towpath_provider_oci::{Credential, RegistryClient};
///
/// let registry = RegistryClient::new()?
///     .credential("registry.example", Credential::basic("ci", "a secret"))
///     .plain_http("127.0.0.1:5000");
/// assert!(!format!("{registry:?}").contains("a secret"));
/// # Ok::<(), towpath_provider::ProviderError>(())
/// ```
#[derive(Clone)]
pub struct RegistryClient {
    http: reqwest::Client,
    plain: BTreeSet<String>,
    credentials: Arc<dyn CredentialSource>,
    tokens: Arc<Tokens>,
    chunk_bytes: usize,
}

impl std::fmt::Debug for RegistryClient {
    /// Without credentials and tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryClient").field("plain_http", &self.plain).finish_non_exhaustive()
    }
}

impl RegistryClient {
    /// A client without credentials.
    ///
    /// # Errors
    /// When the roots of the system cannot be read.
    pub fn new() -> Result<Self, ProviderError> {
        Ok(RegistryClient {
            http: http::client()?,
            plain: BTreeSet::new(),
            credentials: Arc::new(credential::Fixed::default()),
            tokens: Arc::default(),
            chunk_bytes: CHUNK_BYTES,
        })
    }

    /// Gives this to a host (`registry.example`, `127.0.0.1:5000`), in place of what a source was asked for before.
    #[must_use]
    pub fn credential(mut self, host: impl Into<String>, credential: Credential) -> Self {
        self.credentials = Arc::new(credential::Fixed::before(self.credentials, host.into(), credential));
        self
    }

    /// Asks this for credentials, each time that a registry wants some.
    #[must_use]
    pub fn credentials(mut self, source: impl CredentialSource + 'static) -> Self {
        self.credentials = Arc::new(source);
        self
    }

    /// Speaks HTTP with this host, where anybody on the way can read and change what is said. For a registry on the same
    /// machine, and for tests.
    #[must_use]
    pub fn plain_http(mut self, host: impl Into<String>) -> Self {
        self.plain.insert(host.into());
        self
    }

    /// Sends so many bytes at a time, at least one; 8 MiB by default. They are held in memory.
    #[must_use]
    pub fn chunk_bytes(mut self, bytes: usize) -> Self {
        self.chunk_bytes = bytes.max(1);
        self
    }

    /// An address of the interface of a repository.
    fn url(&self, reference: &Reference, rest: &str) -> Result<Url, ProviderError> {
        let scheme = if self.plain.contains(reference.host()) { "http" } else { "https" };
        let text = format!("{scheme}://{}/v2/{}/{rest}", reference.api_host(), reference.repository());
        Url::parse(&text).map_err(|e| invalid("the reference makes no address").because(e))
    }

    async fn resolve_now(&self, reference: &Reference) -> Result<Option<ImageDescriptor>, ProviderError> {
        let url = self.url(reference, &format!("manifests/{}", reference.asked()?))?;
        let call = Call::new(Method::HEAD, url, reference).accepting(&MANIFESTS);
        let answer = self.retrying(|| async {
            let answer = self.send(&call, Lost::Nothing).await?;
            match answer.status().as_u16() {
                404 => Ok(None),
                _ => fault::good(answer, Lost::Nothing).await.map(Some),
            }
        });
        let Some(answer) = answer.await? else { return Ok(None) };
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let size = header("content-length").and_then(|text| text.parse().ok());
        let found = match (header("docker-content-digest"), header("content-type"), size) {
            (Some(digest), Some(media_type), Some(size_bytes)) => {
                let digest = crate::Digest::parse(digest)?.to_string();
                ImageDescriptor { media_type: media_type.to_owned(), digest, size_bytes }
            }
            // The specification wants the header, and not every registry has it.
            _ => {
                let (descriptor, _) = self.manifest(reference, reference.asked()?).await?;
                let (media_type, digest) = (descriptor.media_type, descriptor.digest);
                ImageDescriptor { media_type, digest, size_bytes: descriptor.size }
            }
        };
        match reference.digest() {
            Some(wanted) if wanted.as_str() != found.digest => {
                Err(crate::fault::damaged("the registry answered with another image than was asked for")
                    .with("found", found.digest))
            }
            _ => Ok(Some(found)),
        }
    }
}

#[async_trait]
impl Registry for RegistryClient {
    fn capability(&self) -> RegistryCapability {
        RegistryCapability::default().push().pull().resumes()
    }

    async fn resolve(&self, reference: &str) -> Result<Option<ImageDescriptor>, ProviderError> {
        let fault = |e: ProviderError| e.during("resolve").with("reference", crate::digest::cut(reference));
        let reference = Reference::parse(reference).map_err(fault)?;
        self.resolve_now(&reference).await.map_err(fault)
    }

    async fn push(
        &self,
        image: &BuiltImage,
        reference: &str,
        _key: &Key,
    ) -> Result<ImageDescriptor, ProviderError> {
        let fault = |e: ProviderError| e.during("push").with("reference", crate::digest::cut(reference));
        let to = Reference::parse(reference).map_err(fault)?;
        let (location, digest) = (image.location.clone(), image.digest.clone());
        let image = blocking(move || {
            let image = Layout::locate(&location)?.0.image(&digest)?;
            image.verify()?;
            Ok(image)
        });
        let image = image.await.map_err(fault)?;
        self.push_now(&image, &to).await.map_err(fault)
    }

    async fn pull(&self, reference: &str, layout: &Path, _key: &Key) -> Result<BuiltImage, ProviderError> {
        let fault = |e: ProviderError| e.during("pull").with("reference", crate::digest::cut(reference));
        let from = Reference::parse(reference).map_err(fault)?;
        let folder = layout.to_owned();
        let layout = blocking(move || Layout::create(folder)).await.map_err(fault)?;
        self.pull_now(&from, reference, &layout).await.map_err(fault)
    }
}
