//! What a step takes.

mod text;

pub(crate) use text::Part;
pub use text::{Text, TextPart};

use crate::{Handle, Output, home};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{collections::BTreeMap, fmt, sync::Arc};
use towpath_model::{Json, StepId};

/// A field of a step: a value, or a reference to what another step gives.
///
/// It is stored as `{"value": …}`, or as what it refers to: `{"from": {"step": …, "path": …}}`,
/// `{"param": {"name": …, "path": …}}`, `{"or-none": {…}}`, `{"first-of": [{…}, …]}`, `{"text": [input, …]}`. A body
/// reads it with [`StepContext::get`](crate::StepContext::get).
#[derive(Clone, Debug)]
pub struct Input<T>(Source<T>);

#[derive(Clone, Debug)]
pub(crate) enum Source<T> {
    Value(T),
    Refers(Reference, Option<Origin>),
}

/// The pipeline that a reference was made in. Not stored: it is there to find handles that strayed.
#[derive(Clone, Eq, Debug)]
pub(crate) struct Origin(pub(crate) Arc<str>);

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A place in the output of a step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    pub(crate) step: StepId,
    /// RFC 6901 pointer into its output; empty for the whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) path: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the output of {}", self.step)?;
        if self.path.is_empty() { Ok(()) } else { write!(f, " at {}", self.path) }
    }
}

/// A place in the value of a parameter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParamPlace {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) path: String,
}

impl fmt::Display for ParamPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the parameter {:?}", self.name)?;
        if self.path.is_empty() { Ok(()) } else { write!(f, " at {}", self.path) }
    }
}

/// What an input refers to, as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reference {
    From(Place),
    Param(ParamPlace),
    OrNone(Place),
    FirstOf(Vec<Place>),
    Text(Vec<Part>),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::From(place) | Reference::OrNone(place) => place.fmt(f),
            Reference::Param(place) => place.fmt(f),
            Reference::FirstOf(all) => {
                let all: Vec<_> = all.iter().map(|place| place.step.as_str()).collect();
                write!(f, "the first of {}", all.join(", "))
            }
            Reference::Text(_) => f.write_str("a text"),
        }
    }
}

impl<T> Input<T> {
    /// An input that is this value.
    pub fn value(value: T) -> Self {
        Input(Source::Value(value))
    }

    /// The value, when it is one and not a reference.
    pub fn as_value(&self) -> Option<&T> {
        match &self.0 {
            Source::Value(value) => Some(value),
            Source::Refers(..) => None,
        }
    }

    /// The same, of whatever type: for a step that passes it on or shows it, and does not look inside. A value that cannot
    /// be JSON is null.
    pub fn untyped(self) -> Input<Json>
    where
        T: Serialize,
    {
        Input(match self.0 {
            Source::Value(value) => Source::Value(Json::of(&value).unwrap_or_else(|_| Json::null())),
            Source::Refers(to, origin) => Source::Refers(to, origin),
        })
    }

    /// A reference as it is stored.
    pub(crate) fn stored(to: Reference) -> Self {
        Input(Source::Refers(to, None))
    }

    pub(crate) fn refers(to: Reference, origin: Origin) -> Self {
        Input(Source::Refers(to, Some(origin)))
    }

    pub(crate) fn source(&self) -> &Source<T> {
        &self.0
    }
}

/// Writes a reference. One to what lies around the pipeline that is being written is to a parameter of that.
fn refer<S: Serializer>(to: &Reference, origin: Option<&Origin>, s: S) -> Result<S::Ok, S::Error> {
    if home::is_marked(to) {
        return s.serialize_newtype_variant("Input", 0, home::MARK, &());
    }
    match home::captured(to, origin) {
        Some(param) => Reference::Param(param).serialize(s),
        None => to.serialize(s),
    }
}

impl<T: Serialize> Serialize for Input<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Source::Value(value) => s.serialize_newtype_variant("Input", 0, "value", value),
            Source::Refers(to, origin) => refer(to, origin.as_ref(), s),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Input<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case", rename = "Input")]
        enum Stored<T> {
            Value(T),
            From(Place),
            Param(ParamPlace),
            OrNone(Place),
            FirstOf(Vec<Place>),
            Text(Vec<Part>),
        }
        let to = match Stored::deserialize(d)? {
            Stored::Value(value) => return Ok(Input::value(value)),
            Stored::From(place) => Reference::From(place),
            Stored::Param(place) => Reference::Param(place),
            Stored::OrNone(place) => Reference::OrNone(place),
            Stored::FirstOf(places) => Reference::FirstOf(places),
            Stored::Text(parts) => Reference::Text(parts),
        };
        Ok(Input(Source::Refers(to, None)))
    }
}

/// What can be given where a step wants a `T`: a value, a literal that stands for one, or a handle.
///
/// It is a trait of ours, so that you can teach it your own literals:
///
/// ```
/// use towpath_step::{Input, IntoInput};
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Url(String);
/// impl IntoInput<Url> for &str {
///     fn into_input(self) -> Input<Url> {
///         Input::value(Url(self.to_owned()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given where a step wants a `{T}`",
    label = "wants a `{T}`, or a handle to one"
)]
pub trait IntoInput<T> {
    /// The input.
    fn into_input(self) -> Input<T>;
}

impl<T> IntoInput<T> for T {
    fn into_input(self) -> Input<T> {
        Input::value(self)
    }
}

impl<T: Clone> IntoInput<T> for &T {
    fn into_input(self) -> Input<T> {
        Input::value(self.clone())
    }
}

impl<T> IntoInput<Option<T>> for T {
    fn into_input(self) -> Input<Option<T>> {
        Input::value(Some(self))
    }
}

