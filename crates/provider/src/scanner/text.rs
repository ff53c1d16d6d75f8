//! A report for people: aligned, without colour.

use super::{Finding, ScanReport, Severity};
use std::fmt::{self, Write as _};

/// Most characters of a summary in a line.
const SUMMARY: usize = 72;

impl fmt::Display for ScanReport {
    /// A report of several lines: the worst first, what is waived behind. It ends without a newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})", self.artifact, self.digest)?;
        self.base(f)?;
        let mut findings: Vec<&Finding> = self.findings.iter().collect();
        // A stable sort: within one severity the report's own order stays.
        findings.sort_by_key(|finding| {
            let unknown = finding.severity.is_none();
            (finding.waived.is_some(), unknown, std::cmp::Reverse(finding.severity))
        });
        let mut table = Table::default();
        for finding in findings {
            table.row(finding);
        }
        table.write(f)?;
        for waiver in &self.expired {
            writeln!(f, "expired and without effect: {waiver}")?;
        }
        for unused in &self.unused {
            let also = if unused.has_expired { " and has expired" } else { "" };
            writeln!(f, "matches nothing{also}: {}", unused.waiver)?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        self.sum(f)
    }
}

impl ScanReport {
    fn base(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = &self.advisories;
        write!(f, "{} components, {} of them matched against ", self.components, self.matched)?;
        write!(f, "{} advisories in {}", base.count, base.location)?;
        match base.updated {
            Some(updated) => writeln!(f, ", last changed {updated}"),
            None => writeln!(f),
        }
    }

    fn sum(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.open().count();
        if open == 0 && self.waived() == 0 {
            return write!(f, "no findings");
        }
        let mut parts = Vec::new();
        let classes = Severity::ALL.into_iter().map(Some).chain([None]);
        for class in classes {
            let (count, word) = (self.count(class), class.map_or("unknown", Severity::word));
            if count > 0 {
                parts.push(format!("{count} {word}"));
            }
        }
        let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
        let noun = if open == 1 { "finding" } else { "findings" };
        write!(f, "{open} {noun}{parts}, {} waived", self.waived())
    }
}

/// Cells that are padded to the widest of their column; the last one is not.
#[derive(Default)]
struct Table(Vec<([String; 4], String)>);

impl Table {
    fn row(&mut self, finding: &Finding) {
        let severity = match finding.score {
            Some(score) => format!("{} {score}", finding.severity_word()),
            None => finding.severity_word().to_owned(),
        };
        let fixed = match finding.fixed.as_slice() {
            [] => "no fix".to_owned(),
            some => format!("fixed in {}", some.join(", ")),
        };
        let package = format!("{} {}", finding.package, finding.version);
        let mut rest = one_line(&finding.summary, SUMMARY);
        if let Some(waiver) = &finding.waived {
            let _ = write!(rest, " [waived: {waiver}]");
        }
        self.0.push(([severity, package, finding.id.clone(), fixed], rest));
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths = [0; 4];
        for (cells, _) in &self.0 {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for (cells, rest) in &self.0 {
            for (width, cell) in widths.iter().zip(cells) {
                write!(f, "{cell:width$}  ")?;
            }
            writeln!(f, "{rest}")?;
        }
        Ok(())
    }
}

/// The text on one line, without what a terminal would obey: advisories are written by others.
fn one_line(text: &str, most: usize) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let clean: String = words.chars().filter(|c| !c.is_control()).collect();
    match clean.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", clean[..end].trim_end()),
        None => clean,
    }
}

#[cfg(test)]
mod tests {
    use crate::{AdvisoryBase, Finding, ReportFile, ScanReport, Score, Severity, UnusedWaiver, Waiver};
    use towpath_model::Timestamp;

    fn finding(id: &str, package: &str, severity: Option<Severity>) -> Finding {
        Finding {
            id: id.to_owned(),
            aliases: Vec::new(),
            package: package.to_owned(),
            version: "1.0.0".to_owned(),
            lock_files: vec!["Cargo.lock".to_owned()],
            severity,
            score: None,
            vector: None,
            fixed: Vec::new(),
            summary: "a\nsummary \u{1b}[31min red".to_owned(),
            url: None,
            waived: None,
        }
    }

    fn waiver() -> Waiver {
        Waiver {
            advisory: "DEMO-2".to_owned(),
            package: Some("demo-b".to_owned()),
            reason: "not reachable".to_owned(),
            expires: "2026-12-31".to_owned(),
            owner: Some("ann".to_owned()),
        }
    }

    fn report(findings: Vec<Finding>) -> ScanReport {
        ScanReport {
            artifact: "checkout".to_owned(),
            digest: "sha256:ab".to_owned(),
            components: 9,
            matched: 8,
            findings,
            expired: Vec::new(),
            unused: Vec::new(),
            notes: Vec::new(),
            advisories: AdvisoryBase {
                location: "advisories".to_owned(),
                count: 3,
                withdrawn: 0,
                updated: Some(Timestamp::from_micros(1_700_000_000_000_000)),
            },
            sbom: ReportFile { path: String::new(), digest: String::new(), size_bytes: 0 },
            sarif: None,
            text: None,
        }
    }

    #[test]
    fn the_worst_is_first_and_what_is_waived_is_last() {
        let mut critical = finding("DEMO-3", "demo-c", Some(Severity::Critical));
        critical.score = Some(Score::of_tenths(98));
        critical.fixed = vec!["1.2.3".to_owned()];
        let mut waived = finding("DEMO-2", "demo-b", Some(Severity::Critical));
        waived.waived = Some(waiver());
        let mut report = report(vec![finding("DEMO-1", "demo-long-name", None), waived, critical]);
        report.expired.push(waiver());
        report.unused.push(UnusedWaiver { waiver: waiver(), has_expired: true });
        report.notes.push("demo-z: only git ranges".to_owned());
        let told = "for demo-b until 2026-12-31, by ann: not reachable";
        assert_eq!(
            report.to_string().lines().collect::<Vec<_>>(),
            [
                "checkout (sha256:ab)",
                "9 components, 8 of them matched against 3 advisories in advisories, last changed 2023-11-14T22:13:20.000000Z",
                "critical 9.8  demo-c 1.0.0          DEMO-3  fixed in 1.2.3  a summary [31min red",
                "unknown       demo-long-name 1.0.0  DEMO-1  no fix          a summary [31min red",
                &format!(
                    "critical      demo-b 1.0.0          DEMO-2  no fix          a summary [31min red [waived: DEMO-2 {told}]"
                ),
                &format!("expired and without effect: DEMO-2 {told}"),
                &format!("matches nothing and has expired: DEMO-2 {told}"),
                "note: demo-z: only git ranges",
                "2 findings (1 critical, 1 unknown), 1 waived",
            ]
        );
    }

    #[test]
    fn nothing_found_is_said() {
        assert!(report(Vec::new()).to_string().ends_with("\nno findings"));
        let long = report(vec![Finding { summary: "ä".repeat(80), ..finding("A", "b", None) }]).to_string();
        assert!(long.contains(&format!("{}…\n", "ä".repeat(72))), "{long}");
    }
}
