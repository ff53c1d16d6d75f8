//! A request as an author writes it.

use super::transport::Request;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use towpath_model::{InDoubt, Json};
use towpath_step::{Handle, Input, IntoInput, Output, Reads, Scrubber, SecretRef, StepContext, StepError};

/// A request: method, address, header fields and body, with handles and the names of secrets in it.
///
/// ```
/// use towpath_step::{Pipeline, SecretRef, text};
/// use towpath_steps::HttpRequest;
/// # extern crate towpath_step as towpath;
///
/// let p = Pipeline::new("flags");
/// let (flag, version) = (p.param::<String>("flag"), p.param::<String>("version"));
/// let request = HttpRequest::put(text!("https://flags.example/api/{flag}"))
///     .bearer(SecretRef::named("flags-token"))
///     .json(&serde_json::json!({"on": true}))
///     .field("version", &version);
/// # let _ = request;
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    #[serde(default = "get")]
    method: String,
    #[serde(deserialize_with = "address")]
    url: Word,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, Word>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Body>,
}

fn get() -> String {
    "GET".into()
}

/// An address as it is stored, or as people write one: a plain text.
fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Word, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Address {
        Plain(String),
        Stored(Word),
    }
    Ok(match Address::deserialize(from)? {
        Address::Plain(text) => Word::Text(Input::value(text)),
        Address::Stored(word) => word,
    })
}

/// A text of a request, or the secret that it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Word {
    Text(Input<String>),
    Secret {
        #[serde(default, skip_serializing_if = "String::is_empty")]
        before: String,
        name: SecretRef,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Body {
    Json {
        base: Json,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, Input<Json>>,
    },
    Text {
        content_type: String,
        text: Input<String>,
    },
}

impl HttpRequest {
    /// A request of this method, in upper case.
    pub fn new(method: &str, url: impl IntoInput<String>) -> Self {
        HttpRequest {
            method: method.to_owned(),
            url: Word::Text(url.into_input()),
            headers: BTreeMap::new(),
            body: None,
        }
    }

    /// A request of this method to an address that is itself a secret, as those of webhooks are.
    pub fn to_secret(method: &str, url: SecretRef) -> Self {
        let url = Word::Secret { before: String::new(), name: url };
        HttpRequest { method: method.to_owned(), url, headers: BTreeMap::new(), body: None }
    }

    /// `GET`.
    pub fn get(url: impl IntoInput<String>) -> Self {
        HttpRequest::new("GET", url)
    }

    /// `POST`.
    pub fn post(url: impl IntoInput<String>) -> Self {
        HttpRequest::new("POST", url)
    }

    /// `PUT`.
    pub fn put(url: impl IntoInput<String>) -> Self {
        HttpRequest::new("PUT", url)
    }

    /// `DELETE`.
    pub fn delete(url: impl IntoInput<String>) -> Self {
        HttpRequest::new("DELETE", url)
    }

    /// Sets a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl IntoInput<String>) -> Self {
        self.headers.insert(name.to_ascii_lowercase(), Word::Text(value.into_input()));
        self
    }

    /// Sets a header field to the value of a secret, at the moment of use.
    #[must_use]
    pub fn secret_header(mut self, name: &str, secret: SecretRef) -> Self {
        let value = Word::Secret { before: String::new(), name: secret };
        self.headers.insert(name.to_ascii_lowercase(), value);
        self
    }

    /// Sends a secret as `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(mut self, secret: SecretRef) -> Self {
        let value = Word::Secret { before: "Bearer ".to_owned(), name: secret };
        self.headers.insert("authorization".to_owned(), value);
        self
    }

    /// Sends this as JSON. A value that cannot be JSON is null.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        let base = Json::of(value).unwrap_or_else(|_| Json::null());
        self.body = Some(Body::Json { base, fields: BTreeMap::new() });
        self
    }

    /// Adds a field to the JSON object that is sent, from what a step gives.
    #[must_use]
    pub fn field<T: Output>(self, name: &str, value: &Handle<T>) -> Self {
        let value: Input<T> = value.into_input();
        self.put_field(name, value.untyped())
    }

    fn put_field(mut self, name: &str, value: Input<Json>) -> Self {
        if !matches!(self.body, Some(Body::Json { .. })) {
            self = self.json(&serde_json::json!({}));
        }
        if let Some(Body::Json { fields, .. }) = &mut self.body {
            fields.insert(name.to_owned(), value);
        }
        self
    }

    /// The same with a text in its JSON object.
    pub(super) fn saying(&self, name: &str, text: &str) -> Self {
        let text = Json::of(text).unwrap_or_else(|_| Json::null());
        self.clone().put_field(name, Input::value(text))
    }

    /// Sends this text.
    #[must_use]
    pub fn text(mut self, content_type: &str, text: impl IntoInput<String>) -> Self {
        self.body = Some(Body::Text { content_type: content_type.to_owned(), text: text.into_input() });
        self
    }

    pub(crate) fn add_reads(&self, reads: Reads, field: &'static str) -> Reads {
        let texts = self.headers.values().chain([&self.url]).filter_map(|word| match word {
            Word::Text(text) => Some(text),
            Word::Secret { .. } => None,
        });
        let reads = texts.fold(reads, |reads, text| reads.and(field, text));
        match &self.body {
            Some(Body::Json { fields, .. }) => {
                fields.values().fold(reads, |reads, value| reads.and(field, value))
            }
            Some(Body::Text { text, .. }) => reads.and(field, text),
            None => reads,
        }
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// What its method says of sending it twice (RFC 9110, 9.2).
    pub(super) fn in_doubt(&self) -> InDoubt {
        match self.method.as_str() {
            "GET" | "HEAD" | "OPTIONS" | "TRACE" => InDoubt::NoEffect,
            "PUT" | "DELETE" => InDoubt::Idempotent,
            _ => InDoubt::AskOperator,
        }
    }

    /// Makes it ready to be sent, and gives what takes its secrets out of what comes back. `fill` replaces what stands in
    /// braces in the address.
    pub(crate) async fn ready(
        &self,
        cx: &StepContext,
        limits: Limits,
        fill: impl Fn(&str) -> Result<Option<String>, StepError>,
    ) -> Result<(Request, Scrubber), StepError> {
        let (mut headers, mut scrubber) = (Vec::new(), Scrubber::new());
        for (name, value) in &self.headers {
            headers.push((name.clone(), value.get(cx, &mut scrubber).await?));
        }
        let body = match &self.body {
            None => None,
            Some(Body::Text { content_type, text }) => {
                headers.push(("content-type".to_owned(), content_type.clone()));
                Some(cx.get(text)?.into_bytes())
            }
            Some(Body::Json { base, fields }) => {
                headers.push(("content-type".to_owned(), "application/json".to_owned()));
                Some(object(cx, base, fields)?.into_bytes())
            }
        };
        let url = match &self.url {
            Word::Text(url) => cx.get(&filled_in(url, fill)?)?,
            secret => secret.get(cx, &mut scrubber).await?,
        };
        let Limits { timeout, body_bytes } = limits;
        Ok((Request { method: self.method.clone(), url, headers, body, timeout, body_bytes }, scrubber))
    }
}

