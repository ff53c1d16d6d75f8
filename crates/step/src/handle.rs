//! Typed references to what a step will give.

mod at;
mod condition;
mod options;

pub use at::At;
pub(crate) use at::{Owner, Shared, Whole};
pub use condition::{Condition, Ordered};

use crate::{Input, Output, input::Reference};
use std::{fmt, marker::PhantomData, ops::Deref, sync::OnceLock};

/// A typed reference to the output of a step, to a field of one, or to a parameter.
///
/// It dereferences to the handles of the output's fields, so `report.critical` *is* a `Handle<u32>`. Giving a handle
/// to a step makes an edge of the graph. Options of the step that it belongs to hang on it, as in
/// `p.step(…).after(&report).when(report.critical.is(0))`.
///
/// ```
/// # extern crate towpath_step as towpath;
/// # use std::time::Duration;
/// # use towpath_step::{Pipeline, PlanErrors, StepContext, StepError, model::RetryPolicy, step};
/// # #[step("demo.ping/v1", no_effect)]
/// # async fn ping(_cx: &StepContext, host: String) -> Result<u32, StepError> { Ok(3) }
/// let p = Pipeline::new("pings");
/// let first = p.step("first", ping::of("a.example")).timeout(Duration::from_secs(30));
/// p.step("second", ping::of("b.example"))
///     .after(&first)
///     .when(first.less_than(100))
///     .retry(RetryPolicy::fixed(3, Duration::from_secs(5)))
///     .best_effort();
/// let pipeline = p.build()?;
/// assert_eq!(pipeline.record().steps[1].after, [pipeline.record().steps[0].id.clone()]);
/// # Ok::<(), PlanErrors>(())
/// ```
pub struct Handle<T: Output> {
    at: At,
    fields: OnceLock<Box<T::Fields>>,
    output: PhantomData<fn() -> T>,
}

impl<T: Output> Handle<T> {
    pub(crate) fn at(at: At) -> Self {
        Handle { at, fields: OnceLock::new(), output: PhantomData }
    }

    pub(crate) fn place(&self) -> &At {
        &self.at
    }

    pub(crate) fn refer<U>(&self) -> Input<U> {
        Input::refers(self.at.reference().clone(), self.at.origin())
    }

    /// The same, without passing a skip on: when the step is skipped, a reader of this gets `None` and runs.
    ///
    /// It is for the output of one step and its fields; a condition cannot compare it.
    pub fn or_none(&self) -> Handle<Option<T>> {
        let reference = match self.at.reference() {
            Reference::From(place) => Reference::OrNone(place.clone()),
            other => other.clone(),
        };
        if !matches!(reference, Reference::OrNone(_)) {
            self.at.no_option("or_none");
        }
        Handle::at(self.at.with(reference))
    }
}

impl<T: Output> Deref for Handle<T> {
    type Target = T::Fields;

    fn deref(&self) -> &T::Fields {
        self.fields.get_or_init(|| Box::new(T::fields(&self.at)))
    }
}

impl<T: Output> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Handle::at(self.at.clone())
    }
}

impl<T: Output> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.at)
    }
}
