//! Taking the values of secrets out of texts.

use crate::SecretValue;
use std::{borrow::Cow, collections::BTreeSet, fmt, fmt::Write as _, ops::Range};

/// Takes the values of secrets out of texts: of failures, logs, progress, outputs and checkpoints, before they are
/// stored.
///
/// It finds a value as it is, as JSON escapes it, URL-encoded, and in base64, also within the base64 of a longer text
/// such as `user:password`. Values shorter than [`BYTES_MIN`](Self::BYTES_MIN) are left alone: they would be found
/// everywhere.
///
/// ```
/// use towpath_step::{Scrubber, SecretValue};
/// let mut scrubber = Scrubber::new();
/// scrubber.add(&SecretValue::new("token", "hunter2-hunter2"));
/// let text = "push to https://ci:hunter2-hunter2@registry.example: denied";
/// assert_eq!(scrubber.scrub(text), "push to https://ci:[secret token]@registry.example: denied");
/// ```
#[derive(Default)]
pub struct Scrubber {
    /// What to look for, and the name of the secret that it gives away.
    forms: Vec<(String, String)>,
}

impl Scrubber {
    /// Bytes of the shortest value that is looked for.
    pub const BYTES_MIN: usize = 8;

    /// Looks for nothing.
    pub fn new() -> Self {
        Scrubber::default()
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// Looks for this value as well, and for it without the white space around it: whoever uses what a file holds leaves
    /// the newline at its end out.
    pub fn add(&mut self, secret: &SecretValue) {
        let whole = secret.expose();
        for value in [whole, whole.trim()] {
            if value.len() < Self::BYTES_MIN {
                continue;
            }
            for form in forms(value) {
                if !self.forms.iter().any(|(known, _)| *known == form) {
                    self.forms.push((form, secret.name().to_owned()));
                }
            }
        }
    }

    /// The text with `[secret name]` in place of every value.
    pub fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let found = self.found(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut clean = String::with_capacity(text.len());
        let mut from = 0;
        for (Range { start, end }, name) in found {
            clean.push_str(&text[from..start]);
            write!(clean, "[secret {name}]").expect("writing to a string does not fail");
            from = end;
        }
        clean.push_str(&text[from..]);
        Cow::Owned(clean)
    }

    /// The names of the secrets whose values stand in a text.
    pub fn names(&self, text: &str) -> BTreeSet<&str> {
        self.found(text).into_iter().map(|(_, name)| name).collect()
    }

    /// Where values are, in order and without overlaps: what touches is one.
    fn found(&self, text: &str) -> Vec<(Range<usize>, &str)> {
        let mut found: Vec<(Range<usize>, &str)> = Vec::new();
        for (form, name) in &self.forms {
            // One place further from each hit, and not behind it: a value may overlap itself.
            let mut from = 0;
            while let Some(at) = text[from..].find(form.as_str()) {
                let start = from + at;
                found.push((start..start + form.len(), name));
                from = start + text[start..].chars().next().map_or(1, char::len_utf8);
            }
        }
        found.sort_by_key(|(range, _)| (range.start, usize::MAX - range.end));
        found.dedup_by(|(next, _), (kept, _)| {
            let overlaps = next.start < kept.end;
            if overlaps {
                kept.end = kept.end.max(next.end);
            }
            overlaps
        });
        found
    }
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.forms.iter().map(|(_, name)| name).collect();
        names.dedup();
        write!(f, "Scrubber({names:?})")
    }
}

