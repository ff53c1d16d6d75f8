//! What a scan found.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use towpath_model::Timestamp;

/// What a scan found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScanReport {
    /// What was scanned.
    pub artifact: String,
    /// Its digest.
    pub digest: String,
    /// How many components it has.
    pub components: u64,
    /// How many of them were matched against advisories. The others have no source but this repository, so that no advisory
    /// can be about them.
    pub matched: u64,
    /// The findings, in the order of their package, version and advisory; those that are waived among them.
    pub findings: Vec<Finding>,
    /// Waivers that have expired: they waive nothing.
    pub expired: Vec<Waiver>,
    /// Waivers that match nothing.
    pub unused: Vec<UnusedWaiver>,
    /// What could not be looked at, one sentence each.
    pub notes: Vec<String>,
    /// What it was matched against.
    pub advisories: AdvisoryBase,
    /// The bill of materials.
    pub sbom: ReportFile,
    /// The findings as SARIF, where the scanner writes that.
    pub sarif: Option<ReportFile>,
    /// The findings as a text for people, where the scanner writes one.
    pub text: Option<ReportFile>,
}

/// One advisory that is about one component.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// The advisory, such as `RUSTSEC-2026-0001`.
    pub id: String,
    /// Other names of the same vulnerability, sorted.
    pub aliases: Vec<String>,
    /// The component.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The lock files that it stands in.
    pub lock_files: Vec<String>,
    /// How bad it is; `None` when nobody says.
    pub severity: Option<Severity>,
    /// The score that the severity comes from.
    pub score: Option<Score>,
    /// The CVSS vector that the score comes from.
    pub vector: Option<String>,
    /// The versions that are without it, ascending; empty when there is none.
    pub fixed: Vec<String>,
    /// What it is, in one line.
    pub summary: String,
    /// Where there is more about it.
    pub url: Option<String>,
    /// By what it is waived.
    pub waived: Option<Waiver>,
}

impl Finding {
    /// How bad it is, when an unknown severity is taken for `unknown`.
    pub fn severity_or(&self, unknown: Severity) -> Severity {
        self.severity.unwrap_or(unknown)
    }

    /// Its severity in one word; `unknown` when nobody says.
    pub fn severity_word(&self) -> &'static str {
        self.severity.map_or("unknown", Severity::word)
    }
}

/// How bad a vulnerability is: the ratings of CVSS.
///
/// ```
/// use towpath_provider::Severity;
/// assert!(Severity::High > Severity::Medium);
/// assert_eq!("moderate".parse(), Ok(Severity::Medium));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// A score of 0.0 to 3.9. CVSS calls 0.0 *none*; here it is low as well, so that it is seen.
    Low,
    /// 4.0 to 6.9.
    Medium,
    /// 7.0 to 8.9.
    High,
    /// 9.0 to 10.0.
    Critical,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Severity; 4] = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A word that is no severity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownSeverity(pub String);

impl fmt::Display for UnknownSeverity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no severity; there are low, medium (or moderate), high and critical", self.0)
    }
}

impl std::error::Error for UnknownSeverity {}

impl FromStr for Severity {
    type Err = UnknownSeverity;

    /// Reads the word in any case. GitHub says *moderate* for medium.
    fn from_str(word: &str) -> Result<Self, UnknownSeverity> {
        match word.to_ascii_lowercase().as_str() {
            "low" => Ok(Severity::Low),
            "medium" | "moderate" => Ok(Severity::Medium),
            "high" => Ok(Severity::High),
            "critical" => Ok(Severity::Critical),
            _ => Err(UnknownSeverity(word.to_owned())),
        }
    }
}

/// A CVSS score, in tenths: 0 to 100.
///
/// ```
/// use towpath_provider::{Score, Severity};
/// let score = Score::of_tenths(98);
/// assert_eq!((score.to_string().as_str(), score.severity()), ("9.8", Severity::Critical));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Score(u8);

impl Score {
    /// This many tenths, held to 0…100.
    pub fn of_tenths(tenths: u8) -> Self {
        Score(tenths.min(100))
    }

    /// How many tenths.
    pub fn tenths(self) -> u8 {
        self.0
    }

    /// The qualitative rating of this score, by the scale that CVSS v3.1 (section 5) and v4.0 (section 6) share.
    pub fn severity(self) -> Severity {
        match self.0 {
            0..=39 => Severity::Low,
            40..=69 => Severity::Medium,
            70..=89 => Severity::High,
            _ => Severity::Critical,
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

/// That a finding is accepted, by whom and until when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Waiver {
    /// The advisory, by its id or another name of it.
    pub advisory: String,
    /// The only package that it counts for.
    pub package: Option<String>,
    /// Why.
    pub reason: String,
    /// The last day on which it counts, in UTC: `2026-12-31`.
    pub expires: String,
    /// Who answers for it.
    pub owner: Option<String>,
}

impl fmt::Display for Waiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.advisory)?;
        if let Some(package) = &self.package {
            write!(f, " for {package}")?;
        }
        write!(f, " until {}", self.expires)?;
        match &self.owner {
            Some(owner) => write!(f, ", by {owner}: {}", self.reason),
            None => write!(f, ": {}", self.reason),
        }
    }
}

/// A waiver that matches nothing, and whether it has expired as well.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UnusedWaiver {
    /// The waiver.
    pub waiver: Waiver,
    /// It has expired as well.
    pub has_expired: bool,
}

/// The advisories that a scan was matched against.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AdvisoryBase {
    /// Where they are.
    pub location: String,
    /// How many there are, without those that were withdrawn.
    pub count: u64,
    /// How many were withdrawn: they are not matched.
    pub withdrawn: u64,
    /// When the youngest of them was last changed, as far as that is known.
    pub updated: Option<Timestamp>,
}

/// A file that a scanner wrote.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReportFile {
    /// Where it is, below the request's `reports`.
    pub path: String,
    /// The digest of its content, `sha256:…`.
    pub digest: String,
    /// Its size.
    pub size_bytes: u64,
}

impl ScanReport {
    /// The findings that are not waived.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.waived.is_none())
    }

    /// How many findings of this severity are not waived; `None` counts those of which nobody says how bad they are.
    pub fn count(&self, severity: Option<Severity>) -> u64 {
        self.open().filter(|finding| finding.severity == severity).count() as u64
    }

    /// How many findings are waived.
    pub fn waived(&self) -> u64 {
        (self.findings.len() - self.open().count()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::{Score, Severity};

    #[test]
    fn scores_have_the_ratings_of_cvss() {
        for (tenths, severity) in [
            (0, Severity::Low),
            (39, Severity::Low),
            (40, Severity::Medium),
            (69, Severity::Medium),
            (70, Severity::High),
            (89, Severity::High),
            (90, Severity::Critical),
            (100, Severity::Critical),
            (255, Severity::Critical),
        ] {
            assert_eq!(Score::of_tenths(tenths).severity(), severity, "{tenths}");
        }
        assert_eq!(Score::of_tenths(255).to_string(), "10.0");
    }

    #[test]
    fn words_are_severities_in_any_case() {
        for severity in Severity::ALL {
            assert_eq!(severity.word().to_uppercase().parse(), Ok(severity));
        }
        assert_eq!("MODERATE".parse(), Ok(Severity::Medium));
        assert_eq!(
            "urgent".parse::<Severity>().unwrap_err().to_string(),
            "\"urgent\" is no severity; there are low, medium (or moderate), high and critical"
        );
    }
}
