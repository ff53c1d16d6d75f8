//! Where a handle points.

use crate::{
    Condition,
    home::Home,
    input::{Origin, ParamPlace, Place, Reference, pointer_word},
    pipeline::{PlanProblem, State},
};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use towpath_model::{Operand, Role, StepId, StepRecord};

/// Where a handle points, and the draft that it belongs to. For the derive of [`Output`](crate::Output).
#[derive(Clone)]
pub struct At {
    draft: Shared,
    owner: Owner,
    reference: Reference,
}

/// Whose options hang on a handle.
#[derive(Clone)]
pub(crate) enum Owner {
    /// Nobody's: a parameter and a `first_of` have none.
    Nobody,
    /// A step's, by its place in the draft.
    Step(usize),
    /// A pipeline's that was placed whole.
    Pipeline(Arc<Whole>),
}

/// The steps of a pipeline that was placed whole, by their places in the draft.
pub(crate) struct Whole {
    /// Those of the way forward.
    pub(crate) ids: Vec<StepId>,
    /// Those of them that wait for none of the others.
    pub(crate) first: Vec<usize>,
    /// All of them.
    pub(crate) all: Vec<usize>,
}

/// A draft, shared by the handles that it made.
#[derive(Clone)]
pub(crate) struct Shared {
    state: Arc<Mutex<State>>,
    home: Home,
}

impl Shared {
    pub(crate) fn new(name: &str) -> Self {
        Shared { state: Arc::new(Mutex::new(State::new(name))), home: Home::new(name) }
    }

    /// The draft of the pipeline of one item.
    pub(crate) fn within(&self, name: &str) -> Self {
        Shared { state: Arc::new(Mutex::new(State::new(name))), home: self.home.within(name) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Authors' code runs outside the lock, and ours does not panic under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn at(&self, owner: Owner, reference: Reference) -> At {
        At { draft: self.clone(), owner, reference }
    }
}

impl At {
    /// The field that is stored as `name`.
    pub(crate) fn field(&self, name: &str) -> At {
        let name = pointer_word(name);
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
        At { draft: self.draft.clone(), owner: self.owner.clone(), reference }
    }

    pub(crate) fn reference(&self) -> &Reference {
        &self.reference
    }

    pub(crate) fn origin(&self) -> Origin {
        self.draft.home.origin.clone()
    }

    /// The steps that whoever is after it waits for.
    pub(crate) fn steps(&self) -> Vec<StepId> {
        if let Owner::Pipeline(placed) = &self.owner {
            return placed.ids.clone();
        }
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
        match self.owner {
            Owner::Step(node) => change(&mut self.draft.state().steps[node].record),
            Owner::Pipeline(_) | Owner::Nobody => self.no_option(option),
        }
    }

    /// Frees it of the windows of its environment.
    pub(crate) fn at_any_time(&self) {
        match self.owner {
            Owner::Step(node) => self.draft.state().steps[node].detail.at_any_time = true,
            Owner::Pipeline(_) | Owner::Nobody => self.no_option("at_any_time"),
        }
    }

    /// Allows that a lock is held while it waits for people.
    pub(crate) fn while_holding(&self) {
        match self.owner {
            Owner::Step(node) => self.draft.state().steps[node].detail.while_holding = true,
            Owner::Pipeline(_) | Owner::Nobody => self.no_option("while_holding"),
        }
    }

    /// Bounds how many items run at once.
    pub(crate) fn parallel(&self, most: u32) {
        if let Owner::Step(node) = self.owner
            && let Role::ForEach { parallel, .. } = &mut self.draft.state().steps[node].record.role
        {
            *parallel = most;
            return;
        }
        self.no_option("parallel");
    }

    /// Has what this belongs to wait for another.
    pub(crate) fn after(&self, other: &At) {
        self.edit("after", |placed| &placed.first, |state, node, home| state.after(node, other, home));
    }

    /// Has what this belongs to hang on a condition.
    pub(crate) fn when(&self, condition: &Condition) {
        self.edit("when", |placed| &placed.all, |state, node, home| state.when(node, condition, home));
    }

    fn edit(
        &self,
        option: &'static str,
        which: fn(&Whole) -> &[usize],
        mut change: impl FnMut(&mut State, usize, &Home),
    ) {
        match &self.owner {
            Owner::Nobody => self.no_option(option),
            Owner::Step(node) => change(&mut self.draft.state(), *node, &self.draft.home),
            Owner::Pipeline(placed) => {
                let mut state = self.draft.state();
                which(placed).iter().for_each(|node| change(&mut state, *node, &self.draft.home));
            }
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
        self.reference.fmt(f)
    }
}
