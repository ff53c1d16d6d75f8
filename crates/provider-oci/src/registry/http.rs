//! Requests to a registry: signed, redirected, tried again.

use super::{Reference, RegistryClient, auth::Challenge};
use crate::fault::invalid;
use backon::{ExponentialBuilder, Retryable};
use reqwest::{
    Method, Response, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION},
};
use std::{sync::Arc, time::Duration};
use towpath_provider::{ProviderError, ProviderErrorKind};

/// The longest that connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// The longest that the other side may say nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// Most redirects of one request.
const REDIRECTS: usize = 5;

/// The longest that is waited here; who asks for more is waited for by whoever called.
pub(super) const WAIT_MOST: Duration = Duration::from_secs(8);

/// How often something is tried again.
pub(super) const RETRIES: usize = 4;

/// What is lost with an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lost {
    /// Nothing that anybody sees.
    Nothing,
    /// Whether a reference was moved.
    Effect,
}

/// A client as those of the stock steps: it follows nothing and tries nothing again by itself.
pub(super) fn client() -> Result<reqwest::Client, ProviderError> {
    let fault = |error: Box<dyn std::error::Error + Send + Sync>| {
        ProviderError::unexpected("the roots of the system for TLS cannot be read").because(error)
    };
    // The provider is given, and never that of the process: two libraries of a program may want two.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls_platform_verifier::Verifier::new(provider.clone()).map_err(|e| fault(e.into()))?;
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| fault(e.into()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .http1_only()
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| fault(e.into()))
}

/// A request.
#[derive(Clone)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) reference: &'a Reference,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, url: Url, reference: &'a Reference) -> Self {
        Call { method, url, reference, headers: Vec::new(), body: None }
    }

    pub(super) fn accepting(self, media_types: &[&str]) -> Self {
        let all = media_types.join(", ");
        self.header(ACCEPT.as_str(), all)
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, media_type: &str, bytes: Vec<u8>) -> Self {
        self.body = Some(bytes);
        self.header("content-type", media_type)
    }
}

impl RegistryClient {
    /// Sends a request and brings the answer, whatever its status is: redirects are followed for what only reads, and a
    /// registry that wants to know who asks is told.
    ///
    /// # Errors
    /// When there is no answer.
    pub(super) async fn send(&self, call: &Call<'_>, lost: Lost) -> Result<Response, ProviderError> {
        let mut url = call.url.clone();
        let mut signed = self.tokens.get(&url, call.reference);
        let mut is_new = false;
        for _ in 0..=REDIRECTS {
            let answer = self.once(call, &url, signed.as_ref(), lost).await?;
            let status = answer.status().as_u16();
            let reads = call.method == Method::GET || call.method == Method::HEAD;
            if status == 401 && !is_new && self.is_own(&url, call.reference) {
                is_new = true;
                let Some(challenge) = Challenge::of(answer.headers()) else { return Ok(answer) };
                match self.answer_challenge(&challenge, &url, call.reference).await? {
                    Some(new) => signed = Some(new),
                    None => return Ok(answer),
                }
            } else if matches!(status, 301 | 302 | 303 | 307 | 308) && reads {
                let next = location(&answer, &url)?;
                self.check_scheme(&next, call.reference)?;
                // Who is sent elsewhere shows there nothing that was for here.
                if next.origin() != url.origin() {
                    signed = None;
                }
                url = next;
            } else {
                return Ok(answer);
            }
        }
        Err(ProviderError::unexpected("the registry sends on and on"))
    }

    /// Whether an address is of the registry itself.
    fn is_own(&self, url: &Url, reference: &Reference) -> bool {
        self.url(reference, "").is_ok_and(|own| own.origin() == url.origin())
    }

    /// HTTPS, except where plain HTTP was allowed: to a host that was named, or on from one.
    pub(super) fn check_scheme(&self, url: &Url, reference: &Reference) -> Result<(), ProviderError> {
        let is_plain = self.plain.contains(reference.host());
        match url.scheme() {
            "https" => Ok(()),
            "http" if is_plain => Ok(()),
            _ => Err(invalid("the registry leads to an address that is not HTTPS")
                .with("host", url.host_str().unwrap_or(""))),
        }
    }

    async fn once(
        &self,
        call: &Call<'_>,
        url: &Url,
        signed: Option<&HeaderValue>,
        lost: Lost,
    ) -> Result<Response, ProviderError> {
        let mut sent = self.http.request(call.method.clone(), url.clone());
        for (name, value) in &call.headers {
            sent = sent.header(*name, value);
        }
        // To nobody but the registry itself.
        if let Some(signed) = signed.filter(|_| self.is_own(url, call.reference)) {
            sent = sent.header(AUTHORIZATION, signed.clone());
        }
        if let Some(body) = &call.body {
            sent = sent.body(body.clone());
        }
        sent.send().await.map_err(|e| unanswered(e, lost))
    }

    /// Does something again as long as it may pass, a few times. A registry that asks to wait is waited for, unless it is
    /// for long.
    pub(super) async fn retrying<T, F: Future<Output = Result<T, ProviderError>>>(
        &self,
        work: impl FnMut() -> F,
    ) -> Result<T, ProviderError> {
        let may_pass =
            |e: &ProviderError| e.is_transient() && e.retry_after().is_none_or(|wait| wait <= WAIT_MOST);
        work.retry(backoff())
            .when(may_pass)
            .adjust(|e, wait| Some(wait?.max(e.retry_after().unwrap_or_default())))
            .await
    }
}

pub(super) fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(4))
        .with_max_times(RETRIES)
        .with_jitter()
}

/// What it means that there is no answer.
pub(super) fn unanswered(error: reqwest::Error, lost: Lost) -> ProviderError {
    // An address may hold a secret, such as the signature of a store that a registry led to.
    let error = error.without_url();
    if error.is_builder() {
        return invalid("the request cannot be sent").because(error);
    }
    if error.is_connect() {
        return ProviderError::unavailable("the registry cannot be reached").because(error);
    }
    let error_of = |kind, text| ProviderError::new(kind, text).because(error);
    match lost {
        Lost::Nothing => error_of(ProviderErrorKind::Unavailable, "the registry did not answer"),
        Lost::Effect => {
            error_of(ProviderErrorKind::OutcomeUnknown, "the registry did not answer, and may have done it")
        }
    }
}

/// Where an answer leads.
pub(super) fn location(answer: &Response, from: &Url) -> Result<Url, ProviderError> {
    let text = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let url = text.and_then(|text| from.join(text).ok());
    url.ok_or_else(|| ProviderError::unexpected("the registry does not say where to go on"))
}
