//! Reading the list of a `for_each`: pure, and the only place that says what a list has to be.

use crate::{ForEach, Plan};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashSet};
use towpath_model::{Failure, FailureKind, ItemKey, Json, Operand, StepId, StepRecord, limits};

/// The items of a list, and the other values that their plan is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Key and value of each, in order.
    pub items: Vec<(ItemKey, Json)>,
    /// The values of the other parameters of the items' plan.
    pub given: BTreeMap<String, Json>,
}

/// What the `with` of a `for_each` holds: the values of the other parameters of its items' plan, written as the inputs
/// of a step are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct With {
    #[serde(default)]
    pub(crate) given: BTreeMap<String, Source>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Source {
    Value(Json),
    From(Place),
    Param(Param),
    OrNone(Place),
    FirstOf(Vec<Place>),
    /// Parts that make one text.
    Text(Vec<Source>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    pub(crate) step: StepId,
    #[serde(default)]
    path: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Param {
    pub(crate) name: String,
    #[serde(default)]
    path: String,
}

impl With {
    pub(crate) fn of(step: &StepRecord) -> Result<With, String> {
        step.with.read().map_err(|e| format!("what it gives to its items cannot be read: {e}"))
    }
}

impl Source {
    /// The parameters that are read.
    pub(crate) fn params(&self) -> Vec<&str> {
        match self {
            Source::Param(param) => vec![&param.name],
            Source::Text(parts) => parts.iter().flat_map(Source::params).collect(),
            Source::Value(_) | Source::From(_) | Source::OrNone(_) | Source::FirstOf(_) => Vec::new(),
        }
    }

    /// The steps that are read.
    pub(crate) fn steps(&self) -> Vec<&StepId> {
        match self {
            Source::Value(_) | Source::Param(_) => Vec::new(),
            Source::From(place) | Source::OrNone(place) => vec![&place.step],
            Source::FirstOf(places) => places.iter().map(|place| &place.step).collect(),
            Source::Text(parts) => parts.iter().flat_map(Source::steps).collect(),
        }
    }
}

/// Reads the list of a `for_each` and what else its items are given: once, just before it is journaled.
///
/// `output` gives the output of a step, and nothing for one that has none.
///
/// # Errors
/// A permanent failure that says which item is at fault: one without a key, with a key that is no line of 1 to 256
/// bytes, or with another's key; too many items; or something else than a list.
pub fn list_items(
    plan: &Plan,
    step: &StepRecord,
    values: &BTreeMap<String, Json>,
    output: &dyn Fn(&StepId) -> Option<Json>,
) -> Result<Listed, Failure> {
    let found = Found { values, output };
    let for_each = plan.find(&step.id).and_then(|ix| plan.for_each(ix));
    let Some(ForEach { list, key, .. }) = for_each else { return Err(fault("it is no for_each")) };
    let list = match list {
        Operand::Value(json) => json.clone(),
        Operand::From { step, path } => found.of(step, path),
        Operand::Param { name, path } => found.param(name, path),
    };
    let mut given = BTreeMap::new();
    for (name, source) in With::of(step).map_err(fault)?.given {
        let value =
            found.value(&source).map_err(|e| e.caused_by(format!("it is to be given as {name:?}")))?;
        given.insert(name, value);
    }
    Ok(Listed { items: keyed(&list, key)?, given })
}

/// What is known of a step's output before it is needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    /// It is this, or will be.
    Output(Json),
    /// There will be none.
    Skipped,
    /// Nobody can tell before it has run.
    Unknown,
}

/// What can be told of the items of a `for_each` before they are listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Foreseen {
    /// They will be these; of what else they are given only what is known.
    Items(Listed),
    /// They cannot be told before this step is done, or before whatever gives this parameter.
    After(String),
}

/// Reads the list of a `for_each` as far as it is known before the run: for a preview.
///
/// # Errors
/// As for [`list_items`]: the run would fail by it.
pub fn foresee_items(
    plan: &Plan,
    step: &StepRecord,
    values: &BTreeMap<String, Json>,
    seen: &dyn Fn(&StepId) -> Seen,
) -> Result<Foreseen, Failure> {
    let for_each = plan.find(&step.id).and_then(|ix| plan.for_each(ix));
    let Some(ForEach { list, key, .. }) = for_each else { return Err(fault("it is no for_each")) };
    let output = |id: &StepId| match seen(id) {
        Seen::Output(json) => Some(json),
        Seen::Skipped | Seen::Unknown => None,
    };
    let found = Found { values, output: &output };
    let list = match list {
        Operand::Value(json) => json.clone(),
        Operand::From { step, .. } if seen(step) == Seen::Unknown => {
            return Ok(Foreseen::After(step.to_string()));
        }
        Operand::From { step, path } => found.of(step, path),
        Operand::Param { name, .. } if !values.contains_key(name) => {
            return Ok(Foreseen::After(name.clone()));
        }
        Operand::Param { name, path } => found.param(name, path),
    };
    let is_known = |source: &Source| {
        source.steps().into_iter().all(|step| seen(step) != Seen::Unknown)
            && source.params().into_iter().all(|name| values.contains_key(name))
    };
    let mut given = BTreeMap::new();
    for (name, source) in With::of(step).map_err(fault)?.given {
        if is_known(&source) {
            given.insert(name, found.value(&source)?);
        }
    }
    Ok(Foreseen::Items(Listed { items: keyed(&list, key)?, given }))
}

