//! A step without its types: what an engine holds.

use crate::{Need, Step, StepContext, StepError};
use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use towpath_model::{Change, Ended, Json};

/// A step without its types, as engines use it. Every [`Step`] is one.
///
/// `typetag` gives it its stored form, `{"kind": …, "with": …}`, for serialising only: decoding goes through the
/// explicit registry [`Steps`](crate::Steps), so that nothing depends on what happens to be linked.
#[typetag::serialize(tag = "kind", content = "with")]
#[async_trait]
pub trait ErasedStep: Send + Sync {
    /// The providers that it asks for.
    fn needs_erased(&self) -> Vec<Need>;

    /// Whether a value has the shape of its output.
    ///
    /// # Errors
    /// What is wrong with it.
    fn takes_output(&self, output: &Json) -> Result<(), String>;

    /// What it will give if all goes well, as far as that is known.
    ///
    /// # Errors
    /// When an input cannot be read.
    fn foresee_erased(&self, cx: &StepContext) -> Result<Option<Json>, StepError>;

    /// Tells what an attempt would change.
    async fn preview_erased(&self, cx: &StepContext) -> Result<Vec<Change>, StepError>;

    /// Takes the before-image.
    async fn before_erased(&self, cx: &StepContext) -> Result<Json, StepError>;

    /// Runs the body and gives its output.
    async fn run_erased(&self, cx: &StepContext) -> Result<Json, StepError>;

    /// Looks whether an attempt took effect.
    async fn observe_erased(&self, cx: &StepContext) -> Result<Observed<Json>, StepError>;

    /// Undoes what was done. `undo` holds what is known of it.
    async fn compensate_erased(&self, cx: &StepContext, undo: Undo<Json>) -> Result<(), StepError>;
}

/// What a look at the world tells about a step in doubt.
///
/// ```
/// # extern crate towpath_step as towpath;
/// # use towpath_step::{Observed, StepContext, StepError, step};
/// # fn registry_has(tag: &str) -> Option<String> { None }
/// async fn look(_cx: &StepContext, tag: String) -> Result<Observed<String>, StepError> {
///     Ok(match registry_has(&tag) {
///         Some(digest) => Observed::Done(digest),
///         None => Observed::NotDone,
///     })
/// }
///
/// #[step("shop.push/v1", observe = look)]
/// async fn push(_cx: &StepContext, tag: String) -> Result<String, StepError> {
///     Ok(format!("sha256:{tag}"))
/// }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Observed<T> {
    /// It took effect, with this output.
    Done(T),
    /// It did not.
    NotDone,
    /// Somebody else has changed what the step owns: what is there now, and who put it there, as far as can be seen.
    TakenOver(Json),
    /// It cannot be told. The text says why.
    Unknown(String),
}

/// What is known of a step that is to be undone.
///
/// ```
/// # extern crate towpath_step as towpath;
/// # use towpath_step::{StepContext, StepError, Undo, step};
/// async fn weight_now(_cx: &StepContext, _percent: u8) -> Result<u8, StepError> {
///     Ok(0)
/// }
///
/// async fn put_back(cx: &StepContext, undo: Undo<()>, percent: u8) -> Result<(), StepError> {
///     let before = undo.read_before::<u8>()?;
///     cx.log(format_args!("from {percent} back to {before}"));
///     Ok(())
/// }
///
/// #[step("shop.weight/v1", idempotent, before = weight_now, undo = put_back)]
/// async fn weight(_cx: &StepContext, percent: u8) -> Result<(), StepError> {
///     Ok(())
/// }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undo<T> {
    /// What was there before, when the kind takes a before-image.
    pub before: Option<Json>,
    /// The output, when the step is known to be done.
    pub output: Option<T>,
    /// The last checkpoint.
    pub checkpoint: Option<Json>,
    /// How the step ended.
    pub ended: UndoEnded,
}

/// How a step ended that is to be undone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UndoEnded {
    /// It is done.
    Done,
    /// It failed, by its author's word.
    Failed,
    /// It is in doubt.
    InDoubt(Ended),
    /// It was parked.
    Parked,
}

impl<T> Undo<T> {
    /// The before-image as what `before` returned.
    ///
    /// # Errors
    /// Permanent, when there is none or it does not have the shape of `B`.
    pub fn read_before<B: DeserializeOwned>(&self) -> Result<B, StepError> {
        match &self.before {
            Some(json) => read(json, "the before-image"),
            None => Err(StepError::permanent("there is no before-image: give the step `before = …`")),
        }
    }

    /// The last checkpoint.
    ///
    /// # Errors
    /// Permanent, when it does not have the shape of `C`.
    pub fn read_checkpoint<C: DeserializeOwned>(&self) -> Result<Option<C>, StepError> {
        self.checkpoint.as_ref().map(|json| read(json, "the checkpoint")).transpose()
    }
}

#[typetag::serialize(name = S::KIND)]
#[async_trait]
impl<S: Step> ErasedStep for S {
    fn needs_erased(&self) -> Vec<Need> {
        self.needs_here()
    }

    fn takes_output(&self, output: &Json) -> Result<(), String> {
        let text = output.read::<S::Output>().err().map(|e| e.to_string());
        // Where in a value that fits into one line says nothing.
        text.map_or(Ok(()), |text| Err(text.split(" at line 1 column").next().unwrap_or(&text).to_owned()))
    }

    fn foresee_erased(&self, cx: &StepContext) -> Result<Option<Json>, StepError> {
        self.foresee(cx)?.map(|output| encode(&output, "the output")).transpose()
    }

    async fn preview_erased(&self, cx: &StepContext) -> Result<Vec<Change>, StepError> {
        self.preview(cx).await
    }

    async fn before_erased(&self, cx: &StepContext) -> Result<Json, StepError> {
        self.before(cx).await
    }

    async fn run_erased(&self, cx: &StepContext) -> Result<Json, StepError> {
        encode(&self.run(cx).await?, "the output")
    }

    async fn observe_erased(&self, cx: &StepContext) -> Result<Observed<Json>, StepError> {
        Ok(match self.observe(cx).await? {
            Observed::Done(output) => Observed::Done(encode(&output, "the output")?),
            Observed::NotDone => Observed::NotDone,
            Observed::TakenOver(seen) => Observed::TakenOver(seen),
            Observed::Unknown(why) => Observed::Unknown(why),
        })
    }

    async fn compensate_erased(&self, cx: &StepContext, undo: Undo<Json>) -> Result<(), StepError> {
        let Undo { before, output, checkpoint, ended } = undo;
        let output = output.map(|json| read(&json, "the output")).transpose()?;
        self.compensate(cx, Undo { before, output, checkpoint, ended }).await
    }
}

/// Encodes what a step made.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, what: &str) -> Result<Json, StepError> {
    Json::of(value).map_err(|e| StepError::permanent(format!("{what} cannot be stored as json")).because(e))
}

/// Decodes what a step made, perhaps an earlier release of it.
pub(crate) fn read<T: DeserializeOwned>(json: &Json, what: &str) -> Result<T, StepError> {
    json.read().map_err(|e| {
        let ty = std::any::type_name::<T>();
        StepError::permanent(format!("{what} cannot be read as {ty}")).because(e)
    })
}
