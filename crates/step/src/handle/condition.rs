//! Conditions over handles.

use super::{At, Handle};
use crate::{
    IntoInput, Output,
    input::{Input, Origin, Source},
};
use serde::Serialize;
use towpath_model::{Condition as Model, Json, Operand};

/// When a step runs: data, made by comparing handles, for [`Handle::when`].
///
/// ```
/// use towpath_step::{Handle, Pipeline};
/// let p = Pipeline::new("checkout");
/// let critical: Handle<u32> = p.param("critical");
/// let region: Handle<String> = p.param("region");
/// let condition = critical.at_most(3).and(region.is_not("eu-west-1"));
/// # let _ = condition;
/// ```
#[derive(Clone, Debug)]
#[must_use = "a condition does nothing until it is given to `when`"]
pub struct Condition {
    pub(crate) model: Model,
    /// The pipeline of each operand, in the order of reading; a value has none.
    pub(crate) origins: Vec<Option<Origin>>,
    /// What is wrong with it: reported when the pipeline is built.
    pub(crate) problems: Vec<String>,
}

impl Condition {
    fn of(make: fn(Operand, Operand) -> Model, left: Side, right: Side) -> Self {
        let mut condition =
            Condition { model: Model::All(Vec::new()), origins: Vec::new(), problems: Vec::new() };
        let mut operand = |side: Side| {
            condition.origins.push(side.origin);
            side.operand.unwrap_or_else(|problem| {
                condition.problems.push(problem);
                Operand::Value(Json::null())
            })
        };
        let (left, right) = (operand(left), operand(right));
        condition.model = make(left, right);
        condition
    }

    fn join(self, other: Condition, make: impl FnOnce(Model, Model) -> Model) -> Self {
        let Condition { model, mut origins, mut problems } = self;
        origins.extend(other.origins);
        problems.extend(other.problems);
        Condition { model: make(model, other.model), origins, problems }
    }

    /// Both hold.
    pub fn and(self, other: Condition) -> Self {
        self.join(other, |a, b| match a {
            Model::All(mut all) => {
                all.push(b);
                Model::All(all)
            }
            a => Model::All(vec![a, b]),
        })
    }

    /// At least one holds.
    pub fn or(self, other: Condition) -> Self {
        self.join(other, |a, b| match a {
            Model::Any(mut any) => {
                any.push(b);
                Model::Any(any)
            }
            a => Model::Any(vec![a, b]),
        })
    }

    /// It does not hold.
    #[expect(clippy::should_implement_trait, reason = "it is implemented as well; this one needs no import")]
    pub fn not(self) -> Self {
        Condition { model: Model::Not(Box::new(self.model)), ..self }
    }
}

impl std::ops::Not for Condition {
    type Output = Condition;
    fn not(self) -> Condition {
        Condition::not(self)
    }
}

/// One side of a comparison.
struct Side {
    operand: Result<Operand, String>,
    origin: Option<Origin>,
}

impl Side {
    fn of_handle(at: &At) -> Self {
        let operand = at.operand().map_err(|what| {
            format!("a condition cannot compare what `{what}` gives: compare the step's own handle, or give it to a step")
        });
        Side { operand, origin: Some(at.origin()) }
    }

    fn of_input<T: Serialize>(at: &At, input: &Input<T>) -> Self {
        match input.source() {
            Source::Value(value) => {
                let operand = crate::finite::check(value)
                    .map_err(|e| e.to_string())
                    .and_then(|()| Json::of(value).map_err(|e| e.to_string()))
                    .map(Operand::Value)
                    .map_err(|e| format!("the value in a condition cannot be stored: {e}"));
                Side { operand, origin: None }
            }
            Source::Refers(to, origin) => {
                Side { origin: origin.clone(), ..Side::of_handle(&at.with(to.clone())) }
            }
        }
    }
}

impl<T: Output> Handle<T> {
    fn compare(&self, make: fn(Operand, Operand) -> Model, with: impl IntoInput<T>) -> Condition {
        let with = Side::of_input(&self.at, &with.into_input());
        Condition::of(make, Side::of_handle(&self.at), with)
    }

    fn compared(&self, make: fn(Operand, Operand) -> Model, with: impl IntoInput<T>) -> Condition {
        let with = Side::of_input(&self.at, &with.into_input());
        Condition::of(make, with, Side::of_handle(&self.at))
    }

    /// It is this value, or what this handle gives.
    pub fn is(&self, value: impl IntoInput<T>) -> Condition {
        self.compare(Model::Is, value)
    }

    /// It is another value than this.
    pub fn is_not(&self, value: impl IntoInput<T>) -> Condition {
        self.is(value).not()
    }

    /// It is less than this.
    pub fn less_than(&self, value: impl IntoInput<T>) -> Condition
    where
        T: Ordered,
    {
        self.compare(Model::Less, value)
    }

    /// It is this or less.
    pub fn at_most(&self, value: impl IntoInput<T>) -> Condition
    where
        T: Ordered,
    {
        self.compare(Model::AtMost, value)
    }

    /// It is more than this.
    pub fn more_than(&self, value: impl IntoInput<T>) -> Condition
    where
        T: Ordered,
    {
        self.compared(Model::Less, value)
    }

    /// It is this or more.
    pub fn at_least(&self, value: impl IntoInput<T>) -> Condition
    where
        T: Ordered,
    {
        self.compared(Model::AtMost, value)
    }
}

/// What conditions can order: numbers, and texts (by their UTF-8 bytes).
///
/// Other types are not ordered by what is stored of them, whatever `PartialOrd` says.
#[diagnostic::on_unimplemented(
    message = "a condition cannot order a `{Self}`",
    note = "numbers and texts are ordered; compare a field that is one, or have the step give a bool"
)]
pub trait Ordered: Output {}

macro_rules! ordered { ($($ty:ty),*) => { $(impl Ordered for $ty {})* } }
ordered!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize, f32, f64, String);