/// Where values are found.
struct Found<'a> {
    values: &'a BTreeMap<String, Json>,
    output: &'a dyn Fn(&StepId) -> Option<Json>,
}

impl Found<'_> {
    fn of(&self, id: &StepId, path: &str) -> Json {
        (self.output)(id).and_then(|json| json.at(path)).unwrap_or_else(Json::null)
    }

    fn param(&self, name: &str, path: &str) -> Json {
        self.values.get(name).and_then(|json| json.at(path)).unwrap_or_else(Json::null)
    }

    fn value(&self, source: &Source) -> Result<Json, Failure> {
        Ok(match source {
            Source::Value(json) => json.clone(),
            Source::From(place) | Source::OrNone(place) => self.of(&place.step, &place.path),
            Source::Param(from) => self.param(&from.name, &from.path),
            Source::FirstOf(places) => {
                let first = places.iter().find(|place| (self.output)(&place.step).is_some());
                first.map_or_else(Json::null, |place| self.of(&place.step, &place.path))
            }
            Source::Text(parts) => {
                let parts = parts.iter().map(|part| text_of(&self.value(part)?));
                let text = parts.collect::<Result<String, Failure>>()?;
                Json::of(&text).expect("a text is JSON")
            }
        })
    }
}

/// A value as it stands in a text.
fn text_of(json: &Json) -> Result<String, Failure> {
    match json.as_str().as_bytes().first() {
        Some(b'"') => Ok(json.read().unwrap_or_default()),
        Some(b't' | b'f' | b'-' | b'0'..=b'9') => Ok(json.as_str().to_owned()),
        _ => Err(fault("a part of a text is neither a text, a number nor a boolean")),
    }
}

fn keyed(list: &Json, pointer: &str) -> Result<Vec<(ItemKey, Json)>, Failure> {
    let items: Vec<Json> =
        list.read().map_err(|e| fault("what it goes through is no list").caused_by(e.to_string()))?;
    let (found, most) = (items.len(), limits::ITEMS_PER_FOR_EACH);
    if found > most {
        return Err(fault(format!("the list has {found} items: the limit is {most}")));
    }
    let (mut seen, mut keyed) = (HashSet::with_capacity(found), Vec::with_capacity(found));
    for (item, place) in items.into_iter().zip(0..) {
        let key = key_of(&item, pointer, place)?;
        if !seen.insert(key.clone()) {
            return Err(fault(format!("two items have the key {:?}: give each its own", key.as_str())));
        }
        keyed.push((key, item));
    }
    Ok(keyed)
}

fn key_of(item: &Json, pointer: &str, place: usize) -> Result<ItemKey, Failure> {
    let at = if pointer.is_empty() { "itself".to_owned() } else { format!("at {pointer:?}") };
    let found = item.at(pointer).ok_or_else(|| fault(format!("item {place} of the list has no key {at}")))?;
    let text = match found.as_str().as_bytes().first() {
        Some(b'"') => found.read::<String>().unwrap_or_default(),
        Some(b'-' | b'0'..=b'9') => found.as_str().to_owned(),
        _ => {
            return Err(fault(format!(
                "the key of item {place} of the list, {at}, is no text and no number"
            )));
        }
    };
    ItemKey::new(&text)
        .map_err(|e| fault(format!("the key of item {place} of the list, {at}")).caused_by(e.to_string()))
}

fn fault(text: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Permanent, text)
}

#[derive(Serialize, Deserialize)]
struct Pair(ItemKey, Box<RawValue>);

impl Listed {
    /// The items as they are journaled.
    pub fn items_json(&self) -> Json {
        Json::of(&self.items).expect("keys and JSON values are JSON")
    }

    /// The other values as they are journaled.
    pub fn given_json(&self) -> Json {
        Json::of(&self.given).expect("names and JSON values are JSON")
    }
}

/// Reads items as they were journaled.
///
/// # Errors
/// When the texts are not those of a list.
pub fn read_items(items: &Json, given: &Json) -> Result<Listed, serde_json::Error> {
    let pairs: Vec<Pair> = items.read()?;
    let items = pairs.into_iter().map(|Pair(key, value)| (key, Json::from(value))).collect();
    Ok(Listed { items, given: given.read()? })
}
