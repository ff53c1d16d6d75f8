//! What the answers of a registry mean that are not good.

use super::http::Lost;
use crate::digest::cut;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use std::time::Duration;
use towpath_provider::{ProviderError, ProviderErrorKind};

/// Most bytes that are read of what a registry says of an error.
const SAID_BYTES: usize = 64 << 10;

/// What a registry says of an error: distribution specification 1.1, *Error Codes*.
#[derive(Deserialize)]
struct Said {
    errors: Vec<SaidOne>,
}

#[derive(Deserialize)]
struct SaidOne {
    code: String,
    #[serde(default)]
    message: String,
}

/// Passes a good answer on.
///
/// # Errors
/// What the answer means, when it is not of 200 to 299.
pub(super) async fn good(answer: Response, lost: Lost) -> Result<Response, ProviderError> {
    if answer.status().is_success() { Ok(answer) } else { Err(bad(answer, lost).await) }
}

/// What an answer means that is not good.
pub(super) async fn bad(mut answer: Response, lost: Lost) -> ProviderError {
    let status = answer.status();
    let after = retry_after(&answer);
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        let room = SAID_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if room == 0 {
            break;
        }
    }
    let said: Option<Said> = serde_json::from_slice(&body).ok();
    let mut error = of_status(status, after, lost).with("status", status.as_u16());
    if let Some(one) = said.and_then(|said| said.errors.into_iter().next()) {
        error = error.with("code", cut(&one.code));
        if !one.message.is_empty() {
            error = error.with("said", cut(&one.message));
        }
    }
    error
}

fn of_status(status: StatusCode, after: Option<Duration>, lost: Lost) -> ProviderError {
    use ProviderErrorKind as Kind;
    let waits = |error: ProviderError| after.into_iter().fold(error, ProviderError::after);
    match status.as_u16() {
        401 => ProviderError::new(
            Kind::Unauthenticated,
            "the registry does not know who asks, or takes no credentials of it",
        ),
        403 => ProviderError::new(Kind::Forbidden, "the registry does not allow it"),
        404 | 410 => ProviderError::not_found("the registry does not have it"),
        429 => waits(ProviderError::new(Kind::RateLimited, "the registry was asked too much")),
        // It says that it did nothing.
        503 if after.is_some() => waits(ProviderError::unavailable("the registry cannot answer now")),
        408 | 500..=599 => match lost {
            Lost::Nothing => waits(ProviderError::unavailable("the registry failed")),
            Lost::Effect => ProviderError::outcome_unknown("the registry failed, and may have done it"),
        },
        400 | 405 | 406 | 411..=417 => ProviderError::new(Kind::Invalid, "the registry does not take it"),
        300..=399 => ProviderError::unexpected("the registry sends elsewhere what it may not"),
        _ => ProviderError::unexpected("an answer of the registry that nobody foresaw"),
    }
}

/// How long a registry asks to wait (RFC 9110, 10.2.3), in seconds; the form as a date is passed over.
fn retry_after(answer: &Response) -> Option<Duration> {
    let text = answer.headers().get("retry-after")?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}
