//! Findings in SARIF 2.1.0 (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>), which code hosts show beside
//! the lines that they are about.

use crate::component::Place;
use serde::Serialize;
use std::collections::BTreeMap;
use towpath_model::{Digest, Timestamp};
use towpath_provider::{Finding, ScanReport, Severity, Waiver};

/// A finding, and where its component stands.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) finding: Finding,
    pub(crate) places: Vec<Place>,
}

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool<'a>,
    invocations: [Invocation; 1],
    results: Vec<ResultOf<'a>>,
    column_kind: &'static str,
    properties: RunProperties<'a>,
}

#[derive(Serialize)]
struct RunProperties<'a> {
    artifact: &'a str,
    digest: &'a str,
}

#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver<'a> {
    name: &'static str,
    semantic_version: &'static str,
    rules: Vec<Rule<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    id: &'a str,
    short_description: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    help_uri: Option<&'a str>,
    default_configuration: Level,
    properties: RuleProperties<'a>,
}

#[derive(Serialize)]
struct RuleProperties<'a> {
    tags: [&'static str; 2],
    /// What code hosts sort by. It is there when there is a score.
    #[serde(rename = "security-severity", skip_serializing_if = "Option::is_none")]
    score: Option<String>,
    aliases: &'a [String],
}

#[derive(Serialize)]
struct Level {
    level: &'static str,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    end_time_utc: String,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: Text,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultOf<'a> {
    rule_id: &'a str,
    rule_index: usize,
    level: &'static str,
    message: Text,
    locations: Vec<Location>,
    partial_fingerprints: BTreeMap<&'static str, String>,
    suppressions: Vec<Suppression>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Physical,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Uri,
    region: Region,
}

#[derive(Serialize)]
struct Uri {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u64,
}

#[derive(Serialize)]
struct Suppression {
    kind: &'static str,
    status: &'static str,
    justification: String,
}

/// The findings of a report as SARIF.
pub(crate) fn log(report: &ScanReport, placed: &[Placed], at: Timestamp) -> Vec<u8> {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut rules: Vec<Rule<'_>> = Vec::new();
    let mut worst: Vec<&Finding> = placed.iter().map(|placed| &placed.finding).collect();
    // One rule for each advisory, with what the worst of its findings says: ratings may differ between packages.
    worst.sort_by(|a, b| a.id.cmp(&b.id).then(b.severity.cmp(&a.severity)).then(b.score.cmp(&a.score)));
    for finding in worst {
        numbers.entry(&finding.id).or_insert_with(|| {
            rules.push(rule(finding));
            rules.len() - 1
        });
    }
    let results = placed.iter().map(|placed| result(placed, numbers[placed.finding.id.as_str()])).collect();
    let log = Log {
        schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: env!("CARGO_PKG_NAME"),
                    semantic_version: env!("CARGO_PKG_VERSION"),
                    rules,
                },
            },
            invocations: [Invocation {
                execution_successful: true,
                end_time_utc: at.to_string(),
                tool_execution_notifications: notifications(report),
            }],
            results,
            column_kind: "unicodeCodePoints",
            properties: RunProperties { artifact: &report.artifact, digest: &report.digest },
        }],
    };
    let mut bytes = serde_json::to_vec_pretty(&log).expect("text and lists are JSON");
    bytes.push(b'\n');
    bytes
}

fn rule(finding: &Finding) -> Rule<'_> {
    Rule {
        id: &finding.id,
        short_description: Text { text: finding.summary.clone() },
        help_uri: finding.url.as_deref(),
        default_configuration: Level { level: level(finding.severity) },
        properties: RuleProperties {
            tags: ["security", "vulnerability"],
            score: finding.score.map(|score| score.to_string()),
            aliases: &finding.aliases,
        },
    }
}

/// What is not known is shown as one shows what may be bad.
fn level(severity: Option<Severity>) -> &'static str {
    match severity {
        Some(Severity::Critical | Severity::High) => "error",
        Some(Severity::Medium) | None => "warning",
        Some(Severity::Low) => "note",
    }
}

fn result(placed: &Placed, rule_index: usize) -> ResultOf<'_> {
    let finding = &placed.finding;
    let fixed = match finding.fixed.as_slice() {
        [] => "there is no version without it".to_owned(),
        some => format!("it is fixed in {}", some.join(", ")),
    };
    let same = format!("{}\n{}\n{}", finding.id, finding.package, finding.version);
    let location = |place: &Place| Location {
        physical_location: Physical {
            artifact_location: Uri { uri: uri(&place.lock_file) },
            region: Region { start_line: place.line },
        },
    };
    ResultOf {
        rule_id: &finding.id,
        rule_index,
        level: level(finding.severity),
        message: Text {
            text: format!("{} {}: {}; {fixed}", finding.package, finding.version, finding.summary),
        },
        locations: placed.places.iter().map(location).collect(),
        partial_fingerprints: [("finding/v1", Digest::of(same.as_bytes()).to_string())].into(),
        suppressions: finding.waived.iter().map(suppression).collect(),
    }
}

fn suppression(waiver: &Waiver) -> Suppression {
    Suppression { kind: "external", status: "accepted", justification: waiver.to_string() }
}

/// What the scanner has to say beside its findings.
fn notifications(report: &ScanReport) -> Vec<Notification> {
    let expired = report.expired.iter().map(|waiver| format!("a waiver has expired: {waiver}"));
    let unused = report.unused.iter().map(|unused| format!("a waiver matches nothing: {}", unused.waiver));
    expired
        .chain(unused)
        .chain(report.notes.iter().cloned())
        .map(|text| Notification { level: "warning", message: Text { text } })
        .collect()
}

/// A path as a URI reference (RFC 3986): what a path may hold and a reference may not is percent-encoded.
fn uri(path: &str) -> String {
    let relative = path.strip_prefix("./").unwrap_or(path);
    let mut uri = if relative.starts_with('/') { "file://".to_owned() } else { String::new() };
    for byte in relative.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_become_references() {
        assert_eq!(uri("./a b/Cargo.lock"), "a%20b/Cargo.lock");
        assert_eq!(uri("/srv/ü:1/Cargo.lock"), "file:///srv/%C3%BC%3A1/Cargo.lock");
        assert_eq!(uri("../Cargo.lock"), "../Cargo.lock");
    }
}
