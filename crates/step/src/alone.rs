//! A pipeline of one step whose fields are given as JSON: for a command line that tries a kind.

use crate::{
    Declared, LateKind, Pipeline, PlanErrors, PlanProblem, Step, StepKind,
    pipeline::{Detail, blank},
};
use serde::{
    Deserializer,
    de::{DeserializeOwned, Error, Visitor},
    forward_to_deserialize_any,
};
use serde_json::Value;
use std::{collections::BTreeMap, fmt, sync::Arc};
use towpath_model::{IdError, Json, Operand, PLAN_FORMAT, PipelineName, PlanRecord, StepId};

/// A pipeline of one step of the kind of `S`: what it was given, as a plan stores it.
pub(crate) fn pipeline<S: Step>(name: &str, with: &Json) -> Result<Pipeline<Json>, PlanErrors> {
    let wrong = |e: serde_json::Error| PlanErrors {
        pipeline: name.to_owned(),
        problems: vec![PlanProblem::Field { kind: S::KIND.to_owned(), what: e.to_string() }],
    };
    let step: S = with.read().map_err(wrong)?;
    let p = Pipeline::new(name);
    let output = p.step(name, step);
    Ok(p.output(&output).build()?.untyped())
}

/// The same for a kind whose code is known when the program runs.
pub(crate) fn late(kind: &Arc<LateKind>, name: &str, with: &Json) -> Result<Pipeline<Json>, PlanErrors> {
    let one = |problem| PlanErrors { pipeline: name.to_owned(), problems: vec![problem] };
    let wrong = |error: IdError| one(PlanProblem::StepId { id: name.to_owned(), error: Some(error) });
    kind.decode(with)
        .map_err(|e| one(PlanProblem::Field { kind: kind.kind.to_string(), what: e.to_string() }))?;
    let declared = Declared {
        in_doubt: kind.in_doubt,
        methods: kind.methods,
        undo: kind.undo,
        best_effort: false,
        point_of_no_return: false,
    };
    let step = StepId::new(name).map_err(wrong)?;
    let record = PlanRecord {
        format: PLAN_FORMAT,
        pipeline: PipelineName::new(name).map_err(wrong)?,
        steps: vec![blank(step.clone(), kind.kind.clone(), with.clone(), declared)],
        params: BTreeMap::new(),
        output: Some(Operand::From { step, path: String::new() }),
        parallel: 1,
        deadline_ms: None,
        unwind_one_at_a_time: false,
    };
    Pipeline::thaw(record, vec![Detail::default()])
}

