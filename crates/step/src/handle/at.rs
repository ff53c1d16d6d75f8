//! Where a handle points.

use crate::{
    input::{Origin, ParamPlace, Place, Reference},
    pipeline::{PlanProblem, State},
};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use towpath_model::{Operand, StepId, StepRecord};

/// Where a handle points, and the draft that it belongs to. For the derive of [`Output`](crate::Output).
#[derive(Clone)]
pub struct At {
    draft: Shared,
    /// Which step of the draft its options are for; a parameter and a `first_of` have none.
    node: Option<usize>,
    reference: Reference,
}

/// A draft, shared by the handles that it made.
#[derive(Clone)]
pub(crate) struct Shared {
    state: Arc<Mutex<State>>,
    origin: Origin,
}

impl Shared {
    pub(crate) fn new(name: &str) -> Self {
        Shared { state: Arc::new(Mutex::new(State::new(name))), origin: Origin(Arc::from(name)) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Authors' code runs outside the lock, and ours does not panic under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn at(&self, node: Option<usize>, reference: Reference) -> At {
        At { draft: self.clone(), node, reference }
    }
}

impl At {
    /// The field that is stored as `name`.
    pub(crate) fn field(&self, name: &str) -> At {
        // RFC 6901.
        let name = name.replace('~', "~0").replace('/', "~1");
        let below = |path: &str| format!("{path}/{name}");
        let place = |p: &Place| Place { step: p.step.clone(), path: below(&p.path) };
        self.with(match &self.reference {
            Reference::From(p) => Reference::From(place(p)),
            Reference::OrNone(p) => Reference::OrNone(place(p)),
            Reference::FirstOf(all) => Reference::FirstOf(all.iter().map(place).collect()),
            Reference::Param(p) => {
                Reference::Param(ParamPlace { name: p.name.clone(), path: below(&p.path) })
            }
            // A text is an input and never a handle.
            Reference::Text(parts) => Reference::Text(parts.clone()),
        })
    }

    pub(crate) fn with(&self, reference: Reference) -> At {
        At { draft: self.draft.clone(), node: self.node, reference }
    }

    pub(crate) fn reference(&self) -> &Reference {
        &self.reference
    }

    pub(crate) fn origin(&self) -> Origin {
        self.draft.origin.clone()
    }

    /// The steps that it reads.
    pub(crate) fn steps(&self) -> Vec<StepId> {
        match &self.reference {
            Reference::From(p) | Reference::OrNone(p) => vec![p.step.clone()],
            Reference::FirstOf(all) => all.iter().map(|p| p.step.clone()).collect(),
            Reference::Param(_) | Reference::Text(_) => Vec::new(),
        }
    }

    /// It as an operand.
    pub(crate) fn operand(&self) -> Result<Operand, &'static str> {
        match &self.reference {
            Reference::From(p) => Ok(Operand::From { step: p.step.clone(), path: p.path.clone() }),
            Reference::Param(p) => Ok(Operand::Param { name: p.name.clone(), path: p.path.clone() }),
            Reference::OrNone(_) => Err("or_none"),
            Reference::FirstOf(_) => Err("first_of"),
            Reference::Text(_) => Err("text!"),
        }
    }

    /// Changes the step that this belongs to.
    pub(crate) fn set(&self, option: &'static str, change: impl FnOnce(&mut StepRecord)) {
        self.edit(option, |state, node, _| change(&mut state.steps[node].record));
    }

    /// Changes the draft, with the step that this belongs to.
    pub(crate) fn edit(&self, option: &'static str, change: impl FnOnce(&mut State, usize, &Origin)) {
        match self.node {
            Some(node) => change(&mut self.draft.state(), node, self.draft.origin()),
            None => self.no_option(option),
        }
    }

    /// Records that `option` means nothing here.
    pub(crate) fn no_option(&self, option: &'static str) {
        let problem = PlanProblem::Option { of: self.to_string(), option };
        self.draft.state().problems.push(problem);
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reference {
            Reference::From(p) | Reference::OrNone(p) => p.fmt(f),
            Reference::Param(p) => p.fmt(f),
            Reference::Text(_) => f.write_str("a text"),
            Reference::FirstOf(all) => {
                let all: Vec<_> = all.iter().map(|p| p.step.as_str()).collect();
                write!(f, "the first of {}", all.join(", "))
            }
        }
    }
}
