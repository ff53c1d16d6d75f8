//! Versions as advisories write them.

use semver::Version;
use std::cmp::Ordering;

/// Reads a version; `1` and `1.2` stand for `1.0.0` and `1.2.0`. Advisories write such versions though the format asks for
/// whole ones.
pub(crate) fn parse(text: &str) -> Option<Version> {
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (core, rest) = text.split_at(end);
    match core.split('.').count() {
        1 => Version::parse(&format!("{core}.0.0{rest}")).ok(),
        2 => Version::parse(&format!("{core}.0{rest}")).ok(),
        _ => Version::parse(text).ok(),
    }
}

/// The precedence of SemVer 2.0.0, section 11. The order of [`Version`] itself tells builds apart, which have none.
pub(crate) fn compare(a: &Version, b: &Version) -> Ordering {
    a.cmp_precedence(b)
}

#[cfg(test)]
mod tests {
    use super::{compare, parse};
    use std::cmp::Ordering;

    #[test]
    fn short_versions_are_filled_up() {
        for (text, whole) in
            [("0", "0.0.0"), ("1.2", "1.2.0"), ("1-rc.1", "1.0.0-rc.1"), ("1.2+b.9", "1.2.0+b.9")]
        {
            assert_eq!(parse(text).unwrap().to_string(), whole);
        }
        for text in ["", "v1.0.0", "1.2.3.4", "1.02.3", "1..2", "99999999999999999999.0.0", "*"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn precedence_is_that_of_the_specification() {
        // The example of section 11.4.4.
        let order = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
        ];
        for pair in order.windows(2) {
            assert_eq!(
                compare(&parse(pair[0]).unwrap(), &parse(pair[1]).unwrap()),
                Ordering::Less,
                "{pair:?}"
            );
        }
        let (a, b) = (parse("1.0.0+a").unwrap(), parse("1.0.0+b").unwrap());
        assert_eq!(compare(&a, &b), Ordering::Equal);
        assert_ne!(a, b);
    }
}
