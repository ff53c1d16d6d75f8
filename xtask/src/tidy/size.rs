//! Sizes that a reader can hold: files, functions, and what lies in the repository at all.

use super::files::File;
use super::finding::{Finding, Rule};
use super::rust::Rust;

const FILE_LINES: usize = 800;
const FUNCTION_LINES: usize = 70;
const BLOB_BYTES: usize = 256 * 1024;

pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    if file.length > BLOB_BYTES {
        let message = format!("{} bytes, more than {BLOB_BYTES}; make it when it is needed", file.length);
        findings.push(Finding::new(&file.path, 1, Rule::Blob, message));
    }
    let lines = file.text.as_deref().map_or(0, |text| text.lines().count());
    let is_code = file.rust.is_some() || file.is_python();
    let code_lines = lines.saturating_sub(file.rust.as_ref().map_or(0, Rust::test_line_count));
    if is_code && !file.is_test() && code_lines > FILE_LINES {
        let message =
            format!("{code_lines} lines without tests, more than {FILE_LINES}; split it along a real seam");
        findings.push(Finding::new(&file.path, 1, Rule::FileSize, message));
    }
    if let Some(rust) = &file.rust {
        findings.extend(functions(&file.path, rust));
    }
    findings
}

fn functions(path: &str, rust: &Rust) -> Vec<Finding> {
    let mut findings = Vec::new();
    for at in (0..rust.len()).filter(|&at| rust.is(at, "fn") && rust.is_name(at + 1)) {
        let first = rust.line(at);
        let lines = rust.line(rust.item_end(at)) - first + 1;
        if lines > FUNCTION_LINES && !rust.in_test(first) {
            let name = rust.text(at + 1);
            let message =
                format!("`{name}` has {lines} lines, more than {FUNCTION_LINES}; give its parts names");
            findings.push(Finding::new(path, first, Rule::FunctionSize, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{BLOB_BYTES, FILE_LINES, FUNCTION_LINES, check};
    use crate::tidy::files::File;
    use crate::tidy::finding::Rule;

    fn found(path: &str, text: &str) -> Vec<(usize, Rule)> {
        let file = File::new(path, text.as_bytes().to_vec());
        check(&file).into_iter().map(|finding| (finding.line, finding.rule)).collect()
    }

    fn function(lines: usize) -> String {
        format!(
            "fn long(\n    a: [u8; {{ 3 }}],\n) {{\n{}}}\n",
            "    let s = \"}\"; // }\n".repeat(lines - 4)
        )
    }

    #[test]
    fn long_functions_are_found() {
        let (fits, long) = (function(FUNCTION_LINES), function(FUNCTION_LINES + 1));
        let cases = [
            ("one that fits", fits, vec![]),
            ("one line more", long.clone(), vec![(1, Rule::FunctionSize)]),
            ("the second one", format!("fn a() {{}}\n{long}"), vec![(2, Rule::FunctionSize)]),
            ("in an impl", format!("impl A {{\n{long}}}"), vec![(2, Rule::FunctionSize)]),
            ("a test", format!("#[test]\n{long}"), vec![]),
            ("a declaration before", format!("fn b();\n{}", function(FUNCTION_LINES)), vec![]),
            ("a pointer type", format!("type F = fn(u8);\n{}", function(FUNCTION_LINES)), vec![]),
        ];
        for (what, text, expected) in cases {
            assert_eq!(found("crates/a/src/a.rs", &text), expected, "{what}");
        }
        assert_eq!(found("crates/a/tests/a.rs", &long), [], "a file of tests");
    }

    #[test]
    fn long_files_are_found() {
        let (fits, long) = ("\n".repeat(FILE_LINES), "\n".repeat(FILE_LINES + 1));
        let tested = format!("{fits}#[cfg(test)]\nmod tests {{\n{fits}}}\n");
        let cases = [
            ("one that fits", "a.rs", fits, vec![]),
            ("one line more", "a.rs", long.clone(), vec![(1, Rule::FileSize)]),
            ("Python", "a.py", long.clone(), vec![(1, Rule::FileSize)]),
            ("tests do not count", "a.rs", tested, vec![]),
            ("a file of tests", "a/tests.rs", long.clone(), vec![]),
            ("not code", "a.md", long, vec![]),
        ];
        for (what, path, text, expected) in cases {
            assert_eq!(found(path, &text), expected, "{what}");
        }
    }

    #[test]
    fn blobs_are_found() {
        assert_eq!(found("a.json", &"x".repeat(BLOB_BYTES)), []);
        assert_eq!(found("a.json", &"x".repeat(BLOB_BYTES + 1)), [(1, Rule::Blob)]);
    }
}
