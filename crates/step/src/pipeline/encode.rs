//! Encoding a step for its plan, and finding out whether it can be.

use crate::{
    ErasedStep, Reads, Step, finite,
    home::{self, Home},
    input::{Part, Reference, pointer_word},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use towpath_model::{Json, canonical};

/// How often a value is decoded and encoded again. A set of two has its order by chance: one look in two misses it.
const LOOKS: usize = 8;

/// What a plan stores of a step, and what is wrong with it.
pub(crate) struct Encoded {
    pub(crate) with: Json,
    /// Where references stand in it, as RFC 6901 pointers.
    pub(crate) places: Vec<String>,
    pub(crate) problems: Vec<String>,
}

/// The stored form that [`ErasedStep`] gives.
#[derive(Deserialize)]
struct Stored {
    with: Json,
}

pub(crate) fn step<S: Step>(step: &S, home: &Home) -> Encoded {
    match home::encoding(home, || stored(step)) {
        Ok(with) => {
            let (places, met) = places(|| stored(step));
            let problems = [
                finite::check(step).err().map(|e| e.to_string()),
                unsteady::<S>(&with),
                no_canon(&with),
                unread(&step.reads(), &met),
            ];
            Encoded { with, places, problems: problems.into_iter().flatten().collect() }
        }
        Err(e) => Encoded::not(&e),
    }
}

/// What a node stores that is no step.
pub(crate) fn given<T: Serialize>(value: &T, home: &Home) -> Encoded {
    match home::encoding(home, || Json::of(value)) {
        Ok(with) => Encoded { with, places: places(|| Json::of(value)).0, problems: Vec::new() },
        Err(e) => Encoded::not(&e),
    }
}

impl Encoded {
    fn not(error: &serde_json::Error) -> Self {
        let problems = vec![format!("it cannot be stored as json: {error}")];
        Encoded { with: Json::null(), places: Vec::new(), problems }
    }
}

/// Where references stand in what is stored, wherever a kind keeps them; and the references.
fn places(encode: impl FnOnce() -> Result<Json, serde_json::Error>) -> (Vec<String>, Vec<Reference>) {
    let (marked, met) = home::marking(encode);
    let mut places = Vec::new();
    if let Ok(marked) = marked.and_then(|json| json.read::<Value>()) {
        find(&marked, String::new(), &mut places);
    }
    (places, met)
}

fn find(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::Object(map) if map.contains_key(home::MARK) => places.push(at),
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| find(value, format!("{at}/{}", pointer_word(key)), places));
        }
        Value::Array(all) => {
            all.iter().enumerate().for_each(|(i, value)| find(value, format!("{at}/{i}"), places));
        }
        _ => {}
    }
}

/// A reference that the step does not say it reads: it would be no edge, and could not be read.
fn unread(reads: &Reads, met: &[Reference]) -> Option<String> {
    let says = |to: &Reference| reads.0.iter().any(|read| read.to == *to);
    let parts = met.iter().flat_map(|to| match to {
        Reference::Text(parts) => parts
            .iter()
            .filter_map(|part| match part {
                Part::Refers(to, _) => Some(to),
                Part::Value(_) => None,
            })
            .collect(),
        to => vec![to],
    });
    parts.into_iter().find(|to| !says(to)).map(|to| {
        format!(
            "a field refers to {to}, and `reads` leaves it out, so that it would be no edge: add it there, or derive `Step`"
        )
    })
}

fn stored<S: Step>(step: &S) -> Result<Json, serde_json::Error> {
    let erased: &dyn ErasedStep = step;
    Json::of(erased)?.read::<Stored>().map(|stored| stored.with)
}

/// Whether decoding and encoding again changes the bytes: then the plan's hash would change from process to process.
fn unsteady<S: Step>(first: &Json) -> Option<String> {
    for _ in 0..LOOKS {
        match first.read::<S>().and_then(|again| stored(&again)) {
            Ok(again) if again == *first => {}
            Ok(_) => {
                return Some(
                    "it is stored differently each time, so its plan has no hash: hold sets and maps as BTreeSet and \
                     BTreeMap"
                        .into(),
                );
            }
            Err(e) => return Some(format!("it cannot be read back from what is stored of it: {e}")),
        }
    }
    None
}

fn no_canon(with: &Json) -> Option<String> {
    canonical::of_text(with.as_str()).err().map(|e| e.to_string())
}
