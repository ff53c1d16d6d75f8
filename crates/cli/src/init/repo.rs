//! The files of a repository, as far as they say how it is built and deployed.

use std::{collections::BTreeMap, fs, io, path::Path};

/// How deep folders are looked into.
const DEPTH: usize = 5;
/// Most files that are looked at.
const FILES: usize = 20_000;
/// Bytes of a file above which it is not read: nobody wrote it by hand.
const BYTES: u64 = 256 << 10;
/// Folders of others' files.
const NOT: [&str; 7] = ["node_modules", "target", "vendor", "dist", "build", "venv", "__pycache__"];

/// Paths, with `/`, and what stands in those that are read.
#[derive(Default, Debug)]
pub(crate) struct Repo {
    files: BTreeMap<String, String>,
}

impl Repo {
    /// Reads a folder.
    pub(crate) fn read(folder: &Path) -> io::Result<Repo> {
        let mut repo = Repo::default();
        repo.walk(folder, "", 0)?;
        Ok(repo)
    }

    fn walk(&mut self, folder: &Path, prefix: &str, depth: usize) -> io::Result<()> {
        let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let (path, kind) = (format!("{prefix}{name}"), entry.file_type()?);
            let is_hidden = name.starts_with('.') && !name.starts_with(".git");
            if is_hidden || name == ".git" || self.files.len() >= FILES {
                continue;
            }
            if kind.is_dir() {
                if depth < DEPTH && !NOT.contains(&name.as_str()) {
                    self.walk(&entry.path(), &format!("{path}/"), depth + 1)?;
                }
            } else if kind.is_file() {
                let says = if is_read(&name) && entry.metadata()?.len() <= BYTES {
                    // What is not text says nothing.
                    fs::read_to_string(entry.path()).unwrap_or_default()
                } else {
                    String::new()
                };
                self.files.insert(path, says);
            }
        }
        Ok(())
    }

    /// The files whose paths end with this name, the nearest to the root first.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut found: Vec<(&str, &str)> = self
            .files
            .iter()
            .filter(|(path, _)| path.rsplit('/').next() == Some(name))
            .map(|(path, says)| (path.as_str(), says.as_str()))
            .collect();
        found.sort_by_key(|(path, _)| path.matches('/').count());
        found.into_iter()
    }

    /// What stands in a file at the root.
    pub(crate) fn root(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(String::as_str)
    }

    /// All paths with what was read of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, says)| (path.as_str(), says.as_str()))
    }
}

/// Whether what stands in such a file tells something.
fn is_read(name: &str) -> bool {
    let ends = [".toml", ".json", ".yaml", ".yml", ".mod"];
    ends.iter().any(|end| name.ends_with(end)) || matches!(name, "Makefile" | "Dockerfile" | "Procfile")
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Repo {
    fn from(files: [(&str, &str); N]) -> Self {
        Repo { files: files.into_iter().map(|(path, says)| (path.to_owned(), says.to_owned())).collect() }
    }
}
