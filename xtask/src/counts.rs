//! Counting tests from what test runners print.

use std::fmt;
use std::ops::AddAssign;

/// How many tests passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Counts {
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    pub(crate) const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    pub(crate) const SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    /// Reads libtest's `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; …`, one per test binary.
    pub(crate) fn from_libtest(line: &str) -> Option<Self> {
        let (_, fields) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
        let mut fields = fields.split("; ");
        let mut field = |name: &str| fields.next()?.strip_suffix(name)?.trim().parse().ok();
        Some(Self { passed: field("passed")?, failed: field("failed")?, skipped: field("ignored")? })
    }

    /// Reads the line that a check of ours ends with, `3 passed, 0 failed, 1 skipped`.
    pub(crate) fn from_last_line(line: &str) -> Option<Self> {
        let mut fields = line.trim().split(", ");
        let mut field = |name: &str| fields.next()?.strip_suffix(name)?.trim().parse().ok();
        let counts = Self { passed: field("passed")?, failed: field("failed")?, skipped: field("skipped")? };
        fields.next().is_none().then_some(counts)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    fn counts(passed: usize, failed: usize, skipped: usize) -> Option<Counts> {
        Some(Counts { passed, failed, skipped })
    }

    #[test]
    fn libtest_lines() {
        let cases = [
            (
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
                counts(3, 0, 1),
            ),
            ("test result: FAILED. 12 passed; 2 failed; 0 ignored; 0 measured", counts(12, 2, 0)),
            ("test result: ok", None),
            ("test results: ok. 3 passed; 0 failed; 1 ignored", None),
            ("test foo ... ok", None),
            ("3 passed, 0 failed, 1 skipped", None),
        ];
        for (line, expected) in cases {
            assert_eq!(Counts::from_libtest(line), expected, "{line}");
        }
    }

    #[test]
    fn last_lines() {
        let cases = [
            ("3 passed, 0 failed, 1 skipped", counts(3, 0, 1)),
            ("3 passed, 0 failed, 1 skipped\n", counts(3, 0, 1)),
            ("3 passed, 0 failed, 1 skipped, 2 more", None),
            ("3 passed, 0 failed", None),
            ("=== 3 passed, 0 failed, 1 skipped in 2s", None),
            ("", None),
        ];
        for (line, expected) in cases {
            assert_eq!(Counts::from_last_line(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_printed_can_be_read_back() {
        let counts = Counts { passed: 7, failed: 2, skipped: 1 };
        assert_eq!(Counts::from_last_line(&counts.to_string()), Some(counts));
    }
}
