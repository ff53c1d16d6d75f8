//! How runs end, as those who wait for them see it.

use crate::{EngineError, EngineErrorKind, shared::Shared, values};
use serde::de::DeserializeOwned;
use towpath_machine::Explanation;
use towpath_model::{Actor, Json, Outcome, Payload, Why};

const READ: &str = "read a run's output";

/// How a run ended, or that an operator has to decide.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Settled<Out> {
    /// Every step that had to is done; this is the pipeline's output.
    Succeeded(Out),
    /// It failed and was undone.
    Compensated(Why),
    /// It failed and there was nothing to undo.
    Failed(Why),
    /// It was cancelled.
    Cancelled(Why),
    /// A newer run took its place while it waited.
    Superseded {
        /// What took its place.
        by: String,
    },
    /// It was given up.
    Abandoned {
        /// Who gave it up.
        by: Actor,
        /// In their words.
        reason: String,
    },
    /// It is not over: an operator has to decide, and this says about what.
    Stuck(Explanation),
}

impl<Out> Settled<Out> {
    /// The output of a run that succeeded.
    pub fn succeeded(self) -> Option<Out> {
        match self {
            Settled::Succeeded(out) => Some(out),
            _ => None,
        }
    }
}

/// The outcome of a run with its output read.
pub(crate) async fn read<Out: DeserializeOwned>(
    shared: &Shared,
    outcome: &Outcome,
) -> Result<Settled<Out>, EngineError> {
    Ok(match outcome {
        Outcome::Succeeded { output } => Settled::Succeeded(read_output(shared, output.as_ref()).await?),
        Outcome::Compensated { why } => Settled::Compensated(why.clone()),
        Outcome::Failed { why } => Settled::Failed(why.clone()),
        Outcome::Cancelled { why } => Settled::Cancelled(why.clone()),
        Outcome::Superseded { by } => Settled::Superseded { by: by.clone() },
        Outcome::Abandoned { by, reason } => Settled::Abandoned { by: by.clone(), reason: reason.clone() },
    })
}

async fn read_output<Out: DeserializeOwned>(
    shared: &Shared,
    output: Option<&Payload>,
) -> Result<Out, EngineError> {
    let json = match output {
        None => Json::null(),
        Some(Payload::Inline(json)) => json.clone(),
        Some(Payload::Blob(blob)) => {
            values::read(&*shared.store, blob.digest).await.map_err(|e| EngineError::store(READ, e))?
        }
    };
    json.read().map_err(|e| {
        let error =
            EngineError::new(EngineErrorKind::Unreadable, READ).with("type", std::any::type_name::<Out>());
        let error = match output {
            Some(_) => error,
            None => error
                .with("output", "the run has none: the step that makes it was skipped, or cannot be read"),
        };
        error.because(e)
    })
}
