//! Calling somebody else's interface.

use super::{
    Response,
    answer::{Meaning, failed, json},
    probe::HttpProbe,
    request::{HttpRequest, Limits},
    transport::send,
};
use crate::time::millis;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use towpath_model::{InDoubt, Json, Methods};
use towpath_step::{Declared, Observed, Output, Reads, Scrubber, Step, StepContext, StepError, Undo};

/// The header field that carries the key, unless the author says otherwise (the draft "The Idempotency-Key HTTP Header
/// Field" of the IETF's HTTPAPI working group).
pub(super) const KEY_HEADER: &str = "idempotency-key";

/// Sends a request that may change something: kind `towpath.http-call/v1`.
///
/// ```
/// # extern crate towpath_step as towpath;
/// use towpath_step::{Pipeline, PlanErrors, SecretRef};
/// use towpath_steps::{HttpCall, HttpProbe, HttpRequest};
///
/// let p = Pipeline::new("order");
/// let version = p.param::<String>("version");
/// let orders = "https://orders.example/orders";
/// let token = || SecretRef::named("orders-token");
/// let order = p.step(
///     "order",
///     HttpCall::new(HttpRequest::post(orders).bearer(token()).field("version", &version))
///         .observe(HttpProbe::new(HttpRequest::get("https://orders.example/orders/by-key/{key}").bearer(token())))
///         .undo(HttpRequest::delete("https://orders.example/orders/{output/body/id}").bearer(token())),
/// );
/// let _status = &order.status;
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// Each attempt carries one key, in the header field `Idempotency-Key`, so that who knows it can tell a repetition from a
/// second order. **In doubt**, when there is no answer or it may have been lost, it is sent again when its method says that
/// it may be (`GET`, `HEAD`, `PUT`, `DELETE`; RFC 9110, 9.2) or its author does ([`idempotent`](Self::idempotent)); or the
/// world is asked ([`observe`](Self::observe)); otherwise an operator.
///
/// In the addresses of `observe` and `undo`, `{key}` is the key of the call; in that of `undo`, `{output/…}` is what stands at
/// that place of the output. Both are percent-encoded.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpCall {
    request: HttpRequest,
    in_doubt: InDoubt,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    also_ok: BTreeSet<u16>,
    key_header: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keep_headers: Vec<String>,
    timeout_ms: u64,
    body_bytes: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observe: Option<HttpProbe>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    undo: Option<HttpRequest>,
}

/// What a [`HttpCall`] gives back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
pub struct HttpReply {
    /// The status.
    pub status: u16,
    /// The header fields that were asked for, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body as JSON; as a text, when it is none or was cut.
    pub body: Json,
    /// Bytes of the body that were left out.
    pub left_out: u64,
}

impl HttpCall {
    /// Sends this.
    pub fn new(request: HttpRequest) -> Self {
        HttpCall {
            in_doubt: request.in_doubt(),
            request,
            also_ok: BTreeSet::new(),
            key_header: KEY_HEADER.to_owned(),
            keep_headers: Vec::new(),
            timeout_ms: 30_000,
            body_bytes: 48 << 10,
            observe: None,
            undo: None,
        }
    }

    /// It changes nothing, though its method might: in doubt, it is sent again.
    #[must_use]
    pub fn no_effect(mut self) -> Self {
        self.in_doubt = InDoubt::NoEffect;
        self
    }

    /// The other side knows the key, or sending it twice is as good as once: in doubt, it is sent again.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.in_doubt = InDoubt::Idempotent;
        self
    }

    /// In doubt, this looks what happened. A status of success, with what was asked for in the body, is *done*, and its
    /// answer the output; one without it, 404 and 410 are *not done*; any other cannot be told.
    #[must_use]
    pub fn observe(mut self, probe: HttpProbe) -> Self {
        self.in_doubt = InDoubt::Observe;
        self.observe = Some(probe);
        self
    }

    /// Undoes it, when the run unwinds. 404 and 410 mean that nothing is there to be undone.
    #[must_use]
    pub fn undo(mut self, request: HttpRequest) -> Self {
        self.undo = Some(request);
        self
    }

    /// These statuses are good as well, such as 409 where it says that it is there already.
    #[must_use]
    pub fn also_ok(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.also_ok.extend(statuses);
        self
    }

    /// The header field that carries the key; `Idempotency-Key` by default.
    #[must_use]
    pub fn key_header(mut self, name: &str) -> Self {
        self.key_header = name.to_ascii_lowercase();
        self
    }

    /// Header fields of the answer that are kept in the output.
    #[must_use]
    pub fn keep_headers<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.keep_headers.extend(names.into_iter().map(|name| name.as_ref().to_ascii_lowercase()));
        self
    }

    /// Time limit of one attempt; 30 seconds by default. When it is over after the request was sent, the step is in doubt.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout_ms = millis(time);
        self
    }

    /// Bytes of the answer's body that are kept; 48 KiB by default.
    #[must_use]
    pub fn body_limit(mut self, bytes: u32) -> Self {
        self.body_bytes = bytes;
        self
    }

    fn limits(&self) -> Limits {
        Limits {
            timeout: Duration::from_millis(self.timeout_ms),
            body_bytes: usize::try_from(self.body_bytes).unwrap_or(usize::MAX),
        }
    }

    fn reply(&self, response: &Response, scrubber: &Scrubber) -> HttpReply {
        let kept = self.keep_headers.iter().filter_map(|name| {
            let value = response.header(name)?;
            Some((name.clone(), scrubber.scrub(value).into_owned()))
        });
        HttpReply {
            status: response.status,
            headers: kept.collect(),
            body: json(response, scrubber),
            left_out: response.left_out,
        }
    }
}