impl<T: Output> IntoInput<T> for &Handle<T> {
    fn into_input(self) -> Input<T> {
        self.refer()
    }
}

impl<T: Output> IntoInput<Option<T>> for &Handle<T> {
    fn into_input(self) -> Input<Option<T>> {
        self.refer()
    }
}

impl IntoInput<String> for &str {
    fn into_input(self) -> Input<String> {
        Input::value(self.to_owned())
    }
}

impl IntoInput<Option<String>> for &str {
    fn into_input(self) -> Input<Option<String>> {
        Input::value(Some(self.to_owned()))
    }
}

impl<T, const N: usize> IntoInput<Vec<T>> for [T; N] {
    fn into_input(self) -> Input<Vec<T>> {
        Input::value(self.into())
    }
}

impl<const N: usize> IntoInput<Vec<String>> for [&str; N] {
    fn into_input(self) -> Input<Vec<String>> {
        Input::value(self.map(str::to_owned).into())
    }
}

impl<T: Clone> IntoInput<Vec<T>> for &[T] {
    fn into_input(self) -> Input<Vec<T>> {
        Input::value(self.to_vec())
    }
}

/// What the fields of a step refer to: the edges of the graph.
#[derive(Clone, Debug, Default)]
pub struct Reads(pub(crate) Vec<ReadOf>);

/// A field of a struct step that may refer to something. For the derive.
#[doc(hidden)]
pub trait AddReads {
    /// `field` is where it stands in the stored form: `url`, `args/0`, `env/HOST`.
    fn add_reads(&self, field: &str, reads: &mut Reads);
}

impl<T> AddReads for Input<T> {
    fn add_reads(&self, field: &str, reads: &mut Reads) {
        reads.add(field, self);
    }
}

impl<R: AddReads> AddReads for Option<R> {
    fn add_reads(&self, field: &str, reads: &mut Reads) {
        self.iter().for_each(|part| part.add_reads(field, reads));
    }
}

impl<R: AddReads> AddReads for Vec<R> {
    fn add_reads(&self, field: &str, reads: &mut Reads) {
        self.iter().enumerate().for_each(|(i, part)| part.add_reads(&format!("{field}/{i}"), reads));
    }
}

impl<R: AddReads> AddReads for BTreeMap<String, R> {
    fn add_reads(&self, field: &str, reads: &mut Reads) {
        for (key, part) in self {
            part.add_reads(&format!("{field}/{}", pointer_word(key)), reads);
        }
    }
}

/// A name as it stands in a pointer: RFC 6901.
pub(crate) fn pointer_word(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// One field that refers to something.
#[derive(Clone, Debug)]
pub(crate) struct ReadOf {
    /// A pointer into the stored form, without its first `/`.
    pub(crate) field: String,
    pub(crate) to: Reference,
    pub(crate) origin: Option<Origin>,
}

impl Reads {
    /// No reads.
    pub fn none() -> Self {
        Reads::default()
    }

    /// These reads and what the field `field` refers to.
    #[must_use]
    pub fn and<T>(mut self, field: &'static str, input: &Input<T>) -> Self {
        self.add(field, input);
        self
    }

    fn add<T>(&mut self, field: &str, input: &Input<T>) {
        let mut add = |to: &Reference, origin: &Option<Origin>| {
            self.0.push(ReadOf { field: field.to_owned(), to: to.clone(), origin: origin.clone() });
        };
        match input.source() {
            Source::Value(_) => {}
            Source::Refers(Reference::Text(parts), _) => parts.iter().for_each(|part| {
                if let Part::Refers(to, origin) = part {
                    add(to, origin);
                }
            }),
            Source::Refers(to, origin) => add(to, origin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Input, Source};

    #[test]
    fn inputs_are_a_stored_format() {
        for stored in [
            r#"{"value":5}"#,
            r#"{"value":null}"#,
            r#"{"value":{"from":{"step":"a"}}}"#,
            r#"{"from":{"step":"scan"}}"#,
            r#"{"from":{"step":"eu/scan","path":"/critical"}}"#,
            r#"{"param":{"name":"commit"}}"#,
            r#"{"param":{"name":"commit","path":"/0"}}"#,
            r#"{"or-none":{"step":"scan","path":"/critical"}}"#,
            r#"{"first-of":[{"step":"a"},{"step":"b","path":"/x"}]}"#,
            r#"{"text":[{"value":"http://"},{"from":{"step":"a","path":"/host"}},{"value":":"},{"param":{"name":"port"}}]}"#,
        ] {
            let input: Input<serde_json::Value> = serde_json::from_str(stored).unwrap();
            assert_eq!(serde_json::to_string(&input).unwrap(), stored);
        }
    }

    #[test]
    fn a_value_that_looks_like_a_reference_is_one_only_without_its_wrapping() {
        let value: Input<serde_json::Value> =
            serde_json::from_str(r#"{"value":{"from":{"step":"a"}}}"#).unwrap();
        assert!(matches!(value.source(), Source::Value(_)));
    }

    #[test]
    fn what_is_no_input_is_refused() {
        for stored in [
            "5",
            "{}",
            r#"{"values":5}"#,
            r#"{"value":"text"}"#,
            r#"{"from":{"step":"Not A Step"}}"#,
            r#"{"from":{"step":"a","pth":"/x"}}"#,
            r#"{"param":{"path":"/x"}}"#,
            r#"{"value":5,"from":{"step":"a"}}"#,
        ] {
            assert!(serde_json::from_str::<Input<u32>>(stored).is_err(), "{stored}");
        }
    }
}
