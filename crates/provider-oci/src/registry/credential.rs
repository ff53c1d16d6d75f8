//! What a client shows of itself.

use async_trait::async_trait;
use std::{fmt, sync::Arc};
use towpath_provider::ProviderError;

/// What a client shows a registry. It cannot be printed, compared or stored.
#[derive(Clone)]
pub struct Credential(pub(super) Shown);

#[derive(Clone)]
pub(super) enum Shown {
    Basic { user: String, password: String },
    Bearer { token: String },
}

impl Credential {
    /// A name and a password, or what stands for one.
    pub fn basic(user: impl Into<String>, password: impl Into<String>) -> Self {
        Credential(Shown::Basic { user: user.into(), password: password.into() })
    }

    /// A token that the registry itself takes.
    pub fn bearer(token: impl Into<String>) -> Self {
        Credential(Shown::Bearer { token: token.into() })
    }
}

impl fmt::Debug for Credential {
    /// Only which sort it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Shown::Basic { .. } => "Credential(basic)",
            Shown::Bearer { .. } => "Credential(bearer)",
        })
    }
}

/// Where a client gets credentials from, when a registry wants some: the secrets of the program that embeds it.
#[async_trait]
pub trait CredentialSource: Send + Sync {
    /// What is shown to this host (`registry.example`, `127.0.0.1:5000`); `None` for nothing. It is asked each time and not
    /// kept, so that what has changed is used at once.
    ///
    /// # Errors
    /// When it cannot be told now.
    async fn credential(&self, host: &str) -> Result<Option<Credential>, ProviderError>;
}

/// Credentials that were given as values, before those of another source.
#[derive(Default)]
pub(super) struct Fixed {
    given: Option<(String, Credential)>,
    otherwise: Option<Arc<dyn CredentialSource>>,
}

impl Fixed {
    pub(super) fn before(otherwise: Arc<dyn CredentialSource>, host: String, credential: Credential) -> Self {
        Fixed { given: Some((host, credential)), otherwise: Some(otherwise) }
    }
}

#[async_trait]
impl CredentialSource for Fixed {
    async fn credential(&self, host: &str) -> Result<Option<Credential>, ProviderError> {
        match (&self.given, &self.otherwise) {
            (Some((of, credential)), _) if of == host => Ok(Some(credential.clone())),
            (_, Some(otherwise)) => otherwise.credential(host).await,
            _ => Ok(None),
        }
    }
}