/// What `{…}` in the address of an undoing stands for.
fn fill(name: &str, key: &str, output: Option<&HttpReply>) -> Result<Option<String>, StepError> {
    let Some(pointer) = name.strip_prefix("output/") else {
        return Ok((name == "key").then(|| key.to_owned()));
    };
    let Some(output) = output else {
        return Err(StepError::needs_operator(format!(
            "the address to undo it needs {{{name}}}, and the answer of the call is not known: look whether it took \
             effect, undo it by hand, and skip this"
        )));
    };
    let unreadable = |e| StepError::permanent("the output cannot be read").because(e);
    let whole = Json::of(output).and_then(|json| json.read::<serde_json::Value>()).map_err(unreadable)?;
    Ok(match whole.pointer(&format!("/{pointer}")) {
        Some(serde_json::Value::String(text)) => Some(text.clone()),
        Some(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => Some(value.to_string()),
        _ => None,
    })
}

impl Step for HttpCall {
    const KIND: &'static str = "towpath.http-call/v1";
    const IN_DOUBT: InDoubt = InDoubt::AskOperator;
    const METHODS: Methods =
        Methods { preview: false, before: false, observe: true, compensate: true, local: false };
    type Output = HttpReply;

    fn schema(_: &mut towpath_step::__private::Schemas) -> serde_json::Value {
        crate::schema::call()
    }

    fn declared(&self) -> Declared {
        let methods =
            Methods { observe: self.observe.is_some(), compensate: self.undo.is_some(), ..Self::METHODS };
        Declared { in_doubt: self.in_doubt, methods, ..Declared::of_kind::<Self>() }
    }

    fn reads(&self) -> Reads {
        let mut reads = self.request.add_reads(Reads::none(), "request");
        if let Some(probe) = &self.observe {
            reads = probe.add_reads(reads, "observe");
        }
        self.undo.iter().fold(reads, |reads, request| request.add_reads(reads, "undo"))
    }

    async fn run(&self, cx: &StepContext) -> Result<HttpReply, StepError> {
        let key = cx.key("call")?;
        let fill = |name: &str| Ok((name == "key").then(|| key.to_string()));
        let (mut request, scrubber) = self.request.ready(cx, self.limits(), fill).await?;
        request.headers.push((self.key_header.clone(), key.to_string()));
        let response = send(cx, request).await?;
        let repeatable = matches!(self.in_doubt, InDoubt::NoEffect | InDoubt::Idempotent);
        match Meaning::of(&response, repeatable) {
            Meaning::Ok => Ok(self.reply(&response, &scrubber)),
            _ if self.also_ok.contains(&response.status) => Ok(self.reply(&response, &scrubber)),
            meaning => Err(failed(cx, self.request.method(), meaning, &response, &scrubber)),
        }
    }

    async fn observe(&self, cx: &StepContext) -> Result<Observed<HttpReply>, StepError> {
        let probe = self.observe.as_ref().ok_or_else(|| not_told("observe"))?;
        let key = cx.key("call")?;
        Ok(match probe.look(cx, self.limits(), key.as_str()).await? {
            Observed::Done((status, body, left_out)) => {
                Observed::Done(HttpReply { status, headers: BTreeMap::new(), body, left_out })
            }
            Observed::NotDone => Observed::NotDone,
            Observed::TakenOver(seen) => Observed::TakenOver(seen),
            Observed::Unknown(why) => Observed::Unknown(why),
        })
    }

    async fn compensate(&self, cx: &StepContext, undo: Undo<HttpReply>) -> Result<(), StepError> {
        let request = self.undo.as_ref().ok_or_else(|| not_told("undo"))?;
        let run_key = cx.run_key("call");
        let fill = |name: &str| fill(name, run_key.as_str(), undo.output.as_ref());
        let (mut ready, scrubber) = request.ready(cx, self.limits(), fill).await?;
        ready.headers.push((self.key_header.clone(), cx.key("call")?.to_string()));
        let response = send(cx, ready).await?;
        // Undoing is repeatable by contract.
        match Meaning::of(&response, true) {
            Meaning::Ok => Ok(()),
            _ if [404, 410].contains(&response.status) => Ok(()),
            meaning => Err(failed(cx, request.method(), meaning, &response, &scrubber)),
        }
    }
}

/// Reached when a plan says of a call what the call does not.
fn not_told(what: &str) -> StepError {
    StepError::needs_operator(format!(
        "the call has no `{what}`, though its plan says so: make the plan anew"
    ))
}
