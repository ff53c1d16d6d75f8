//! The Python package has its own check, a program that ends with a line of counts.

use std::process::Command;

use crate::command::stream;
use crate::counts::Counts;
use crate::outcome::Outcome;
use crate::skips::{self, SkipFile};
use crate::workspace::Workspace;

const CHECK: &str = "bindings/python/check";

pub(crate) fn stage(workspace: &Workspace) -> Outcome {
    let program = workspace.root().join(CHECK);
    if !program.is_file() {
        return Outcome::from(Err(format!("{CHECK} is missing; the Python package has no check")));
    }
    let mut last = None;
    let mut outcome = Outcome::default();
    let result = SkipFile::create(workspace, "python").and_then(|file| {
        let mut command = Command::new(&program);
        command.current_dir(workspace.root()).env(skips::VARIABLE, file.path());
        let ended = stream(&mut command, |line| {
            if !line.is_empty() {
                last = Counts::from_last_line(line);
            }
        });
        outcome.skips = file.read()?;
        ended
    });
    settle(&mut outcome, last, result);
    outcome
}

fn settle(outcome: &mut Outcome, last: Option<Counts>, result: Result<(), String>) {
    outcome.counts = last.unwrap_or_default();
    match result {
        Err(problem) if outcome.counts.failed == 0 => outcome.fail(problem),
        Err(problem) => outcome.problems.push(problem),
        Ok(()) if last.is_none() => {
            outcome.fail(format!("{CHECK} must end with `N passed, N failed, N skipped`, and did not"));
        }
        Ok(()) if outcome.counts == Counts::default() => outcome.fail("no test ran".to_owned()),
        Ok(()) => {}
    }
    // A skip without a name could not be held against the list of those that are expected.
    if outcome.counts.skipped > outcome.skips.len() {
        let unnamed = outcome.counts.skipped - outcome.skips.len();
        outcome
            .fail(format!("{unnamed} skips are not named; append each to the file in ${}", skips::VARIABLE));
    }
}

#[cfg(test)]
mod tests {
    use super::settle;
    use crate::counts::Counts;
    use crate::outcome::Outcome;
    use crate::skips::Skip;

    fn settled(last: Option<(usize, usize, usize)>, named: usize, result: Result<(), &str>) -> Counts {
        let skip = Skip { test: "a".to_owned(), reason: "b".to_owned() };
        let mut outcome = Outcome { skips: vec![skip; named], ..Outcome::default() };
        let last = last.map(|(passed, failed, skipped)| Counts { passed, failed, skipped });
        settle(&mut outcome, last, result.map_err(str::to_owned));
        outcome.counts
    }

    #[test]
    fn counts_say_what_they_mean() {
        let cases = [
            ("all pass", settled(Some((3, 0, 0)), 0, Ok(())), (3, 0, 0)),
            ("nothing ran", settled(Some((0, 0, 0)), 0, Ok(())), (0, 1, 0)),
            ("no counts", settled(None, 0, Ok(())), (0, 1, 0)),
            ("it died", settled(None, 0, Err("exit status: 1")), (0, 1, 0)),
            ("failures are counted once", settled(Some((3, 2, 0)), 0, Err("exit status: 1")), (3, 2, 0)),
            ("it failed without saying what", settled(Some((3, 0, 0)), 0, Err("exit status: 1")), (3, 1, 0)),
            ("a named skip", settled(Some((3, 0, 1)), 1, Ok(())), (3, 0, 1)),
            ("a skip without a name", settled(Some((3, 0, 1)), 0, Ok(())), (3, 1, 1)),
        ];
        for (what, counts, (passed, failed, skipped)) in cases {
            assert_eq!(counts, Counts { passed, failed, skipped }, "{what}");
        }
    }
}
