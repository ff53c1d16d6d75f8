//! What a stage comes back with.

use crate::counts::Counts;
use crate::skips::Skip;

/// The result of one stage.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    /// What was skipped, by name, so that it can be held against the list of what may be.
    pub(crate) skips: Vec<Skip>,
    /// Why the stage failed, in words; what the tools said themselves has been printed already.
    pub(crate) problems: Vec<String>,
}

impl Outcome {
    /// A stage that was skipped as a whole.
    pub(crate) fn skipped(test: &str, reason: &str) -> Self {
        let skip = Skip { test: test.to_owned(), reason: reason.to_owned() };
        Self { counts: Counts::SKIPPED, skips: vec![skip], problems: Vec::new() }
    }

    /// Adds a failure that no test runner has counted.
    pub(crate) fn fail(&mut self, problem: String) {
        self.counts += Counts::FAILED;
        self.problems.push(problem);
    }
}

/// A check that is not a list of tests counts as one test.
impl From<Result<(), String>> for Outcome {
    fn from(result: Result<(), String>) -> Self {
        match result {
            Ok(()) => Self { counts: Counts::PASSED, ..Self::default() },
            Err(problem) => Self { counts: Counts::FAILED, skips: Vec::new(), problems: vec![problem] },
        }
    }
}
