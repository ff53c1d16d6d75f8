//! The error that most files end with.

use std::borrow::Cow;
use towpath_provider::{ProviderError, ProviderErrorKind};

/// An error that says that what was given cannot be done as it is.
pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Invalid, message)
}
