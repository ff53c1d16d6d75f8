//! Which crate may depend on which. The table is that of docs/architecture.md: dependencies point downward only.

use std::collections::BTreeMap;

use super::files::File;
use super::finding::{Finding, Rule};
use crate::command::{cargo, read};
use crate::workspace::Workspace;

/// What a crate may depend on, names without the prefix. `model` is the vocabulary of all: whoever may reach it through
/// another crate may name it.
const EDGES: [(&str, &[&str]); 20] = [
    ("model", &[]),
    ("machine", &["model"]),
    ("view", &["machine", "model"]),
    ("step-macros", &[]),
    ("step", &["machine", "model", "step-macros"]),
    ("provider", &["model"]),
    ("provider-oci", &["provider", "model"]),
    ("provider-osv", &["provider", "step", "model"]),
    ("provider-sql", &["provider", "step", "model"]),
    ("provider-local", &["provider", "provider-oci", "model"]),
    ("analysis", &[]),
    ("store", &["model"]),
    ("store-sqlite", &["store", "model"]),
    ("engine", &["machine", "step", "store", "store-sqlite", "provider", "model"]),
    ("testkit", &["engine", "step", "store", "machine", "model", "provider"]),
    ("steps", &["step", "provider", "analysis", "model"]),
    (
        "towpath",
        &[
            "step",
            "steps",
            "machine",
            "model",
            "view",
            "provider",
            "provider-oci",
            "provider-osv",
            "provider-sql",
            "provider-local",
            "analysis",
            "store",
            "store-sqlite",
            "engine",
        ],
    ),
    ("cli", &["towpath"]),
    ("python", &["towpath", "cli"]),
    ("xtask", &[]),
];

/// Crates that nobody depends on may depend on everything.
const FREE: [&str; 3] = ["bench", "examples", "tests"];

/// The pure crates: neither they nor their tests may know the engine.
const PURE: [&str; 3] = ["model", "machine", "view"];

/// Clocks, randomness, async and I/O, by the crates that bring them.
const IMPURE: [&str; 18] = [
    "async-std",
    "async-trait",
    "chrono",
    "fastrand",
    "futures",
    "futures-core",
    "getrandom",
    "hyper",
    "jiff",
    "mio",
    "rand",
    "rand_core",
    "reqwest",
    "rusqlite",
    "smol",
    "time",
    "tokio",
    "uuid",
];

/// A dependency between two crates of the workspace, or of one on a crate of others.
#[derive(Debug, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
}

pub(super) fn check(workspace: &Workspace, files: &[File]) -> Result<Vec<Finding>, String> {
    let edges = |kinds: &str| {
        let args =
            ["tree", "--workspace", "--all-features", "--depth=1", "--prefix=depth", "--no-dedupe", kinds];
        read(&mut cargo(workspace, args)).map(|tree| parse_edges(&tree))
    };
    let mut problems = forbidden(&edges("--edges=normal,build")?, &edges("--edges=dev")?);
    for krate in PURE {
        let package = format!("--package={}", package(krate));
        let args = ["tree", &package, "--all-features", "--edges=normal", "--prefix=none", "--no-dedupe"];
        problems.extend(impure(krate, &read(&mut cargo(workspace, args))?));
    }
    let manifests = manifests(files);
    Ok(problems.into_iter().map(|(edge, message)| locate(&manifests, &edge, message)).collect())
}

fn package(krate: &str) -> String {
    if matches!(krate, "towpath" | "xtask") { krate.to_owned() } else { format!("towpath-{krate}") }
}

/// Reads `cargo tree --prefix=depth`: `0` before a crate of the workspace, `1` before what it depends on. Names of our
/// crates lose the prefix.
fn parse_edges(tree: &str) -> Vec<Edge> {
    let short = |line: &str| {
        let name = line.split(' ').next().unwrap_or(line);
        let is_own = line.contains(" (/");
        name.strip_prefix("towpath-").filter(|_| is_own).unwrap_or(name).to_owned()
    };
    let (mut from, mut edges) = (String::new(), Vec::new());
    for line in tree.lines() {
        if let Some(line) = line.strip_prefix('0') {
            from = short(line);
        } else if let Some(line) = line.strip_prefix('1') {
            edges.push(Edge { from: from.clone(), to: short(line) });
        }
    }
    edges
}

/// The edges that the table does not have.
fn forbidden(edges: &[Edge], dev_edges: &[Edge]) -> Vec<(Edge, String)> {
    let table = BTreeMap::from(EDGES);
    let is_own = |name: &str| table.contains_key(name) || FREE.contains(&name);
    let mut problems = Vec::new();
    for Edge { from, to } in edges {
        let message = match table.get(from.as_str()) {
            _ if FREE.contains(&from.as_str()) => continue,
            None => format!(
                "crate `{from}` is not in the table of crates; add it there and in docs/architecture.md"
            ),
            Some(allowed) if !is_own(to) || allowed.contains(&to.as_str()) => continue,
            Some(_) => format!(
                "`{from}` may not depend on `{to}`; dependencies point downward, see docs/architecture.md"
            ),
        };
        problems.push((Edge { from: from.clone(), to: to.clone() }, message));
    }
    for Edge { from, to } in
        dev_edges.iter().filter(|edge| PURE.contains(&edge.from.as_str()) && edge.to == "engine")
    {
        let message = format!("tests of `{from}` may not use `{to}`; a pure crate is tested without it");
        problems.push((Edge { from: from.clone(), to: to.clone() }, message));
    }
    problems
}

