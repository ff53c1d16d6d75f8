//! Telling a registry who asks.

use super::{
    Reference, RegistryClient,
    credential::Shown,
    fault,
    http::{Lost, unanswered},
};
use crate::fault::invalid;
use reqwest::{
    Url,
    header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};
use towpath_provider::ProviderError;

/// Most bytes of a token service's answer.
const ANSWER_BYTES: usize = 1 << 20;

/// What registries take, by their origin and repository, until they do not take it any more. It is never stored.
#[derive(Default)]
pub(super) struct Tokens(Mutex<BTreeMap<(String, String), HeaderValue>>);

impl Tokens {
    pub(super) fn get(&self, url: &Url, reference: &Reference) -> Option<HeaderValue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&slot(url, reference)).cloned()
    }

    fn set(&self, url: &Url, reference: &Reference, value: Option<&HeaderValue>) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match value {
            Some(value) => drop(tokens.insert(slot(url, reference), value.clone())),
            None => drop(tokens.remove(&slot(url, reference))),
        }
    }
}

fn slot(url: &Url, reference: &Reference) -> (String, String) {
    (url.origin().ascii_serialization(), reference.repository().to_owned())
}

/// What a registry wants to know (RFC 9110, 11.6.1).
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// The first that is known here; a token before a password.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let texts = || headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let scheme = |text: &str, name: &str| {
            let rest = text.get(..name.len()).filter(|begin| begin.eq_ignore_ascii_case(name));
            rest.map(|_| text[name.len()..].to_owned())
                .filter(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        for text in texts() {
            if let Some(rest) = scheme(text, "Bearer") {
                let mut parameters = parameters(&rest);
                if let Some(realm) = parameters.remove("realm") {
                    let (service, scope) = (parameters.remove("service"), parameters.remove("scope"));
                    return Some(Challenge::Bearer { realm, service, scope });
                }
            }
        }
        texts().any(|text| scheme(text, "Basic").is_some()).then_some(Challenge::Basic)
    }
}

/// Reads `name="value", name=value`; a quoted value may hold commas, and a backslash before any character.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let (mut found, mut rest) = (BTreeMap::new(), text.trim_start());
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (mut value, mut end) = (String::new(), after.len());
        if let Some(quoted) = after.strip_prefix('"') {
            let mut chars = quoted.char_indices();
            while let Some((at, c)) = chars.next() {
                match c {
                    '"' => {
                        end = at + 2;
                        break;
                    }
                    '\\' => value.extend(chars.next().map(|(_, c)| c)),
                    c => value.push(c),
                }
            }
        } else {
            end = after.find(',').unwrap_or(after.len());
            value.push_str(after[..end].trim());
        }
        found.insert(name.trim().to_ascii_lowercase(), value);
        rest = after[end..].trim_start().trim_start_matches(',').trim_start();
    }
    found
}

/// The answer of a token service.
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl RegistryClient {
    /// What to show a registry that asked; `None` when there is nothing to show.
    pub(super) async fn answer_challenge(
        &self,
        challenge: &Challenge,
        url: &Url,
        reference: &Reference,
    ) -> Result<Option<HeaderValue>, ProviderError> {
        let credential = self.credentials.credential(reference.host()).await?.map(|credential| credential.0);
        let value = match (challenge, credential) {
            (_, Some(Shown::Bearer { token })) => Some(header(&format!("Bearer {token}"))?),
            (Challenge::Basic, None) => None,
            (Challenge::Basic, Some(Shown::Basic { user, password })) => Some(basic(&user, &password)?),
            (Challenge::Bearer { realm, service, scope }, credential) => {
                let parameters = [("service", service), ("scope", scope)];
                let mut at = Url::parse(realm).map_err(|e| {
                    invalid("the registry names a token service that is no address").because(e)
                })?;
                // Credentials go there.
                self.check_scheme(&at, reference)?;
                for (name, value) in parameters {
                    if let Some(value) = value {
                        at.query_pairs_mut().append_pair(name, value);
                    }
                }
                let token = self.retrying(|| self.token(&at, credential.as_ref())).await?;
                Some(header(&format!("Bearer {token}"))?)
            }
        };
        self.tokens.set(url, reference, value.as_ref());
        Ok(value)
    }

    /// Asks a token service.
    async fn token(&self, at: &Url, credential: Option<&Shown>) -> Result<String, ProviderError> {
        let mut asked = self.http.get(at.clone());
        if let Some(Shown::Basic { user, password }) = credential {
            asked = asked.basic_auth(user, Some(password));
        }
        let unanswered = |e| unanswered(e, Lost::Nothing);
        let mut answer = fault::good(asked.send().await.map_err(unanswered)?, Lost::Nothing).await?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unanswered)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES {
                return Err(ProviderError::unexpected("the token service says more than 1 MiB"));
            }
        }
        // Without the cause, which may show a part of what was read.
        let read: Result<Answer, _> = serde_json::from_slice(&body);
        let token = read.ok().and_then(|answer| answer.token.or(answer.access_token));
        token
            .filter(|token| !token.is_empty())
            .ok_or_else(|| ProviderError::unexpected("the token service answered without a token"))
    }
}

fn header(text: &str) -> Result<HeaderValue, ProviderError> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| invalid("a credential that no header field can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 7617.
fn basic(user: &str, password: &str) -> Result<HeaderValue, ProviderError> {
    if user.contains(':') {
        return Err(invalid("a user name with a colon, which Basic authentication cannot express"));
    }
    header(&format!("Basic {}", base64(format!("{user}:{password}").as_bytes())))
}

/// RFC 4648, 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |n: usize| u32::from(three.get(n).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * n)) as usize & 63];
            text.push(if n > three.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Challenge, base64};
    use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

    fn challenge(texts: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(text).unwrap());
        }
        Challenge::of(&headers)
    }

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            Some(Challenge::Bearer { realm: realm.into(), service: own(service), scope: own(scope) })
        };
        let all =
            r#"Bearer realm="https://a.example/t",service="r.example",scope="repository:a/b:pull,push""#;
        let expected = bearer("https://a.example/t", Some("r.example"), Some("repository:a/b:pull,push"));
        assert_eq!(challenge(&[all]), expected);
        assert_eq!(challenge(&[r#"Basic realm="x""#, all]), expected);
        assert_eq!(challenge(&[r#"bearer  realm = "a\"b" , error=x"#]), bearer("a\"b", None, None));
        assert_eq!(challenge(&["basic realm=x"]), Some(Challenge::Basic));
        for none in ["", "Bearer", "Bearer service=x", "Bearers realm=x", "Digest realm=x", "Bearer realm=\""]
        {
            let found = challenge(&[none]);
            assert!(
                found.is_none()
                    || matches!(&found, Some(Challenge::Bearer { realm, .. }) if realm.is_empty()),
                "{none}: {found:?}"
            );
        }
    }

    #[test]
    fn base64_is_that_of_the_specification() {
        // RFC 4648, 10.
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(b"Aladdin:open sesame"), "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }
}
