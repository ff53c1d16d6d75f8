//! Canonical JSON, in one place: the bytes that plan hashes are taken over.
//!
//! Keys are sorted by their UTF-8 bytes and may not repeat; there is no white space; integers lie in −2^53…2^53; other
//! numbers are written in Rust's shortest round-trip exponent form (`1.5e-7`), a number that is a whole one as that
//! integer, −0 as 0; texts are escaped as little as JSON allows and not normalised. It is not RFC 8785, whose keys
//! sort by UTF-16 and whose numbers follow ECMAScript.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use std::{collections::BTreeMap, fmt};

/// Why a value has no canonical form.
#[derive(Debug)]
pub struct CanonicalError(serde_json::Error);

impl fmt::Display for CanonicalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "make canonical json: {}", self.0)
    }
}

impl std::error::Error for CanonicalError {}

impl From<serde_json::Error> for CanonicalError {
    fn from(error: serde_json::Error) -> Self {
        CanonicalError(error)
    }
}

const WHOLE: i64 = 1 << 53;

/// The canonical JSON of a value.
///
/// ```
/// let text = towpath_model::canonical::of(&serde_json::json!({"b": 1.0, "a": [0.5, "é"]}))?;
/// assert_eq!(text, r#"{"a":[5e-1,"é"],"b":1}"#);
/// # Ok::<(), towpath_model::canonical::CanonicalError>(())
/// ```
///
/// # Errors
/// When an integer is beyond ±2^53, a number is not finite, or a key repeats.
pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<String, CanonicalError> {
    of_text(&serde_json::to_string(value)?)
}

/// The canonical JSON of a JSON text.
///
/// # Errors
/// As [`of`], and when the text is not JSON.
pub fn of_text(text: &str) -> Result<String, CanonicalError> {
    let value: Value = serde_json::from_str(text)?;
    let mut out = String::with_capacity(text.len());
    value.write(&mut out)?;
    Ok(out)
}

/// A JSON value of which every part has a canonical form.
enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Value {
    fn write(&self, out: &mut String) -> Result<(), serde_json::Error> {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Value::Integer(i) => out.push_str(&i.to_string()),
            Value::Float(f) => out.push_str(&format!("{f:e}")),
            Value::Text(t) => out.push_str(&serde_json::to_string(t)?),
            Value::List(all) => {
                for (i, value) in all.iter().enumerate() {
                    out.push(if i == 0 { '[' } else { ',' });
                    value.write(out)?;
                }
                out.push_str(if all.is_empty() { "[]" } else { "]" });
            }
            Value::Map(all) => {
                for (i, (key, value)) in all.iter().enumerate() {
                    out.push(if i == 0 { '{' } else { ',' });
                    out.push_str(&serde_json::to_string(key)?);
                    out.push(':');
                    value.write(out)?;
                }
                out.push_str(if all.is_empty() { "{}" } else { "}" });
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Parts)
    }
}

struct Parts;

impl<'de> Visitor<'de> for Parts {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a json value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }

    fn visit_i64<E: serde::de::Error>(self, i: i64) -> Result<Value, E> {
        if (-WHOLE..=WHOLE).contains(&i) {
            Ok(Value::Integer(i))
        } else {
            Err(E::custom(format_args!("the integer {i} is beyond ±2^53: give it as a text")))
        }
    }

    fn visit_u64<E: serde::de::Error>(self, u: u64) -> Result<Value, E> {
        match i64::try_from(u) {
            Ok(i) => self.visit_i64(i),
            Err(_) => Err(E::custom(format_args!("the integer {u} is beyond ±2^53: give it as a text"))),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, f: f64) -> Result<Value, E> {
        if !f.is_finite() {
            Err(E::custom("a number that is not finite cannot be stored"))
        } else if f.fract() == 0.0 && f.abs() <= WHOLE as f64 {
            Ok(Value::Integer(f as i64))
        } else {
            Ok(Value::Float(f))
        }
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(value) = seq.next_element()? {
            all.push(value);
        }
        Ok(Value::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut all = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            if all.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key {key:?} stands twice")));
            }
            all.insert(key, value);
        }
        Ok(Value::Map(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_json_is_a_stored_format() {
        let text = r#" {"z": [1, 2.5, -0.0, 1e3, 1e300, true, null], "a": {"é": "\u00e9\u000a\"", "E": {} }, "": []} "#;
        let want = r#"{"":[],"a":{"E":{},"é":"é\n\""},"z":[1,2.5e0,0,1000,1e300,true,null]}"#;
        assert_eq!(of_text(text).unwrap(), want);
    }

    #[test]
    fn canonical_json_refuses_what_has_no_single_form() {
        for (text, says) in [
            (r#"{"a":1,"a":1}"#, "the key \"a\" stands twice"),
            ("9007199254740993", "is beyond ±2^53"),
            ("-9007199254740993", "is beyond ±2^53"),
            ("18446744073709551615", "is beyond ±2^53"),
            ("[1", "EOF"),
        ] {
            let error = of_text(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(of_text("9007199254740992").is_ok(), "2^53 itself is allowed");
        // serde_json writes a number that is not finite as null, so `build` has to meet it as a value.
        assert_eq!(of(&f64::NAN).unwrap(), "null");
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            (-WHOLE..=WHOLE).prop_map(Into::into),
            any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|m| m.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_json_is_idempotent_and_keeps_the_value(value in any_json()) {
            let once = of(&value).unwrap();
            prop_assert_eq!(&of_text(&once).unwrap(), &once);
            prop_assert_eq!(of(&serde_json::from_str::<serde_json::Value>(&once).unwrap()).unwrap(), once);
        }
    }
}
