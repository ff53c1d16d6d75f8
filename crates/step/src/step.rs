//! The contract of a step.

use crate::schema::{self, Schemas};
use crate::{Claim, Environment, Input, Need, Observed, Output, Reads, StepContext, StepError, Undo};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use towpath_model::{Change, InDoubt, Json, Methods, UndoPolicy};

/// One unit of a run: plain data with behaviour.
///
/// Most are written as an async fn with [`#[step]`](macro@crate::step), or as a struct with
/// [`#[derive(Step)]`](macro@crate::Step). Written by hand it looks like this:
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use towpath_step::model::{InDoubt, Methods, UndoPolicy};
/// use towpath_step::{Input, IntoInput, Reads, Step, StepContext, StepError};
///
/// #[derive(Serialize, Deserialize)]
/// pub struct Greet { name: Input<String> }
///
/// impl Greet {
///     pub fn new(name: impl IntoInput<String>) -> Self {
///         Greet { name: name.into_input() }
///     }
/// }
///
/// impl Step for Greet {
///     const KIND: &'static str = "demo.greet/v1";
///     const IN_DOUBT: InDoubt = InDoubt::NoEffect;
///     type Output = String;
///
///     fn reads(&self) -> Reads {
///         Reads::none().and("name", &self.name)
///     }
///
///     async fn run(&self, cx: &StepContext) -> Result<String, StepError> {
///         Ok(format!("hello {}", cx.get(&self.name)?))
///     }
/// }
/// ```
///
/// Methods beside `run` are called only when [`METHODS`](Step::METHODS) declares them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a step",
    label = "not a step",
    note = "a function step is placed as `name::of(…)`, with the function's arguments but its context"
)]
pub trait Step: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind: stable and versioned, as in `scan.image/v1`. Plans store it.
    const KIND: &'static str;

    /// What to do when it is not known whether an attempt took effect.
    const IN_DOUBT: InDoubt;

    /// Which of the methods beside `run` there are.
    const METHODS: Methods =
        Methods { preview: false, before: false, observe: false, compensate: false, local: false };

    /// What becomes of its effect when a run unwinds, unless the pipeline's author says otherwise.
    const UNDO: UndoPolicy = UndoPolicy::Undo;

    /// What it gives back.
    type Output: Output;

    /// What a plan holds of *this* step: that of its kind, unless the step can tell better, such as one that can look at
    /// the world only when it was told how.
    fn declared(&self) -> Declared {
        Declared::of_kind::<Self>()
    }

    /// The schema of its fields: of the values that they stand for. Written by the macros.
    #[doc(hidden)]
    fn schema(_: &mut Schemas) -> Value {
        schema::anything()
    }

    /// What its fields refer to. A field that is left out here is not an edge of the graph, and cannot be read.
    fn reads(&self) -> Reads;

    /// The providers that its methods ask for.
    fn needs() -> Vec<Need> {
        Vec::new()
    }

    /// The environment that it goes into, when it goes into one.
    fn environment(&self) -> Option<&Environment> {
        None
    }

    /// What it has power over; see [`Claim`].
    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }

    /// Whether it waits for people: then it is not placed under a lock, which everybody else would wait for, unless the
    /// pipeline's author says [`while_holding`](crate::Handle::while_holding).
    fn waits_for_people(&self) -> bool {
        false
    }

    /// The calendar that is open once it is done, as [`Times::stored`](crate::Times::stored) gives it: for the environments
    /// that take something in only then.
    fn opens(&self) -> Option<Json> {
        None
    }

    /// The providers that this step asks for: those of its kind, as its environment names them.
    fn needs_here(&self) -> Vec<Need> {
        let needs = Self::needs();
        match self.environment() {
            Some(environment) => needs.into_iter().map(|need| environment.rename(need)).collect(),
            None => needs,
        }
    }

    /// What it will give if all goes well, as far as that is known: for the preview of steps that read it. Changes nothing
    /// and asks nobody.
    ///
    /// # Errors
    /// When an input cannot be read.
    fn foresee(&self, cx: &StepContext) -> Result<Option<Self::Output>, StepError> {
        let _ = cx;
        Ok(None)
    }

    /// Tells what an attempt would change. Changes nothing.
    ///
    /// It is called before a run, when nothing but the values of the parameters is known, and at an approval, when some
    /// steps have run: ask for inputs with [`StepContext::known`].
    ///
    /// # Errors
    /// When the world cannot be asked; the plan is shown all the same, with the reason in the place of the changes.
    fn preview(&self, cx: &StepContext) -> impl Future<Output = Result<Vec<Change>, StepError>> + Send {
        let _ = cx;
        std::future::ready(Err(undeclared::<Self>("preview")))
    }

    /// Does the work: one attempt.
    ///
    /// # Contract
    /// * Passes [a key](StepContext::key) on with every effect.
    /// * Saves [checkpoints](StepContext::checkpoint) of long work; an entry after a durable wait begins at the top.
    /// * Classifies its errors.
    ///
    /// # Errors
    /// By their [kind](StepError::kind) it is tried again, observed, unwound or rested.
    ///
    /// # Cancel safety
    /// The future may be dropped at any await: at a durable wait, by cancelling, by a timeout, when the lease is lost.
    fn run(&self, cx: &StepContext) -> impl Future<Output = Result<Self::Output, StepError>> + Send;

    /// Takes the before-image: what is there now, and what undoing will need. Changes nothing.
    ///
    /// It is called just before the first attempt, and its value is journaled with the intent.
    ///
    /// # Errors
    /// As for [`run`](Step::run); the attempt does not begin.
    fn before(&self, cx: &StepContext) -> impl Future<Output = Result<Json, StepError>> + Send {
        let _ = cx;
        std::future::ready(Err(undeclared::<Self>("before")))
    }

    /// Looks at the world for what became of an attempt in doubt. Changes nothing.
    ///
    /// # Errors
    /// When the world cannot be asked; it is asked again by the step's own policy.
    fn observe(
        &self,
        cx: &StepContext,
    ) -> impl Future<Output = Result<Observed<Self::Output>, StepError>> + Send {
        let _ = cx;
        std::future::ready(Err(undeclared::<Self>("observe")))
    }

    /// Undoes what the step did, as far as it did it.
    ///
    /// # Contract
    /// * Can be repeated, also after it was cut off half-way.
    /// * Leaves alone what somebody has changed since.
    ///
    /// # Errors
    /// It is tried again by the policy of undoing; when that is exhausted, the run rests as stuck there.
    fn compensate(
        &self,
        cx: &StepContext,
        undo: Undo<Self::Output>,
    ) -> impl Future<Output = Result<(), StepError>> + Send {
        let _ = (cx, undo);
        std::future::ready(Err(undeclared::<Self>("compensate")))
    }
}

