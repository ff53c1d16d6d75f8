//! `Cargo.lock`, as Cargo itself reads it.
//!
//! The format has no page of its own; what holds is `cargo::core::resolver::encode` in Cargo's repository. There are four
//! versions. The first two have no `version` key: in the first, sums stand in `[metadata]` and every dependency is written
//! out; in the second, sums stand beside their package and dependencies are as short as they can be. `version = 3` and `4`
//! change how the branches of git sources are written, which does not matter here.

use crate::{
    component::{Component, Ecosystem, Place, Source},
    fault,
};
use semver::Version;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};
use toml::Spanned;
use towpath_provider::ProviderError;

#[derive(Deserialize)]
struct Lock {
    version: Option<u32>,
    #[serde(default)]
    package: Vec<Package>,
    /// How versions of Cargo before 2017 wrote the package that the file belongs to.
    root: Option<Package>,
    #[serde(default)]
    metadata: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
struct Package {
    name: Spanned<String>,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
    /// What stands in for it (`[replace]` of the manifest).
    replace: Option<String>,
}

/// Reads a lock file. The components' dependencies are numbers in the list that it returns.
pub(crate) fn read(path: &Path, text: &str) -> Result<Vec<Component>, ProviderError> {
    let mut lock: Lock = toml::from_str(text)
        .map_err(|error| fault::invalid(path, "this is no Cargo.lock").because(error.to_string()))?;
    if let Some(version) = lock.version
        && !matches!(version, 3 | 4)
    {
        return Err(fault::invalid(
            path,
            format!("version {version} of Cargo.lock is not known; versions up to 4 are"),
        ));
    }
    lock.package.extend(lock.root.take());
    let index = Index::of(path, &lock.package)?;
    let lines = Lines::of(text);
    let components = lock.package.iter().map(|package| {
        let version = Version::parse(&package.version).map_err(|error| {
            let what = format!("{:?} is no version of {}", package.version, package.name.get_ref());
            fault::invalid(path, what).because(error)
        })?;
        let mut dependencies = BTreeSet::new();
        for wanted in package.dependencies.iter().chain(&package.replace) {
            dependencies.insert(index.find(&lock.package, wanted).ok_or_else(|| {
                let what = format!(
                    "{} depends on {wanted:?}, which is not in the file: let Cargo write it again",
                    package.name.get_ref()
                );
                fault::invalid(path, what)
            })?);
        }
        Ok(Component {
            ecosystem: Ecosystem::CratesIo,
            name: package.name.get_ref().clone(),
            version,
            checksum: package.checksum.clone().or_else(|| sum_of(&lock.metadata, package)),
            source: source(package.source.as_deref()),
            places: vec![Place {
                lock_file: path.display().to_string(),
                line: lines.of_byte(package.name.span().start),
            }],
            dependencies,
        })
    });
    components.collect()
}

/// How Cargo writes the public registry, by its git index and by its sparse one.
pub(crate) const PUBLIC: [&str; 2] = [
    // tidy: allow(leak): it is what stands in lock files
    "registry+https://github.com/rust-lang/crates.io-index",
    // tidy: allow(leak): it is what stands in lock files
    "sparse+https://index.crates.io/",
];

fn source(text: Option<&str>) -> Source {
    let Some(text) = text else { return Source::Local };
    if PUBLIC.contains(&text) {
        Source::Registry
    } else if text.starts_with("git+") {
        Source::Git(text.to_owned())
    } else {
        // A name of a scheme that is not known is a registry of somebody.
        let url = text.strip_prefix("registry+").or(text.strip_prefix("sparse+")).unwrap_or(text);
        Source::OtherRegistry(url.to_owned())
    }
}

/// The sum of a package in a file of the first version.
fn sum_of(metadata: &BTreeMap<String, toml::Value>, package: &Package) -> Option<String> {
    let source = package.source.as_deref()?;
    let key = format!("checksum {} {} ({source})", package.name.get_ref(), package.version);
    metadata.get(&key)?.as_str().filter(|sum| *sum != "<none>").map(str::to_owned)
}

/// The packages by their name.
struct Index<'a>(HashMap<&'a str, Vec<usize>>);

impl<'a> Index<'a> {
    fn of(path: &Path, packages: &'a [Package]) -> Result<Self, ProviderError> {
        let mut index: HashMap<&str, Vec<usize>> = HashMap::new();
        for (number, package) in packages.iter().enumerate() {
            let same = index.entry(package.name.get_ref()).or_default();
            let is_there = |other: &&usize| {
                packages[**other].version == package.version && packages[**other].source == package.source
            };
            if same.iter().any(|other| is_there(&other)) {
                let what = format!("{} {} is in the file twice", package.name.get_ref(), package.version);
                return Err(fault::invalid(path, what));
            }
            same.push(number);
        }
        Ok(Index(index))
    }

    /// The package that a dependency means: `name`, `name version` or `name version (source)`.
    fn find(&self, packages: &[Package], wanted: &str) -> Option<usize> {
        let mut parts = wanted.splitn(3, ' ');
        let (name, version, source) = (parts.next()?, parts.next(), parts.next());
        let source = match source {
            Some(text) => Some(text.strip_prefix('(')?.strip_suffix(')')?),
            None => None,
        };
        let is_meant = |number: &usize| {
            let package = &packages[*number];
            version.is_none_or(|version| package.version == version)
                && source
                    .is_none_or(|source| package.source.as_deref().is_some_and(|of| same_source(of, source)))
        };
        let found: Vec<usize> = self.0.get(name)?.iter().copied().filter(is_meant).collect();
        match found[..] {
            [only] => Some(only),
            // A package of this repository has no source to be told by, so that what has none means it.
            _ => {
                let mut local = found.into_iter().filter(|number| packages[*number].source.is_none());
                local.next().filter(|_| local.next().is_none())
            }
        }
    }
}

/// Whether a dependency's source is that of a package, which alone says the commit.
fn same_source(of_package: &str, of_dependency: &str) -> bool {
    let url = |text: &str| text.split('#').next().map(str::to_owned);
    of_package == of_dependency || (!of_dependency.contains('#') && url(of_package) == url(of_dependency))
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Lines(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    /// The line of a byte, counted from 1.
    fn of_byte(&self, byte: usize) -> u64 {
        self.0.partition_point(|end| *end < byte) as u64 + 1
    }
}

#[cfg(test)]
mod tests;
