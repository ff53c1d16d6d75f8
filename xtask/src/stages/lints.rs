//! The checks that the toolchain brings along.

use crate::command::{cargo, run};
use crate::outcome::Outcome;
use crate::workspace::Workspace;

pub(crate) fn fmt(workspace: &Workspace) -> Outcome {
    run(&mut cargo(workspace, ["fmt", "--all", "--check"])).into()
}

pub(crate) fn clippy(workspace: &Workspace) -> Outcome {
    run(&mut cargo(
        workspace,
        ["clippy", "--workspace", "--all-targets", "--keep-going", "--", "-D", "warnings"],
    ))
    .into()
}

/// Only libraries: the command's binary has the name of the facade, and two pages of one name overwrite each other.
pub(crate) fn doc(workspace: &Workspace) -> Outcome {
    let flags = std::env::var("RUSTDOCFLAGS").unwrap_or_default();
    run(cargo(workspace, ["doc", "--workspace", "--lib", "--no-deps", "--keep-going"])
        .env("RUSTDOCFLAGS", format!("{flags} -D warnings")))
    .into()
}
