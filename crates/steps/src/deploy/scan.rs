//! Scanning what was built for known vulnerabilities.

mod words;

use super::Image;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use towpath_model::{InDoubt, Timestamp};
use towpath_provider::{ReportFile, ScanReport, ScanRequest, Scanner, Severity};
use towpath_step::{Input, IntoInput, Need, Output, Reads, Step, StepContext, StepError};

/// The name under which an engine binds its scanner.
pub const SCANNER: &str = "scanner";

/// Scans an image for known vulnerabilities: kind `towpath.scan-image/v1`. Its output is [`Scanned`].
///
/// ```
/// # extern crate towpath_step as towpath;
/// use std::time::Duration;
/// use towpath_step::{Pipeline, PlanErrors};
/// use towpath_steps::deploy::{Image, ScanImage, Severity};
///
/// let p = Pipeline::new("orders");
/// let image = p.param::<Image>("image");
/// p.step(
///     "scan",
///     ScanImage::new(&image)
///         .cargo_lock("Cargo.lock")
///         .fail_on(Severity::High)
///         .unknown_as(Severity::Medium)
///         .waivers("waivers.toml")
///         .fresh_within(Duration::from_secs(7 * 86_400)),
/// );
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// Findings at or above a severity that nobody has waived reject it, and the run unwinds. It asks the provider `scanner`, a
/// [`Scanner`], which reads and writes files of the worker. It changes nothing else, and there is nothing to undo.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScanImage {
    image: Input<Image>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lock_files: Vec<Input<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waivers: Option<Input<String>>,
    reports: Input<String>,
    fail_on: Severity,
    unknown_as: Severity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fresh_within_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    without_advisories: bool,
    unproven: Unproven,
}

/// What a [`ScanImage`] becomes when its advisories are missing or too old: when finding nothing proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unproven {
    /// The step rests: somebody brings the advisories up to date and tries it again, or decides otherwise.
    #[default]
    Ask,
    /// It is rejected, and the run unwinds.
    Reject,
}

/// What a [`ScanImage`] found. The findings themselves are in its files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
pub struct Scanned {
    /// The digest of what was scanned.
    pub digest: String,
    /// How many components it has.
    pub components: u64,
    /// How many findings nobody has waived.
    pub findings: u64,
    /// Those of them that are critical.
    pub critical: u64,
    /// Those of them that are high.
    pub high: u64,
    /// Those of them that are medium.
    pub medium: u64,
    /// Those of them that are low.
    pub low: u64,
    /// Those of which nobody says how bad they are.
    pub unknown: u64,
    /// How many findings are waived.
    pub waived: u64,
    /// How many waivers have expired, and would otherwise match a finding.
    pub expired: u64,
    /// How many advisories there were.
    pub advisories: u64,
    /// When the youngest of them was last changed, as far as that is known.
    pub advisories_updated: Option<Timestamp>,
    /// The bill of materials.
    pub sbom: ScanFile,
    /// The findings as SARIF, where the scanner writes that.
    pub sarif: Option<ScanFile>,
    /// The findings as a text for people, where the scanner writes one.
    pub text: Option<ScanFile>,
}

/// A file that a scan has written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
pub struct ScanFile {
    /// Where it is.
    pub path: String,
    /// The digest of its content, `sha256:…`.
    pub digest: String,
    /// Its size.
    pub size_bytes: u64,
}

impl From<ReportFile> for ScanFile {
    fn from(file: ReportFile) -> Self {
        let ReportFile { path, digest, size_bytes } = file;
        ScanFile { path, digest, size_bytes }
    }
}

impl ScanImage {
    /// Scans this image. Findings that are high or critical, or of which nobody says how bad they are, reject it.
    pub fn new(image: impl IntoInput<Image>) -> Self {
        ScanImage {
            image: image.into_input(),
            lock_files: Vec::new(),
            waivers: None,
            reports: Input::value("scans".to_owned()),
            fail_on: Severity::High,
            unknown_as: Severity::High,
            fresh_within_ms: None,
            without_advisories: false,
            unproven: Unproven::default(),
        }
    }

    /// A `Cargo.lock` that says which components are in it; given more than once, all of them.
    #[must_use]
    pub fn cargo_lock(self, path: impl IntoInput<String>) -> Self {
        self.lock_file(path)
    }

    /// A lock file of any kind that the scanner understands; given more than once, all of them.
    #[must_use]
    pub fn lock_file(mut self, path: impl IntoInput<String>) -> Self {
        self.lock_files.push(path.into_input());
        self
    }

    /// From which severity on a finding rejects it; high by default.
    #[must_use]
    pub fn fail_on(mut self, severity: Severity) -> Self {
        self.fail_on = severity;
        self
    }

    /// What a finding counts as of which nobody says how bad it is; high by default.
    #[must_use]
    pub fn unknown_as(mut self, severity: Severity) -> Self {
        self.unknown_as = severity;
        self
    }

    /// A file that says which findings are accepted, and until when.
    #[must_use]
    pub fn waivers(mut self, path: impl IntoInput<String>) -> Self {
        self.waivers = Some(path.into_input());
        self
    }