/// Crates below a pure one that bring in the outside world.
fn impure(krate: &str, tree: &str) -> Vec<(Edge, String)> {
    let mut names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    names.sort_unstable();
    names.dedup();
    let is_impure = |name: &&str| IMPURE.contains(name) || name.starts_with("tokio-");
    names
        .into_iter()
        .filter(is_impure)
        .map(|name| {
            let message = format!(
                "`{krate}` must stay pure, and `{name}` is below it; `cargo tree -i {name}` says why"
            );
            (Edge { from: krate.to_owned(), to: name.to_owned() }, message)
        })
        .collect()
}

/// The manifests by the name of their package.
fn manifests(files: &[File]) -> BTreeMap<String, (&str, &str)> {
    files
        .iter()
        .filter(|file| file.name() == "Cargo.toml")
        .filter_map(|file| {
            let text = file.text.as_deref()?;
            let name = text.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))?;
            Some((name.to_owned(), (file.path.as_str(), text)))
        })
        .collect()
}

/// Puts a finding on the line of the manifest that makes the dependency.
fn locate(manifests: &BTreeMap<String, (&str, &str)>, edge: &Edge, message: String) -> Finding {
    let Some((path, text)) = manifests.get(&package(&edge.from)).or(manifests.get(&edge.from)) else {
        return Finding::new("Cargo.toml", 1, Rule::Graph, message);
    };
    let names = [package(&edge.to), edge.to.clone()];
    let depends = |line: &str| names.iter().any(|name| line.split(['.', ' ', '=']).next() == Some(name));
    let line = text.lines().position(depends).map_or(1, |index| index + 1);
    Finding::new(path, line, Rule::Graph, message)
}

#[cfg(test)]
mod tests {
    use super::{Edge, forbidden, impure, locate, manifests, parse_edges};
    use crate::tidy::files::File;

    fn edge(from: &str, to: &str) -> Edge {
        Edge { from: from.to_owned(), to: to.to_owned() }
    }

    #[test]
    fn trees_are_read() {
        let tree = "0towpath-cli v0.1.0 (/x)\n1clap v4.6.9\n1towpath v0.1.0 (/x)\n\n\
                    0towpath-step v0.1.0 (/x)\n1towpath-step-macros v0.1.0 (proc-macro) (/x)\n1towpath-like v1.0.0\n";
        let expected = [
            edge("cli", "clap"),
            edge("cli", "towpath"),
            edge("step", "step-macros"),
            edge("step", "towpath-like"),
        ];
        assert_eq!(parse_edges(tree), expected);
    }

    #[test]
    fn edges_that_the_table_does_not_have_are_found() {
        let cases = [
            ("down", edge("engine", "machine"), edge("step", "engine"), 0),
            ("another's crate", edge("model", "serde"), edge("model", "proptest"), 0),
            ("whoever stands on top", edge("tests", "engine"), edge("bench", "engine"), 0),
            ("up", edge("machine", "engine"), edge("step", "engine"), 1),
            ("around the facade", edge("cli", "engine"), edge("cli", "testkit"), 1),
            ("into the development tasks", edge("xtask", "model"), edge("cli", "testkit"), 1),
            ("on a crate that is on top", edge("engine", "tests"), edge("cli", "testkit"), 1),
            ("a crate that nobody has placed", edge("scheduler", "serde"), edge("cli", "testkit"), 1),
            ("tests of a pure crate", edge("engine", "machine"), edge("machine", "engine"), 1),
            ("tests of the other pure crate", edge("engine", "machine"), edge("model", "engine"), 1),
        ];
        for (what, normal, dev, found) in cases {
            assert_eq!(forbidden(&[normal], &[dev]).len(), found, "{what}");
        }
    }

    #[test]
    fn impure_crates_are_found() {
        let tree =
            "towpath-machine v0.1.0 (/x)\nserde v1.0.0\ntokio v1.0.0\ntokio v1.0.0\ntokio-util v0.7.0\n";
        let edges: Vec<_> = impure("machine", tree).into_iter().map(|(edge, _)| edge).collect();
        assert_eq!(edges, [edge("machine", "tokio"), edge("machine", "tokio-util")]);
        assert_eq!(impure("machine", "serde v1.0.0\nserde_json v1.0.0\n"), []);
    }

    #[test]
    fn findings_stand_where_the_dependency_is() {
        let text = "[package]\nname = \"towpath-step\"\n\n[dependencies]\ntowpath-engine.workspace = true\n";
        let files = [File::new("crates/step/Cargo.toml", text.as_bytes().to_vec())];
        let manifests = manifests(&files);
        let at = |edge: Edge| {
            let finding = locate(&manifests, &edge, String::new());
            (finding.path, finding.line)
        };
        assert_eq!(at(edge("step", "engine")), ("crates/step/Cargo.toml".to_owned(), 5));
        assert_eq!(at(edge("step", "hidden")), ("crates/step/Cargo.toml".to_owned(), 1));
        assert_eq!(at(edge("unknown", "engine")), ("Cargo.toml".to_owned(), 1));
    }
}