impl Word {
    async fn get(&self, cx: &StepContext, scrubber: &mut Scrubber) -> Result<String, StepError> {
        match self {
            Word::Text(text) => cx.get(text),
            Word::Secret { before, name } => {
                let value = cx.secret(name).await?;
                scrubber.add(&value);
                // A file that holds a secret often ends with a newline, which no header field can.
                Ok(format!("{before}{}", value.expose().trim_end_matches(['\r', '\n'])))
            }
        }
    }
}

/// How long a request may take, and how much of the answer is kept.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) body_bytes: usize,
}

/// A JSON body with the fields that come from other steps.
fn object(
    cx: &StepContext,
    base: &Json,
    fields: &BTreeMap<String, Input<Json>>,
) -> Result<String, StepError> {
    if fields.is_empty() {
        return Ok(base.as_str().to_owned());
    }
    let not_an_object = |e| StepError::permanent("fields can be added only to a JSON object").because(e);
    let mut object: serde_json::Map<String, serde_json::Value> = base.read().map_err(not_an_object)?;
    for (name, value) in fields {
        let unreadable = |e| StepError::permanent(format!("the field {name:?} cannot be read")).because(e);
        object.insert(name.clone(), cx.get(value)?.read().map_err(unreadable)?);
    }
    Ok(serde_json::Value::Object(object).to_string())
}

/// An address with what stands in braces filled in, where its author wrote them: not in what comes from steps and parameters.
fn filled_in(
    url: &Input<String>,
    fill: impl Fn(&str) -> Result<Option<String>, StepError>,
) -> Result<Input<String>, StepError> {
    let odd = |e| StepError::permanent("the address cannot be read").because(e);
    if let Some(url) = url.as_value() {
        return Ok(Input::value(filled(url, &fill)?));
    }
    let mut stored = serde_json::to_value(url).map_err(odd)?;
    let parts = stored.get_mut("text").and_then(Value::as_array_mut);
    for part in parts.into_iter().flatten() {
        if let Some(Value::String(text)) = part.get_mut("value") {
            *text = filled(text, &fill)?;
        }
    }
    serde_json::from_value(stored).map_err(odd)
}

/// A text with what stands in braces filled in. What nobody knows stays: the address is refused as none then.
fn filled(url: &str, fill: impl Fn(&str) -> Result<Option<String>, StepError>) -> Result<String, StepError> {
    let (mut whole, mut rest) = (String::new(), url);
    while let Some((before, name, after)) = rest
        .split_once('{')
        .and_then(|(before, more)| more.split_once('}').map(|(name, after)| (before, name, after)))
    {
        whole.push_str(before);
        match fill(name)? {
            // These would lead to another place than the author's: RFC 3986, 5.2.4.
            Some(value) if matches!(value.as_str(), "" | "." | "..") => {
                return Err(StepError::needs_operator(format!(
                    "{{{name}}} in the address stands for {value:?}, which would lead to another address: look whether it \
                     took effect, and go on by hand"
                )));
            }
            Some(value) => whole.push_str(&percent_encoded(&value)),
            None => {
                return Err(StepError::permanent(format!(
                    "nobody knows what {{{name}}} in the address stands for: what can stand there is in the step's \
                     documentation"
                )));
            }
        }
        rest = after;
    }
    Ok(whole + rest)
}

/// A text as one segment of a path (RFC 3986, 2.3).
fn percent_encoded(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_filled_in_and_encoded() {
        let fill = |name: &str| Ok((name == "key").then(|| "a/b c".to_owned()));
        assert_eq!(filled("https://x/{key}/y", fill).unwrap(), "https://x/a%2Fb%20c/y");
        assert_eq!(filled("https://x/y", fill).unwrap(), "https://x/y");
        assert!(filled("https://x/{what}", fill).unwrap_err().to_string().contains("{what} in the address"));
    }

    #[test]
    fn a_value_that_leads_elsewhere_is_refused() {
        for value in ["", ".", ".."] {
            let error = filled("https://x/orders/{id}", |_| Ok(Some(value.to_owned()))).unwrap_err();
            assert_eq!(error.kind(), towpath_model::FailureKind::NeedsOperator, "{value:?}");
        }
        assert_eq!(filled("https://x/{id}", |_| Ok(Some("...".to_owned()))).unwrap(), "https://x/...");
    }
}
