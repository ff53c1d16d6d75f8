//! The stages of `cargo xtask test`: run one after the other, all of them also when one fails, so that everything
//! wrong is seen at once.

use std::time::{Duration, Instant};

use crate::counts::Counts;
use crate::outcome::Outcome;
use crate::skips;
use crate::workspace::{self, Workspace};

mod alone;
mod cargo_deny;
mod cargo_test;
mod lints;
mod python;

/// One part of the whole test.
pub(crate) struct Stage {
    name: &'static str,
    /// What is true when it passes.
    claim: &'static str,
    run: fn(&Workspace) -> Outcome,
}

const STAGES: [Stage; 10] = [
    Stage { name: "fmt", claim: "rustfmt finds nothing to change", run: lints::fmt },
    Stage { name: "tidy", claim: "the rules of the house hold", run: crate::tidy::stage },
    Stage { name: "clippy", claim: "clippy has no warnings", run: lints::clippy },
    Stage { name: "doc", claim: "the documentation builds without warnings", run: lints::doc },
    Stage { name: "test", claim: "unit, integration and doc tests pass", run: cargo_test::stage },
    Stage {
        name: "alone",
        claim: "each crate builds without the features of its neighbours",
        run: alone::stage,
    },
    Stage { name: "weight", claim: "the library and SQLite stay light", run: crate::weight::stage },
    Stage {
        name: "deny",
        claim: "licences, bans and sources are as deny.toml says",
        run: cargo_deny::policy,
    },
    Stage { name: "advisories", claim: "no dependency has a known advisory", run: cargo_deny::advisories },
    Stage { name: "python", claim: "the Python package passes its own checks", run: python::stage },
];

/// The stages for the help text.
pub(crate) fn list() -> String {
    STAGES.iter().map(|stage| format!("  {:<12} {}\n", stage.name, stage.claim)).collect()
}

/// The stages that the arguments of `test` ask for: all of them, or those after `--only`.
pub(crate) fn select(args: &[&str]) -> Result<Vec<&'static Stage>, String> {
    let mut wanted = Vec::new();
    let mut rest = args;
    while let [first, tail @ ..] = rest {
        let (name, tail) = match (first.strip_prefix("--only="), tail) {
            (Some(name), _) => (name, tail),
            (None, [name, tail @ ..]) if *first == "--only" => (*name, tail),
            _ => return Err(format!("cannot read `{first}`; write `--only <stage>`")),
        };
        let stage = STAGES.iter().find(|stage| stage.name == name).ok_or_else(|| {
            let names: Vec<_> = STAGES.iter().map(|stage| stage.name).collect();
            format!("no stage `{name}`; there are: {}", names.join(", "))
        })?;
        wanted.push(stage);
        rest = tail;
    }
    Ok(if wanted.is_empty() { STAGES.iter().collect() } else { wanted })
}

/// Runs the stages and prints the counts alone on the last line. Whether nothing failed.
pub(crate) fn run(stages: &[&'static Stage]) -> Result<bool, String> {
    let workspace = Workspace::find()?;
    let mut done = Vec::new();
    for &stage in stages {
        println!("== {}: {}", stage.name, stage.claim);
        let start = Instant::now();
        let outcome = (stage.run)(&workspace);
        let time = start.elapsed();
        for problem in &outcome.problems {
            println!("{problem}");
        }
        println!("== {}: {} in {}\n", stage.name, verdict(&outcome), seconds(time));
        done.push((stage, outcome, time));
    }
    println!("== summary");
    for (stage, outcome, time) in &done {
        println!("{:<8} {:<12} {:>8}   {}", verdict(outcome), stage.name, seconds(*time), outcome.counts);
    }
    let mut total = Counts::default();
    for (_, outcome, _) in &done {
        total += outcome.counts;
    }
    total += judge_skips(&workspace, done.iter().flat_map(|(_, outcome, _)| outcome.skips.clone()).collect());
    println!("{total}");
    Ok(total.failed == 0)
}

/// Names every skipped test; in continuous integration, one that is not on the list is a failure.
fn judge_skips(workspace: &Workspace, skipped: Vec<skips::Skip>) -> Counts {
    for skip in &skipped {
        println!("SKIPPED: {}: {}", skip.test, skip.reason);
    }
    let mut counts = Counts::default();
    if !workspace::in_ci() {
        return counts;
    }
    match skips::expected(workspace) {
        Ok(expected) => {
            for skip in skips::unexpected(&skipped, &expected) {
                println!(
                    "`{}` was skipped; install what it needs, or say why not in {}",
                    skip.test,
                    skips::LIST
                );
                counts += Counts::FAILED;
            }
        }
        Err(problem) => {
            println!("{problem}");
            counts += Counts::FAILED;
        }
    }
    counts
}

fn verdict(outcome: &Outcome) -> &'static str {
    match outcome.counts {
        Counts { failed: 1.., .. } => "FAILED",
        Counts { passed: 0, .. } => "skipped",
        _ => "ok",
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::{STAGES, select};

    fn names(args: &[&str]) -> Result<Vec<&'static str>, String> {
        Ok(select(args)?.iter().map(|stage| stage.name).collect())
    }

    #[test]
    fn without_arguments_every_stage_runs() {
        assert_eq!(names(&[]).map(|all| all.len()), Ok(STAGES.len()));
    }

    #[test]
    fn only_selects() {
        assert_eq!(names(&["--only", "fmt"]), Ok(vec!["fmt"]));
        assert_eq!(names(&["--only=fmt", "--only", "tidy"]), Ok(vec!["fmt", "tidy"]));
        for bad in [&["--only"] as &[_], &["fmt"], &["--only", "nothing"], &["--all"]] {
            assert!(names(bad).is_err(), "{bad:?}");
        }
    }
}
