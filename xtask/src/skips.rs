//! Skipped tests. A test that cannot run (a tool is missing, a service is not there) appends
//! `SKIPPED: <test>: <reason>` to the file named by `TOWPATH_SKIPS`: a test's output is captured while it passes, so it
//! cannot be the channel. In continuous integration only what `xtask/expected-skips.txt` names may be skipped.

use std::path::{Path, PathBuf};

use crate::workspace::Workspace;

/// The environment variable that names the file to append to.
pub(crate) const VARIABLE: &str = "TOWPATH_SKIPS";

/// What may be skipped in continuous integration, with a reason for each.
pub(crate) const LIST: &str = "xtask/expected-skips.txt";

/// One test that did not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skip {
    pub(crate) test: String,
    pub(crate) reason: String,
}

impl Skip {
    fn from_line(line: &str) -> Option<Self> {
        let (test, reason) = line.strip_prefix("SKIPPED: ")?.split_once(": ")?;
        Some(Self { test: test.trim().to_owned(), reason: reason.trim().to_owned() })
    }
}

/// The file of one stage, empty at its start.
pub(crate) struct SkipFile(PathBuf);

impl SkipFile {
    pub(crate) fn create(workspace: &Workspace, stage: &str) -> Result<Self, String> {
        let path = workspace.scratch("skips")?.join(stage);
        std::fs::write(&path, "").map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What was skipped. A line of another shape is an error: it would be a skip that nobody counts.
    pub(crate) fn read(&self) -> Result<Vec<Skip>, String> {
        let text =
            std::fs::read_to_string(&self.0).map_err(|e| format!("cannot read {}: {e}", self.0.display()))?;
        text.lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| {
                Skip::from_line(line).ok_or_else(|| {
                    format!("`{line}` in ${VARIABLE}; write `SKIPPED: <test>: <reason>`, one per line")
                })
            })
            .collect()
    }
}

/// Tests that may be skipped in continuous integration, read from the list beside xtask's manifest.
pub(crate) fn expected(workspace: &Workspace) -> Result<Vec<Skip>, String> {
    let path = workspace.root().join(LIST);
    let text = std::fs::read_to_string(&path).map_err(|e| format!("cannot read {LIST}: {e}"))?;
    parse_expected(&text)
}

fn parse_expected(text: &str) -> Result<Vec<Skip>, String> {
    let mut expected = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once(": ").map(|(test, reason)| (test.trim(), reason.trim())) {
            Some((test, reason)) if !test.is_empty() && !reason.is_empty() => {
                expected.push(Skip { test: test.to_owned(), reason: reason.to_owned() });
            }
            _ => {
                return Err(format!(
                    "{LIST}:{}: no reason; write `<test>: <why it may be skipped in CI>`",
                    index + 1
                ));
            }
        }
    }
    Ok(expected)
}

/// The skips that the list does not name.
pub(crate) fn unexpected<'a>(skips: &'a [Skip], expected: &[Skip]) -> Vec<&'a Skip> {
    skips.iter().filter(|skip| !expected.iter().any(|e| e.test == skip.test)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Skip, parse_expected, unexpected};

    fn skip(test: &str, reason: &str) -> Skip {
        Skip { test: test.to_owned(), reason: reason.to_owned() }
    }

    #[test]
    fn lines_of_tests() {
        let cases = [
            (
                "SKIPPED: store::postgres: no server at hand",
                Some(skip("store::postgres", "no server at hand")),
            ),
            ("SKIPPED: nothing else", None),
            ("skipped: a: b", None),
        ];
        for (line, expected) in cases {
            assert_eq!(Skip::from_line(line), expected, "{line}");
        }
    }

    #[test]
    fn the_list_wants_reasons() {
        let list = "# a comment\n\nstore::postgres: there is no server in CI\n";
        assert_eq!(parse_expected(list), Ok(vec![skip("store::postgres", "there is no server in CI")]));
        for bare in ["store", "store:", "store: "] {
            assert!(parse_expected(bare).is_err(), "{bare}");
        }
    }

    #[test]
    fn only_listed_skips_are_expected() {
        let skips = [skip("listed", "no tool"), skip("new", "no tool")];
        let expected = [skip("listed", "not in CI")];
        assert_eq!(unexpected(&skips, &expected), [&skips[1]]);
    }
}
