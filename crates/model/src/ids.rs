//! Names of things: short, checked when they are made, cheap to clone.

use crate::limits;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr, sync::Arc};

/// A text that cannot be the id it was meant to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdError {
    what: &'static str,
    text: String,
    want: &'static str,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a {}: want {}", self.text, self.what, self.want)
    }
}

impl std::error::Error for IdError {}

fn refuse(what: &'static str, text: &str, want: &'static str) -> IdError {
    let end = text.char_indices().nth(80).map_or(text.len(), |(i, _)| i);
    IdError { what, text: text[..end].to_owned(), want }
}

fn is_slug(s: &str) -> bool {
    (1..=limits::ID_BYTES).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_line(s: &str, most: usize) -> bool {
    (1..=most).contains(&s.len()) && !s.chars().any(char::is_control)
}

/// `apply`, `eu/apply` or `deploy[eu-west-1]/apply`: slugs joined by `/`, each with the item it belongs to.
fn is_step_path(s: &str) -> bool {
    let mut rest = s;
    for _ in 0..=limits::NESTING {
        let slug = rest.find(['/', '[']).map_or(rest, |i| &rest[..i]);
        if !is_slug(slug) {
            return false;
        }
        rest = &rest[slug.len()..];
        if let Some(item) = rest.strip_prefix('[') {
            let Some(end) = item.find(']') else { return false };
            if !is_line(&item[..end], limits::ITEM_KEY_BYTES) {
                return false;
            }
            rest = &item[end + 1..];
        }
        match rest.strip_prefix('/') {
            Some(next) => rest = next,
            None => return rest.is_empty(),
        }
    }
    false
}

macro_rules! text_ids { ($($(#[$doc:meta])* $name:ident, $what:literal, $want:literal, $check:expr;)*) => { $(
    $(#[$doc])*
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct $name(Arc<str>);
    impl $name {
        /// Checks `text` and makes the id.
        ///
        /// # Errors
        /// When the text breaks the rule that the type's documentation states.
        pub fn new(text: &str) -> Result<Self, IdError> {
            let check: fn(&str) -> bool = $check;
            if check(text) { Ok($name(Arc::from(text))) } else { Err(refuse($what, text, $want)) }
        }
        /// The id as text.
        pub fn as_str(&self) -> &str { &self.0 }
    }
    impl fmt::Display for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(&self.0) } }
    impl fmt::Debug for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{:?}", &*self.0) } }
    impl FromStr for $name { type Err = IdError; fn from_str(s: &str) -> Result<Self, IdError> { $name::new(s) } }
    impl AsRef<str> for $name { fn as_ref(&self) -> &str { &self.0 } }
    impl std::borrow::Borrow<str> for $name { fn borrow(&self) -> &str { &self.0 } }
    impl Serialize for $name { fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.serialize_str(&self.0) } }
    impl<'de> Deserialize<'de> for $name {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
            $name::new(&text).map_err(serde::de::Error::custom)
        }
    }
)* } }

text_ids! {
    /// Name of a pipeline: `[a-z0-9-]{1,64}`.
    PipelineName, "pipeline name", "1 to 64 of a-z, 0-9 and -", is_slug;
    /// Id of a step in its plan: the author's slug, with the slugs of the pipelines around it (`eu/apply`) and the
    /// item it belongs to (`deploy[eu-west-1]/apply`). Never an index.
    StepId, "step id", "slugs of 1 to 64 of a-z, 0-9 and -, joined by /", is_step_path;
    /// Stable, versioned tag of a step type: `scan.image/v1`.
    Kind, "kind", "a name and a version, as in scan.image/v1", |s| {
        is_line(s, limits::NAME_BYTES)
            && s.rsplit_once("/v").is_some_and(|(name, v)| {
                !name.is_empty() && !v.is_empty() && !v.starts_with('0') && v.bytes().all(|b| b.is_ascii_digit())
            })
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b))
    };
    /// Name of a wait, a signal, an effect or a lock: one line of 1 to 256 bytes.
    Name, "name", "one line of 1 to 256 bytes", |s| is_line(s, limits::NAME_BYTES);
    /// Key of an item of a `for_each`: one line of 1 to 256 bytes without `]`.
    ItemKey, "item key", "one line of 1 to 256 bytes without ]", |s| is_line(s, limits::ITEM_KEY_BYTES) && !s.contains(']');
    /// The caller's own name for a run, which makes starting idempotent: one line of 1 to 256 bytes.
    RunKey, "run key", "one line of 1 to 256 bytes", |s| is_line(s, limits::RUN_KEY_BYTES);
    /// A process that drives runs: one line of 1 to 64 bytes without `/`.
    WorkerId, "worker id", "one line of 1 to 64 bytes without /", |s| is_line(s, 64) && !s.contains('/');
    /// Who did something: `engine`, `user:alice`, `os-user:deploy`. One line of 1 to 256 bytes.
    Actor, "actor", "one line of 1 to 256 bytes", |s| is_line(s, limits::NAME_BYTES);
}