    /// The folder for the bill of materials and the reports; `scans` by default.
    #[must_use]
    pub fn reports(mut self, folder: impl IntoInput<String>) -> Self {
        self.reports = folder.into_input();
        self
    }

    /// How long ago the youngest advisory may have been changed. Without it they may be of any age.
    #[must_use]
    pub fn fresh_within(mut self, age: Duration) -> Self {
        self.fresh_within_ms = Some(crate::time::millis(age));
        self
    }

    /// Goes on when there are no advisories at all, for a scan that is there for its bill of materials.
    #[must_use]
    pub fn without_advisories(mut self) -> Self {
        self.without_advisories = true;
        self
    }

    /// What it becomes when its advisories are missing or too old; an operator is asked by default.
    #[must_use]
    pub fn unproven(mut self, then: Unproven) -> Self {
        self.unproven = then;
        self
    }

    fn request(&self, cx: &StepContext) -> Result<ScanRequest, StepError> {
        let image = cx.get(&self.image)?;
        let mut request =
            ScanRequest::new(image.name, image.digest, cx.now()).reports(cx.get(&self.reports)?);
        for path in &self.lock_files {
            request = request.lock_file(cx.get(path)?);
        }
        if request.lock_files.is_empty() {
            return Err(StepError::permanent(
                "no lock file says which components are in the image: give one with cargo_lock",
            ));
        }
        if let Some(path) = &self.waivers {
            request = request.waivers(cx.get(path)?);
        }
        Ok(request)
    }

    /// What finding nothing would not prove, and why.
    fn doubt(&self, report: &ScanReport, now: Timestamp) -> Option<String> {
        let base = &report.advisories;
        if base.count == 0 {
            let what = "there are no advisories in";
            return (!self.without_advisories)
                .then(|| format!("{what} {}: a scan against nothing proves nothing", base.location));
        }
        let limit = Duration::from_millis(self.fresh_within_ms?);
        match base.updated {
            Some(updated) if now.since(updated) <= limit => None,
            Some(updated) => Some(format!(
                "the advisories in {} were last changed {updated}, more than {limit:?} ago: bring them up to date",
                base.location
            )),
            None => Some(format!("nobody says when the advisories in {} were last changed", base.location)),
        }
    }

    fn judge(&self, report: &ScanReport, now: Timestamp) -> Result<(), StepError> {
        let blocking: Vec<_> =
            report.open().filter(|finding| finding.severity_or(self.unknown_as) >= self.fail_on).collect();
        if !blocking.is_empty() {
            // What is found counts, however old the advisories are.
            return Err(StepError::rejected(words::refusal(&blocking, self.fail_on, report))
                .with_details(&scanned(report)));
        }
        match (self.doubt(report, now), self.unproven) {
            (None, _) => Ok(()),
            (Some(why), Unproven::Ask) => Err(StepError::needs_operator(why)),
            (Some(why), Unproven::Reject) => Err(StepError::rejected(why)),
        }
    }
}

fn scanned(report: &ScanReport) -> Scanned {
    let count = |severity| report.count(severity);
    Scanned {
        digest: report.digest.clone(),
        components: report.components,
        findings: report.open().count() as u64,
        critical: count(Some(Severity::Critical)),
        high: count(Some(Severity::High)),
        medium: count(Some(Severity::Medium)),
        low: count(Some(Severity::Low)),
        unknown: count(None),
        waived: report.waived(),
        expired: report.expired.len() as u64,
        advisories: report.advisories.count,
        advisories_updated: report.advisories.updated,
        sbom: report.sbom.clone().into(),
        sarif: report.sarif.clone().map(ScanFile::from),
        text: report.text.clone().map(ScanFile::from),
    }
}

impl Step for ScanImage {
    const KIND: &'static str = "towpath.scan-image/v1";
    const IN_DOUBT: InDoubt = InDoubt::NoEffect;
    type Output = Scanned;

    fn reads(&self) -> Reads {
        let reads = Reads::none().and("image", &self.image).and("reports", &self.reports);
        let reads = self.lock_files.iter().fold(reads, |reads, path| reads.and("lock_files", path));
        self.waivers.iter().fold(reads, |reads, path| reads.and("waivers", path))
    }

    fn needs() -> Vec<Need> {
        vec![Need::of::<dyn Scanner>(SCANNER)]
    }

    async fn run(&self, cx: &StepContext) -> Result<Scanned, StepError> {
        let scanner: Arc<dyn Scanner> = cx.provider(SCANNER)?;
        let request = self.request(cx)?;
        if request.waivers.is_some() && !scanner.capability().waivers {
            return Err(StepError::permanent(
                "the scanner takes no waivers: leave them out, or bind another one",
            ));
        }
        let report = scanner.scan(&request).await?;
        cx.log(words::bounded(&report));
        if report.digest != request.digest {
            let what =
                format!("the scanner was asked about {} and tells of {}", request.digest, report.digest);
            return Err(StepError::permanent(what));
        }
        self.judge(&report, request.at)?;
        Ok(scanned(&report))
    }
}
