//! A pipeline while it is being written.

use super::{
    Pipeline, PlanErrors, PlanProblem, build, encode, millis,
    state::{Detail, Param, Placed},
};
use crate::{
    Environment, Handle, Output, Step,
    handle::{Owner, Shared},
    input::{ParamPlace, Place, Reference},
    preview::PreviewOf,
};
use std::{marker::PhantomData, time::Duration};
use towpath_model::{PlanPreview, Section};

/// A pipeline while it is being written: made by [`Pipeline::new`], frozen by [`build`](Draft::build).
///
/// Placing a step gives a [`Handle`] to its output. What is wrong is not reported where it is written but by `build`,
/// everything at once.
pub struct Draft<Out: Output = ()> {
    pub(super) shared: Shared,
    output: PhantomData<fn() -> Out>,
}

impl Pipeline<()> {
    /// Begins a pipeline of this name: `[a-z0-9-]{1,64}`.
    #[expect(clippy::new_ret_no_self, reason = "a pipeline begins as a draft and is one after `build`")]
    pub fn new(name: &str) -> Draft {
        Draft::of(Shared::new(name))
    }
}

impl Draft {
    pub(super) fn of(shared: Shared) -> Self {
        Draft { shared, output: PhantomData }
    }
}

impl<Out: Output> Draft<Out> {
    /// Places a step. Its `id` is a slug, `[a-z0-9-]{1,64}`, unique in the pipeline; journals and people name it so.
    pub fn step<S: Step>(&self, id: &str, step: S) -> Handle<S::Output> {
        self.place(id, step, Section::Main)
    }

    /// Places a step that runs after a failure has been unwound. It is never undone itself.
    pub fn on_failure<S: Step>(&self, id: &str, step: S) -> Handle<S::Output> {
        self.place(id, step, Section::OnFailure)
    }

    /// Places a step that runs at the end, whatever happened. It is never undone itself.
    pub fn finally<S: Step>(&self, id: &str, step: S) -> Handle<S::Output> {
        self.place(id, step, Section::Finally)
    }

    /// Places a step that shows what every later step would change that goes into an environment: for an approval to show.
    ///
    /// "Later" are the steps that wait for it, such as those behind the approval that shows it. It looks when everything
    /// that those steps need is there, as far as that does not wait for the preview itself. Nothing is changed.
    pub fn preview_of(&self, id: &str, environment: &Environment) -> Handle<PlanPreview> {
        self.place(id, PreviewOf::shown(environment.name(), Vec::new()), Section::Main)
    }

    fn place<S: Step>(&self, id: &str, step: S, section: Section) -> Handle<S::Output> {
        // Encoding runs the author's code, so it is done before the draft is locked.
        let placed = Placed {
            kind: S::KIND,
            declared: step.declared(),
            encoded: encode::step(&step, self.shared.home()),
            reads: step.reads(),
            detail: Detail::of(&step),
            section,
        };
        let (node, step) = self.shared.state().place(id, placed, self.shared.home());
        Handle::at(self.shared.at(Owner::Step(node), Reference::From(Place { step, path: String::new() })))
    }

    /// Declares a parameter, a value that is given when a plan is made of the pipeline. Its name is a word of `a-z`,
    /// `0-9`, `_` and `-`. Asking for the same parameter again gives the same handle.
    pub fn param<T: Output>(&self, name: &str) -> Handle<T> {
        let mut state = self.shared.state();
        if self.shared.home().is_within() {
            state.problems.push(PlanProblem::InnerParam { param: name.to_owned() });
        }
        state.param(Param::of::<T>(name));
        drop(state);
        Handle::at(
            self.shared.at(
                Owner::Nobody,
                Reference::Param(ParamPlace { name: name.to_owned(), path: String::new() }),
            ),
        )
    }

    /// What the first of these steps gave that was not skipped: joins branches. Who reads it is skipped when all were.
    ///
    /// ```
    /// # extern crate towpath_step as towpath;
    /// # use towpath_step::{Pipeline, PlanErrors, StepContext, StepError, step};
    /// # #[step("demo.fetch/v1", no_effect)]
    /// # async fn fetch(_cx: &StepContext, from: String) -> Result<String, StepError> { Ok(from) }
    /// let p = Pipeline::new("fetches");
    /// let near = p.param::<bool>("near");
    /// let cache = p.step("cache", fetch::of("cache.example")).when(near.is(true));
    /// let origin = p.step("origin", fetch::of("origin.example")).when(near.is(false));
    /// p.step("again", fetch::of(&p.first_of([&cache, &origin])));
    /// p.build()?;
    /// # Ok::<(), PlanErrors>(())
    /// ```
    pub fn first_of<'a, T: Output>(&self, branches: impl IntoIterator<Item = &'a Handle<T>>) -> Handle<T> {
        let mut places = Vec::new();
        let mut branches = branches.into_iter().peekable();
        if branches.peek().is_none() {
            self.shared.state().problems.push(PlanProblem::NoBranch);
        }
        for branch in branches {
            let at = branch.place();
            match at.reference() {
                _ if at.origin() != self.shared.home().origin => {
                    let problem =
                        PlanProblem::foreign(None, format!("a branch of first_of is {at},"), &at.origin());
                    self.shared.state().problems.push(problem);
                }
                Reference::From(place) => places.push(place.clone()),
                Reference::FirstOf(all) => places.extend(all.iter().cloned()),
                Reference::Param(_) | Reference::OrNone(_) | Reference::Text(_) => at.no_option("first_of"),
            }
        }
        Handle::at(self.shared.at(Owner::Nobody, Reference::FirstOf(places)))
    }

    /// Makes `of` what a run gives back.
    pub fn output<T: Output>(self, of: &Handle<T>) -> Draft<T> {
        self.shared.state().output(of.place(), self.shared.home());
        Draft { shared: self.shared, output: PhantomData }
    }

    /// How many steps, and how many compensations, run at once at most; 16 by default.
    #[must_use]
    pub fn parallel(self, most: u32) -> Self {
        self.shared.state().parallel = most;
        self
    }

    /// Time limit of a run. When it passes, the run unwinds and fails.
    #[must_use]
    pub fn deadline(self, time: Duration) -> Self {
        self.shared.state().deadline_ms = Some(millis(time));
        self
    }

    /// Runs compensations one after another, whatever [`parallel`](Draft::parallel) says.
    #[must_use]
    pub fn unwind_one_at_a_time(self) -> Self {
        self.shared.state().unwind_one_at_a_time = true;
        self
    }

    /// Checks everything and freezes the pipeline. What is done to handles of it from here on has no effect.
    ///
    /// ```
    /// # extern crate towpath_step as towpath;
    /// # use towpath_step::{Pipeline, StepContext, StepError, step};
    /// #[step("demo.greet/v1", no_effect)]
    /// async fn greet(_cx: &StepContext, name: String) -> Result<String, StepError> {
    ///     Ok(format!("hello {name}"))
    /// }
    ///
    /// let p = Pipeline::new("Greetings");
    /// p.step("first", greet::of("a"));
    /// p.step("first", greet::of("b"));
    /// let errors = p.build().unwrap_err();
    /// assert_eq!(errors.problems.len(), 2, "the name, and the id that stands twice: {errors}");
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn build(self) -> Result<Pipeline<Out>, PlanErrors> {
        build::build(&self.shared.state())
    }
}
