//! Scans of the sample, and of what is made up around it.

use std::{collections::BTreeSet, fs, path::Path};
use tempfile::TempDir;
use towpath_model::{Digest, Timestamp};
use towpath_provider::{
    ProviderErrorKind, ScanReport, ScanRequest, Scanner, Severity,
    contract::scanner::{Given, all},
};
use towpath_provider_osv::OsvScanner;

fn sample(name: &str) -> String {
    format!("{}/sample/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// In September 2026.
fn at() -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000)
}

fn request(folder: &TempDir) -> ScanRequest {
    ScanRequest::new("shop", format!("sha256:{}", "ab".repeat(32)), at())
        .lock_file(sample("Cargo.lock"))
        .reports(folder.path().join("scans").display().to_string())
}

fn names(report: &ScanReport) -> Vec<(&str, &str, &str)> {
    report.findings.iter().map(|f| (f.package.as_str(), f.version.as_str(), f.id.as_str())).collect()
}

const FINDINGS: [(&str, &str, &str); 4] = [
    ("demo-codec", "0.3.0-rc.2", "x_DEMO-2026-0003"),
    ("demo-codec", "0.3.0-rc.2", "x_DEMO-2026-0005"),
    ("demo-parser", "1.4.2", "x_DEMO-2026-0001"),
    ("demo-pool", "1.10.0", "x_DEMO-2026-0002"),
];

#[tokio::test]
async fn it_keeps_the_contract_of_a_scanner() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let waivers = "[[waiver]]\nadvisory = 'x_DEMO-2026-0003'\nreason = 'r'\nexpires = 2026-12-31\n\
                   [[waiver]]\nadvisory = 'x_DEMO-2026-0001'\nreason = 'r'\nexpires = 2026-01-31\n\
                   [[waiver]]\nadvisory = 'x_DEMO-2026-0001'\npackage = 'other'\nreason = 'r'\nexpires = 2026-12-31\n";
    let given = Given {
        request: request(&folder),
        findings: FINDINGS.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())).to_vec(),
        broken: write("broken.lock", "[[package]]\nname = 1\n"),
        waivers: write("waivers.toml", waivers),
    };
    all(&OsvScanner::new(sample("advisories")), &given).await;
}

#[tokio::test]
async fn the_sample_is_found_as_it_is_told() {
    let folder = TempDir::new().unwrap();
    let request = request(&folder).waivers(sample("waivers.toml"));
    let report = OsvScanner::new(sample("advisories")).scan(&request).await.unwrap();
    assert_eq!(names(&report), FINDINGS);
    assert_eq!((report.components, report.matched), (5, 4));
    assert_eq!((report.advisories.count, report.advisories.withdrawn), (4, 1));
    assert_eq!(report.advisories.updated.unwrap().to_string(), "2026-09-25T10:00:00.000000Z");
    let [codec, care, parser, pool] = &report.findings[..] else { panic!("there are four") };
    assert_eq!((codec.severity, codec.score), (Some(Severity::Medium), None));
    assert_eq!((care.severity, care.fixed.len()), (None, 0));
    assert_eq!(parser.fixed, ["1.4.3", "2.0.0"]);
    assert_eq!(parser.aliases, ["CVE-0000-00001"]);
    assert_eq!(parser.url.as_deref(), Some("https://advisories.example/DEMO-2026-0001"));
    assert_eq!(pool.score.unwrap().to_string(), "7.6");
    assert!(pool.waived.is_some() && parser.waived.is_none());
    for severity in [Some(Severity::Critical), Some(Severity::Medium), None] {
        assert_eq!(report.count(severity), 1, "{severity:?}");
    }
    for file in [Some(&report.sbom), report.sarif.as_ref(), report.text.as_ref()].map(Option::unwrap) {
        let digest = Digest::of(&fs::read(&file.path).unwrap());
        assert_eq!(file.digest, format!("sha256:{digest}"), "{}", file.path);
    }
    let text = fs::read_to_string(&report.text.as_ref().unwrap().path).unwrap();
    assert_eq!(text, format!("{report}\n"));
    assert!(text.ends_with("3 findings (1 critical, 1 medium, 1 unknown), 1 waived\n"), "{text}");
}

#[tokio::test]
async fn sarif_has_a_rule_for_each_advisory_and_suppresses_what_is_waived() {
    let folder = TempDir::new().unwrap();
    let mut request = request(&folder).waivers(sample("waivers.toml"));
    let scanner = OsvScanner::new(sample("advisories"));
    let report = scanner.scan(&request).await.unwrap();
    let read = |report: &ScanReport| -> serde_json::Value {
        serde_json::from_slice(&fs::read(&report.sarif.as_ref().unwrap().path).unwrap()).unwrap()
    };
    let log = read(&report);
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let ids: Vec<&str> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["x_DEMO-2026-0001", "x_DEMO-2026-0002", "x_DEMO-2026-0003", "x_DEMO-2026-0005"]);
    assert_eq!(rules[0]["properties"]["security-severity"], "9.8");
    let results = run["results"].as_array().unwrap();
    let mut levels = Vec::new();
    for result in results {
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(result["ruleId"], ids[index], "an index leads to its rule");
        levels.push((result["level"].as_str().unwrap(), result["suppressions"].as_array().unwrap().len()));
        let place = &result["locations"][0]["physicalLocation"];
        let line = place["region"]["startLine"].as_u64().unwrap() as usize;
        let lock = fs::read_to_string(sample("Cargo.lock")).unwrap();
        let told = lock.lines().nth(line - 1).unwrap().to_owned();
        let package = told.trim_start_matches("name = ").trim_matches('"').to_owned();
        assert!(result["message"]["text"].as_str().unwrap().starts_with(&package), "line {line}: {told}");
    }
    assert_eq!(levels, [("warning", 0), ("warning", 0), ("error", 0), ("error", 1)]);
    let prints: BTreeSet<String> =
        results.iter().map(|r| r["partialFingerprints"]["finding/v1"].to_string()).collect();
    assert_eq!(prints.len(), results.len());
    // After its last day a waiver is named, and suppresses nothing.
    request.at = Timestamp::from_micros(1_800_000_000_000_000);
    let log = read(&scanner.scan(&request).await.unwrap());
    let said = &log["runs"][0]["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"];
    assert!(said.as_str().unwrap().starts_with("a waiver has expired: x_DEMO-2026-0002"), "{said}");
    assert_eq!(log["runs"][0]["results"][3]["suppressions"].as_array().unwrap().len(), 0);
}

