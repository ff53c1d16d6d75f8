//! Text made of handles.

use super::{Input, IntoInput, Origin, Reference, Source, refer};
use crate::Handle;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::Value;

/// A text that the run fills in: data, made by [`text!`](crate::text), for every input that wants a `String`.
///
/// It is stored as `{"text": [part, …]}`, each part as an [`Input`] is.
#[derive(Clone, Debug, Default)]
pub struct Text(Vec<Part>);

/// A piece of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Value(Value),
    Refers(Reference, Option<Origin>),
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Part::Value(value) => s.serialize_newtype_variant("Input", 0, "value", value),
            Part::Refers(to, origin) => refer(to, origin.as_ref(), s),
        }
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match Input::<Value>::deserialize(d)?.0 {
            Source::Value(value @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) => {
                Ok(Part::Value(value))
            }
            Source::Value(_) => Err(D::Error::custom("a part of a text is a text, a number or a boolean")),
            Source::Refers(Reference::Text(_), _) => Err(D::Error::custom("a text stands in a text")),
            Source::Refers(to, origin) => Ok(Part::Refers(to, origin)),
        }
    }
}

/// What can stand in a [`text!`](crate::text): texts, whole numbers, booleans, and handles to them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in a `text!`",
    label = "not a text, a whole number, a boolean, or a handle to one",
    note = "write a field of the handle that is one, or have a step make a text of it"
)]
pub trait TextPart {
    /// Adds it to the end of a text.
    #[doc(hidden)]
    fn add_to(&self, text: &mut Text);
}

impl Text {
    /// An empty text. For the macro.
    #[doc(hidden)]
    pub fn new() -> Self {
        Text::default()
    }

    /// This text and a part. For the macro.
    #[doc(hidden)]
    #[must_use]
    pub fn part<P: TextPart + ?Sized>(mut self, part: &P) -> Self {
        part.add_to(&mut self);
        self
    }

    /// Neighbouring words are one part, so that a text has one stored form.
    fn value(&mut self, value: Value) {
        match (self.0.last_mut(), value) {
            (Some(Part::Value(Value::String(last))), Value::String(more)) => last.push_str(&more),
            (_, value) => self.0.push(Part::Value(value)),
        }
    }

    fn refers(&mut self, to: &Reference, origin: Origin) {
        self.0.push(Part::Refers(to.clone(), Some(origin)));
    }
}

impl IntoInput<String> for Text {
    fn into_input(self) -> Input<String> {
        Input(Source::Refers(Reference::Text(self.0), None))
    }
}

impl IntoInput<Option<String>> for Text {
    fn into_input(self) -> Input<Option<String>> {
        Input(Source::Refers(Reference::Text(self.0), None))
    }
}

impl<P: TextPart + ?Sized> TextPart for &P {
    fn add_to(&self, text: &mut Text) {
        (**self).add_to(text);
    }
}

impl TextPart for str {
    fn add_to(&self, text: &mut Text) {
        text.value(Value::from(self));
    }
}

macro_rules! parts { ($($ty:ty),*) => { $(
    impl TextPart for $ty {
        fn add_to(&self, text: &mut Text) {
            text.value(Value::from(self.clone()));
        }
    }

    impl TextPart for Handle<$ty> {
        fn add_to(&self, text: &mut Text) {
            text.refers(self.place().reference(), self.place().origin());
        }
    }
)* } }

parts!(String, bool, u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);
