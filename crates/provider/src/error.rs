//! The error of providers.

use std::{borrow::Cow, error::Error, fmt, time::Duration};
use towpath_model::{Classified, FailureKind};

/// What went wrong at a provider: what it means, in which operation, of what.
///
/// ```
/// use std::time::Duration;
/// use towpath_model::{Classified, FailureKind};
/// use towpath_provider::{ProviderError, ProviderErrorKind};
///
/// let error = ProviderError::new(ProviderErrorKind::RateLimited, "too many requests")
///     .during("set_weight")
///     .with("route", "checkout")
///     .with("status", 429)
///     .after(Duration::from_secs(2));
/// assert_eq!(error.to_string(), "set_weight: too many requests (route: checkout, status: 429)");
/// assert!(error.is_transient());
/// assert_eq!(Classified::kind(&error), FailureKind::Transient);
/// ```
pub struct ProviderError {
    kind: ProviderErrorKind,
    message: Cow<'static, str>,
    transient: bool,
    operation: &'static str,
    context: Vec<(&'static str, String)>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What a provider's error means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum ProviderErrorKind {
    /// The request makes no sense to the other side.
    Invalid,
    /// What it is about is not there.
    NotFound,
    /// What should be made is there already.
    AlreadyExists,
    /// What it is about is no longer what the caller believes: a conditional write was refused, and nothing changed.
    ConditionFailed,
    /// The other side does not know the caller, or its credentials are no longer good.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// A policy of the other side said no.
    Refused,
    /// Too much, too fast: ask again later.
    RateLimited,
    /// It cannot be reached, or cannot answer now, and **nothing of the request took effect**.
    Unavailable,
    /// The request was sent and its answer was lost: it may have taken effect.
    OutcomeUnknown,
    /// This provider cannot do this.
    Unsupported,
    /// Nothing of the above: an answer that nobody foresaw.
    Unexpected,
}

impl ProviderErrorKind {
    /// Whether such an error may pass by itself.
    fn passes(self) -> bool {
        matches!(self, ProviderErrorKind::RateLimited | ProviderErrorKind::Unavailable)
    }

    fn words(self) -> &'static str {
        match self {
            ProviderErrorKind::Invalid => "invalid",
            ProviderErrorKind::NotFound => "not found",
            ProviderErrorKind::AlreadyExists => "already exists",
            ProviderErrorKind::ConditionFailed => "condition failed",
            ProviderErrorKind::Unauthenticated => "unauthenticated",
            ProviderErrorKind::Forbidden => "forbidden",
            ProviderErrorKind::Refused => "refused",
            ProviderErrorKind::RateLimited => "rate limited",
            ProviderErrorKind::Unavailable => "unavailable",
            ProviderErrorKind::OutcomeUnknown => "outcome unknown",
            ProviderErrorKind::Unsupported => "unsupported",
            ProviderErrorKind::Unexpected => "unexpected",
        }
    }
}

impl fmt::Display for ProviderErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.words())
    }
}

impl ProviderError {
    /// An error of this kind. The message is one line, lower case, without a full stop.
    pub fn new(kind: ProviderErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        ProviderError {
            kind,
            message: message.into(),
            transient: kind.passes(),
            operation: "",
            context: Vec::new(),
            retry_after: None,
            source: None,
        }
    }

    /// It cannot be reached or cannot answer now, and nothing took effect: the request was not sent, or was refused as a
    /// whole.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        ProviderError::new(ProviderErrorKind::Unavailable, message)
    }

    /// The request was sent and its answer was lost. A step that gets it is observed before anything else.
    pub fn outcome_unknown(message: impl Into<Cow<'static, str>>) -> Self {
        ProviderError::new(ProviderErrorKind::OutcomeUnknown, message)
    }

    /// What it is about is not there.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        ProviderError::new(ProviderErrorKind::NotFound, message)
    }

    /// This provider cannot do this.
    pub fn unsupported(message: impl Into<Cow<'static, str>>) -> Self {
        ProviderError::new(ProviderErrorKind::Unsupported, message)
    }

    /// An answer that nobody foresaw.
    pub fn unexpected(message: impl Into<Cow<'static, str>>) -> Self {
        ProviderError::new(ProviderErrorKind::Unexpected, message)
    }

    /// Says in which operation it happened, by the name of the trait's method.
    #[must_use]
    pub fn during(mut self, operation: &'static str) -> Self {
        self.operation = operation;
        self
    }

    /// Adds a fact: of what, to whom, with which status. Never the value of a secret.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.context.push((key, value.to_string()));
        self
    }

    /// Says that it may pass though its kind does not, such as a missing thing that is about to appear.
    ///
    /// It means nothing for an [unknown outcome](ProviderErrorKind::OutcomeUnknown), which is never tried again blindly.
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// Waits at least this long before another attempt: the other side said so.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Adds the error beneath.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What it means.
    pub fn kind(&self) -> ProviderErrorKind {
        self.kind
    }

    /// Whether it may pass by itself, so that trying again makes sense.
    pub fn is_transient(&self) -> bool {
        self.transient && self.kind != ProviderErrorKind::OutcomeUnknown
    }

    /// In which operation it happened; empty when nobody said.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The facts, in the order in which they were added.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.context.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// How long to wait at least before another attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for ProviderError {
    /// One line: the operation, the message and the facts. What lies beneath is in [`source`](Error::source).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.operation.is_empty() {
            write!(f, "{}: ", self.operation)?;
        }
        f.write_str(&self.message)?;
        for (i, (key, value)) in self.context.iter().enumerate() {
            write!(f, "{}{key}: {value}", if i == 0 { " (" } else { ", " })?;
        }
        f.write_str(if self.context.is_empty() { "" } else { ")" })
    }
}

