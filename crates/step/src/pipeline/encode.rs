//! Encoding a step for its plan, and finding out whether it can be.

use crate::{
    ErasedStep, Step, finite,
    home::{self, Home},
};
use serde::{Deserialize, Serialize};
use towpath_model::{Json, canonical};

/// How often a value is decoded and encoded again. A set of two has its order by chance: one look in two misses it.
const LOOKS: usize = 8;

/// What a plan stores of a step, and what is wrong with it.
pub(crate) struct Encoded {
    pub(crate) with: Json,
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
            let problems =
                [finite::check(step).err().map(|e| e.to_string()), unsteady::<S>(&with), no_canon(&with)];
            Encoded { with, problems: problems.into_iter().flatten().collect() }
        }
        Err(e) => Encoded { with: Json::null(), problems: vec![format!("it cannot be stored as json: {e}")] },
    }
}

/// What a node stores that is no step.
pub(crate) fn given<T: Serialize>(value: &T, home: &Home) -> Encoded {
    match home::encoding(home, || Json::of(value)) {
        Ok(with) => Encoded { with, problems: Vec::new() },
        Err(e) => Encoded { with: Json::null(), problems: vec![format!("it cannot be stored as json: {e}")] },
    }
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
