//! Secrets: names until the moment of use.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The name of a secret: all of it that a step may hold.
///
/// ```
/// use towpath_step::SecretRef;
/// let token = SecretRef::named("registry-token");
/// assert_eq!(serde_json::to_string(&token)?, r#"{"secret":"registry-token"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretRef {
    secret: String,
}

impl SecretRef {
    /// The secret of this name, whatever its value is at the moment of use.
    pub fn named(name: impl Into<String>) -> Self {
        SecretRef { secret: name.into() }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.secret
    }
}

impl AsRef<str> for SecretRef {
    fn as_ref(&self) -> &str {
        &self.secret
    }
}

/// The value of a secret.
///
/// It cannot be stored, shown or copied: there is no `Serialize`, no `Display` and no `Clone`, and `Debug` shows the
/// name.
///
/// ```
/// use towpath_step::SecretValue;
/// let token = SecretValue::new("registry-token", "hunter2!");
/// assert_eq!(token.expose(), "hunter2!");
/// assert_eq!(format!("{token:?}"), "[secret registry-token]");
/// ```
///
/// ```compile_fail,E0277
/// let token = towpath_step::SecretValue::new("registry-token", "hunter2!");
/// println!("{token}");
/// ```
pub struct SecretValue {
    name: String,
    value: String,
}

impl SecretValue {
    /// The value of the secret `name`. For engines and tests.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        SecretValue { name: name.into(), value: value.into() }
    }

    /// The secret's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value. Give it to what needs it, and to nothing else.
    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[secret {}]", self.name)
    }
}
