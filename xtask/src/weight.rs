//! How many crates a user of the library builds: the facade with SQLite, on Linux.

use std::collections::BTreeSet;

use crate::command::{cargo, read};
use crate::outcome::Outcome;
use crate::workspace::Workspace;

/// Third-party crates that the library and SQLite may pull in. Adding one is a decision; raising this is a bigger one.
const LIMIT: usize = 75;

/// The crates of a build, each counted once per version.
#[derive(Debug, PartialEq, Eq)]
struct Weight {
    third_party: BTreeSet<String>,
    own: BTreeSet<String>,
}

pub(crate) fn stage(workspace: &Workspace) -> Outcome {
    let result = print(workspace).and_then(|light| {
        if light { Ok(()) } else { Err(format!("more than {LIMIT} third-party crates; leave one out")) }
    });
    result.into()
}

/// Prints the count; whether it is within the limit.
pub(crate) fn print(workspace: &Workspace) -> Result<bool, String> {
    let args = [
        "tree",
        "--package=towpath",
        "--edges=normal,build",
        "--target=x86_64-unknown-linux-gnu",
        "--prefix=none",
        "--no-dedupe",
    ];
    let weight = Weight::of(&read(&mut cargo(workspace, args))?);
    println!(
        "library with SQLite: {} third-party crates (at most {LIMIT}), {} crates of our own",
        weight.third_party.len(),
        weight.own.len()
    );
    Ok(weight.third_party.len() <= LIMIT)
}

impl Weight {
    /// Reads `cargo tree`: a name, a version, and for our own crates the folder in brackets.
    fn of(tree: &str) -> Self {
        let mut weight = Self { third_party: BTreeSet::new(), own: BTreeSet::new() };
        for line in tree.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let krate = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
            let is_own = line.contains(" (/");
            if is_own {
                weight.own.insert(krate)
            } else {
                weight.third_party.insert(krate)
            };
        }
        weight
    }
}

#[cfg(test)]
mod tests {
    use super::Weight;

    #[test]
    fn each_version_counts_once_and_own_crates_apart() {
        let folder = "crates/step-macros";
        let tree = format!(
            "towpath v0.1.0 (/{folder})\nserde v1.0.2\nserde v1.0.2\nsyn v2.0.1\nsyn v3.0.0\n\
             serde_derive v1.0.2 (proc-macro)\ntowpath-step-macros v0.1.0 (proc-macro) (/{folder})\n"
        );
        let weight = Weight::of(&tree);
        assert_eq!(
            Vec::from_iter(weight.third_party),
            ["serde v1.0.2", "serde_derive v1.0.2", "syn v2.0.1", "syn v3.0.0"]
        );
        assert_eq!(Vec::from_iter(weight.own), ["towpath v0.1.0", "towpath-step-macros v0.1.0"]);
    }
}
