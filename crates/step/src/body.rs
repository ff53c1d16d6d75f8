//! The behaviour of a step that is a struct.

use crate::{Claim, Declared, Observed, Output, StepContext, StepError, Undo};
use serde::Serialize;
use towpath_model::Change;

/// What a step does that is a struct with [`#[derive(Step)]`](macro@crate::Step).
///
/// ```
/// # extern crate towpath_step as towpath;
/// use serde::{Deserialize, Serialize};
/// use towpath_step::{Body, Input, Pipeline, Step, StepContext, StepError};
///
/// /// Greets somebody.
/// #[derive(Serialize, Deserialize, Step)]
/// #[kind("demo.greet/v1", no_effect)]
/// pub struct Greet {
///     name: Input<String>,
///     #[set(default = 1)]
///     times: u32,
///     from: Option<Input<String>>,
/// }
///
/// impl Body for Greet {
///     type Output = String;
///
///     async fn run(&self, cx: &StepContext) -> Result<String, StepError> {
///         let hello = format!("hello {}! ", cx.get(&self.name)?).repeat(self.times as usize);
///         let from = self.from.as_ref().map(|from| cx.get(from)).transpose()?;
///         Ok(from.map_or(hello.clone(), |from| format!("{hello}from {from}")))
///     }
/// }
///
/// let p = Pipeline::new("greetings");
/// let first = p.step("first", Greet::new("world"));
/// p.step("second", Greet::new(&first).times(2).from("me"));
/// # p.build().unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` derives `Step` and does nothing",
    label = "no `impl Body`",
    note = "write `impl Body for {Self} {{ type Output = …; async fn run(&self, cx: &StepContext) -> Result<…, StepError> }}`"
)]
pub trait Body {
    /// What it gives back.
    type Output: Output;

    /// Does the work: one attempt. It has the contract of [`Step::run`](crate::Step::run).
    ///
    /// # Errors
    /// By their [kind](StepError::kind) it is tried again, observed, unwound or rested.
    fn run(&self, cx: &StepContext) -> impl Future<Output = Result<Self::Output, StepError>> + Send;
}

/// How a struct step looks at the world when it is in doubt: the word `observe`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `observe` and cannot",
    label = "no `impl Observe`",
    note = "write `impl Observe for {Self}`, or say what else to do in doubt"
)]
pub trait Observe: Body {
    /// Looks for what became of an attempt in doubt. Changes nothing.
    ///
    /// # Errors
    /// When the world cannot be asked; it is asked again by the step's own policy.
    fn observe(
        &self,
        cx: &StepContext,
    ) -> impl Future<Output = Result<Observed<Self::Output>, StepError>> + Send;
}

/// How a struct step is undone: the word `undo`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `undo` and cannot",
    label = "no `impl Compensate`",
    note = "write `impl Compensate for {Self}`, or take the word out"
)]
pub trait Compensate: Body {
    /// Undoes what it did, as far as it did it. It has the contract of [`Step::compensate`](crate::Step::compensate).
    ///
    /// # Errors
    /// It is tried again by the policy of undoing; when that is exhausted, the run rests as stuck there.
    fn compensate(
        &self,
        cx: &StepContext,
        undo: Undo<Self::Output>,
    ) -> impl Future<Output = Result<(), StepError>> + Send;
}

/// How a struct step takes its before-image: the word `before`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `before` and cannot",
    label = "no `impl Before`",
    note = "write `impl Before for {Self}`, or take the word out"
)]
pub trait Before {
    /// What is there before, and what undoing will need.
    type Image: Serialize;

    /// Looks what is there. Changes nothing.
    ///
    /// # Errors
    /// As for [`Body::run`]; the attempt does not begin.
    fn before(&self, cx: &StepContext) -> impl Future<Output = Result<Self::Image, StepError>> + Send;
}

/// What a struct step will give if all goes well: the word `foresee`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `foresee` and cannot",
    label = "no `impl Foresee`",
    note = "write `impl Foresee for {Self}`, or take the word out"
)]
pub trait Foresee: Body {
    /// Its output as far as it is known before it runs: for the preview of steps that read it. Changes nothing and asks
    /// nobody.
    ///
    /// # Errors
    /// When an input cannot be read.
    fn foresee(&self, cx: &StepContext) -> Result<Option<Self::Output>, StepError>;
}

/// What a plan holds of a struct step that can tell better than its kind: the word `declares`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `declares` and does not",
    label = "no `impl Declares`",
    note = "write `impl Declares for {Self}`, or take the word out"
)]
pub trait Declares {
    /// What to do with this step in doubt, what it can do beside running, and what becomes of its effect.
    fn declared(&self) -> Declared;
}

/// What a struct step has power over: the word `claims`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `claims` and does not",
    label = "no `impl Claims`",
    note = "write `impl Claims for {Self}`, or take the word out"
)]
pub trait Claims {
    /// What it has power over, so that two masters of one thing are found when the plan is built.
    fn claims(&self) -> Vec<Claim>;
}

/// How a struct step tells what it would change: the word `preview`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `preview` and cannot",
    label = "no `impl Preview`",
    note = "write `impl Preview for {Self}`, or take the word out"
)]
pub trait Preview {
    /// Tells what an attempt would change. Changes nothing.
    ///
    /// Before a run nothing but the values of the parameters is known: ask for inputs with
    /// [`StepContext::known`], and answer [`Change::unknown`] for what hangs on the others.
    ///
    /// # Errors
    /// When the world cannot be asked; the plan is shown all the same.
    fn preview(&self, cx: &StepContext) -> impl Future<Output = Result<Vec<Change>, StepError>> + Send;
}