impl Actor {
    /// The engine itself.
    pub fn engine() -> Self {
        Actor::new("engine").expect("a constant actor keeps the rule")
    }
}

impl StepId {
    /// This id inside the pipeline or item `outer`: `outer/self`.
    ///
    /// # Errors
    /// When the whole is nested too deeply.
    pub fn within(&self, outer: &StepId) -> Result<StepId, IdError> {
        StepId::new(&format!("{outer}/{self}"))
    }

    /// The item `key` of this `for_each`: `deploy[eu-west-1]`.
    pub fn item(&self, key: &ItemKey) -> StepId {
        StepId::new(&format!("{self}[{key}]")).expect("a step's id with an item's key is a step's id")
    }

    /// Of a path within an item, the step that has the item: `deploy` of `deploy[eu-west-1]/apply`. Of another path, itself.
    pub fn outside_of_items(&self) -> StepId {
        // A key may hold any sign, and a slug none of these.
        let step = self.0.split('[').next().unwrap_or(&self.0);
        StepId::new(step).unwrap_or_else(|_| self.clone())
    }

    /// How many slugs it is made of.
    pub fn depth(&self) -> usize {
        let mut inside = false;
        1 + self
            .0
            .bytes()
            .filter(|b| {
                inside = (inside || *b == b'[') && *b != b']';
                *b == b'/' && !inside
            })
            .count()
    }
}

/// What the keys of sub-runs begin with.
const SUB_RUN: &str = "sub-run/";

impl RunKey {
    /// The key of a run that is an item of another's step.
    pub fn of_sub_run(run: RunId) -> RunKey {
        RunKey::new(&format!("{SUB_RUN}{run}")).expect("a word and a UUID are a run key")
    }

    /// Whether it has the form of a sub-run's key, which nobody else may use.
    pub fn is_of_sub_run(&self) -> bool {
        self.0.starts_with(SUB_RUN)
    }
}

macro_rules! numbers { ($($(#[$doc:meta])* $name:ident($int:ty);)*) => { $(
    $(#[$doc])*
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
    #[serde(transparent)]
    pub struct $name(pub $int);
    impl $name {
        /// The number after this one.
        pub fn next(self) -> Self { $name(self.0 + 1) }
    }
    impl fmt::Display for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) } }
)* } }

numbers! {
    /// Number of an event in its journal; the first is 1, and 0 stands before it.
    Seq(u64);
    /// Fencing number of a run's lease; every claim raises it.
    Epoch(u64);
    /// A store's own number of a run. Never leaves the store's file or database.
    RunNo(i64);
    /// Number of a try of a step; the first is 1.
    Attempt(u32);
}

/// Id of a run: 16 bytes, shown as a UUID (the engine makes version 7, RFC 9562, which sorts by time).
///
/// ```
/// let run: towpath_model::RunId = "01890a5d-ac96-774b-bcce-b302099a8057".parse()?;
/// assert_eq!(run.to_string(), "01890a5d-ac96-774b-bcce-b302099a8057");
/// # Ok::<(), towpath_model::IdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId([u8; 16]);

