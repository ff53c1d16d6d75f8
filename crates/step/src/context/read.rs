//! Reading inputs.

use super::StepContext;
use crate::{
    Input, StepError,
    input::{Part, Place, Reference, Source},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::any::type_name;
use towpath_model::Json;

impl StepContext {
    /// What an input is: its value, or what the step or the parameter that it refers to gave.
    ///
    /// # Errors
    /// Permanent, when it does not have the shape of `T`, or there is nothing at its place.
    pub fn get<T: Serialize + DeserializeOwned>(&self, input: &Input<T>) -> Result<T, StepError> {
        match input.source() {
            // Through JSON, so that a value reads the same in a body whose step was never stored and in one whose step
            // was; and so that arguments need not be `Clone`.
            Source::Value(value) => Json::of(value).and_then(|json| json.read()).map_err(|e| {
                StepError::permanent(format!(
                    "a {} does not read back what it was stored as",
                    type_name::<T>()
                ))
                .because(e)
            }),
            Source::Refers(to, _) => self.follow(to),
        }
    }

    fn follow<T: DeserializeOwned>(&self, to: &Reference) -> Result<T, StepError> {
        match to {
            Reference::From(place) => match self.output_of(place) {
                Some(whole) => at(whole, &place.path, place),
                None => Err(StepError::permanent(format!("the step {} has no output", place.step))),
            },
            Reference::Param(place) => match self.entry.params.get(&place.name) {
                Some(whole) => at(whole, &place.path, place),
                None => Err(StepError::permanent(format!("the parameter {:?} has no value", place.name))),
            },
            Reference::OrNone(place) => match self.output_of(place) {
                Some(whole) => at(whole, &place.path, place),
                None => at(&Json::null(), "", place),
            },
            Reference::FirstOf(places) => {
                match places.iter().find_map(|place| Some((place, self.output_of(place)?))) {
                    Some((place, whole)) => at(whole, &place.path, place),
                    None => Err(StepError::permanent("none of the branches of a first_of has an output")),
                }
            }
            Reference::Text(parts) => {
                let parts: Result<String, StepError> = parts.iter().map(|part| self.part(part)).collect();
                T::deserialize(Value::String(parts?)).map_err(|e| {
                    StepError::permanent(format!("a text cannot be read as {}", type_name::<T>())).because(e)
                })
            }
        }
    }

    /// A part of a text, as it stands in it.
    fn part(&self, part: &Part) -> Result<String, StepError> {
        let value = match part {
            Part::Value(value) => value.clone(),
            Part::Refers(to, _) => self.follow(to)?,
        };
        match value {
            Value::String(text) => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(is) => Ok(is.to_string()),
            other => Err(StepError::permanent(format!(
                "a part of a text is {}: only texts, numbers and booleans can stand in one",
                if other.is_null() { "nothing" } else { "a list or an object" }
            ))),
        }
    }

    /// What an input is, when that is known already: in a preview, nobody has run the steps that it refers to.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn known<T: Serialize + DeserializeOwned>(&self, input: &Input<T>) -> Result<Option<T>, StepError> {
        if self.is_known(input) { self.get(input).map(Some) } else { Ok(None) }
    }

    /// Whether everything that an input refers to is known.
    #[doc(hidden)]
    pub fn is_known<T>(&self, input: &Input<T>) -> bool {
        match input.source() {
            Source::Value(_) => true,
            Source::Refers(to, _) => self.has(to),
        }
    }

    fn has(&self, to: &Reference) -> bool {
        match to {
            Reference::From(place) | Reference::OrNone(place) => self.output_of(place).is_some(),
            Reference::Param(place) => self.entry.params.contains_key(&place.name),
            // A later branch is taken only when those before it were skipped, which is not known before all have run.
            Reference::FirstOf(places) => places.first().is_some_and(|place| self.output_of(place).is_some()),
            Reference::Text(parts) => parts.iter().all(|part| match part {
                Part::Value(_) => true,
                Part::Refers(to, _) => self.has(to),
            }),
        }
    }

    fn output_of(&self, place: &Place) -> Option<&Json> {
        self.entry.outputs.iter().find(|(step, _)| *step == place.step).map(|(_, output)| output)
    }
}

/// The value at `path` of `whole`. Nothing there is read as null: an output may leave out a field that is none.
fn at<T: DeserializeOwned>(whole: &Json, path: &str, place: &impl std::fmt::Display) -> Result<T, StepError> {
    let read = match path {
        "" => whole.read(),
        path => whole.read::<Value>().and_then(|whole| match whole.pointer(path) {
            Some(part) => T::deserialize(part),
            None => T::deserialize(Value::Null),
        }),
    };
    read.map_err(|e| {
        StepError::permanent(format!("{place} cannot be read as {}", type_name::<T>())).because(e)
    })
}
