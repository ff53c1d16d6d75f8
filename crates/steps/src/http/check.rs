//! Asking until an address answers as it should.

use super::{
    answer::{has, json, text},
    request::{HttpRequest, Limits},
    transport::send,
};
use crate::time::millis;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use towpath_model::{Attempt, InDoubt, Json, Timestamp};
use towpath_step::{Input, IntoInput, Output, Reads, SecretRef, Step, StepContext, StepError};

/// Most tries of one check: below what a step may wait.
const TRIES: u128 = 9_000;

/// Asks an address until it answers as it should: kind `towpath.http-check/v1`.
///
/// ```
/// # extern crate towpath_step as towpath;
/// use std::time::Duration;
/// use towpath_step::{Pipeline, PlanErrors, text};
/// use towpath_steps::HttpCheck;
///
/// let p = Pipeline::new("smoke");
/// let host = p.param::<String>("host");
/// p.step(
///     "healthy",
///     HttpCheck::get(text!("https://{host}/health"))
///         .equals("/status", "ok")
///         .successes(3)
///         .every(Duration::from_secs(10))
///         .until(Duration::from_secs(600)),
/// );
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// Between two tries it waits durably: the run needs no process. Without [`until`](Self::until) it tries once, and what is
/// not as it should be is a transient failure, tried again by the step's retry policy. With it, it is rejected when the time
/// is over. It follows no redirect, changes nothing, and there is nothing to undo.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpCheck {
    request: HttpRequest,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    status: BTreeSet<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    contains: Vec<Input<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    equals: Vec<(String, Input<Json>)>,
    #[serde(default = "successes")]
    successes: u32,
    #[serde(default = "timeout_ms")]
    timeout_ms: u64,
    #[serde(default = "every_ms")]
    every_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_ms: Option<u64>,
    #[serde(default = "body_bytes")]
    body_bytes: u32,
}

fn successes() -> u32 {
    1
}

fn timeout_ms() -> u64 {
    10_000
}

fn every_ms() -> u64 {
    5_000
}

fn body_bytes() -> u32 {
    1 << 20
}

/// What a [`HttpCheck`] found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
pub struct Checked {
    /// The status of the last answer.
    pub status: u16,
    /// How often it was asked.
    pub tries: u32,
    /// How long the last answer took, in milliseconds.
    pub latency_ms: u64,
}

/// What is saved between two tries.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Tried {
    /// Which attempt began to count its time.
    attempt: Attempt,
    until: Timestamp,
    tries: u32,
    /// Successes without a failure between them.
    good: u32,
}

impl HttpCheck {
    fn of(request: HttpRequest) -> Self {
        HttpCheck {
            request,
            status: BTreeSet::new(),
            contains: Vec::new(),
            equals: Vec::new(),
            successes: successes(),
            timeout_ms: timeout_ms(),
            every_ms: every_ms(),
            until_ms: None,
            body_bytes: body_bytes(),
        }
    }

    /// Asks with `GET`.
    pub fn get(url: impl IntoInput<String>) -> Self {
        HttpCheck::of(HttpRequest::get(url))
    }

    /// Asks with `HEAD`, whose answer has no body.
    pub fn head(url: impl IntoInput<String>) -> Self {
        HttpCheck::of(HttpRequest::new("HEAD", url))
    }

    /// Sets a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl IntoInput<String>) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Sets a header field to the value of a secret.
    #[must_use]
    pub fn secret_header(mut self, name: &str, secret: SecretRef) -> Self {
        self.request = self.request.secret_header(name, secret);
        self
    }

