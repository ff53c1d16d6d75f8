//! A scan from its lock files to its reports.

use crate::{
    advisory::{Advisory, Match},
    base::{self, Base},
    component::{self, Component},
    fault, lock,
    sarif::{self, Placed},
    sbom,
    waiver::Waivers,
    written,
};
use async_trait::async_trait;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use towpath_provider::{
    AdvisoryBase, Finding, ProviderError, ReportFile, ScanReport, ScanRequest, Scanner, ScannerCapability,
};
use towpath_step::{Offers, Provider};

/// Scans with a folder of advisories in the OSV format.
///
/// ```
/// use towpath_provider_osv::OsvScanner;
/// use towpath_provider::{Scanner, ScanRequest, Severity};
/// use towpath_model::Timestamp;
/// # let sample = |name: &str| format!("{}/sample/{name}", env!("CARGO_MANIFEST_DIR"));
/// # let reports = std::env::temp_dir().join(format!("towpath-osv-doc-{}", std::process::id()));
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let scanner = OsvScanner::new(sample("advisories"));
/// let request = ScanRequest::new("shop", "sha256:00", Timestamp::from_micros(1_790_000_000_000_000))
///     .lock_file(sample("Cargo.lock"))
///     .waivers(sample("waivers.toml"))
///     .reports(reports.display().to_string());
/// let report = scanner.scan(&request).await?;
/// assert_eq!(report.count(Some(Severity::Critical)), 1);
/// assert_eq!(report.waived(), 1);
/// # std::fs::remove_dir_all(&reports).expect("the reports were written there");
/// # Ok::<(), towpath_provider::ProviderError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The folder is read anew by every scan, so that it can be brought up to date under a running worker; the way to do that
/// without a scan that sees half of it is to fill another folder and to rename a link.
#[derive(Clone, Debug)]
pub struct OsvScanner {
    advisories: PathBuf,
}

impl OsvScanner {
    /// A scanner that matches against the advisories in this folder and the folders in it: every file that ends in `.json`.
    pub fn new(advisories: impl Into<PathBuf>) -> Self {
        OsvScanner { advisories: advisories.into() }
    }
}

#[async_trait]
impl Scanner for OsvScanner {
    fn capability(&self) -> ScannerCapability {
        ScannerCapability::default().lock_file("Cargo.lock").waivers().sbom().sarif().dated()
    }

    async fn scan(&self, request: &ScanRequest) -> Result<ScanReport, ProviderError> {
        let (advisories, request) = (self.advisories.clone(), request.clone());
        // It reads tens of thousands of files. Dropped, it goes on to its end, which changes nothing that anybody refers to.
        let scan = tokio::task::spawn_blocking(move || scan(&advisories, &request));
        scan.await.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => {
                Err(ProviderError::unavailable("the runtime shuts down").during("scan").because(error))
            }
        })
    }
}

impl Provider for OsvScanner {
    fn offer(self: Arc<Self>, to: &mut Offers<'_>) {
        to.put::<dyn Scanner>(self);
    }
}

fn scan(advisories: &Path, request: &ScanRequest) -> Result<ScanReport, ProviderError> {
    let components = components(request)?;
    let mut waivers = match &request.waivers {
        Some(path) => Waivers::read(Path::new(path), &text("the waivers cannot be read", path)?, request.at)?,
        None => Waivers::default(),
    };
    let packages: HashSet<_> = components
        .iter()
        .filter(|component| component.is_matched())
        .map(|component| (component.ecosystem, component.name.as_str()))
        .collect();
    let base = base::read(advisories, &packages)?;
    let mut notes = Vec::new();
    let mut placed = findings(&components, &base, &mut notes);
    for placed in &mut placed {
        waivers.apply(&mut placed.finding);
    }
    let (expired, unused) = waivers.left();
    let bill = sbom::bill(&request.artifact, &request.digest, &components, request.at);
    let file = |end: &str, content: &[u8]| written::write(&request.reports, &request.artifact, end, content);
    let mut report = ScanReport {
        artifact: request.artifact.clone(),
        digest: request.digest.clone(),
        components: components.len() as u64,
        matched: components.iter().filter(|component| component.is_matched()).count() as u64,
        findings: placed.iter().map(|placed| placed.finding.clone()).collect(),
        expired,
        unused,
        notes,
        advisories: about(advisories, &base),
        sbom: file("cdx.json", &bill)?,
        sarif: None,
        text: None,
    };
    let sarif: ReportFile = file("sarif.json", &sarif::log(&report, &placed, request.at))?;
    let told = file("txt", format!("{report}\n").as_bytes())?;
    (report.sarif, report.text) = (Some(sarif), Some(told));
    Ok(report)
}

