//! The fields of steps, as plans store them, read without the code of the kinds.

use crate::words;
use serde::Deserialize;
use serde_json::Value;
use towpath_model::{Json, StepId, StepRecord};

/// One value, or one reference, somewhere in the fields of a step.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Field {
    /// Names and numbers on the way to it, as in `argv.2`.
    pub(crate) path: String,
    pub(crate) source: Source,
}

/// Where the value of a field comes from.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Source {
    /// It stands there.
    Value(Value),
    /// One place, or the first of several that is there.
    Refers(Vec<Place>),
    /// Text made of parts.
    Text(Vec<Part>),
}

/// A part of a text.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Part {
    /// As it stands.
    Fixed(String),
    /// What is at this place, or at the first of several that is there.
    At(Vec<Place>),
}

/// Something that a field refers to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// A place in a step's output.
    Step { step: StepId, path: String },
    /// A place in a parameter's value.
    Param { name: String, path: String },
}

impl Place {
    /// It in words.
    pub(crate) fn words(&self) -> String {
        match self {
            Place::Step { step, path } => words::place(step.as_str(), path),
            Place::Param { name, path } => format!("param {}", words::place(name, path)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    step: StepId,
    #[serde(default)]
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    #[serde(default)]
    path: String,
}

/// What a field is stored as, when it is more than a bare value.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stored {
    Value(Value),
    From(Of),
    Param(Named),
    OrNone(Of),
    FirstOf(Vec<Of>),
    Text(Vec<Piece>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Piece {
    Fixed(String),
    Input(Box<Stored>),
}

impl From<Of> for Place {
    fn from(of: Of) -> Self {
        Place::Step { step: of.step, path: of.path }
    }
}

impl From<Named> for Place {
    fn from(named: Named) -> Self {
        Place::Param { name: named.name, path: named.path }
    }
}

impl From<Piece> for Part {
    fn from(piece: Piece) -> Self {
        let source = match piece {
            Piece::Fixed(text) => return Part::Fixed(text),
            Piece::Input(stored) => Source::from(*stored),
        };
        match source {
            Source::Value(Value::String(text)) => Part::Fixed(text),
            Source::Value(other) => Part::Fixed(other.to_string()),
            source => Part::At(source.places().into_iter().cloned().collect()),
        }
    }
}

impl From<Stored> for Source {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Value(value) => Source::Value(value),
            Stored::From(of) | Stored::OrNone(of) => Source::Refers(vec![of.into()]),
            Stored::Param(named) => Source::Refers(vec![named.into()]),
            Stored::FirstOf(all) => Source::Refers(all.into_iter().map(Place::from).collect()),
            Stored::Text(parts) => Source::Text(parts.into_iter().map(Part::from).collect()),
        }
    }
}

/// The fields of a step. What cannot be read as fields has none.
pub(crate) fn of(step: &StepRecord) -> Vec<Field> {
    of_json(&step.with)
}

/// The fields in a stored value.
pub(crate) fn of_json(with: &Json) -> Vec<Field> {
    let mut found = Vec::new();
    if let Ok(value) = with.read::<Value>() {
        walk(&value, String::new(), &mut found);
    }
    found
}

/// A stored value as a source, when it is one.
pub(crate) fn source(value: &Value) -> Option<Source> {
    let is_wrapping = value.as_object().is_some_and(|o| o.len() == 1);
    is_wrapping.then(|| Stored::deserialize(value).ok())?.map(Source::from)
}

/// Whether a value is the name of a secret, as steps store it, and so no secret itself.
fn names_secret(value: &Value) -> bool {
    value.as_object().is_some_and(|o| o.len() == 1 && o.get("secret").is_some_and(Value::is_string))
}

fn walk(value: &Value, path: String, found: &mut Vec<Field>) {
    if let Some(source) = source(value) {
        return found.push(Field { path, source });
    }
    if names_secret(value) {
        return;
    }
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| walk(value, below(name), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| walk(value, below(&i.to_string()), found));
        }
        leaf => found.push(Field { path, source: Source::Value(leaf.clone()) }),
    }
}

impl Source {
    /// It in words.
    pub(crate) fn words(&self) -> String {
        let any = |places: &[Place]| places.iter().map(Place::words).collect::<Vec<_>>().join(" or ");
        match self {
            Source::Value(value) => value.to_string(),
            Source::Refers(places) => any(places),
            Source::Text(parts) => {
                let part = |part: &Part| match part {
                    Part::Fixed(text) => text.clone(),
                    Part::At(places) => format!("{{{}}}", any(places)),
                };
                format!("\"{}\"", parts.iter().map(part).collect::<String>())
            }
        }
    }

    /// The places that it refers to.
    pub(crate) fn places(&self) -> Vec<&Place> {
        match self {
            Source::Value(_) => Vec::new(),
            Source::Refers(places) => places.iter().collect(),
            Source::Text(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    Part::Fixed(_) => None,
                    Part::At(places) => Some(places),
                })
                .flatten()
                .collect(),
        }
    }

    /// Every text in it that stands there, however deep, with the name that it has there.
    pub(crate) fn texts(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        match self {
            Source::Value(value) => texts(value, "", &mut found),
            Source::Refers(_) => {}
            Source::Text(parts) => found.extend(parts.iter().filter_map(|part| match part {
                Part::Fixed(text) => Some((String::new(), text.clone())),
                Part::At(_) => None,
            })),
        }
        found
    }
}

fn texts(value: &Value, name: &str, found: &mut Vec<(String, String)>) {
    if names_secret(value) {
        return;
    }
    match value {
        Value::String(text) => found.push((name.to_owned(), text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts(item, name, found)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| texts(value, name, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Field {
    /// The last name on the way to it that is not a number.
    pub(crate) fn name(&self) -> &str {
        let is_name = |part: &&str| !part.bytes().all(|b| b.is_ascii_digit());
        self.path.rsplit('.').find(is_name).unwrap_or(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_steps_store_them() {
        let with = r#"{
            "url": {"value": "https://shop.example"},
            "image": {"from": {"step": "build", "path": "/digest"}},
            "argv": {"value": ["a", {"from": {"step": "not-a-reference"}}]},
            "mixed": [{"value": "b"}, {"param": {"name": "commit"}}],
            "plain": {"deep": {"token": "t"}},
            "branch": {"first-of": [{"step": "a"}, {"step": "b"}]},
            "key": {"value": {"secret": "name-of-a-secret"}},
            "said": {"text": [{"value": "http://"}, {"from": {"step": "host"}}, ":", {"param": {"name": "port"}}]}
        }"#;
        let fields = of_json(&Json::parse(with).unwrap());
        let said = |field: &Field| {
            let places: Vec<_> = field.source.places().into_iter().map(Place::words).collect();
            let texts: Vec<_> = field.source.texts().into_iter().map(|(_, text)| text).collect();
            format!("{}: {} [{}]", field.path, texts.join(","), places.join(","))
        };
        let said: Vec<_> = fields.iter().map(said).collect();
        assert_eq!(
            said,
            [
                "argv: a,not-a-reference []",
                "branch:  [a,b]",
                "image:  [build.digest]",
                "key:  []",
                "mixed.0: b []",
                "mixed.1:  [param commit]",
                "plain.deep.token: t []",
                "said: http://,: [host,param port]",
                "url: https://shop.example []",
            ]
        );
        assert_eq!(fields[4].name(), "mixed");
        assert_eq!(fields[6].name(), "token");
    }
}
