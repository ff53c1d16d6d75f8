//! The name of an image in a registry.

use crate::{Digest, digest::cut, fault::invalid};
use std::fmt;
use towpath_provider::ProviderError;

/// The name of an image in a registry: `HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`.
///
/// The host is always said: what a name without one means differs from tool to tool.
///
/// ```
/// use towpath_provider_oci::Reference;
///
/// let reference = Reference::parse("registry.example:5000/shop/orders:2.1.0")?;
/// assert_eq!((reference.host(), reference.repository()), ("registry.example:5000", "shop/orders"));
/// assert_eq!(reference.tag(), Some("2.1.0"));
/// assert!(Reference::parse("orders:2.1.0").is_err());
/// # Ok::<(), towpath_provider::ProviderError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reference {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads one, by the grammars of the distribution specification.
    ///
    /// # Errors
    /// `Invalid`, with what is wrong.
    pub fn parse(text: &str) -> Result<Self, ProviderError> {
        let bad = |what: &'static str| invalid(what).with("reference", cut(text));
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let (host, rest) = rest
            .split_once('/')
            .filter(|(host, _)| host.contains(['.', ':']) || *host == "localhost")
            .ok_or_else(|| {
                bad("a reference begins with the host of its registry, as in registry.example/orders")
            })?;
        if !is_host(host) {
            return Err(bad("the host of a reference is none"));
        }
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (rest, None),
        };
        if repository.len() > 255 || !repository.split('/').all(is_part) {
            return Err(bad(
                "the repository of a reference is none: small letters and digits, joined by `.`, `_`, `-` or `/`",
            ));
        }
        if tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
            return Err(bad("the tag of a reference is none: letters, digits, `.`, `_`, `-`, at most 128"));
        }
        Ok(Reference { host: host.to_owned(), repository: repository.to_owned(), tag, digest })
    }

    /// The host, with its port when it has one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository within the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, which is what it stands for when there is one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Where the interface of the registry is: Docker's own has another name for it.
    pub(super) fn api_host(&self) -> &str {
        if self.host == "docker.io" { "registry-1.docker.io" } else { &self.host }
    }

    /// What a registry is asked for: the digest, or else the tag.
    pub(super) fn asked(&self) -> Result<&str, ProviderError> {
        self.digest
            .as_ref()
            .map(Digest::as_str)
            .or(self.tag())
            .ok_or_else(|| invalid("the reference has neither a tag nor a digest"))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

fn is_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "443"));
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
    !name.is_empty() && name.bytes().all(is_name) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_part(part: &str) -> bool {
    let is_inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = |byte: Option<&u8>| byte.is_some_and(is_inner);
    let bytes = part.as_bytes();
    let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let joins = |s: &str| matches!(s, "" | "." | "_" | "__") || s.bytes().all(|b| b == b'-');
    ends(bytes.first()) && ends(bytes.last()) && separators.into_iter().all(joins)
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn references_are_read_and_written() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for text in [
            "registry.example/orders:2.1.0".to_owned(),
            "127.0.0.1:5000/a/b__c/d-e.f:V_1".to_owned(),
            "localhost/a".to_owned(),
            format!("registry.example/orders@{digest}"),
            format!("registry.example/orders:2@{digest}"),
        ] {
            assert_eq!(Reference::parse(&text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "",
            "orders",
            "orders:1",
            "shop/orders:1",
            "/orders",
            "r.example/",
            "r.example/Orders:1",
            "r.example/a//b",
            "r.example/a/../b",
            "r.example/a:-1",
            "r.example/a:",
            "r.example/-a",
            "r.example/a@sha256:1",
            "r.example:0/a",
            "r.example:x/a",
            "user@r.example/a:1",
            "r.example/a?b:1",
            "https://r.example/a",
            "r.example/a___b:1",
            "r ex.ample/a:1",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
        assert!(Reference::parse(&format!("r.example/a:{}", "t".repeat(129))).is_err());
    }
}
