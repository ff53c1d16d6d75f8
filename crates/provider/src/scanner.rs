//! What looks for known vulnerabilities in what was built.

mod report;
mod text;

pub use report::{
    AdvisoryBase, Finding, ReportFile, ScanReport, Score, Severity, UnknownSeverity, UnusedWaiver, Waiver,
};

use crate::{Capability, ProviderError};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use towpath_model::Timestamp;

/// What looks for known vulnerabilities in what was built: it reads which components there are, and matches them against
/// advisories.
///
/// It judges nothing. Which findings stop a release is said by the step that asks.
#[async_trait]
pub trait Scanner: Send + Sync {
    /// What this scanner can do.
    fn capability(&self) -> ScannerCapability;

    /// Looks for known vulnerabilities in the components of an artifact.
    ///
    /// # Contract
    /// - It changes nothing but files in the folder `reports`. Their names hold the digest of what is in them, so that a
    ///   repetition, also one at the same time, never changes a file that somebody refers to.
    /// - The same request against the same advisories gives the same report and the same files, byte for byte.
    /// - A lock file that is not there is `NotFound`, and one that cannot be understood is `Invalid`; both name it. There is
    ///   never a report about the rest, and none about a request without lock files, which is `Invalid`.
    /// - A lock file of a kind that it does not know is `Unsupported`.
    /// - Advisories that cannot be read as a whole are an error that names what cannot be read. It never matches against the
    ///   rest.
    /// - That there are no advisories at all is no error: the report says so, and who asked judges.
    /// - Findings are in the order of their package, version and advisory.
    /// - What is waived stays a finding, with its waiver. A waiver that has expired waives nothing; it is in `expired`, and
    ///   one that matches nothing is in `unused`.
    async fn scan(&self, request: &ScanRequest) -> Result<ScanReport, ProviderError>;
}

/// What is scanned, and where its reports go. Paths are relative to the folder that the process runs in.
///
/// ```
/// use towpath_provider::ScanRequest;
/// use towpath_model::Timestamp;
///
/// let request = ScanRequest::new("checkout", "sha256:00", Timestamp::from_micros(1_800_000_000_000_000))
///     .lock_file("Cargo.lock")
///     .waivers("waivers.toml")
///     .reports("scans");
/// assert_eq!(request.lock_files, ["Cargo.lock"]);
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScanRequest {
    /// What people call the artifact.
    pub artifact: String,
    /// Its digest, `sha256:…`: what a bill of materials is about.
    pub digest: String,
    /// The lock files that say which components are in it.
    pub lock_files: Vec<String>,
    /// A file that says which findings are accepted, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waivers: Option<String>,
    /// The folder for the bill of materials and the reports. It is made when it is not there.
    pub reports: String,
    /// The time now: what waivers expire by, and what the reports bear.
    pub at: Timestamp,
}

impl ScanRequest {
    /// A scan of this artifact, without lock files yet. Its reports go into the folder `scans`.
    pub fn new(artifact: impl Into<String>, digest: impl Into<String>, at: Timestamp) -> Self {
        ScanRequest {
            artifact: artifact.into(),
            digest: digest.into(),
            lock_files: Vec::new(),
            waivers: None,
            reports: "scans".to_owned(),
            at,
        }
    }

    /// Adds a lock file.
    #[must_use]
    pub fn lock_file(mut self, path: impl Into<String>) -> Self {
        self.lock_files.push(path.into());
        self
    }

    /// The file of waivers.
    #[must_use]
    pub fn waivers(mut self, path: impl Into<String>) -> Self {
        self.waivers = Some(path.into());
        self
    }

    /// The folder for the bill of materials and the reports.
    #[must_use]
    pub fn reports(mut self, folder: impl Into<String>) -> Self {
        self.reports = folder.into();
        self
    }
}

/// What a scanner can do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ScannerCapability {
    /// The kinds of lock files that it understands, by the name that they usually have: `Cargo.lock`.
    pub lock_files: BTreeSet<&'static str>,
    /// It takes waivers.
    pub waivers: bool,
    /// It writes a bill of materials.
    pub sbom: bool,
    /// It writes its findings as SARIF.
    pub sarif: bool,
    /// It tells when its advisories were last changed.
    pub dated: bool,
}

impl ScannerCapability {
    /// It understands lock files of this kind.
    #[must_use]
    pub fn lock_file(mut self, name: &'static str) -> Self {
        self.lock_files.insert(name);
        self
    }

    /// It takes waivers.
    #[must_use]
    pub fn waivers(mut self) -> Self {
        self.waivers = true;
        self
    }

    /// It writes a bill of materials.
    #[must_use]
    pub fn sbom(mut self) -> Self {
        self.sbom = true;
        self
    }

    /// It writes its findings as SARIF.
    #[must_use]
    pub fn sarif(mut self) -> Self {
        self.sarif = true;
        self
    }

    /// It tells when its advisories were last changed.
    #[must_use]
    pub fn dated(mut self) -> Self {
        self.dated = true;
        self
    }
}

impl Capability for ScannerCapability {
    fn missing(&self, wanted: &Self) -> Vec<&'static str> {
        let fields = [
            (self.waivers || !wanted.waivers, "waivers"),
            (self.sbom || !wanted.sbom, "sbom"),
            (self.sarif || !wanted.sarif, "sarif"),
            (self.dated || !wanted.dated, "dated"),
        ];
        let fields = fields.into_iter().filter_map(|(offered, name)| (!offered).then_some(name));
        wanted.lock_files.difference(&self.lock_files).copied().chain(fields).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::ScannerCapability;
    use crate::Capability;

    #[test]
    fn what_a_scanner_lacks_is_named() {
        let cargo = ScannerCapability::default().lock_file("Cargo.lock").sbom().waivers();
        let wanted = ScannerCapability::default().lock_file("Cargo.lock").lock_file("go.sum").sbom().sarif();
        assert_eq!(cargo.missing(&wanted), ["go.sum", "sarif"]);
        assert!(wanted.missing(&ScannerCapability::default().sbom()).is_empty());
    }
}