/// The texts in which a value may show itself.
fn forms(value: &str) -> Vec<String> {
    let mut forms = vec![value.to_owned()];
    let json = serde_json::to_string(value).expect("a text is json");
    forms.push(json[1..json.len() - 1].to_owned());
    for upper in [true, false] {
        for plus in [true, false] {
            forms.push(url_encoded(value, upper, plus));
        }
    }
    let bytes = value.as_bytes();
    for alphabet in [STANDARD, URL_SAFE] {
        let whole = base64(bytes, alphabet);
        let padding = "=".repeat((4 - whole.len() % 4) % 4);
        forms.push(whole.clone() + &padding);
        forms.push(whole);
        // Within a longer text a value begins at any of three places of a group; the characters that hold bits of its
        // neighbours are not looked at.
        for before in 0..3 {
            let shifted = base64(&[&vec![0; before][..], bytes].concat(), alphabet);
            forms.push(shifted[(8 * before).div_ceil(6)..8 * (before + bytes.len()) / 6].to_owned());
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

fn url_encoded(value: &str, upper: bool, plus: bool) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        let written = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
                Ok(())
            }
            b' ' if plus => {
                encoded.push('+');
                Ok(())
            }
            _ if upper => write!(encoded, "%{byte:02X}"),
            _ => write!(encoded, "%{byte:02x}"),
        };
        written.expect("writing to a string does not fail");
    }
    encoded
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// RFC 4648, without padding.
fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for i in 0..=group.len() {
            let sextet = bits >> (18 - 6 * i) & 63;
            text.push(char::from(alphabet[sextet as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scrubber(value: &str) -> Scrubber {
        let mut scrubber = Scrubber::new();
        scrubber.add(&SecretValue::new("token", value));
        scrubber
    }

    fn with_padding(text: String) -> String {
        let padding = "=".repeat((4 - text.len() % 4) % 4);
        text + &padding
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes(), STANDARD), encoded);
        }
    }

    #[test]
    fn limit_of_short_values_holds_at_the_limit_and_one_below() {
        assert_eq!(scrubber("1234567").scrub("1234567"), "1234567");
        assert_eq!(scrubber("12345678").scrub("12345678"), "[secret token]");
    }

    #[test]
    fn a_value_that_overlaps_itself_leaves_no_end() {
        assert_eq!(scrubber("abababab").scrub("xabababababy"), "x[secret token]y");
    }

    #[test]
    fn a_value_is_found_without_the_newline_at_its_end() {
        for value in ["hunter2-hunter2\n", " hunter2-hunter2\r\n"] {
            let scrubber = scrubber(value);
            assert_eq!(scrubber.scrub("Bearer hunter2-hunter2"), "Bearer [secret token]");
            assert_eq!(scrubber.scrub(&base64(b"hunter2-hunter2", STANDARD)), "[secret token]");
        }
        assert_eq!(scrubber("short\n\n\n\n").scrub("short"), "short");
    }

    #[test]
    fn two_secrets_keep_their_names() {
        let mut both = scrubber("first-value");
        both.add(&SecretValue::new("other", "second-value"));
        assert_eq!(both.scrub("first-value, second-value"), "[secret token], [secret other]");
        assert_eq!(both.names("a first-value"), BTreeSet::from(["token"]));
        assert!(!format!("{both:?}").contains("value"));
    }

    proptest! {
        #[test]
        fn no_form_of_a_value_survives(value in "[ -~é\n\"\\\\]{8,40}", before in ".{0,20}", after in ".{0,20}") {
            let scrubber = scrubber(&value);
            let basic = base64(format!("{before}{value}{after}").as_bytes(), STANDARD);
            let texts = [
                format!("{before}{value}{after}"),
                serde_json::to_string(&format!("{before}{value}{after}")).unwrap(),
                format!("{before}{}{after}", url_encoded(&value, true, false)),
                format!("{before}{}{after}", url_encoded(&value, false, true)),
                format!("{before} {} {after}", with_padding(base64(value.as_bytes(), URL_SAFE))),
                with_padding(basic),
            ];
            for text in texts {
                let clean = scrubber.scrub(&text);
                prop_assert!(clean.contains("[secret token]"), "{text:?} became {clean:?}");
                let rest = clean.replace("[secret token]", "\u{1}");
                for form in forms(&value) {
                    prop_assert!(!rest.contains(&form), "{clean:?} holds {form:?}");
                }
            }
        }

        #[test]
        fn what_holds_no_secret_is_not_touched(text in "[a-m ]{0,80}") {
            let scrubber = scrubber("zzzzzzzz");
            let clean = scrubber.scrub(&text);
            prop_assert!(matches!(clean, Cow::Borrowed(_)));
            prop_assert_eq!(&clean, &text);
        }
    }
}
