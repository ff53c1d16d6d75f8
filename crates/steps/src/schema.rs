//! The schemas of the fields of the generic steps: of the values that they stand for, as those of the macros are.

use serde_json::{Value, json};
use towpath_step::__private::ObjectSchema;

/// A field: its name, its schema, whether a plan has to hold it, and what it is.
type Field = (&'static str, Value, bool, &'static str);

fn object(fields: Vec<Field>) -> Value {
    let add =
        |object: ObjectSchema, (name, schema, required, docs)| object.field(name, schema, required, docs);
    fields.into_iter().fold(ObjectSchema::default(), add).schema(true, "")
}

fn text() -> Value {
    json!({"type": "string"})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn whole(least: u32) -> Value {
    json!({"type": "integer", "minimum": least})
}

fn list(of: Value) -> Value {
    json!({"type": "array", "items": of})
}

fn map(of: Value) -> Value {
    json!({"type": "object", "additionalProperties": of})
}

fn either(words: &[&str]) -> Value {
    json!({ "enum": words })
}

/// A text, or the name of a secret.
fn word() -> Value {
    let secret = object(vec![("secret", text(), true, "The name of a secret.")]);
    json!({"anyOf": [text(), secret]})
}

fn in_doubt() -> Value {
    either(&["no-effect", "idempotent", "observe", "ask-operator"])
}

fn who() -> Value {
    object(vec![
        ("actors", list(text()), false, "The names under which they send, as in user:ann."),
        ("teams", map(list(text())), false, "Teams by name, each with its members."),
    ])
}

pub(crate) fn approval() -> Value {
    object(vec![
        ("value", json!({}), true, "What is approved, and given on."),
        ("showing", json!({}), false, "What else is shown."),
        ("preview", flag(), false, "Whether what is shown is a preview, which has to be true still."),
        ("who", who(), false, "Who may decide; anybody when nobody is named."),
        ("not_from", list(text()), false, "Who may not."),
        ("quorum", whole(1), false, "How many have to say yes; 1 by default."),
        ("expires", json!({}), false, "How long it is asked."),
        ("expired", either(&["cancel", "ask", "reject", "approve"]), false, "What it becomes then."),
    ])
}

pub(crate) fn wait() -> Value {
    let signal = object(vec![
        ("name", text(), true, "Its name."),
        ("within", json!({}), false, "How long it is waited for."),
    ]);
    let what = json!({"oneOf": [
        object(vec![("time", json!({}), true, "A time.")]),
        object(vec![("point", json!({}), true, "A point in time.")]),
        object(vec![("signal", signal, true, "A signal.")]),
    ]});
    object(vec![
        ("for", what, true, "What is waited for."),
        ("or_go_on", flag(), false, "Whether the run goes on when the signal does not come."),
    ])
}

pub(crate) fn window() -> Value {
    let span = object(vec![
        ("from", text(), true, "A date, or a date and a time."),
        ("to", text(), true, "The last one."),
        ("why", text(), true, "Why it is closed."),
    ]);
    let calendar = object(vec![
        ("zone", text(), true, "A zone of the IANA time zone database."),
        (
            "open",
            list(text()),
            false,
            "Times of the week, as in \"mon-thu 09:00-16:00\"; always without one.",
        ),
        ("closed", list(span), false, "When it is closed whatever they say."),
    ]);
    object(vec![
        ("calendar", calendar, true, "When it is open."),
        ("override_from", who(), false, "Who may open it before its time; anybody when nobody is named."),
    ])
}

pub(crate) fn notify() -> Value {
    #[cfg(feature = "http")]
    let to = json!({"anyOf": [either(&["log"]), object(vec![("webhook", request(), true, "A request.")])]});
    #[cfg(not(feature = "http"))]
    let to = either(&["log"]);
    object(vec![
        ("text", text(), true, "What is told."),
        ("to", to, true, "Where."),
        ("required", flag(), false, "Whether the run fails when it cannot be told."),
    ])
}

#[cfg(unix)]
pub(crate) fn command() -> Value {
    let argv = || json!({"type": "array", "items": {"type": "string"}, "minItems": 1});
    let codes = || list(json!({"type": "integer"}));
    let exit_codes = object(vec![
        ("ok", codes(), true, "It is done."),
        ("transient", codes(), true, "It may pass."),
        ("rejected", codes(), true, "A gate said no."),
        ("unknown", codes(), true, "It is not known whether it took effect."),
        ("permanent", codes(), false, "It fails for good."),
    ]);
    object(vec![
        ("argv", argv(), true, "The program and its arguments."),
        ("env", map(word()), false, "Environment variables."),
        ("clear_env", flag(), false, "Whether it gets no others."),
        ("folder", text(), false, "The folder that it runs in."),
        ("timeout_ms", whole(0), false, "Its time limit, in milliseconds."),
        ("grace_ms", whole(0), false, "The time between asking it to end and killing it, in milliseconds."),
        ("output_bytes", whole(0), false, "Bytes of standard output that are kept."),
        ("exit_codes", exit_codes, false, "What its exit codes mean."),
        (
            "in_doubt",
            in_doubt(),
            false,
            "What to do when it is not known what it did; an operator is asked by default.",
        ),
        ("observe", argv(), false, "A program that looks whether it took effect."),
        ("undo", argv(), false, "A program that undoes it."),
        ("before", argv(), false, "A program that takes the before-image."),
        ("preview", argv(), false, "A program that tells what it would change."),
    ])
}

#[cfg(feature = "http")]
fn request() -> Value {
    object(vec![
        ("method", text(), false, "The method, in upper case; GET by default."),
        ("url", word(), true, "The address."),
        ("headers", map(word()), false, "Header fields."),
        ("body", json!({}), false, "The body."),
    ])
}

#[cfg(feature = "http")]
pub(crate) fn check() -> Value {
    object(vec![
        ("request", request(), true, "What is asked."),
        ("status", list(whole(100)), false, "The statuses that are good; 200 to 299 without one."),
        ("contains", list(text()), false, "What the body holds."),
        ("equals", list(json!({})), false, "What stands where in the body."),
        ("successes", whole(1), false, "How often in a row it has to be good; once by default."),
        ("timeout_ms", whole(0), false, "The time limit of one answer, in milliseconds."),
        ("every_ms", whole(0), false, "The time between two tries, in milliseconds."),
        ("until_ms", whole(0), false, "How long it is tried, in milliseconds."),
        ("body_bytes", whole(0), false, "Bytes of the body that are read."),
    ])
}

#[cfg(feature = "http")]
pub(crate) fn call() -> Value {
    object(vec![
        ("request", request(), true, "What is sent."),
        ("in_doubt", in_doubt(), true, "What to do when no answer came."),
        ("also_ok", list(whole(100)), false, "Statuses that are good beside 200 to 299."),
        ("key_header", text(), true, "The header field that carries the key."),
        ("keep_headers", list(text()), false, "The header fields of the answer that are kept."),
        ("timeout_ms", whole(0), true, "The time limit of the answer, in milliseconds."),
        ("body_bytes", whole(0), true, "Bytes of the body that are kept."),
        ("observe", json!({}), false, "A request that looks whether it took effect."),
        ("undo", request(), false, "A request that undoes it."),
    ])
}
