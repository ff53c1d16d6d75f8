//! JSON Schemas of what steps take and give: draft 2020-12, <https://json-schema.org/draft/2020-12/schema>.

use crate::{Output, Step};
use serde_json::{Map, Value, json};
use std::{
    any::TypeId,
    collections::{BTreeMap, HashMap},
    marker::PhantomData,
};
use towpath_model::Json;

/// Schemas that are being made, with the types that they name.
#[doc(hidden)]
#[derive(Default)]
pub struct Schemas {
    defs: BTreeMap<String, Value>,
    names: HashMap<TypeId, String>,
}

impl Schemas {
    /// The schema of a kind: of its fields, and of what it gives.
    pub(crate) fn of_kind<S: Step>() -> Value {
        let mut schemas = Schemas::default();
        let with = S::schema(&mut schemas);
        let output = S::Output::schema(&mut schemas);
        schemas.document(json!({"title": S::KIND, "properties": {"with": with, "output": output}}))
    }

    /// The schema of values with these names.
    pub(crate) fn of_all<'a, D: FnOnce(&mut Schemas) -> Value>(
        all: impl IntoIterator<Item = (&'a str, D)>,
    ) -> Value {
        let mut schemas = Schemas::default();
        let mut object = ObjectSchema::default();
        for (name, describe) in all {
            let schema = describe(&mut schemas);
            object = object.field(name, schema, true, "");
        }
        schemas.document(object.schema(true, ""))
    }

    /// A schema as a document of its own.
    pub(crate) fn of(describe: impl FnOnce(&mut Schemas) -> Value) -> Value {
        let mut schemas = Schemas::default();
        let schema = describe(&mut schemas);
        schemas.document(schema)
    }

    /// A schema with the types that it names.
    pub(crate) fn document(self, schema: Value) -> Value {
        let Value::Object(mut whole) = schema else { return schema };
        if !self.defs.is_empty() {
            whole.insert("$defs".into(), self.defs.into_iter().collect::<Map<_, _>>().into());
        }
        Value::Object(whole)
    }

    /// A reference to a type, which is described once, and may hold itself.
    pub fn named<T: 'static>(&mut self, name: &str, describe: impl FnOnce(&mut Schemas) -> Value) -> Value {
        let id = TypeId::of::<T>();
        if !self.names.contains_key(&id) {
            let free = |name: &String| !self.defs.contains_key(name);
            let mut names = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}{n}")));
            let name = names.find(free).expect("one of endlessly many names is free");
            self.defs.insert(name.clone(), anything());
            self.names.insert(id, name.clone());
            let described = describe(self);
            self.defs.insert(name, described);
        }
        json!({"$ref": format!("#/$defs/{}", self.names[&id])})
    }
}

/// The schema that says nothing.
#[doc(hidden)]
pub fn anything() -> Value {
    json!({})
}

/// The fields of an object, as the derive tells them.
#[doc(hidden)]
#[derive(Default)]
pub struct ObjectSchema {
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl ObjectSchema {
    #[must_use]
    pub fn field(mut self, name: &str, schema: Value, required: bool, docs: &str) -> Self {
        self.properties.insert(name.to_owned(), described(schema, docs));
        if required {
            self.required.push(name.into());
        }
        self
    }

    pub fn schema(self, closed: bool, docs: &str) -> Value {
        let mut schema = json!({"type": "object", "properties": self.properties});
        if !self.required.is_empty() {
            schema["required"] = self.required.into();
        }
        if closed {
            schema["additionalProperties"] = false.into();
        }
        described(schema, docs)
    }
}

/// A list of so many parts.
#[doc(hidden)]
pub fn tuple(parts: Vec<Value>, n: usize) -> Value {
    json!({"type": "array", "prefixItems": parts, "minItems": n, "maxItems": n})
}

/// A list of parts of one sort.
#[doc(hidden)]
pub fn list(part: Value) -> Value {
    json!({"type": "array", "items": part})
}

/// One value.
#[doc(hidden)]
pub fn constant<T: serde::Serialize>(value: &T) -> Value {
    json!({"const": value})
}

/// One of these; when all are constants without words, a list of them.
#[doc(hidden)]
pub fn one_of(all: Vec<Value>) -> Value {
    let constant = |schema: &Value| match schema {
        Value::Object(map) if map.len() == 1 => map.get("const").cloned(),
        _ => None,
    };
    match all.iter().map(constant).collect::<Option<Vec<_>>>() {
        Some(constants) => json!({"enum": constants}),
        None => json!({"oneOf": all}),
    }
}

/// A schema with words for people.
#[doc(hidden)]
pub fn described(mut schema: Value, docs: &str) -> Value {
    if let (Value::Object(whole), false) = (&mut schema, docs.is_empty()) {
        whole.insert("description".into(), docs.into());
    }
    schema
}

/// A schema without words for people: what a plan holds, so that its hash does not hang on them.
pub(crate) fn bare(schema: &Value) -> Json {
    fn strip(value: &Value, is_names: bool) -> Value {
        match value {
            Value::Object(map) => {
                let kept = map.iter().filter(|(key, _)| is_names || key.as_str() != "description");
                // Below these keys stand names that authors gave, and not words of the schema.
                let below = |key: &str| !is_names && matches!(key, "properties" | "$defs");
                kept.map(|(key, value)| (key.clone(), strip(value, below(key)))).collect::<Map<_, _>>().into()
            }
            Value::Array(all) => all.iter().map(|value| strip(value, false)).collect(),
            other => other.clone(),
        }
    }
    Json::of(&strip(schema, false)).expect("a schema is json")
}

/// Asks a type for its schema, when it has one. For the macros, which know a type and not what it implements: the method of
/// a value is found before that of a reference to it.
#[doc(hidden)]
pub struct Probe<T>(PhantomData<fn() -> T>);

impl<T> Probe<T> {
    pub fn new() -> Self {
        Probe(PhantomData)
    }
}

impl<T> Default for Probe<T> {
    fn default() -> Self {
        Probe::new()
    }
}

#[doc(hidden)]
pub trait OfOutput {
    fn schema(&self, schemas: &mut Schemas) -> Value;
}

impl<T: Output> OfOutput for Probe<T> {
    fn schema(&self, schemas: &mut Schemas) -> Value {
        T::schema(schemas)
    }
}

#[doc(hidden)]
pub trait OfAnything {
    fn schema(&self, schemas: &mut Schemas) -> Value;
}

impl<T> OfAnything for &Probe<T> {
    fn schema(&self, _: &mut Schemas) -> Value {
        anything()
    }
}