impl RunId {
    /// The id that these bytes are.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        RunId(bytes)
    }

    /// The bytes of this id.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id of the run that is the item at `index` of a `for_each`, on its try `tries` from 1: the first 16 bytes of
    /// SHA-256 over the parent's id, the step's id (preceded by its length as eight bytes), the place and the try (as
    /// eight bytes each, all little endian), marked as a UUID of version 8 (RFC 9562). A transition that is written
    /// twice so makes the same runs.
    pub fn of_item(parent: RunId, step: &StepId, index: u64, tries: u32) -> RunId {
        let mut hash = Sha256::new();
        hash.update(parent.0);
        hash.update((step.as_str().len() as u64).to_le_bytes());
        hash.update(step.as_str());
        hash.update(index.to_le_bytes());
        hash.update(u64::from(tries).to_le_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        RunId(bytes)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, b) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{b:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RunId {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let bad = || refuse("run id", s, "a UUID, as in 01890a5d-ac96-774b-bcce-b302099a8057");
        let hex: Vec<u8> = s.bytes().filter(|b| *b != b'-').collect();
        if hex.len() != 32 || (s.len() != 32 && s.len() != 36) {
            return Err(bad());
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks(2)) {
            let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
            *byte = digit(pair[0]).zip(digit(pair[1])).map(|(a, b)| a << 4 | b).ok_or_else(bad)?;
        }
        Ok(RunId(bytes))
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_of_ids_holds_at_the_limit_and_one_above() {
        assert!(PipelineName::new(&"a".repeat(64)).is_ok());
        assert!(PipelineName::new(&"a".repeat(65)).is_err());
        assert!(RunKey::new(&"k".repeat(256)).is_ok());
        assert!(RunKey::new(&"k".repeat(257)).is_err());
        assert!(ItemKey::new(&"k".repeat(256)).is_ok());
        assert!(ItemKey::new(&"k".repeat(257)).is_err());
        let deep = ["a"; limits::NESTING + 1].join("/");
        assert!(StepId::new(&deep).is_ok());
        assert!(StepId::new(&format!("{deep}/a")).is_err());
    }

    #[test]
    fn step_paths() {
        for good in ["a", "eu/apply", "deploy[eu-west-1]/apply", "a[ü b]/c-1", "a[x]"] {
            assert_eq!(StepId::new(good).map(|i| i.to_string()).as_deref(), Ok(good));
        }
        for bad in ["", "A", "a/", "/a", "a//b", "a[", "a[]", "a]b", "a[x]b", "a b"] {
            assert!(StepId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ids_of_items_are_a_stored_format() {
        let (parent, step) = (RunId::from_bytes([7; 16]), StepId::new("deploy").unwrap());
        let run = RunId::of_item(parent, &step, 3, 1);
        assert_eq!(run.to_string(), "02f33f4e-9469-8c48-81e1-dbb7cd14a3d3");
        assert_ne!(run, RunId::of_item(parent, &step, 3, 2));
        assert_ne!(run, RunId::of_item(parent, &step, 4, 1));
        let key = RunKey::of_sub_run(run);
        assert!(key.is_of_sub_run() && !RunKey::new("checkout@4f2c").unwrap().is_of_sub_run());
    }

    #[test]
    fn step_paths_of_items() {
        let (step, key) = (StepId::new("eu/deploy").unwrap(), ItemKey::new("a/b [c").unwrap());
        let item = step.item(&key);
        assert_eq!((item.as_str(), item.depth()), ("eu/deploy[a/b [c]", 2));
        let within = StepId::new("apply").unwrap().within(&item).unwrap();
        assert_eq!((within.depth(), within.outside_of_items()), (3, step.clone()));
        assert_eq!(step.outside_of_items(), step);
    }

    #[test]
    fn kinds_carry_a_version() {
        assert!(Kind::new("scan.image/v1").is_ok());
        for bad in ["scan", "scan/v", "scan/v0", "/v1", "scan/v1x", "sc an/v1"] {
            assert!(Kind::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn errors_say_what_is_wanted() {
        assert_eq!(
            PipelineName::new("Check Out").unwrap_err().to_string(),
            "\"Check Out\" is not a pipeline name: want 1 to 64 of a-z, 0-9 and -"
        );
    }
}
