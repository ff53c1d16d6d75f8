//! What sends a request and brings the answer.

use super::{HttpClient, TRANSPORT};
use async_trait::async_trait;
use std::{error::Error, fmt, time::Duration};
use towpath_model::{Classified, FailureKind};
use towpath_step::StepContext;

/// Sends one request. The steps of this crate use what an engine binds under [`TRANSPORT`], and otherwise an
/// [`HttpClient`] of their own.
///
/// Bind one to go through a proxy, to present a client certificate, or to answer without a network in a test.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends it, and reads the answer as far as `body_bytes` says. It sends once, and follows no redirect.
    ///
    /// # Errors
    /// When there is no whole answer. An error that is [unsent](SendError::unsent) promises that nothing has reached the
    /// other side.
    async fn send(&self, request: Request) -> Result<Response, SendError>;
}

/// A request, ready to be sent.
#[derive(Clone)]
pub struct Request {
    /// The method, in upper case.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// Header fields. They may hold the values of secrets.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// Time limit of it all.
    pub timeout: Duration,
    /// Most bytes of the answer's body that are kept.
    pub body_bytes: usize,
}

impl fmt::Debug for Request {
    /// Without header values and body, which may hold the values of secrets; without the address for the same reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as far as it was kept.
    pub body: Vec<u8>,
    /// Bytes of the body that were not kept.
    pub left_out: u64,
}

impl Response {
    /// A header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer. Its text holds no address and no header value.
#[derive(Debug)]
pub struct SendError {
    kind: FailureKind,
    source: Box<dyn Error + Send + Sync>,
}

impl SendError {
    /// Nothing has reached the other side: it may pass, and is tried again.
    pub fn unsent(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        SendError { kind: FailureKind::Transient, source: source.into() }
    }

    /// It was sent, or may have been: nobody knows what it did.
    pub fn unanswered(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        SendError { kind: FailureKind::Unknown, source: source.into() }
    }

    /// It can never be sent: there is no such method, the address is none.
    pub fn impossible(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        SendError { kind: FailureKind::Permanent, source: source.into() }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            FailureKind::Transient => "the other side cannot be reached",
            FailureKind::Permanent => "the request cannot be sent",
            _ => "the request was sent, and there is no whole answer",
        })
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

impl Classified for SendError {
    fn kind(&self) -> FailureKind {
        self.kind
    }
}

/// Sends through what the engine has bound.
pub(crate) async fn send(cx: &StepContext, request: Request) -> Result<Response, SendError> {
    match cx.providers().get::<dyn Transport>(TRANSPORT) {
        Some(transport) => transport.send(request).await,
        None => HttpClient::new()?.send(request).await,
    }
}