    /// Sends a secret as `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(mut self, secret: SecretRef) -> Self {
        self.request = self.request.bearer(secret);
        self
    }

    /// The statuses that are good; by default 200 to 299.
    #[must_use]
    pub fn status(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.status = statuses.into_iter().collect();
        self
    }

    /// The body holds this text.
    #[must_use]
    pub fn contains(mut self, text: impl IntoInput<String>) -> Self {
        self.contains.push(text.into_input());
        self
    }

    /// This stands at that place of the body (RFC 6901). A value that cannot be JSON is null.
    #[must_use]
    pub fn equals<T: Serialize + ?Sized>(mut self, pointer: &str, value: &T) -> Self {
        let value = Json::of(value).unwrap_or_else(|_| Json::null());
        self.equals.push((pointer.to_owned(), Input::value(value)));
        self
    }

    /// What a step gives stands at that place of the body: the version that was just deployed.
    #[must_use]
    pub fn equals_output<T: Output>(mut self, pointer: &str, value: &towpath_step::Handle<T>) -> Self {
        let value: Input<T> = value.into_input();
        self.equals.push((pointer.to_owned(), value.untyped()));
        self
    }

    /// How often it has to be good without a failure in between; once by default.
    #[must_use]
    pub fn successes(mut self, times: u32) -> Self {
        self.successes = times;
        self
    }

    /// Time limit of one try; 10 seconds by default.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout_ms = millis(time);
        self
    }

    /// Time between two tries; 5 seconds by default.
    #[must_use]
    pub fn every(mut self, time: Duration) -> Self {
        self.every_ms = millis(time).max(1);
        self
    }

    /// How long it may take until it is good, from when the step begins. Without it there is one try.
    #[must_use]
    pub fn until(mut self, time: Duration) -> Self {
        self.until_ms = Some(millis(time));
        self
    }

    /// Asks once: the status and how long it took, or why it is not good.
    async fn ask(&self, cx: &StepContext) -> Result<Result<(u16, u64), StepError>, StepError> {
        let limits = Limits {
            timeout: Duration::from_millis(self.timeout_ms),
            body_bytes: usize::try_from(self.body_bytes).unwrap_or(usize::MAX),
        };
        let (request, scrubber) = self.request.ready(cx, limits, |_| Ok(None)).await?;
        let since = Instant::now();
        let response = match send(cx, request).await {
            Ok(response) => response,
            // It changes nothing, so that a lost answer is one that may come another time.
            Err(e) => {
                if towpath_model::Classified::kind(&e) == towpath_model::FailureKind::Permanent {
                    return Err(e.into());
                }
                return Ok(Err(StepError::transient("it does not answer").because(e)));
            }
        };
        let latency_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (status, body) = (response.status, text(&response, &scrubber));
        let is_status = if self.status.is_empty() {
            (200..=299).contains(&status)
        } else {
            self.status.contains(&status)
        };
        let bad = |what: String| Ok(Err(StepError::transient(what)));
        if !is_status {
            return bad(format!("the status is {status}"));
        }
        for wanted in &self.contains {
            let wanted = cx.get(wanted)?;
            if !body.contains(&wanted) {
                return bad(format!("the status is {status}, and the body does not hold {wanted:?}"));
            }
        }
        let body = json(&response, &scrubber);
        for (pointer, wanted) in &self.equals {
            let wanted = cx.get(wanted)?;
            if !has(&body, pointer, &wanted) {
                return bad(format!(
                    "the status is {status}, and {pointer} of the body is not {}",
                    wanted.as_str()
                ));
            }
        }
        Ok(Ok((status, latency_ms)))
    }
}

impl Step for HttpCheck {
    const KIND: &'static str = "towpath.http-check/v1";
    const IN_DOUBT: InDoubt = InDoubt::NoEffect;
    type Output = Checked;

    fn schema(_: &mut towpath_step::__private::Schemas) -> serde_json::Value {
        crate::schema::check()
    }

    fn reads(&self) -> Reads {
        let reads = self.request.add_reads(Reads::none(), "request");
        let reads = self.contains.iter().fold(reads, |reads, text| reads.and("contains", text));
        self.equals.iter().fold(reads, |reads, (_, value)| reads.and("equals", value))
    }

    async fn run(&self, cx: &StepContext) -> Result<Checked, StepError> {
        let every = Duration::from_millis(self.every_ms);
        let limit = Duration::from_millis(self.until_ms.unwrap_or_default());
        if limit.as_millis() / every.as_millis().max(1) > TRIES {
            return Err(StepError::permanent(format!(
                "{limit:?} has more than {TRIES} tries in it when there is one every {every:?}: ask less often"
            )));
        }
        let is_over = |tried: &Tried| cx.now().plus(every) > tried.until;
        let mut tried = match cx.last_checkpoint::<Tried>()? {
            // A later attempt goes on where one was cut off; after the time it has its own.
            Some(tried) if tried.attempt == cx.attempt() || !is_over(&tried) => tried,
            earlier => Tried {
                attempt: cx.attempt(),
                until: cx.now().plus(limit),
                // Names of waits are counted on: those of an earlier attempt are over.
                tries: earlier.map_or(0, |tried| tried.tries),
                good: 0,
            },
        };
        loop {
            tried.tries += 1;
            let bad = match self.ask(cx).await? {
                Ok((status, latency_ms)) => {
                    tried.good += 1;
                    if tried.good >= self.successes {
                        return Ok(Checked { status, tries: tried.tries, latency_ms });
                    }
                    None
                }
                Err(why) => {
                    tried.good = 0;
                    cx.log(format_args!("try {}: {}", tried.tries, why.to_failure()));
                    Some(why)
                }
            };
            let over = is_over(&tried);
            match (bad, self.until_ms) {
                (Some(why), None) => return Err(why),
                (bad, Some(_)) if over => {
                    let error = StepError::rejected(format!("it was not as it should be within {limit:?}"));
                    return Err(match bad {
                        Some(why) => error.because(why),
                        None => {
                            error.because(format!("{} of {} successes in a row", tried.good, self.successes))
                        }
                    });
                }
                _ => cx.sleep(&format!("try-{}", tried.tries), every).saving(&tried).await?,
            }
        }
    }
}
