//! Values on their way into a journal and out of it.

use std::collections::BTreeMap;
use towpath_model::{Digest, Failure, FailureKind, Json, Payload, limits};
use towpath_step::StepError;
use towpath_store::{Blob, Store, StoreError, StoreErrorKind};

use crate::time::Backoff;

/// A value made ready to be stored.
#[derive(Debug)]
pub(crate) struct Stored {
    /// What the event holds.
    pub(crate) payload: Payload,
    /// What is stored beside it.
    pub(crate) blob: Option<Blob>,
}

/// A value above the limit.
#[derive(Debug)]
pub(crate) struct TooLarge {
    bytes: usize,
}

impl TooLarge {
    /// What is wrong with a value of this name.
    pub(crate) fn message(&self, what: &str) -> String {
        format!(
            "{what} has {} bytes and the limit is {}: store it elsewhere and pass a reference",
            self.bytes,
            limits::BLOB_BYTES
        )
    }
}

impl Stored {
    /// Puts a value into its event, or beside it when it is large.
    pub(crate) fn of(json: Json) -> Result<Self, TooLarge> {
        let bytes = json.as_str().len();
        if bytes <= limits::INLINE_BYTES {
            return Ok(Stored { payload: Payload::Inline(json), blob: None });
        }
        if bytes > limits::BLOB_BYTES {
            return Err(TooLarge { bytes });
        }
        let digest = Digest::of(json.as_str().as_bytes());
        let reference = towpath_model::BlobRef { digest, bytes: bytes as u64 };
        let blob = Blob { digest, text: json.as_str().to_owned() };
        Ok(Stored { payload: Payload::Blob(reference), blob: Some(blob) })
    }
}

/// An output made ready to be stored.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) payload: Payload,
    pub(crate) facts: BTreeMap<String, Json>,
    pub(crate) unreadable: Option<Failure>,
    pub(crate) blob: Option<Blob>,
}

impl Output {
    /// Makes an output ready. `facts` are the places that deciding needs of it, also when it is a blob.
    pub(crate) fn of(json: Json, facts: &[String]) -> Self {
        match Stored::of(json.clone()) {
            Ok(Stored { payload, blob: None }) => {
                Output { payload, facts: BTreeMap::new(), unreadable: None, blob: None }
            }
            Ok(Stored { payload, blob }) => {
                Output { payload, facts: facts_of(&json, facts), unreadable: None, blob }
            }
            Err(large) => Output::unreadable(large.message("the output")),
        }
    }

    /// The output of a step that is done, though nobody can read what it gave.
    pub(crate) fn unreadable(message: String) -> Self {
        Output {
            payload: Payload::Inline(Json::null()),
            facts: BTreeMap::new(),
            unreadable: Some(Failure::new(FailureKind::Permanent, message)),
            blob: None,
        }
    }
}

/// Reads the places once, whatever their number.
fn facts_of(json: &Json, places: &[String]) -> BTreeMap<String, Json> {
    if places.is_empty() {
        return BTreeMap::new();
    }
    let Ok(whole) = json.read::<serde_json::Value>() else { return BTreeMap::new() };
    let fact = |place: &String| Some((place.clone(), Json::of(whole.pointer(place)?).ok()?));
    places.iter().filter_map(fact).collect()
}

/// Fetches a stored value. As long as the store cannot be reached, it is tried again: nothing has happened yet.
pub(crate) async fn fetch(store: &dyn Store, payload: &Payload) -> Result<Json, StepError> {
    let blob = match payload {
        Payload::Inline(json) => return Ok(json.clone()),
        Payload::Blob(blob) => blob,
    };
    let mut backoff = Backoff::new();
    loop {
        match read(store, blob.digest).await {
            Ok(json) => return Ok(json),
            Err(e) if e.is_transient() => backoff.wait().await,
            Err(e) => return Err(StepError::needs_operator("read a stored value").because(e)),
        }
    }
}

/// Reads a blob that is JSON.
pub(crate) async fn read(store: &dyn Store, digest: Digest) -> Result<Json, StoreError> {
    let text = store.blob(digest).await?;
    Json::parse(&text).map_err(|e| {
        StoreError::new(StoreErrorKind::Corrupt, "read a blob").with("digest", digest).from_source(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(bytes: usize) -> Json {
        Json::of(&"x".repeat(bytes - 2)).unwrap()
    }

    #[test]
    fn limit_of_inline_values_holds_at_the_limit_and_one_above() {
        assert!(Stored::of(text_of(limits::INLINE_BYTES)).unwrap().blob.is_none());
        let above = Stored::of(text_of(limits::INLINE_BYTES + 1)).unwrap();
        assert_eq!(above.blob.unwrap().text.len(), limits::INLINE_BYTES + 1);
        assert!(matches!(above.payload, Payload::Blob(_)));
    }

    #[test]
    fn limit_of_blobs_holds_at_the_limit_and_one_above() {
        assert!(Output::of(text_of(limits::BLOB_BYTES), &[]).unreadable.is_none());
        let above = Output::of(text_of(limits::BLOB_BYTES + 1), &[]);
        assert!(above.unreadable.unwrap().message.contains("16777217 bytes"));
        assert!(above.blob.is_none());
    }

    #[test]
    fn facts_are_kept_beside_a_blob() {
        let big = serde_json::json!({"critical": 3, "text": "x".repeat(limits::INLINE_BYTES)});
        let output = Output::of(Json::of(&big).unwrap(), &["/critical".into(), "/absent".into()]);
        assert_eq!(output.facts.len(), 1);
        assert_eq!(output.facts["/critical"].as_str(), "3");
    }
}
