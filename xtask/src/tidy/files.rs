//! The files of the project: what git tracks, and what it would track if one added everything.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::rust::Rust;
use crate::workspace::Workspace;

/// One file, read.
pub(super) struct File {
    /// Relative to the workspace, with `/`.
    pub(super) path: String,
    pub(super) length: usize,
    /// Nothing if it is not text.
    pub(super) text: Option<String>,
    /// Nothing if it is not Rust.
    pub(super) rust: Option<Rust>,
}

impl File {
    pub(super) fn new(path: &str, bytes: Vec<u8>) -> Self {
        let length = bytes.len();
        let text = String::from_utf8(bytes).ok();
        let rust = text
            .as_deref()
            .filter(|_| has_extension(path, "rs"))
            .map(|text| Rust::new(text, is_test_path(path)));
        Self { path: path.to_owned(), length, text, rust }
    }

    pub(super) fn is_python(&self) -> bool {
        has_extension(&self.path, "py") || has_extension(&self.path, "pyi")
    }

    pub(super) fn is_markdown(&self) -> bool {
        has_extension(&self.path, "md")
    }

    /// The name without the folders.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    pub(super) fn is_test(&self) -> bool {
        is_test_path(&self.path)
    }
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|e| e == extension)
}

/// Test code by its place: below a folder `tests`, or called so.
fn is_test_path(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "conftest.py"))
}

/// Reads every file of the workspace.
pub(super) fn read_all(workspace: &Workspace) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    for path in list(workspace.root())? {
        let full = workspace.root().join(&path);
        // A link has a target that is checked by itself; what is gone from the disk has nothing to check.
        if !std::fs::symlink_metadata(&full).is_ok_and(|meta| meta.is_file()) {
            continue;
        }
        let bytes = std::fs::read(&full).map_err(|e| format!("cannot read {path}: {e}"))?;
        files.push(File::new(&path, bytes));
    }
    mark_test_modules(&mut files);
    Ok(files)
}

/// Files that are test code because of how they are declared: `#[cfg(test)] mod fixtures;`.
fn mark_test_modules(files: &mut [File]) {
    let modules: Vec<String> = files
        .iter()
        .filter_map(|file| Some((file, file.rust.as_ref()?)))
        .flat_map(|(file, rust)| {
            let folder = module_folder(&file.path);
            rust.test_modules().into_iter().map(move |name| format!("{folder}/{name}"))
        })
        .collect();
    for file in files {
        let is_test = modules.iter().any(|module| {
            file.path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        });
        if let (true, Some(rust)) = (is_test, &mut file.rust) {
            rust.set_test();
        }
    }
}

/// Where the modules that a file declares are.
fn module_folder(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        _ => format!("{folder}/{}", name.trim_end_matches(".rs")),
    }
}

fn list(root: &Path) -> Result<Vec<String>, String> {
    let git = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .current_dir(root)
        .output();
    match git {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout)
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
            .collect()),
        // An unpacked archive has no git; everything in it but build products is the project.
        _ => walk(root),
    }
}

fn walk(root: &Path) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let unreadable = |e: std::io::Error| format!("cannot read {}: {e}", root.join(&folder).display());
        for entry in std::fs::read_dir(root.join(&folder)).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = folder.join(entry.file_name());
            let is_folder = entry.file_type().map_err(unreadable)?.is_dir();
            match path.file_name().and_then(|name| name.to_str()) {
                Some("target" | ".git" | ".venv" | "__pycache__") if is_folder => {}
                _ if is_folder => folders.push(path),
                _ => files.push(path.to_string_lossy().into_owned()),
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::{File, is_test_path, mark_test_modules};

    #[test]
    fn test_code_by_its_place() {
        for path in
            ["tests/src/lib.rs", "crates/a/tests/b.rs", "crates/a/src/b/tests.rs", "bindings/tests/a.py"]
        {
            assert!(is_test_path(path), "{path}");
        }
        for path in ["crates/testkit/src/lib.rs", "crates/a/src/contests.rs", "tests.md"] {
            assert!(!is_test_path(path), "{path}");
        }
    }

    #[test]
    fn test_code_by_its_declaration() {
        let mut files = [
            ("crates/a/src/lib.rs", "#[cfg(test)]\nmod fixtures;\nmod code;"),
            ("crates/a/src/fixtures.rs", "fn f() {}"),
            ("crates/a/src/fixtures/more.rs", "fn f() {}"),
            ("crates/a/src/code.rs", "#[cfg(test)]\nmod inner;"),
            ("crates/a/src/code/inner.rs", "fn f() {}"),
            ("crates/a/src/code/other.rs", "fn f() {}"),
        ]
        .map(|(path, text)| File::new(path, text.as_bytes().to_vec()));
        mark_test_modules(&mut files);
        let tests: Vec<_> = files
            .iter()
            .filter(|file| file.rust.as_ref().is_some_and(|rust| rust.in_test(1)))
            .map(|file| file.path.as_str())
            .collect();
        // The first line of each declaring file is the attribute, which belongs to the test.
        assert_eq!(
            tests,
            [
                "crates/a/src/lib.rs",
                "crates/a/src/fixtures.rs",
                "crates/a/src/fixtures/more.rs",
                "crates/a/src/code.rs",
                "crates/a/src/code/inner.rs",
            ]
        );
    }
}
