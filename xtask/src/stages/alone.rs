//! Each library crate on its own. In a workspace build, one crate's feature switches on code that another one forgot to
//! ask for; a user who takes only that other one is the first to notice.

use std::path::Path;

use crate::command::{cargo, run};
use crate::outcome::Outcome;
use crate::workspace::Workspace;

pub(crate) fn stage(workspace: &Workspace) -> Outcome {
    let result = crates(&workspace.root().join("crates")).and_then(|crates| {
        let mut problems = Vec::new();
        for library in &crates {
            let mut features = vec!["--no-default-features"];
            if library.has_features {
                features.push("--all-features");
            }
            for feature in features {
                println!("-- {} {feature}", library.name);
                // Clippy rather than `check`, because it shares what the clippy stage has built.
                let args =
                    ["clippy", "--quiet", "--lib", "-p", &library.name, feature, "--", "-D", "warnings"];
                if let Err(problem) = run(&mut cargo(workspace, args)) {
                    problems.push(problem);
                }
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
    });
    result.into()
}

#[derive(Debug, PartialEq, Eq)]
struct Library {
    name: String,
    has_features: bool,
}

/// The library crates below a folder, in order of their folders.
fn crates(folder: &Path) -> Result<Vec<Library>, String> {
    let unreadable = |e: std::io::Error| format!("cannot read {}: {e}", folder.display());
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        folders.push(entry.map_err(unreadable)?.path());
    }
    folders.sort();
    let mut libraries = Vec::new();
    for folder in folders.iter().filter(|folder| folder.join("src/lib.rs").is_file()) {
        let path = folder.join("Cargo.toml");
        let manifest =
            std::fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        libraries.push(library(&manifest).ok_or_else(|| format!("no package name in {}", path.display()))?);
    }
    Ok(libraries)
}

/// Enough of a manifest for this purpose; a real parser would be a dependency of the test command.
fn library(manifest: &str) -> Option<Library> {
    let name = manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))?;
    let has_features = manifest.lines().any(|line| line.trim() == "[features]");
    Some(Library { name: name.to_owned(), has_features })
}

#[cfg(test)]
mod tests {
    use super::{Library, library};

    #[test]
    fn manifests() {
        let plain = "[package]\nname = \"towpath-model\"\nversion.workspace = true\n";
        let name = || "towpath-model".to_owned();
        assert_eq!(library(plain), Some(Library { name: name(), has_features: false }));
        let featured = format!("{plain}\n[features]\nconformance = []\n");
        assert_eq!(library(&featured), Some(Library { name: name(), has_features: true }));
        assert_eq!(library("[workspace]\n"), None);
    }
}
