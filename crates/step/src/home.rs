//! Which pipeline a reference is at home in, and what the pipeline of one item takes from around it.

use crate::input::{Origin, ParamPlace, Reference};
use std::{
    cell::RefCell,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A draft's own name tag, and what lies around it when it is the pipeline of one item.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(crate) origin: Origin,
    around: Option<Arc<Around>>,
}

#[derive(Debug)]
struct Around {
    /// The pipelines around, from the inside out.
    origins: Vec<Origin>,
    captures: Mutex<Vec<Capture>>,
}

/// Something that a pipeline takes from around it, as a parameter.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    pub(crate) param: String,
    pub(crate) to: Reference,
    pub(crate) origin: Origin,
}

/// Where a reference is at home, as seen from a draft.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    Own,
    Around,
    Foreign,
}

impl Home {
    pub(crate) fn new(name: &str) -> Self {
        Home { origin: Origin(Arc::from(name)), around: None }
    }

    /// The home of the pipeline of one item.
    pub(crate) fn within(&self, name: &str) -> Self {
        let mut origins = vec![self.origin.clone()];
        origins.extend(self.around.iter().flat_map(|around| around.origins.iter().cloned()));
        let around = Around { origins, captures: Mutex::default() };
        Home { origin: Origin(Arc::from(name)), around: Some(Arc::new(around)) }
    }

    /// Whether it is the home of the pipeline of one item.
    pub(crate) fn is_within(&self) -> bool {
        self.around.is_some()
    }

    pub(crate) fn whose(&self, origin: &Origin) -> Whose {
        match &self.around {
            _ if *origin == self.origin => Whose::Own,
            Some(around) if around.origins.contains(origin) => Whose::Around,
            _ => Whose::Foreign,
        }
    }

    /// The parameter through which something around is taken; `None` when it does not lie around.
    pub(crate) fn capture(&self, to: &Reference, origin: &Origin) -> Option<ParamPlace> {
        if self.whose(origin) != Whose::Around {
            return None;
        }
        let mut captures = self.captures()?;
        let known = captures.iter().find(|capture| capture.to == *to && capture.origin == *origin);
        let name = match known {
            Some(capture) => capture.param.clone(),
            None => {
                let param = free_name(&captures, to);
                let capture = Capture { param: param.clone(), to: to.clone(), origin: origin.clone() };
                captures.push(capture);
                param
            }
        };
        Some(ParamPlace { name, path: String::new() })
    }

    /// Everything that is taken from around.
    pub(crate) fn taken(&self) -> Vec<Capture> {
        self.captures().map(|captures| captures.clone()).unwrap_or_default()
    }

    fn captures(&self) -> Option<MutexGuard<'_, Vec<Capture>>> {
        // Nothing panics while it is held.
        self.around.as_ref().map(|around| around.captures.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A name that says what is taken: `build-digest` for the field `digest` of the step `build`.
fn free_name(captures: &[Capture], to: &Reference) -> String {
    let text = match to {
        Reference::From(place) | Reference::OrNone(place) => format!("{}{}", place.step, place.path),
        Reference::Param(place) => format!("{}{}", place.name, place.path),
        Reference::FirstOf(_) | Reference::Text(_) => "outer".into(),
    };
    let word = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
    let plain: String = text.chars().map(word).take(48).collect();
    let taken = |name: &str| name == ITEM || captures.iter().any(|capture| capture.param == name);
    let mut names = std::iter::once(plain.clone()).chain((2..).map(|n| format!("{plain}-{n}")));
    names.find(|name| !taken(name)).expect("one of endlessly many names is free")
}

/// The parameter that is the item.
pub(crate) const ITEM: &str = "item";

thread_local! {
    /// The home of the step that is being encoded. Inputs are encoded by `serde`, which passes nothing along.
    static ENCODING: RefCell<Option<Home>> = const { RefCell::new(None) };
    /// The references that were met, while their places are looked for.
    static MARKED: RefCell<Option<Vec<Reference>>> = const { RefCell::new(None) };
}

/// Encodes with references to what lies around `home` captured.
pub(crate) fn encoding<T>(home: &Home, encode: impl FnOnce() -> T) -> T {
    struct Restore(Option<Home>);
    impl Drop for Restore {
        fn drop(&mut self) {
            ENCODING.set(self.0.take());
        }
    }
    let _restore = Restore(ENCODING.replace(Some(home.clone())));
    encode()
}

/// What stands in the place of a reference when its place is looked for: no name of a field has a zero byte.
pub(crate) const MARK: &str = "\0reference";

/// Encodes with a mark in the place of each reference; gives the references too.
pub(crate) fn marking<T>(encode: impl FnOnce() -> T) -> (T, Vec<Reference>) {
    struct Restore(Option<Vec<Reference>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            MARKED.set(self.0.take());
        }
    }
    let _restore = Restore(MARKED.replace(Some(Vec::new())));
    let encoded = encode();
    (encoded, MARKED.with_borrow_mut(|marked| marked.take()).unwrap_or_default())
}

/// Whether a mark is to stand in the place of a reference.
pub(crate) fn is_marked(to: &Reference) -> bool {
    MARKED.with_borrow_mut(|marked| match marked {
        Some(all) => {
            all.push(to.clone());
            true
        }
        None => false,
    })
}

/// The parameter that a reference stands for where it is being encoded.
pub(crate) fn captured(to: &Reference, origin: Option<&Origin>) -> Option<ParamPlace> {
    let origin = origin?;
    ENCODING.with_borrow(|home| home.as_ref()?.capture(to, origin))
}

#[cfg(test)]
mod tests {
    use super::{Home, Whose};
    use crate::input::{ParamPlace, Place, Reference};
    use towpath_model::StepId;

    fn from(step: &str, path: &str) -> Reference {
        Reference::From(Place { step: StepId::new(step).unwrap(), path: path.into() })
    }

    #[test]
    fn what_lies_around_is_captured_once_under_a_name_that_says_what_it_is() {
        let outer = Home::new("outer");
        let inner = outer.within("each");
        let innermost = inner.within("each");
        let name =
            |home: &Home, to: &Reference| home.capture(to, &outer.origin).map(|place: ParamPlace| place.name);
        assert_eq!(name(&inner, &from("build", "/digest")).as_deref(), Some("build-digest"));
        assert_eq!(name(&inner, &from("build", "/digest")).as_deref(), Some("build-digest"));
        assert_eq!(name(&inner, &from("build-digest", "")).as_deref(), Some("build-digest-2"));
        assert_eq!(name(&inner, &from("item", "")).as_deref(), Some("item-2"), "the item has its own name");
        assert_eq!(inner.taken().len(), 3);
        assert_eq!(name(&innermost, &from("eu/scan", "")).as_deref(), Some("eu-scan"));
        assert_eq!(name(&outer, &from("build", "")), None, "it is at home there");
        assert_eq!(innermost.whose(&inner.origin), Whose::Around);
        assert_eq!(inner.whose(&innermost.origin), Whose::Foreign);
    }
}