fn advisory(id: &str, aliases: &str, severity: &str, kind: &str) -> String {
    format!(
        r#"{{"id": "{id}", "modified": "2026-01-01T00:00:00Z", "aliases": [{aliases}], "summary": "of {id}",
            "affected": [{{"package": {{"ecosystem": "crates.io", "name": "demo-pool"}},
                "ranges": [{{"type": "{kind}", "events": [{{"introduced": "0"}}, {{"fixed": "2.{}.0"}}]}}]}}],
            "database_specific": {{"severity": {severity}}}}}"#,
        id.len()
    )
}

#[tokio::test]
async fn what_databases_say_of_one_vulnerability_is_one_finding() {
    let folder = TempDir::new().unwrap();
    let base = folder.path().join("base");
    fs::create_dir(&base).unwrap();
    let put = |id: &str, aliases: &str, severity: &str, kind: &str| {
        fs::write(base.join(format!("{id}.json")), advisory(id, aliases, severity, kind)).unwrap();
    };
    put("GHSA-1", "\"CVE-1\"", "\"LOW\"", "SEMVER");
    put("RUSTSEC-1", "\"CVE-1\", \"CVE-2\"", "null", "SEMVER");
    put("XX", "\"CVE-2\"", "\"HIGH\"", "ECOSYSTEM");
    put("OTHER", "\"CVE-3\"", "{\"word\": 1}", "SEMVER");
    put("GIT", "", "\"CRITICAL\"", "GIT");
    let report = OsvScanner::new(&base).scan(&request(&folder)).await.unwrap();
    assert_eq!(names(&report), [("demo-pool", "1.10.0", "GHSA-1"), ("demo-pool", "1.10.0", "OTHER")]);
    let one = &report.findings[0];
    assert_eq!(one.aliases, ["CVE-1", "CVE-2", "RUSTSEC-1", "XX"]);
    assert_eq!(one.severity, Some(Severity::High), "the worst of what is known");
    assert_eq!(one.fixed, ["2.2.0", "2.6.0", "2.9.0"]);
    assert_eq!(report.findings[1].severity, None);
    assert_eq!(
        report.notes,
        ["GIT has only git ranges for demo-pool, so that no version can be matched with it"]
    );
}

#[tokio::test]
async fn what_a_repository_holds_itself_is_not_matched_and_a_fork_is() {
    let folder = TempDir::new().unwrap();
    let lock = folder.path().join("Cargo.lock");
    let scan = async |source: &str| {
        fs::write(&lock, format!("[[package]]\nname = \"demo-pool\"\nversion = \"1.0.0\"\n{source}"))
            .unwrap();
        let mut request = request(&folder);
        request.lock_files = vec![lock.display().to_string()];
        OsvScanner::new(sample("advisories")).scan(&request).await.unwrap().findings.len()
    };
    assert_eq!(scan("").await, 0);
    assert_eq!(scan("source = \"git+https://g.example/pool#01\"\n").await, 1);
    assert_eq!(scan("source = \"registry+https://r.example/index\"\n").await, 1);
}

#[tokio::test]
async fn a_lock_file_of_another_kind_is_refused_and_one_that_is_given_twice_is_one() {
    let folder = TempDir::new().unwrap();
    let other = folder.path().join("go.sum");
    fs::write(&other, "").unwrap();
    let scanner = OsvScanner::new(sample("advisories"));
    let error = scanner.scan(&request(&folder).lock_file(other.display().to_string())).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Unsupported);
    assert!(error.to_string().contains("go.sum"), "{error}");
    let twice = scanner.scan(&request(&folder).lock_file(sample("Cargo.lock"))).await.unwrap();
    assert_eq!(twice, scanner.scan(&request(&folder)).await.unwrap());
}

#[tokio::test]
async fn nothing_is_written_when_advisories_cannot_be_read() {
    let folder = TempDir::new().unwrap();
    let base = folder.path().join("base");
    fs::create_dir(&base).unwrap();
    fs::write(base.join("a.json"), "{").unwrap();
    let request = request(&folder);
    let error = OsvScanner::new(&base).scan(&request).await.unwrap_err();
    assert!(error.to_string().contains("a.json"), "{error}");
    assert!(!Path::new(&request.reports).exists());
}