/// The components of all lock files of a request.
fn components(request: &ScanRequest) -> Result<Vec<Component>, ProviderError> {
    if request.lock_files.is_empty() {
        return Err(fault::bad_request("a scan needs a lock file that says which components there are"));
    }
    let mut lists = Vec::new();
    let once: BTreeSet<&String> = request.lock_files.iter().collect();
    for lock_file in once {
        let path = Path::new(lock_file);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let content = text("the lock file cannot be read", lock_file)?;
        // Copies of a lock file have all sorts of names: only names of other kinds are refused.
        if ["package-lock.json", "yarn.lock", "pnpm-lock.yaml", "requirements.txt", "poetry.lock", "go.sum"]
            .contains(&name.as_str())
        {
            return Err(fault::unsupported(path, "this kind of lock file is not known; Cargo.lock is"));
        }
        lists.push(lock::read(path, &content)?);
    }
    Ok(component::merge(lists))
}

fn text(what: &'static str, path: &str) -> Result<String, ProviderError> {
    fs::read_to_string(path).map_err(|error| fault::io(what, Path::new(path), error))
}

fn about(folder: &Path, base: &Base) -> AdvisoryBase {
    AdvisoryBase {
        location: folder.display().to_string(),
        count: base.count,
        withdrawn: base.withdrawn,
        updated: base.updated,
    }
}

/// What the advisories say of the components, in the order of package, version and advisory.
fn findings(components: &[Component], base: &Base, notes: &mut Vec<String>) -> Vec<Placed> {
    let mut by_package: HashMap<&str, Vec<&Advisory>> = HashMap::new();
    for advisory in &base.advisories {
        for name in advisory.packages() {
            by_package.entry(name).or_default().push(advisory);
        }
    }
    let mut placed = Vec::new();
    for component in components.iter().filter(|component| component.is_matched()) {
        let about = by_package.get(component.name.as_str()).into_iter().flatten();
        let matches: Vec<(&Advisory, Match)> =
            about.filter_map(|advisory| Some((*advisory, advisory.matches(component, notes)?))).collect();
        let mut findings: Vec<Finding> =
            groups(matches).into_iter().map(|group| finding(component, group)).collect();
        findings.sort_by(|a, b| a.id.cmp(&b.id));
        let places = &component.places;
        placed.extend(findings.into_iter().map(|finding| Placed { finding, places: places.clone() }));
    }
    // Versions are told as text, and so is their order.
    placed.sort_by(|a, b| {
        let key = |p: &Placed| (p.finding.package.clone(), p.finding.version.clone(), p.finding.id.clone());
        key(a).cmp(&key(b))
    });
    notes.sort();
    notes.dedup();
    placed
}

/// What databases say of one vulnerability.
struct Group<'a> {
    names: HashSet<&'a str>,
    members: Vec<(&'a Advisory, Match)>,
}

/// Puts together what databases say of one vulnerability: advisories that share a name are one.
fn groups<'a>(matches: Vec<(&'a Advisory, Match)>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (advisory, found) in matches {
        let mut this = Group { names: advisory.names().collect(), members: vec![(advisory, found)] };
        let mut others = Vec::new();
        for group in groups {
            // It may link several groups that had nothing to do with each other so far.
            if group.names.is_disjoint(&this.names) {
                others.push(group);
            } else {
                this.names.extend(group.names);
                this.members.extend(group.members);
            }
        }
        others.push(this);
        groups = others;
    }
    groups
}

/// One finding of what is known about one vulnerability. Its name is the first of its advisories' ids; the rating is the worst
/// of them.
fn finding(component: &Component, group: Group<'_>) -> Finding {
    let mut group = group.members;
    group.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    let first = group[0].0;
    let names: BTreeSet<&str> = group.iter().flat_map(|(advisory, _)| advisory.names()).collect();
    let url = group.iter().find_map(|(advisory, _)| advisory.url.clone());
    let said = group.iter().map(|(_, found)| found.clone()).reduce(Match::and).expect("a group has a member");
    let lock_files: BTreeSet<&String> = component.places.iter().map(|place| &place.lock_file).collect();
    Finding {
        id: first.id.clone(),
        aliases: names.into_iter().filter(|name| *name != first.id).map(str::to_owned).collect(),
        package: component.name.clone(),
        version: component.version.to_string(),
        lock_files: lock_files.into_iter().cloned().collect(),
        severity: said.rating.severity,
        score: said.rating.score,
        vector: said.rating.vector,
        fixed: said.fixed.iter().map(ToString::to_string).collect(),
        summary: first.summary.clone(),
        url,
        waived: None,
    }
}
