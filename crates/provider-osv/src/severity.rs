//! How bad an advisory says that it is.

mod cvss3;

use serde::Deserialize;
use std::str::FromStr;
use towpath_provider::{Score, Severity};

/// A severity as it is written.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RawSeverity {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) score: String,
}

/// How bad it is, and where that comes from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Rating {
    pub(crate) severity: Option<Severity>,
    pub(crate) score: Option<Score>,
    pub(crate) vector: Option<String>,
}

/// The rating of an advisory: the worst of its CVSS vectors of version 3 and 4, and without one that can be read, the worst of
/// the words that its database uses. Vectors that cannot be read are handed back.
pub(crate) fn rate<'a>(
    severities: &[RawSeverity],
    words: impl IntoIterator<Item = &'a str>,
) -> (Rating, Vec<String>) {
    let mut unread = Vec::new();
    let mut rating = Rating::default();
    for raw in severities {
        let vector = raw.score.trim();
        let score = match raw.kind.as_str() {
            "CVSS_V3" => cvss3::base_score(vector),
            "CVSS_V4" => version_4(vector),
            // Other scales, such as that of Ubuntu or CVSS 2, are left to the words.
            _ => continue,
        };
        match score {
            Some(score) => {
                let severity = Some(score.severity());
                let this = Rating { severity, score: Some(score), vector: Some(vector.to_owned()) };
                rating = rating.max(this);
            }
            None => unread.push(vector.to_owned()),
        }
    }
    if rating.severity.is_none() {
        rating.severity = words.into_iter().filter_map(|word| word.parse::<Severity>().ok()).max();
    }
    (rating, unread)
}

/// The score of a CVSS v4.0 vector (<https://www.first.org/cvss/v4.0/specification-document>, section 8).
fn version_4(vector: &str) -> Option<Score> {
    let vector = cvss::v4::Vector::from_str(vector).ok()?;
    // One decimal place, in 0 to 10.
    Some(Score::of_tenths((vector.score().value() * 10.0).round() as u8))
}

#[cfg(test)]
mod tests {
    use super::{Rating, RawSeverity, rate};
    use towpath_provider::Severity;

    fn raw(kind: &str, score: &str) -> RawSeverity {
        RawSeverity { kind: kind.to_owned(), score: score.to_owned() }
    }

    const HIGH_3: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H";
    const CRITICAL_4: &str = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N";

    fn shape(rating: Rating) -> (Option<Severity>, Option<String>) {
        (rating.severity, rating.score.map(|score| score.to_string()))
    }

    #[test]
    fn the_worst_vector_counts_before_words() {
        let (rating, unread) = rate(&[raw("CVSS_V4", CRITICAL_4), raw("CVSS_V3", HIGH_3)], ["LOW"]);
        assert_eq!(rating.vector.as_deref(), Some(CRITICAL_4));
        assert_eq!(shape(rating), (Some(Severity::Critical), Some("9.3".into())));
        assert!(unread.is_empty());
    }

    #[test]
    fn words_count_when_there_is_no_vector() {
        let (rating, unread) =
            rate(&[raw("CVSS_V3", "CVSS:3.1/AV:N"), raw("Ubuntu", "low")], ["moderate", "x"]);
        assert_eq!(shape(rating), (Some(Severity::Medium), None));
        assert_eq!(unread, ["CVSS:3.1/AV:N"]);
        assert_eq!(rate(&[], []).0, Rating::default(), "nobody says how bad it is");
    }

    #[test]
    fn scores_of_version_4_are_those_that_were_published() {
        // Of the examples of FIRST (<https://www.first.org/cvss/v4.0/examples>).
        for (vector, score) in [
            ("CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "7.3"),
            ("CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:P/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "7.7"),
            ("CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:P/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:U", "5.2"),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", "10.0"),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:A/VC:N/VI:N/VA:N/SC:L/SI:L/SA:N", "5.1"),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", "0.0"),
        ] {
            let (rating, _) = rate(&[raw("CVSS_V4", vector)], []);
            assert_eq!(rating.score.map(|s| s.to_string()).as_deref(), Some(score), "{vector}");
        }
    }
}
