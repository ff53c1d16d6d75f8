//! What can go wrong in a step.

use std::{borrow::Cow, error::Error, fmt, time::Duration};
use towpath_model::{Classified, Failure, FailureKind, Json};

/// The error of a step: what the engine does next hangs on its [kind](FailureKind).
///
/// An error that is [`Classified`], as every provider error is, becomes one with `?`. For any other, say what it means:
///
/// ```
/// use towpath_step::StepError;
/// fn port(text: &str) -> Result<u16, StepError> {
///     text.parse().map_err(|e| StepError::permanent("read the port").because(e))
/// }
/// assert_eq!(port("x").unwrap_err().to_string(), "read the port");
/// ```
#[derive(Debug)]
pub struct StepError {
    kind: FailureKind,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    details: Option<Json>,
    seen: Option<Json>,
    source: Option<Source>,
}

#[derive(Debug)]
enum Source {
    /// What lies beneath the message.
    Beneath(Box<dyn Error + Send + Sync>),
    /// The error whose own line is the message already: the chain goes on beneath it.
    Itself(Box<dyn Error + Send + Sync>),
}

impl StepError {
    fn new(kind: FailureKind, message: impl Into<Cow<'static, str>>) -> Self {
        StepError {
            kind,
            message: message.into(),
            retry_after: None,
            details: None,
            seen: None,
            source: None,
        }
    }

    /// It may pass: try again by the retry policy.
    pub fn transient(message: impl Into<Cow<'static, str>>) -> Self {
        StepError::new(FailureKind::Transient, message)
    }

    /// A gate said no: unwind.
    pub fn rejected(message: impl Into<Cow<'static, str>>) -> Self {
        StepError::new(FailureKind::Rejected, message)
    }

    /// It will not pass: unwind.
    pub fn permanent(message: impl Into<Cow<'static, str>>) -> Self {
        StepError::new(FailureKind::Permanent, message)
    }

    /// It is not known whether the effect happened: the world is asked before anything else.
    pub fn unknown(message: impl Into<Cow<'static, str>>) -> Self {
        StepError::new(FailureKind::Unknown, message)
    }

    /// Somebody has to decide: the step rests.
    pub fn needs_operator(message: impl Into<Cow<'static, str>>) -> Self {
        StepError::new(FailureKind::NeedsOperator, message)
    }

    /// The run is to end here, though nothing was wrong: it settles as cancelled, without undoing what it did. For an answer
    /// that did not come, or a release that somebody else has overtaken.
    ///
    /// Past the point of no return the step rests for an operator instead.
    pub fn cancelled(message: impl Into<Cow<'static, str>>) -> Self {
        StepError::new(FailureKind::Cancelled, message)
    }

    /// Somebody else has changed what the step owns: it was left alone, and the run rests until somebody decides. `seen`
    /// is what is there, and who put it there, as far as can be seen; one that cannot be JSON is told as null.
    ///
    /// ```
    /// use towpath_step::StepError;
    /// let weight = 7;
    /// let error = StepError::taken_over(&weight);
    /// assert_eq!(error.seen().map(|seen| seen.as_str()), Some("7"));
    /// ```
    pub fn taken_over<T: serde::Serialize + ?Sized>(seen: &T) -> Self {
        let mut this = StepError::needs_operator("somebody else changed what it owns");
        this.seen = Some(Json::of(seen).unwrap_or_else(|_| Json::null()));
        this
    }

    /// What was seen, of a step that somebody took over.
    pub fn seen(&self) -> Option<&Json> {
        self.seen.as_ref()
    }

    /// Adds the error beneath.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Source::Beneath(source.into()));
        self
    }

    /// Adds facts for programs, such as a status code. A value that cannot be JSON is left out.
    #[must_use]
    pub fn with_details<T: serde::Serialize>(mut self, details: &T) -> Self {
        self.details = Json::of(details).ok();
        self
    }

    /// Waits at least this long before another attempt, whatever the retry policy says.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// The kind.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// How long to wait at least before another attempt.
    pub fn delay(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The failure to be stored.
    pub fn to_failure(&self) -> Failure {
        let failure = Failure::of(self.kind, self);
        match &self.details {
            Some(details) => failure.with_details(details.clone()),
            None => failure,
        }
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for StepError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.source.as_ref()? {
            Source::Beneath(error) => Some(&**error),
            Source::Itself(error) => error.source(),
        }
    }
}

impl<E: Classified> From<E> for StepError {
    fn from(error: E) -> Self {
        let mut this = StepError::new(error.kind(), error.to_string());
        this.retry_after = error.retry_after();
        this.source = Some(Source::Itself(Box::new(error)));
        this
    }
}

#[cfg(test)]
mod tests {
    use super::StepError;
    use std::{error::Error, fmt, io, time::Duration};
    use towpath_model::{Classified, FailureKind};

    #[derive(Debug)]
    struct Refused(io::Error);

    impl fmt::Display for Refused {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("push the image")
        }
    }

    impl Error for Refused {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    impl Classified for Refused {
        fn kind(&self) -> FailureKind {
            FailureKind::Transient
        }

        fn retry_after(&self) -> Option<Duration> {
            Some(Duration::from_secs(3))
        }
    }

    #[test]
    fn a_classified_error_becomes_one_and_is_not_told_twice() {
        fn push() -> Result<(), StepError> {
            Err(Refused(io::Error::other("connection reset")))?
        }
        let error = push().unwrap_err();
        assert_eq!((error.kind(), error.delay()), (FailureKind::Transient, Some(Duration::from_secs(3))));
        assert_eq!(error.to_failure().to_string(), "push the image: connection reset");
    }

    #[test]
    fn an_error_beneath_is_a_cause_with_its_own_chain() {
        let error = StepError::permanent("release").because(Refused(io::Error::other("connection reset")));
        let failure = error.with_details(&serde_json::json!({"status": 502})).to_failure();
        assert_eq!(failure.to_string(), "release: push the image: connection reset");
        assert_eq!(failure.details.unwrap().as_str(), r#"{"status":502}"#);
    }

    #[test]
    fn it_is_an_error_like_any_other() {
        fn any() -> Result<(), Box<dyn Error + Send + Sync>> {
            Err(StepError::rejected("the gate said no"))?
        }
        assert_eq!(any().unwrap_err().to_string(), "the gate said no");
    }
}
