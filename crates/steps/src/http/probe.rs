//! Looking whether a call took effect.

use super::{
    answer::{has, json},
    request::{HttpRequest, Limits},
    transport::send,
};
use serde::{Deserialize, Serialize};
use towpath_model::Json;
use towpath_step::{Observed, Reads, StepContext, StepError};

/// A request that changes nothing and tells whether something is there.
///
/// ```
/// use towpath_steps::{HttpProbe, HttpRequest};
/// let probe = HttpProbe::new(HttpRequest::get("https://orders.example/by-key/{key}")).equals("/status", "placed");
/// # let _ = probe;
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    pub(super) request: HttpRequest,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    equals: Vec<(String, Json)>,
}

impl HttpProbe {
    /// It is there when this is answered with a status of success.
    pub fn new(request: HttpRequest) -> Self {
        HttpProbe { request, equals: Vec::new() }
    }

    /// And only when this stands at that place of the answer (RFC 6901). A value that cannot be JSON is null.
    #[must_use]
    pub fn equals<T: Serialize + ?Sized>(mut self, pointer: &str, value: &T) -> Self {
        self.equals.push((pointer.to_owned(), Json::of(value).unwrap_or_else(|_| Json::null())));
        self
    }

    pub(super) fn add_reads(&self, reads: Reads, field: &'static str) -> Reads {
        self.request.add_reads(reads, field)
    }

    /// Looks. What is done is given as the answer's body, with its status.
    pub(super) async fn look(
        &self,
        cx: &StepContext,
        limits: Limits,
        key: &str,
    ) -> Result<Observed<(u16, Json, u64)>, StepError> {
        let fill = |name: &str| Ok((name == "key").then(|| key.to_owned()));
        let (request, scrubber) = self.request.ready(cx, limits, fill).await?;
        let response = send(cx, request).await?;
        let body = json(&response, &scrubber);
        Ok(match response.status {
            200..=299 if self.equals.iter().all(|(pointer, wanted)| has(&body, pointer, wanted)) => {
                Observed::Done((response.status, body, response.left_out))
            }
            200..=299 | 404 | 410 => Observed::NotDone,
            status => Observed::Unknown(format!("the look was answered with the status {status}")),
        })
    }
}
