//! Exceptions from the rules: a comment that names the rule and says why, on the line or on the one above.

use super::files::File;
use super::finding::{Finding, Rule};

const MARK: &str = "tidy: allow(";

struct Exception {
    line: usize,
    rule: Rule,
}

/// Takes away what is excused and adds what is wrong with the excuses; sorted.
pub(super) fn apply(files: &[File], findings: Vec<Finding>) -> Vec<Finding> {
    let mut remaining = findings;
    for file in files {
        let (exceptions, mut wrong) = parse(file);
        for exception in exceptions {
            let before = remaining.len();
            remaining.retain(|finding| !excuses(file, &exception, finding));
            if remaining.len() == before {
                let message =
                    format!("no violation of `{}` here; delete the exception", exception.rule.name());
                wrong.push(Finding::new(&file.path, exception.line, Rule::Exception, message));
            }
        }
        remaining.append(&mut wrong);
    }
    remaining.sort();
    remaining
}

fn excuses(file: &File, exception: &Exception, finding: &Finding) -> bool {
    finding.path == file.path
        && finding.rule == exception.rule
        && (finding.line == exception.line || finding.line == exception.line + 1)
}

fn parse(file: &File) -> (Vec<Exception>, Vec<Finding>) {
    let (mut exceptions, mut wrong) = (Vec::new(), Vec::new());
    for (index, line) in comments(file).lines().enumerate() {
        let Some(rest) = comment(file, line).and_then(|comment| comment.strip_prefix(MARK)) else { continue };
        let line = index + 1;
        let (name, reason) = rest.split_once(')').unwrap_or((rest, ""));
        let reason = reason.trim_start_matches(':').trim_end_matches("-->").trim();
        match Rule::by_name(name) {
            None => {
                let message = format!("no rule `{name}`; there are: {}", Rule::names());
                wrong.push(Finding::new(&file.path, line, Rule::Exception, message));
            }
            Some(_) if reason.is_empty() => {
                let message = format!("no reason; write `{MARK}{name}): <why>`");
                wrong.push(Finding::new(&file.path, line, Rule::Exception, message));
            }
            Some(rule) => exceptions.push(Exception { line, rule }),
        }
    }
    (exceptions, wrong)
}

/// Where exceptions may stand: in Rust only comments, not the strings of a test about exceptions.
fn comments(file: &File) -> &str {
    match (&file.rust, &file.text) {
        (Some(rust), _) => &rust.comments,
        (None, Some(text)) => text,
        (None, None) => "",
    }
}

/// The plain comment of a line, without its sign. Documentation about exceptions is none.
fn comment<'a>(file: &File, line: &'a str) -> Option<&'a str> {
    if file.rust.is_some() {
        line.trim_start().strip_prefix("// ")
    } else {
        line.split_once(if file.is_markdown() { "<!-- " } else { "# " }).map(|(_, comment)| comment)
    }
}

#[cfg(test)]
mod tests {
    use super::apply;
    use crate::tidy::files::File;
    use crate::tidy::finding::{Finding, Rule};

    type Found<'a> = &'a [(usize, Rule)];

    fn remaining(path: &str, text: &str) -> Vec<(usize, Rule)> {
        let files = [File::new(path, text.as_bytes().to_vec())];
        let findings = vec![Finding::new(path, 2, Rule::Sleep, "a sleep")];
        apply(&files, findings).into_iter().map(|finding| (finding.line, finding.rule)).collect()
    }

    #[test]
    fn an_exception_needs_a_rule_a_reason_and_a_violation() {
        let sleep = (2, Rule::Sleep);
        let cases: [(&str, &str, &str, Found<'_>); 11] = [
            ("above", "a.rs", "// tidy: allow(sleep): no event for it\nsleep", &[]),
            ("beside", "a.rs", "\nsleep // tidy: allow(sleep): no event for it", &[]),
            ("too far", "a.rs", "\nsleep\n// tidy: allow(sleep): why", &[sleep, (3, Rule::Exception)]),
            ("another rule", "a.rs", "// tidy: allow(blob): why\nsleep", &[(1, Rule::Exception), sleep]),
            ("no reason", "a.rs", "// tidy: allow(sleep)\nsleep", &[(1, Rule::Exception), sleep]),
            ("an empty reason", "a.rs", "// tidy: allow(sleep): \nsleep", &[(1, Rule::Exception), sleep]),
            ("an unknown rule", "a.rs", "// tidy: allow(sloth): why\nsleep", &[(1, Rule::Exception), sleep]),
            ("a string", "a.rs", "\"// tidy: allow(sleep): why\"\nsleep", &[sleep]),
            ("documentation", "a.rs", "//! // tidy: allow(sleep): why\nsleep", &[sleep]),
            ("Python", "a.py", "# tidy: allow(sleep): why\nsleep", &[]),
            ("Markdown", "a.md", "<!-- tidy: allow(sleep): why -->\nsleep", &[]),
        ];
        for (what, path, text, expected) in cases {
            assert_eq!(remaining(path, text), expected, "{what}");
        }
    }
}
