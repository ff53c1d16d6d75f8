//! `cargo deny`: what may enter the dependency graph. The checks themselves run offline; only getting the tool and the
//! sources of the dependencies may use the network.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{cargo, read, run};
use crate::outcome::Outcome;
use crate::workspace::Workspace;

/// Pinned, because the meaning of deny.toml changes from release to release.
const VERSION: &str = "0.20.2";

/// Where a copy of the advisory database may be, relative to the workspace.
const DATABASE: &str = "../shared/data/advisory-db";
const DATABASE_VARIABLE: &str = "TOWPATH_ADVISORY_DB";

/// The name under which this version of cargo-deny looks for a copy of the default database: it ends in a hash of the
/// address that the copy would have been fetched from.
const DATABASE_NAME: &str = "advisory-db-3157b0e258782691";

/// Licences, bans and sources.
pub(crate) fn policy(workspace: &Workspace) -> Outcome {
    deny(workspace).and_then(|mut deny| run(deny.args(["bans", "licenses", "sources"]))).into()
}

/// Advisories, against a copy of the database.
pub(crate) fn advisories(workspace: &Workspace) -> Outcome {
    let named = std::env::var_os(DATABASE_VARIABLE);
    let database = workspace.root().join(named.as_deref().unwrap_or(DATABASE.as_ref()));
    if !database.join("crates").is_dir() {
        if named.is_some() {
            let problem =
                format!("{DATABASE_VARIABLE} names {}, which is no advisory database", database.display());
            return Outcome::from(Err(problem));
        }
        let reason = format!("no advisory database at hand; name a checkout of one in {DATABASE_VARIABLE}");
        return Outcome::skipped("advisories", &reason);
    }
    let result = stage_database(workspace, &database).and_then(|databases| {
        deny(workspace)
            .and_then(|mut deny| run(deny.arg("advisories").env("TOWPATH_ADVISORY_DBS", databases)))
    });
    result.into()
}

/// Puts the database where cargo-deny looks for it. It wants a checkout that was fetched lately; the copy may be
/// read-only and without history, so it is linked to from a folder that has just enough of a checkout.
fn stage_database(workspace: &Workspace, database: &Path) -> Result<PathBuf, String> {
    let databases = workspace.scratch("advisory-dbs")?;
    let checkout = databases.join(DATABASE_NAME);
    let fail = |e: std::io::Error| format!("cannot prepare {}: {e}", checkout.display());
    let link = checkout.join("crates");
    std::fs::create_dir_all(checkout.join(".git")).map_err(fail)?;
    std::fs::write(checkout.join(".git/FETCH_HEAD"), "").map_err(fail)?;
    match std::fs::remove_file(&link) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fail(e)),
        _ => {}
    }
    let target = database.join("crates").canonicalize().map_err(fail)?;
    std::os::unix::fs::symlink(target, &link).map_err(fail)?;
    Ok(databases)
}

/// The beginning of a call, up to the names of the checks.
fn deny(workspace: &Workspace) -> Result<Command, String> {
    let program = find(workspace)?;
    // The graph has the dependencies of all platforms, more than the build has downloaded.
    run(&mut cargo(workspace, ["fetch", "--locked", "--quiet"]))?;
    let mut command = Command::new(program);
    command.current_dir(workspace.root()).args(["--offline", "check", "--hide-inclusion-graph"]);
    Ok(command)
}

/// cargo-deny in the right version: installed by somebody, kept in the build directory from last time, or built now.
fn find(workspace: &Workspace) -> Result<PathBuf, String> {
    let tools = workspace.target().join("xtask").join("tools");
    let kept = tools.join("bin/cargo-deny");
    for program in [PathBuf::from("cargo-deny"), kept.clone()] {
        // One that cannot be started is one that is not there.
        let version = read(Command::new(&program).arg("--version")).unwrap_or_default();
        if version.trim() == format!("cargo-deny {VERSION}") {
            return Ok(program);
        }
    }
    println!("building cargo-deny {VERSION} into {}; this takes minutes, once", tools.display());
    // Not into the build directory of the workspace: it would leave a gigabyte behind.
    let mut install = cargo(workspace, ["install", "cargo-deny", "--version", VERSION, "--locked", "--root"]);
    run(install.arg(&tools).env_remove("CARGO_TARGET_DIR"))
        .map_err(|problem| format!("cargo-deny {VERSION} is missing and cannot be installed: {problem}"))?;
    Ok(kept)
}
