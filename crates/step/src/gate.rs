//! Gates as values: what has passed one is of another type than what has not.

use crate::{
    Handle, Output,
    handle::At,
    output::{Gates, Passed, field},
    schema::{self, ObjectSchema, Schemas},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use towpath_model::{Actor, Digest, Timestamp};

/// A value that people have approved.
///
/// Only a step that asks people gives one: the stock `Approval`, or one of your own. An
/// [`Environment`](crate::Environment) that accepts only such values makes a forgotten approval a plan error, and a step
/// that takes an `Input<Approved<T>>` makes it one of the compiler.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Approved<T> {
    /// What was approved.
    pub value: T,
    /// Who approved it, and in which words.
    pub by: Vec<Voice>,
    /// When the last of them did.
    pub at: Timestamp,
    /// The digest of what was shown to them, when something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Digest>,
}

impl<T> Approved<T> {
    /// A value that these people have approved.
    pub fn new(value: T, by: Vec<Voice>, at: Timestamp) -> Self {
        Approved { value, by, at, shown: None }
    }

    /// With the digest of what they were shown.
    #[must_use]
    pub fn shown(self, shown: Option<Digest>) -> Self {
        Approved { shown, ..self }
    }
}

/// What one person said about something that had to be approved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voice {
    /// Who.
    pub who: Actor,
    /// In their words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// When it was received, by the store's clock.
    pub at: Timestamp,
}

/// A value whose signature, or other proof, was checked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verified<T> {
    /// What was verified.
    pub value: T,
    /// What was found, in words: whose signature, by which means.
    pub evidence: String,
    /// When it was looked at.
    pub at: Timestamp,
}

impl<T> Verified<T> {
    /// A value for which this was found.
    pub fn new(value: T, evidence: impl Into<String>, at: Timestamp) -> Self {
        Verified { value, evidence: evidence.into(), at }
    }
}

/// A type whose values have passed a gate: what an [`Environment`](crate::Environment) can insist on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a gate",
    note = "an environment accepts `Approved<…>` or `Verified<…>`"
)]
pub trait Gate: Output {}

impl<T: Output> Gate for Approved<T> {}
impl<T: Output> Gate for Verified<T> {}

/// The fields of a handle to an [`Approved`].
pub struct ApprovedFields<T: Output> {
    /// Handle of the field `value`.
    pub value: Handle<T>,
    /// Handle of the field `at`.
    pub at: Handle<Timestamp>,
}

impl<T: Output> Output for Approved<T> {
    type Fields = ApprovedFields<T>;

    fn fields(at: &At) -> ApprovedFields<T> {
        ApprovedFields { value: field(at, "value"), at: field(at, "at") }
    }

    fn schema(schemas: &mut Schemas) -> Value {
        let value = T::schema(schemas);
        let voice = ObjectSchema::default()
            .field("who", String::schema(schemas), true, "Who.")
            .field("comment", String::schema(schemas), false, "In their words.")
            .field("at", Timestamp::schema(schemas), true, "When it was received, in microseconds.")
            .schema(true, "");
        ObjectSchema::default()
            .field("value", value, true, "What was approved.")
            .field("by", schema::list(voice), true, "Who approved it.")
            .field("at", Timestamp::schema(schemas), true, "When the last of them did, in microseconds.")
            .field("shown", String::schema(schemas), false, "The digest of what was shown.")
            .schema(false, "")
    }

    fn gates(gates: &mut Gates) {
        gates.push(Passed::of::<T>("approved"));
        T::gates(gates);
    }
}

/// The fields of a handle to a [`Verified`].
pub struct VerifiedFields<T: Output> {
    /// Handle of the field `value`.
    pub value: Handle<T>,
    /// Handle of the field `evidence`.
    pub evidence: Handle<String>,
    /// Handle of the field `at`.
    pub at: Handle<Timestamp>,
}

impl<T: Output> Output for Verified<T> {
    type Fields = VerifiedFields<T>;

    fn fields(at: &At) -> VerifiedFields<T> {
        VerifiedFields { value: field(at, "value"), evidence: field(at, "evidence"), at: field(at, "at") }
    }

    fn schema(schemas: &mut Schemas) -> Value {
        ObjectSchema::default()
            .field("value", T::schema(schemas), true, "What was verified.")
            .field("evidence", String::schema(schemas), true, "What was found.")
            .field("at", Timestamp::schema(schemas), true, "When it was looked at, in microseconds.")
            .schema(false, "")
    }

    fn gates(gates: &mut Gates) {
        gates.push(Passed::of::<T>("verified"));
        T::gates(gates);
    }
}
