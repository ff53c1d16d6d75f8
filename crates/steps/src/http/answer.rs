//! What an answer means.

use super::{date::retry_after, transport::Response};
use serde::Serialize;
use towpath_model::Json;
use towpath_step::{Scrubber, StepContext, StepError};

/// Bytes of a body that a failure holds.
const FAILURE_BYTES: usize = 1 << 10;

/// Which class the status of an answer is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meaning {
    Ok,
    /// It was refused before anything was done, or lost by something that may be repeated.
    Transient,
    /// Something between may have lost the answer.
    Unknown,
    Permanent,
}

impl Meaning {
    /// The class of an answer: see the table in the book. `repeatable`: whether sending it twice does no harm.
    pub(crate) fn of(response: &Response, repeatable: bool) -> Self {
        match response.status {
            200..=299 => Meaning::Ok,
            // Too early, too many requests: refused by their definition.
            425 | 429 => Meaning::Transient,
            // Said by a server that asks to be asked later; or by something between whose server is gone, with what was
            // sent in it.
            503 if response.header("retry-after").is_some() => Meaning::Transient,
            408 | 500..=599 if repeatable => Meaning::Transient,
            408 | 500..=599 => Meaning::Unknown,
            _ => Meaning::Permanent,
        }
    }
}

#[derive(Serialize)]
struct Details {
    status: u16,
    body: String,
}

/// The failure that an answer means which is not what was wanted.
pub(crate) fn failed(
    cx: &StepContext,
    method: &str,
    meaning: Meaning,
    response: &Response,
    scrubber: &Scrubber,
) -> StepError {
    let class: fn(String) -> StepError = match meaning {
        Meaning::Transient => StepError::transient,
        Meaning::Unknown => StepError::unknown,
        Meaning::Ok | Meaning::Permanent => StepError::permanent,
    };
    let error = class(format!("{method} was answered with the status {}", response.status));
    let mut body = text(response, scrubber);
    let mut cut = FAILURE_BYTES.min(body.len());
    while !body.is_char_boundary(cut) {
        cut -= 1;
    }
    body.truncate(cut);
    let error = error.with_details(&Details { status: response.status, body });
    match response.header("retry-after").and_then(|value| retry_after(value, cx.now())) {
        Some(delay) => error.retry_after(delay),
        None => error,
    }
}

/// The body as text, without the values of secrets.
pub(super) fn text(response: &Response, scrubber: &Scrubber) -> String {
    scrubber.scrub(&String::from_utf8_lossy(&response.body)).into_owned()
}

/// The body as JSON: what it says, or itself as text when it is none.
pub(super) fn json(response: &Response, scrubber: &Scrubber) -> Json {
    let text = text(response, scrubber);
    let whole = if response.left_out == 0 { Json::parse(&text).ok() } else { None };
    whole.or_else(|| Json::of(&text).ok()).unwrap_or_else(Json::null)
}

/// Whether what stands at a place of a body (RFC 6901) is this.
pub(super) fn has(body: &Json, pointer: &str, wanted: &Json) -> bool {
    let (Ok(body), Ok(wanted)) = (body.read::<serde_json::Value>(), wanted.read::<serde_json::Value>())
    else {
        return false;
    };
    body.pointer(pointer) == Some(&wanted)
}

#[cfg(test)]
mod tests {
    use super::{
        Meaning::{self, *},
        Response,
    };

    #[test]
    fn statuses_are_classed_by_what_they_say_of_the_effect() {
        let of = |status, headers: &[(String, String)], repeatable| {
            Meaning::of(&Response { status, headers: headers.to_vec(), ..Response::default() }, repeatable)
        };
        for (status, once, repeatable) in [
            (204, Ok, Ok),
            (302, Permanent, Permanent),
            (404, Permanent, Permanent),
            (408, Unknown, Transient),
            (425, Transient, Transient),
            (429, Transient, Transient),
            (500, Unknown, Transient),
            (502, Unknown, Transient),
            (503, Unknown, Transient),
            (504, Unknown, Transient),
        ] {
            assert_eq!((of(status, &[], false), of(status, &[], true)), (once, repeatable), "{status}");
        }
        let later = [("retry-after".to_owned(), "5".to_owned())];
        assert_eq!((of(503, &later, false), of(500, &later, false)), (Transient, Unknown));
    }
}