impl StepKind {
    /// A pipeline of this name with one step of it and of this kind, whose fields have these values.
    ///
    /// ```
    /// # extern crate towpath_step as towpath;
    /// use std::collections::BTreeMap;
    /// use towpath_step::{StepContext, StepError, model::Json, step, steps};
    ///
    /// #[step("demo.greet/v1", no_effect)]
    /// async fn greet(_cx: &StepContext, name: String, times: u8) -> Result<String, StepError> {
    ///     Ok(format!("hello {name}").repeat(times.into()))
    /// }
    ///
    /// let known = steps![greet];
    /// let kind = known.get("demo.greet/v1").ok_or("it was just put there")?;
    /// let name = Json::of("world")?;
    /// let error = kind.alone("greet", &BTreeMap::from([("nmae".to_owned(), name.clone())])).unwrap_err();
    /// assert_eq!(error.problems.len(), 3, "one field is unknown and two are missing: {error}");
    /// let times = Json::of(&2)?;
    /// kind.alone("greet", &BTreeMap::from([("name".to_owned(), name), ("times".to_owned(), times)]))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fields that are missing, unknown or of another type, and whatever else is wrong with the pipeline, at once.
    pub fn alone(&self, name: &str, values: &BTreeMap<String, Json>) -> Result<Pipeline<Json>, PlanErrors> {
        let (mut with, mut problems) = (BTreeMap::new(), Vec::new());
        for (field, value) in values {
            match self.stored(field, value) {
                Ok(stored) => drop(with.insert(field.clone(), stored)),
                Err(what) => problems.push(what),
            }
        }
        // A field may be a reference, whatever its type: so stands for each that is missing a parameter.
        let stand_in = Json::parse(r#"{"param":{"name":"missing"}}"#).expect("a constant is JSON");
        while let Err(Fault::Missing(field)) = self.try_read(&with) {
            let stored = match self.stored(&field, &Json::null()) {
                // It may be left out.
                Ok(none) => none,
                Err(_) => {
                    if !values.contains_key(&field) {
                        problems.push(format!("the field {field:?} is missing"));
                    }
                    stand_in.clone()
                }
            };
            if with.insert(field, stored).is_some() {
                break;
            }
        }
        if !problems.is_empty() {
            let kind = self.kind().as_str();
            let problems =
                problems.into_iter().map(|what| PlanProblem::Field { kind: kind.to_owned(), what });
            return Err(PlanErrors { pipeline: name.to_owned(), problems: problems.collect() });
        }
        let with = Json::of(&with).expect("a map of JSON is JSON");
        self.pipeline(name, &with)
    }

    /// The names of its fields, as plans store them; none when its type does not tell them.
    pub fn fields(&self) -> &[&'static str] {
        &self.fields
    }

    /// Whether there is a field of this name that takes this value.
    pub fn takes(&self, field: &str, value: &Json) -> bool {
        self.stored(field, value).is_ok()
    }

    /// A value of a field as a plan stores it: as an input's value, bare when the field is no input, or with each value in it
    /// as an input's when it is made of such.
    fn stored(&self, field: &str, value: &Json) -> Result<Json, String> {
        if !self.fields.is_empty() && !self.fields.contains(&field) {
            let there = self.fields.join(", ");
            return Err(format!("there is no field {field:?}: there are {there}"));
        }
        if self.fields.is_empty() {
            return Err(format!("there is no field {field:?}: it takes none"));
        }
        let input = Json::of(&BTreeMap::from([("value", value)])).expect("a map of JSON is JSON");
        let alone = |stored: &Json| self.try_read(&BTreeMap::from([(field.to_owned(), stored.clone())]));
        let whole = value.read::<Value>().map_err(|e| format!("the field {field:?}: {e}"))?;
        let within = Json::of(&inputs(whole)).expect("a value is JSON");
        let fits = |stored: &Json| matches!(alone(stored), Ok(()) | Err(Fault::Missing(_)));
        match (alone(&input), alone(value)) {
            (Ok(()) | Err(Fault::Missing(_)), _) => Ok(input),
            (_, Ok(()) | Err(Fault::Missing(_))) => Ok(value.clone()),
            _ if fits(&within) => Ok(within),
            // A field that is no input takes no map with a value in it.
            (Err(Fault::Other(e)), Err(Fault::Other(bare))) => {
                let what = if e.starts_with("invalid type: map") { bare } else { e };
                Err(format!("the field {field:?} cannot have this value: {what}"))
            }
        }
    }

    fn try_read(&self, with: &BTreeMap<String, Json>) -> Result<(), Fault> {
        let text = Json::of(with).expect("a map of JSON is JSON");
        let Err(error) = self.decode(&text) else { return Ok(()) };
        let said = error.to_string();
        // A field of the step is missed at the end of it; what is missed earlier is missing in a value.
        let missing = said.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
        match missing {
            // A kind that is known late finds it out after reading, at no place of the text.
            Some((field, _)) if error.column() == text.as_str().len() || error.line() == 0 => {
                Err(Fault::Missing(field.to_owned()))
            }
            _ => Err(Fault::Other(said.split(" at line ").next().unwrap_or(&said).to_owned())),
        }
    }
}

/// A value with each value in it as that of an input: what is one already stays.
fn inputs(value: Value) -> Value {
    const FORMS: [&str; 6] = ["value", "from", "param", "or-none", "first-of", "text"];
    match value {
        Value::Array(all) => all.into_iter().map(inputs).collect(),
        Value::Object(of) if of.len() == 1 && of.keys().all(|key| FORMS.contains(&key.as_str())) => {
            Value::Object(of)
        }
        Value::Object(of) => of.into_iter().map(|(key, value)| (key, inputs(value))).collect(),
        one => serde_json::json!({ "value": one }),
    }
}

/// Why fields are not those of a kind.
enum Fault {
    Missing(String),
    Other(String),
}

/// The names of the fields of a type, as far as it tells them to serde.
pub(crate) fn fields<T: DeserializeOwned>() -> Vec<&'static str> {
    match T::deserialize(Fields) {
        Err(Told(fields)) => fields.to_vec(),
        Ok(_) => Vec::new(),
    }
}

/// Asks a type for its fields, and gives it nothing.
struct Fields;

/// What a type told of its fields.
#[derive(Debug)]
struct Told(&'static [&'static str]);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no value")
    }
}

impl std::error::Error for Told {}

impl Error for Told {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Told(&[])
    }
}

impl<'de> Deserializer<'de> for Fields {
    type Error = Told;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Told> {
        Err(Told(&[]))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Told> {
        Err(Told(fields))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
