//! Where the values of secrets come from.

use async_trait::async_trait;
use towpath_step::{SecretValue, StepError};

/// Knows the values of secrets, at the moment of use.
///
/// ```
/// use towpath_engine::{SecretSource, async_trait};
/// use towpath_step::{SecretValue, StepError};
///
/// struct OneToken(String);
///
/// #[async_trait]
/// impl SecretSource for OneToken {
///     async fn secret(&self, name: &str) -> Result<Option<SecretValue>, StepError> {
///         Ok((name == "token").then(|| SecretValue::new(name, self.0.clone())))
///     }
/// }
/// ```
#[async_trait]
pub trait SecretSource: Send + Sync + 'static {
    /// The value of a secret; `None` when it is not known here.
    ///
    /// # Errors
    /// When it cannot be told now. The message names the secret, and never holds a value.
    async fn secret(&self, name: &str) -> Result<Option<SecretValue>, StepError>;
}

/// Secrets as environment variables: `registry-token` is `TOWPATH_SECRET_REGISTRY_TOKEN`.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnvSecrets;

impl EnvSecrets {
    /// The variable that holds a secret.
    ///
    /// ```
    /// assert_eq!(towpath_engine::EnvSecrets::variable("registry-token"), "TOWPATH_SECRET_REGISTRY_TOKEN");
    /// ```
    pub fn variable(name: &str) -> String {
        let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        format!("TOWPATH_SECRET_{}", name.chars().map(upper).collect::<String>())
    }
}

#[async_trait]
impl SecretSource for EnvSecrets {
    async fn secret(&self, name: &str) -> Result<Option<SecretValue>, StepError> {
        match std::env::var(EnvSecrets::variable(name)) {
            Ok(value) => Ok(Some(SecretValue::new(name, value))),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(StepError::needs_operator(format!(
                "the secret {name:?} is not text: set {} to text",
                EnvSecrets::variable(name)
            ))),
        }
    }
}

/// The value of a secret, or an error that says what to do.
pub(crate) async fn resolve(source: &dyn SecretSource, name: &str) -> Result<SecretValue, StepError> {
    match source.secret(name).await? {
        Some(value) => Ok(value),
        None => Err(StepError::needs_operator(format!(
            "the secret {name:?} is not known here: give it to the engine's source of secrets (by default the \
             environment variable {}), then retry",
            EnvSecrets::variable(name)
        ))),
    }
}
