//! What a scan says, held to what a log and a journal keep.

use std::fmt::Write as _;
use towpath_provider::{Finding, ScanReport, Severity};

/// Most bytes of a report in a step's log.
const LOG_BYTES: usize = 16 << 10;

/// Most findings that a refusal names, and most bytes of one of them: what they say is written by others.
const NAMED: usize = 8;
const NAME_BYTES: usize = 200;

/// The report for a step's log: whole lines, and how many are left out.
pub(super) fn bounded(report: &ScanReport) -> String {
    let text = report.to_string();
    if text.len() <= LOG_BYTES {
        return text;
    }
    let kept: Vec<&str> = text
        .lines()
        .scan(0, |bytes, line| {
            *bytes += line.len() + 1;
            (*bytes <= LOG_BYTES).then_some(line)
        })
        .collect();
    // The last line sums up: it is never left out.
    let (left, sum) = (text.lines().count() - kept.len(), text.lines().last().unwrap_or_default());
    let all = report.text.as_ref().map(|file| format!("; all of it is in {}", file.path)).unwrap_or_default();
    format!("{}\n{left} lines more{all}\n{sum}", kept.join("\n"))
}

/// Why an image is refused: the worst findings by name.
pub(super) fn refusal(blocking: &[&Finding], fail_on: Severity, report: &ScanReport) -> String {
    let mut worst = blocking.to_vec();
    worst.sort_by_key(|finding| std::cmp::Reverse((finding.severity, finding.score)));
    let noun = if worst.len() == 1 { "finding is" } else { "findings are" };
    let mut text = format!("{} {noun} {fail_on} or worse: ", worst.len());
    for (number, finding) in worst.iter().take(NAMED).enumerate() {
        text += if number == 0 { "" } else { ", " };
        text += cut(&name(finding), NAME_BYTES);
    }
    if worst.len() > NAMED {
        let _ = write!(text, " and {} more", worst.len() - NAMED);
    }
    if let Some(file) = &report.text {
        let _ = write!(text, "; see {}", cut(&file.path, NAME_BYTES));
    }
    text
}

fn name(finding: &Finding) -> String {
    let score = finding.score.map(|score| format!(" {score}")).unwrap_or_default();
    let fixed = match finding.fixed.first() {
        Some(version) => format!("fixed in {version}"),
        None => "no fix".to_owned(),
    };
    let text = format!(
        "{} in {} {} ({}{score}, {fixed})",
        finding.id,
        finding.package,
        finding.version,
        finding.severity_word()
    );
    text.chars().filter(|c| !c.is_control()).collect()
}

/// At most this many bytes, and no half characters.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
