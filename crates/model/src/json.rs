//! JSON values as they were written.

use crate::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::{fmt, sync::Arc};

/// A JSON value kept as its text: cheap to clone, never re-encoded.
///
/// ```
/// use towpath_model::Json;
/// let json = Json::of(&vec![1, 2])?;
/// assert_eq!(json.as_str(), "[1,2]");
/// assert_eq!(json.read::<Vec<u32>>()?, [1, 2]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone)]
pub struct Json(Arc<RawValue>);

impl Json {
    /// Encodes a value.
    ///
    /// # Errors
    /// When the value cannot be JSON, such as a map whose keys are not text.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Json::from)
    }

    /// Takes a text that is JSON.
    ///
    /// # Errors
    /// When it is not.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text.to_owned()).map(Json::from)
    }

    /// The value `null`.
    pub fn null() -> Self {
        Json(Arc::from(RawValue::NULL.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Decodes the value.
    ///
    /// # Errors
    /// When the value does not have the shape of `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0.get())
    }

    /// The value at an RFC 6901 pointer; the empty pointer is the whole. `None` when nothing is there.
    pub fn at(&self, pointer: &str) -> Option<Json> {
        if pointer.is_empty() {
            return Some(self.clone());
        }
        let whole: serde_json::Value = self.read().ok()?;
        Json::of(whole.pointer(pointer)?).ok()
    }
}

impl From<Box<RawValue>> for Json {
    fn from(raw: Box<RawValue>) -> Self {
        Json(Arc::from(raw))
    }
}

impl PartialEq for Json {
    /// Equal texts. Two spellings of one value are different.
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        (*self.0).serialize(s)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(d).map(Json::from)
    }
}

/// Where a value too large for its event is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BlobRef {
    /// SHA-256 of the value's text.
    pub digest: Digest,
    /// Length of the text in bytes.
    pub bytes: u64,
}

/// A stored value: in its event, or beside it as a blob.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// The value itself, up to [`INLINE_BYTES`](crate::limits::INLINE_BYTES).
    Inline(Json),
    /// A reference to a blob, up to [`BLOB_BYTES`](crate::limits::BLOB_BYTES).
    Blob(BlobRef),
}

impl Payload {
    /// The value when it is in the event.
    pub fn inline(&self) -> Option<&Json> {
        match self {
            Payload::Inline(json) => Some(json),
            Payload::Blob(_) => None,
        }
    }
}

impl From<Json> for Payload {
    fn from(json: Json) -> Self {
        Payload::Inline(json)
    }
}
