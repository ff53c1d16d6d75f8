//! Reading inputs.

use super::StepContext;
use crate::{
    Input, StepError,
    input::{Place, Reference, Source},
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
            Source::Refers(Reference::From(place), _) => match self.output_of(place) {
                Some(whole) => at(whole, &place.path, place),
                None => Err(StepError::permanent(format!("the step {} has no output", place.step))),
            },
            Source::Refers(Reference::Param(place), _) => match self.entry.params.get(&place.name) {
                Some(whole) => at(whole, &place.path, place),
                None => Err(StepError::permanent(format!("the parameter {:?} has no value", place.name))),
            },
            Source::Refers(Reference::OrNone(place), _) => match self.output_of(place) {
                Some(whole) => at(whole, &place.path, place),
                None => at(&Json::null(), "", place),
            },
            Source::Refers(Reference::FirstOf(places), _) => {
                match places.iter().find_map(|place| Some((place, self.output_of(place)?))) {
                    Some((place, whole)) => at(whole, &place.path, place),
                    None => Err(StepError::permanent("none of the branches of a first_of has an output")),
                }
            }
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
