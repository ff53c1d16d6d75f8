//! What can go wrong with an engine.

use std::{error::Error, fmt};
use towpath_model::{Digest, RunId};
use towpath_store::StoreError;

/// Why an engine could not do what it was asked.
///
/// What is wrong with a start is reported at once: see [`problems`](EngineError::problems).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let error = towpath_engine::Engine::open("mysql:deploys").start().await.unwrap_err();
/// assert!(error.to_string().contains("mysql"), "{error}");
/// # }
/// ```
pub struct EngineError(Box<Parts>);

struct Parts {
    kind: EngineErrorKind,
    operation: &'static str,
    context: Vec<(&'static str, String)>,
    problems: Vec<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of engine errors.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum EngineErrorKind {
    /// The store could not do its part.
    Store,
    /// The engine, or a plan, cannot be started as it is: everything that is wrong is listed.
    Unfit,
    /// The key belongs to a run of another plan.
    KeyTaken {
        /// That run.
        run: RunId,
        /// The hash of its plan.
        plan: Digest,
    },
    /// There is no such run.
    NotFound,
    /// Nothing has such a name.
    Unknown,
    /// Something has that name already.
    Taken,
    /// A freeze holds it.
    Frozen,
    /// The run refused a verb.
    Refused,
    /// The run's inbox is full.
    Full,
    /// The run is over: nothing will read what is sent to it.
    Settled,
    /// A value is not what it is read as.
    Unreadable,
    /// The run's journal cannot be folded.
    Corrupt,
    /// The engine was shut down.
    Stopped,
}

impl EngineError {
    pub(crate) fn new(kind: EngineErrorKind, operation: &'static str) -> Self {
        let (context, problems) = (Vec::new(), Vec::new());
        EngineError(Box::new(Parts { kind, operation, context, problems, source: None }))
    }

    pub(crate) fn unfit(operation: &'static str, problems: Vec<String>) -> Self {
        let mut error = EngineError::new(EngineErrorKind::Unfit, operation);
        error.0.problems = problems;
        error
    }

    pub(crate) fn store(operation: &'static str, source: StoreError) -> Self {
        EngineError::new(EngineErrorKind::Store, operation).because(source)
    }

    #[must_use]
    pub(crate) fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    #[must_use]
    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind.
    pub fn kind(&self) -> &EngineErrorKind {
        &self.0.kind
    }

    /// What was attempted.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Everything that is wrong with a start; empty for other errors.
    pub fn problems(&self) -> &[String] {
        &self.0.problems
    }

    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        let beneath = self.0.source.as_deref().and_then(|e| e.downcast_ref::<StoreError>());
        beneath.is_some_and(StoreError::is_transient)
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { kind, operation, context, problems, .. } = &*self.0;
        write!(f, "{operation}: ")?;
        match kind {
            EngineErrorKind::Store => f.write_str("the store failed")?,
            EngineErrorKind::Unfit => {
                let n = problems.len();
                write!(f, "{n} thing{} to be put right", if n == 1 { " has" } else { "s have" })?;
            }
            EngineErrorKind::KeyTaken { run, plan } => write!(
                f,
                "the key belongs to run {run} of plan {}: give this plan another key",
                plan.short()
            )?,
            EngineErrorKind::NotFound => f.write_str("there is no such run")?,
            EngineErrorKind::Unknown => f.write_str("nothing has that name")?,
            EngineErrorKind::Taken => f.write_str("the name is taken")?,
            EngineErrorKind::Frozen => f.write_str("a freeze holds it")?,
            EngineErrorKind::Refused => f.write_str("the run refused it")?,
            EngineErrorKind::Full => f.write_str("the run's inbox is full: try again when it was read")?,
            EngineErrorKind::Settled => f.write_str("the run is over")?,
            EngineErrorKind::Unreadable => f.write_str("the value is not what it is read as")?,
            EngineErrorKind::Corrupt => f.write_str("the run's journal cannot be folded")?,
            EngineErrorKind::Stopped => f.write_str("the engine was shut down: start another")?,
        }
        context.iter().try_for_each(|(key, value)| write!(f, ", {key}: {value}"))?;
        problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl fmt::Debug for EngineError {
    /// The message and everything beneath it: a `main` that returns the error shows this, and it is what people read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut beneath = self.source();
        while let Some(error) = beneath {
            write!(f, "\n  because: {error}")?;
            beneath = error.source();
        }
        Ok(())
    }
}

impl Error for EngineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_in_the_message() {
        let error = EngineError::unfit("start a run", vec!["first".into(), "second".into()]);
        assert_eq!(error.to_string(), "start a run: 2 things have to be put right\n  first\n  second");
    }
}