/// What a plan holds of a step, unless the pipeline's author says otherwise.
///
/// ```
/// use towpath_step::{Declared, Step, model::{InDoubt, Methods}};
/// # use towpath_step::{Reads, StepContext, StepError};
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Script { run: String, repeatable: bool }
///
/// impl Step for Script {
///     const KIND: &'static str = "demo.script/v1";
///     const IN_DOUBT: InDoubt = InDoubt::AskOperator;
///
///     fn declared(&self) -> Declared {
///         let in_doubt = if self.repeatable { InDoubt::Idempotent } else { Self::IN_DOUBT };
///         Declared { in_doubt, ..Declared::of_kind::<Self>() }
///     }
/// #   type Output = ();
/// #   fn reads(&self) -> Reads { Reads::none() }
/// #   async fn run(&self, _cx: &StepContext) -> Result<(), StepError> { Ok(()) }
/// }
/// # let script = Script { run: "true".into(), repeatable: true };
/// # assert_eq!(script.declared().in_doubt, InDoubt::Idempotent);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Declared {
    /// What to do when it is not known whether an attempt took effect.
    pub in_doubt: InDoubt,
    /// Which of the methods beside `run` there are.
    pub methods: Methods,
    /// What becomes of its effect when a run unwinds.
    pub undo: UndoPolicy,
    /// Whether the run goes on when it fails for good.
    pub best_effort: bool,
    /// Whether the run no longer unwinds once it is done.
    pub point_of_no_return: bool,
}

impl Declared {
    /// What the kind of `S` says of all its steps. None is best effort, and none a point of no return.
    pub fn of_kind<S: Step>() -> Self {
        Declared {
            in_doubt: S::IN_DOUBT,
            methods: S::METHODS,
            undo: S::UNDO,
            best_effort: false,
            point_of_no_return: false,
        }
    }
}

/// Reached when `METHODS` declares what the impl does not have.
fn undeclared<S: Step>(method: &str) -> StepError {
    StepError::needs_operator(format!(
        "the kind {} declares `{method}` in its METHODS, but its impl of Step has no such method: write it, or take it \
         out of METHODS",
        S::KIND
    ))
}

/// What an async fn with `#[step]` may return.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a step returns `Result<Output, StepError>`, not `{Self}`",
    label = "not a `Result<_, StepError>`"
)]
pub trait StepResult {
    type Output: Output;

    fn result(self) -> Result<Self::Output, StepError>;
}

impl<T: Output> StepResult for Result<T, StepError> {
    type Output = T;

    fn result(self) -> Result<T, StepError> {
        self
    }
}

/// What an argument of an async fn with `#[step]` may be.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a step",
    label = "cannot be stored",
    note = "arguments are stored in the plan: #[derive(Serialize, Deserialize)]"
)]
pub trait Argument: Serialize + DeserializeOwned {}

impl<T: Serialize + DeserializeOwned> Argument for T {}

/// Reads an argument.
#[doc(hidden)]
pub fn get<T: Argument>(cx: &StepContext, input: &Input<T>) -> Result<T, StepError> {
    cx.get(input)
}

/// The answer of a preview that cannot look yet: an argument hangs on a step that has not run.
#[doc(hidden)]
pub fn preview<S: Step>(cx: &StepContext, known: bool) -> Option<Vec<Change>> {
    let why = "it hangs on steps that have not run";
    (!known).then(|| vec![Change::unknown(format!("what {} does ({})", cx.step_id(), S::KIND), why)])
}
