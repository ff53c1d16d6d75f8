//! Telling somebody something.

use super::{
    answer::{Meaning, failed},
    call::KEY_HEADER,
    request::{HttpRequest, Limits},
    transport::send,
};
use std::time::Duration;
use towpath_step::{StepContext, StepError};

const LIMITS: Limits = Limits { timeout: Duration::from_secs(10), body_bytes: 4 << 10 };

/// Sends a text, with a key by which whoever gets it twice can tell.
pub(crate) async fn tell(cx: &StepContext, request: &HttpRequest, text: &str) -> Result<(), StepError> {
    let key = cx.key("tell")?.to_string();
    let (mut ready, scrubber) = request.saying("text", text).ready(cx, LIMITS, |_| Ok(None)).await?;
    ready.headers.push((KEY_HEADER.to_owned(), key));
    let response = send(cx, ready).await?;
    match Meaning::of(&response, true) {
        Meaning::Ok => Ok(()),
        meaning => Err(failed(cx, request.method(), meaning, &response, &scrubber)),
    }
}
