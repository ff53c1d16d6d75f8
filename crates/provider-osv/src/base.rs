//! A folder of advisories.

use crate::{
    advisory::{Advisory, Head},
    component::Ecosystem,
    fault,
};
use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    thread,
};
use towpath_model::Timestamp;
use towpath_provider::{ProviderError, ProviderErrorKind};

/// Most folders within each other. A link to a folder above itself ends here.
const DEPTH: usize = 16;

/// Most threads that read advisories.
const THREADS: usize = 8;

/// The advisories of a folder, as far as they are about what is scanned.
#[derive(Debug, Default)]
pub(crate) struct Base {
    /// How many there are, without those that were withdrawn.
    pub(crate) count: u64,
    pub(crate) withdrawn: u64,
    pub(crate) updated: Option<Timestamp>,
    /// In the order of their ids.
    pub(crate) advisories: Vec<Advisory>,
}

/// What is kept of one file after its first reading.
struct Kept {
    id: String,
    modified: Timestamp,
    is_withdrawn: bool,
    path: PathBuf,
    /// The whole of it, when it is about what is scanned.
    text: Option<Vec<u8>>,
}

/// Reads every file that ends in `.json` below a folder. A file that is no advisory is an error that names it.
pub(crate) fn read(folder: &Path, packages: &HashSet<(Ecosystem, &str)>) -> Result<Base, ProviderError> {
    let mut paths = Vec::new();
    list(folder, DEPTH, &mut paths)?;
    paths.sort();
    let mut base = Base::default();
    let mut relevant = Vec::new();
    for kept in youngest(heads(&paths, packages)?) {
        base.updated = base.updated.max(Some(kept.modified));
        if kept.is_withdrawn {
            base.withdrawn += 1;
            continue;
        }
        base.count += 1;
        if let Some(text) = kept.text {
            relevant.push(Advisory::read(&text).map_err(|what| malformed(&kept.path, what))?);
        }
    }
    relevant.sort_by(|a, b| a.id.cmp(&b.id));
    base.advisories = relevant;
    Ok(base)
}

fn malformed(path: &Path, what: String) -> ProviderError {
    fault::invalid(path, "this is no advisory in the OSV format").because(what)
}

/// Adds the files below a folder. Folders whose name begins with a dot, such as `.git`, hold no advisories.
fn list(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), ProviderError> {
    if depth == 0 {
        return Err(fault::invalid(folder, format!("there are more than {DEPTH} folders within each other")));
    }
    let failed = |error| fault::io("the folder of advisories cannot be read", folder, error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        let mut kind = entry.file_type().map_err(failed)?;
        if kind.is_symlink() {
            // A link is what it leads to, also one that leads nowhere: that would be an advisory less.
            kind = fs::metadata(&path)
                .map_err(|error| fault::io("the link cannot be followed", &path, error))?
                .file_type();
        }
        if kind.is_dir() && !is_hidden {
            list(&path, depth - 1, paths)?;
        } else if kind.is_file() && !is_hidden && path.extension().is_some_and(|end| end == "json") {
            paths.push(path);
        }
    }
    Ok(())
}

/// The first reading of all files, on several threads. Of several errors that of the first file counts.
fn heads(paths: &[PathBuf], packages: &HashSet<(Ecosystem, &str)>) -> Result<Vec<Kept>, ProviderError> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    let each = paths.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let read = |part: &[PathBuf]| part.iter().map(|path| head(path, packages)).collect();
        let readers: Vec<_> = paths
            .chunks(each)
            .map(|part| scope.spawn(move || -> Result<Vec<Kept>, _> { read(part) }))
            .collect();
        let mut all = Vec::with_capacity(paths.len());
        for reader in readers {
            let part = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all.extend(part?);
        }
        Ok(all)
    })
}

fn head(path: &Path, packages: &HashSet<(Ecosystem, &str)>) -> Result<Kept, ProviderError> {
    let text = fs::read(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            // It was in the list a moment ago: somebody brings the folder up to date.
            let what = "an advisory went away while the folder was read";
            let error = ProviderError::new(ProviderErrorKind::Unavailable, what).because(error);
            return error.during("scan").with("file", path.display());
        }
        fault::io("an advisory cannot be read", path, error)
    })?;
    let head = Head::read(&text).map_err(|what| malformed(path, what))?;
    let modified = head.modified().map_err(|what| malformed(path, what))?;
    let (id, is_withdrawn) = (head.id.clone().into_owned(), head.is_withdrawn());
    let is_about = !is_withdrawn && head.is_about(packages);
    Ok(Kept { id, modified, is_withdrawn, path: path.to_owned(), text: is_about.then_some(text) })
}

/// One of each id: the one that was changed last, and of those of one time the first by its path. An older copy says what
/// is no longer held to be true.
fn youngest(all: Vec<Kept>) -> Vec<Kept> {
    let mut by_id: HashMap<String, usize> = HashMap::with_capacity(all.len());
    let mut kept: Vec<Kept> = Vec::with_capacity(all.len());
    for this in all {
        match by_id.get(&this.id) {
            Some(at) if kept[*at].modified >= this.modified => {}
            Some(at) => kept[*at] = this,
            None => {
                by_id.insert(this.id.clone(), kept.len());
                kept.push(this);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests;
