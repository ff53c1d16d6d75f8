//! What a [`Scanner`] promises.

use super::{answered, refused};
use crate::{ProviderErrorKind, ScanReport, ScanRequest, Scanner};
use std::{collections::BTreeMap, fs, path::Path};

/// What a provider's own tests give the suite: files that are there, and what is to be found in them.
#[derive(Clone, Debug)]
pub struct Given {
    /// A request for a lock file with components of which at least one is vulnerable, without waivers. Its folder of reports
    /// is empty or not there.
    pub request: ScanRequest,
    /// The findings that it has, as package, version and advisory, in order.
    pub findings: Vec<(String, String, String)>,
    /// A lock file that cannot be understood.
    pub broken: String,
    /// A file of waivers: one counts and waives the first finding, one has expired, one matches nothing.
    pub waivers: String,
}

/// Everything that a scanner promises.
pub async fn all(scanner: &dyn Scanner, given: &Given) {
    finds_what_there_is(scanner, given).await;
    says_the_same_again(scanner, given).await;
    never_reports_on_a_part(scanner, given).await;
    waives_what_counts(scanner, given).await;
}

async fn scan(scanner: &dyn Scanner, request: &ScanRequest) -> ScanReport {
    answered(scanner.scan(request).await, "a good request")
}

fn names(report: &ScanReport) -> Vec<(String, String, String)> {
    let name = |f: &crate::Finding| (f.package.clone(), f.version.clone(), f.id.clone());
    report.findings.iter().map(name).collect()
}

/// It finds what there is, in order, and writes what it says that it writes.
pub async fn finds_what_there_is(scanner: &dyn Scanner, given: &Given) {
    let report = scan(scanner, &given.request).await;
    assert_eq!(names(&report), given.findings, "the findings, in order");
    assert!(names(&report).is_sorted(), "findings are in the order of package, version and advisory");
    assert_eq!((&report.artifact, &report.digest), (&given.request.artifact, &given.request.digest));
    assert!(report.matched <= report.components, "it matches no more components than there are");
    assert!(report.advisories.count > 0, "what was found was found in advisories");
    let capability = scanner.capability();
    assert_eq!(report.sarif.is_some(), capability.sarif, "SARIF is written by who says so");
    assert_eq!(report.advisories.updated.is_some(), capability.dated, "who dates advisories says when");
    for file in [Some(&report.sbom), report.sarif.as_ref(), report.text.as_ref()].into_iter().flatten() {
        let folder = Path::new(&given.request.reports);
        assert!(Path::new(&file.path).starts_with(folder), "{} is outside {}", file.path, folder.display());
        let size = fs::metadata(&file.path).map(|meta| meta.len());
        assert_eq!(size.ok(), Some(file.size_bytes), "{} has its size", file.path);
        assert!(file.digest.starts_with("sha256:"), "{} is no digest", file.digest);
    }
}

/// All files below the folder of reports, by path.
fn files(request: &ScanRequest) -> BTreeMap<String, Vec<u8>> {
    let Ok(folder) = fs::read_dir(&request.reports) else { return BTreeMap::new() };
    let paths = folder.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths.filter_map(|path| Some((path.display().to_string(), fs::read(&path).ok()?))).collect()
}

/// A repetition says the same, and no file that a report refers to is changed.
pub async fn says_the_same_again(scanner: &dyn Scanner, given: &Given) {
    let first = scan(scanner, &given.request).await;
    let before = files(&given.request);
    assert_eq!(scan(scanner, &given.request).await, first, "a repetition says the same");
    assert_eq!(files(&given.request), before, "a repetition leaves the same files");
    let mut later = given.request.clone();
    later.at = later.at.plus(std::time::Duration::from_secs(1));
    scan(scanner, &later).await;
    let after = files(&given.request);
    for (path, content) in before {
        assert!(after.get(&path) == Some(&content), "a later scan changes {path}, which a report refers to");
    }
}

/// What cannot be read is an error, and never left out.
pub async fn never_reports_on_a_part(scanner: &dyn Scanner, given: &Given) {
    let missing = format!("{}.is-not-there", given.broken);
    for (lock_file, kind) in
        [(&given.broken, ProviderErrorKind::Invalid), (&missing, ProviderErrorKind::NotFound)]
    {
        let request = given.request.clone().lock_file(lock_file);
        let result = scanner.scan(&request).await;
        if let Err(error) = &result {
            assert!(error.to_string().contains(lock_file), "the error names {lock_file}: {error}");
        }
        refused(result, kind, "a lock file that cannot be read");
    }
    let mut nothing = given.request.clone();
    nothing.lock_files.clear();
    refused(scanner.scan(&nothing).await, ProviderErrorKind::Invalid, "a request without lock files");
}

/// What is waived stays a finding; what has expired waives nothing.
pub async fn waives_what_counts(scanner: &dyn Scanner, given: &Given) {
    if !scanner.capability().waivers {
        return;
    }
    let report = scan(scanner, &given.request.clone().waivers(&given.waivers)).await;
    assert_eq!(names(&report), given.findings, "what is waived is found all the same");
    let waived: Vec<bool> = report.findings.iter().map(|finding| finding.waived.is_some()).collect();
    assert!(waived[0], "the first finding is waived");
    assert!(!waived[1..].contains(&true), "nothing but the first finding is waived");
    assert_eq!(report.expired.len(), 1, "the waiver that has expired is named");
    assert_eq!(report.unused.len(), 1, "the waiver that matches nothing is named");
    let missing = format!("{}.is-not-there", given.waivers);
    let error = scanner.scan(&given.request.clone().waivers(&missing)).await;
    let error = error.expect_err("waivers that are not there are no waivers");
    assert!(error.to_string().contains(&missing), "the error names {missing}: {error}");
}
