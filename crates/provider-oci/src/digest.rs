//! What a blob is known by.

use sha2::{Digest as _, Sha256};
use std::fmt;
use towpath_provider::{ProviderError, ProviderErrorKind};

/// The digest of a blob: `sha256:` and 64 lower-case hexadecimal digits (OCI image specification 1.1, `descriptor.md`).
///
/// Other algorithms than SHA-256 are refused: the specification asks nobody to know them.
///
/// ```
/// use towpath_provider_oci::Digest;
///
/// let empty = Digest::of(b"");
/// assert_eq!(empty.as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
/// assert_eq!(Digest::parse(empty.as_str())?, empty);
/// assert!(Digest::parse("sha256:../../etc/passwd").is_err());
/// # Ok::<(), towpath_provider::ProviderError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

const PREFIX: &str = "sha256:";

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = Hash::new();
        hash.update(bytes);
        hash.end()
    }

    /// Reads one.
    ///
    /// # Errors
    /// `Unsupported` for another algorithm, `Invalid` for what is no digest.
    pub fn parse(text: &str) -> Result<Self, ProviderError> {
        let error = |kind, what: &'static str| Err(ProviderError::new(kind, what).with("digest", cut(text)));
        let Some(hex) = text.strip_prefix(PREFIX) else {
            return match text.split_once(':') {
                Some(_) => error(ProviderErrorKind::Unsupported, "a digest that is not of sha256"),
                None => error(ProviderErrorKind::Invalid, "no digest"),
            };
        };
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hex.len() != 64 || !hex.bytes().all(is_hex) {
            return error(ProviderErrorKind::Invalid, "no digest");
        }
        Ok(Digest(text.to_owned()))
    }

    /// With its algorithm.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without it.
    pub fn hex(&self) -> &str {
        &self.0[PREFIX.len()..]
    }
}

/// What is shown of a text that came from outside.
pub(crate) fn cut(text: &str) -> String {
    let shown: String = text.chars().take(100).collect();
    shown.escape_debug().to_string()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A digest in the making, and how many bytes it has seen.
pub(crate) struct Hash {
    sha: Sha256,
    bytes: u64,
}

impl Hash {
    pub(crate) fn new() -> Self {
        Hash { sha: Sha256::new(), bytes: 0 }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn end(self) -> Digest {
        let hex: String = self.sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Digest(format!("{PREFIX}{hex}"))
    }
}
