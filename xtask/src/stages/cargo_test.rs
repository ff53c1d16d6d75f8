//! Unit, integration and doc tests, counted from what libtest prints.

use crate::command::{cargo, stream};
use crate::counts::Counts;
use crate::outcome::Outcome;
use crate::skips::{self, SkipFile};
use crate::workspace::Workspace;

pub(crate) fn stage(workspace: &Workspace) -> Outcome {
    let mut outcome = Outcome::default();
    let result = SkipFile::create(workspace, "test").and_then(|file| {
        let mut command = cargo(workspace, ["test", "--workspace", "--no-fail-fast"]);
        let ended = stream(command.env(skips::VARIABLE, file.path()), |line| {
            if let Some(counts) = Counts::from_libtest(line) {
                outcome.counts += counts;
            }
        });
        outcome.skips = file.read()?;
        ended
    });
    settle(&mut outcome, result);
    outcome
}

/// Brings the counts in line with what they mean: libtest does not know about our skips, about crates that do not
/// compile, nor that we have no ignored tests.
fn settle(outcome: &mut Outcome, result: Result<(), String>) {
    // A test that skips itself returns early, and libtest calls that a pass.
    let skipped = outcome.skips.len();
    outcome.counts.passed = outcome.counts.passed.saturating_sub(skipped);
    let ignored = outcome.counts.skipped;
    outcome.counts.skipped += skipped;
    match result {
        Err(problem) if outcome.counts.failed == 0 => outcome.fail(problem),
        Err(problem) => outcome.problems.push(problem),
        Ok(()) if outcome.counts == Counts::default() => outcome.fail("no test ran".to_owned()),
        Ok(()) => {}
    }
    if ignored > 0 {
        outcome.fail(format!("{ignored} tests are ignored; make them run, or delete them"));
    }
}

#[cfg(test)]
mod tests {
    use super::settle;
    use crate::counts::Counts;
    use crate::outcome::Outcome;
    use crate::skips::Skip;

    fn settled(
        passed: usize,
        failed: usize,
        ignored: usize,
        skips: usize,
        result: Result<(), &str>,
    ) -> Counts {
        let skip = Skip { test: "a".to_owned(), reason: "b".to_owned() };
        let mut outcome = Outcome {
            counts: Counts { passed, failed, skipped: ignored },
            skips: vec![skip; skips],
            problems: Vec::new(),
        };
        settle(&mut outcome, result.map_err(str::to_owned));
        outcome.counts
    }

    #[test]
    fn counts_say_what_they_mean() {
        let cases = [
            ("all pass", settled(3, 0, 0, 0, Ok(())), (3, 0, 0)),
            ("a skip is not a pass", settled(3, 0, 0, 1, Ok(())), (2, 0, 1)),
            ("a crate that does not compile", settled(3, 0, 0, 0, Err("exit status: 101")), (3, 1, 0)),
            ("failures are counted once", settled(3, 2, 0, 0, Err("exit status: 101")), (3, 2, 0)),
            ("nothing ran", settled(0, 0, 0, 0, Ok(())), (0, 1, 0)),
            ("an ignored test", settled(3, 0, 1, 0, Ok(())), (3, 1, 1)),
        ];
        for (what, counts, (passed, failed, skipped)) in cases {
            assert_eq!(counts, Counts { passed, failed, skipped }, "{what}");
        }
    }
}