impl fmt::Debug for ProviderError {
    /// A report of several lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}: {self}", self.kind, if self.is_transient() { ", transient" } else { "" })?;
        if let Some(delay) = self.retry_after {
            write!(f, "\n  again after {delay:?}")?;
        }
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, "\n  because: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Error for ProviderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|error| error as _)
    }
}

impl Classified for ProviderError {
    /// An unknown outcome is unknown, whatever else is said of it; then what may pass is transient.
    fn kind(&self) -> FailureKind {
        match self.kind {
            ProviderErrorKind::OutcomeUnknown => FailureKind::Unknown,
            _ if self.transient => FailureKind::Transient,
            ProviderErrorKind::Refused => FailureKind::Rejected,
            // Credentials and rights are put in order by people, and then the step can go on.
            ProviderErrorKind::Unauthenticated | ProviderErrorKind::Forbidden => FailureKind::NeedsOperator,
            _ => FailureKind::Permanent,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

#[cfg(test)]
mod tests {
    use super::{ProviderError, ProviderErrorKind as Kind};
    use std::{error::Error, time::Duration};
    use towpath_model::{Classified, Failure, FailureKind};

    fn class(error: &ProviderError) -> FailureKind {
        Classified::kind(error)
    }

    #[test]
    fn every_kind_has_its_class() {
        for (kind, wanted) in [
            (Kind::Invalid, FailureKind::Permanent),
            (Kind::NotFound, FailureKind::Permanent),
            (Kind::AlreadyExists, FailureKind::Permanent),
            (Kind::ConditionFailed, FailureKind::Permanent),
            (Kind::Unauthenticated, FailureKind::NeedsOperator),
            (Kind::Forbidden, FailureKind::NeedsOperator),
            (Kind::Refused, FailureKind::Rejected),
            (Kind::RateLimited, FailureKind::Transient),
            (Kind::Unavailable, FailureKind::Transient),
            (Kind::OutcomeUnknown, FailureKind::Unknown),
            (Kind::Unsupported, FailureKind::Permanent),
            (Kind::Unexpected, FailureKind::Permanent),
        ] {
            assert_eq!(class(&ProviderError::new(kind, "m")), wanted, "{kind}");
            let passing = ProviderError::new(kind, "m").transient();
            let wanted =
                if kind == Kind::OutcomeUnknown { FailureKind::Unknown } else { FailureKind::Transient };
            assert_eq!(class(&passing), wanted, "{kind}");
            assert_eq!(passing.is_transient(), kind != Kind::OutcomeUnknown, "{kind}");
        }
    }

    #[test]
    fn display_is_one_line_and_leaves_the_chain_to_source() {
        let below = std::io::Error::other("connection reset");
        let error = ProviderError::unavailable("no answer").during("read").with("host", "a").because(below);
        assert_eq!(error.to_string(), "read: no answer (host: a)");
        assert_eq!(error.source().unwrap().to_string(), "connection reset");
        let failure = Failure::of(class(&error), &error);
        assert_eq!(failure.to_string(), "read: no answer (host: a): connection reset");
        assert_eq!(
            format!("{:?}", error.after(Duration::from_secs(2))),
            "unavailable, transient: read: no answer (host: a)\n  again after 2s\n  because: connection reset"
        );
        assert_eq!(ProviderError::not_found("no such route").to_string(), "no such route");
    }
}
