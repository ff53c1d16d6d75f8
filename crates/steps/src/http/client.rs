//! The transport over a network.

use super::transport::{Request, Response, SendError, Transport};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};
use towpath_step::{Offers, Provider};

/// The longest that connecting may take, so that a connection that does not come about is told from a lost answer.
const CONNECT: Duration = Duration::from_secs(10);

/// HTTP/1.1 over TCP, and over TLS (rustls with ring) against the roots of the system. It keeps connections: bind one to
/// an engine to share them among steps.
///
/// ```
/// # extern crate towpath_step as towpath;
/// use towpath_steps::http::{HttpClient, TRANSPORT};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = towpath_engine::Engine::open("memory:").bind(TRANSPORT, HttpClient::new()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HttpClient(reqwest::Client);

impl HttpClient {
    /// A client without connections yet.
    ///
    /// # Errors
    /// When the roots of the system cannot be read.
    pub fn new() -> Result<Self, SendError> {
        // The provider is given, and never that of the process: two libraries of a program may want two.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            rustls_platform_verifier::Verifier::new(provider.clone()).map_err(SendError::impossible)?;
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(SendError::impossible)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .http1_only()
            .connect_timeout(CONNECT)
            .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(HttpClient(client.map_err(SendError::impossible)?))
    }
}

impl Provider for HttpClient {
    fn offer(self: Arc<Self>, to: &mut Offers<'_>) {
        to.put::<dyn Transport>(self);
    }
}

/// What an error says of whether the request was sent.
fn class(error: reqwest::Error) -> SendError {
    // An address may hold a secret.
    let error = error.without_url();
    if error.is_builder() {
        SendError::impossible(error)
    } else if error.is_connect() {
        SendError::unsent(error)
    } else {
        SendError::unanswered(error)
    }
}

#[async_trait]
impl Transport for HttpClient {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let method = reqwest::Method::from_bytes(request.method.as_bytes()).map_err(SendError::impossible)?;
        let mut sent = self.0.request(method, &request.url).timeout(request.timeout);
        for (name, value) in &request.headers {
            sent = sent.header(name, value);
        }
        if let Some(body) = request.body {
            sent = sent.body(body);
        }
        let mut answer = sent.send().await.map_err(class)?;
        let headers = answer.headers().iter();
        let headers = headers.map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let mut response =
            Response { status: answer.status().as_u16(), headers: headers.collect(), ..Response::default() };
        while let Some(chunk) = answer.chunk().await.map_err(class)? {
            let room = request.body_bytes - response.body.len();
            let kept = &chunk[..room.min(chunk.len())];
            response.body.extend_from_slice(kept);
            response.left_out += (chunk.len() - kept.len()) as u64;
        }
        Ok(response)
    }
}
