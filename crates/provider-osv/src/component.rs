//! What an artifact is made of.

use semver::Version;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// One component, in one version from one source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Component {
    pub(crate) ecosystem: Ecosystem,
    pub(crate) name: String,
    pub(crate) version: Version,
    pub(crate) source: Source,
    /// The SHA-256 of what the registry gave, in hexadecimal digits.
    pub(crate) checksum: Option<String>,
    /// Where it stands.
    pub(crate) places: Vec<Place>,
    /// What it depends on, as numbers in its list.
    pub(crate) dependencies: BTreeSet<usize>,
}

/// Where a component stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place {
    pub(crate) lock_file: String,
    /// Counted from 1.
    pub(crate) line: u64,
}

/// Whose advisories are about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Ecosystem {
    CratesIo,
}

impl Ecosystem {
    /// The ecosystem that OSV calls so. What stands behind a colon narrows it down, and is not told apart here.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name.split(':').next() {
            // tidy: allow(leak): it is how OSV names the ecosystem
            Some("crates.io") => Some(Ecosystem::CratesIo),
            _ => None,
        }
    }

    /// As package URLs name it.
    fn purl_type(self) -> &'static str {
        match self {
            Ecosystem::CratesIo => "cargo",
        }
    }
}

/// Where a component comes from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Source {
    /// It is part of the repository that is built.
    Local,
    /// The ecosystem's own registry.
    Registry,
    /// Another registry, by its address.
    OtherRegistry(String),
    /// A git repository: `git+https://…?branch=…#commit`.
    Git(String),
}

impl Component {
    /// Whether advisories can be about it. What comes from another registry or from git under the name of a public package
    /// is most often a copy of it: it is better to look at one finding too many.
    pub(crate) fn is_matched(&self) -> bool {
        self.source != Source::Local
    }

    /// Its package URL (<https://github.com/package-url/purl-spec>). There is none for what has no source: the address of a
    /// public package would be a lie.
    pub(crate) fn purl(&self) -> Option<String> {
        let qualifier = match &self.source {
            Source::Local => return None,
            Source::Registry => String::new(),
            Source::OtherRegistry(url) => format!("?repository_url={}", encode(url)),
            Source::Git(url) => format!("?vcs_url={}", encode(&url.replacen('#', "@", 1))),
        };
        let (name, version) = (encode(&self.name), encode(&self.version.to_string()));
        Some(format!("pkg:{}/{name}@{version}{qualifier}", self.ecosystem.purl_type()))
    }

    /// What it is called within a bill of materials; unique there.
    pub(crate) fn reference(&self) -> String {
        self.purl().unwrap_or_else(|| format!("local:{}@{}", self.name, self.version))
    }
}

/// Percent-encodes as package URLs want it: what is neither a letter, a digit nor one of `.-_~:`.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// Puts the components of several lock files together, sorted; what stands in two of them is one component with two places.
pub(crate) fn merge(lists: Vec<Vec<Component>>) -> Vec<Component> {
    let mut merged: BTreeMap<Identity, Component> = BTreeMap::new();
    let mut edges: BTreeMap<Identity, BTreeSet<Identity>> = BTreeMap::new();
    for list in lists {
        for component in &list {
            let to = component.dependencies.iter().map(|number| identity(&list[*number]));
            edges.entry(identity(component)).or_default().extend(to);
        }
        for component in list {
            let known = merged
                .entry(identity(&component))
                .or_insert_with(|| Component { places: Vec::new(), ..component.clone() });
            known.places.extend(component.places);
            known.checksum = known.checksum.take().or(component.checksum);
        }
    }
    let numbers: BTreeMap<Identity, usize> =
        merged.keys().cloned().enumerate().map(|(number, identity)| (identity, number)).collect();
    let mut components: Vec<Component> = merged.into_values().collect();
    for (from, to) in edges {
        components[numbers[&from]].dependencies = to.iter().map(|identity| numbers[identity]).collect();
    }
    for component in &mut components {
        component.places.sort();
        component.places.dedup();
    }
    components
}

type Identity = (Ecosystem, String, Version, Source);

fn identity(component: &Component) -> Identity {
    (component.ecosystem, component.name.clone(), component.version.clone(), component.source.clone())
}

#[cfg(test)]
mod tests {
    use super::{Component, Ecosystem, Place, Source, merge};
    use semver::Version;

    fn component(name: &str, source: Source, lock_file: &str, dependencies: &[usize]) -> Component {
        Component {
            ecosystem: Ecosystem::CratesIo,
            name: name.to_owned(),
            version: Version::parse("1.0.0+a b".replace(' ', ".").as_str()).unwrap(),
            source,
            checksum: None,
            places: vec![Place { lock_file: lock_file.to_owned(), line: 3 }],
            dependencies: dependencies.iter().copied().collect(),
        }
    }

    #[test]
    fn package_urls_say_where_a_component_is_from() {
        let url = |source| component("demo", source, "a", &[]).purl();
        assert_eq!(url(Source::Registry).unwrap(), "pkg:cargo/demo@1.0.0%2Ba.b");
        assert_eq!(url(Source::Local), None);
        assert_eq!(
            url(Source::OtherRegistry("https://r.example/i".into())).unwrap(),
            "pkg:cargo/demo@1.0.0%2Ba.b?repository_url=https:%2F%2Fr.example%2Fi"
        );
        assert_eq!(
            url(Source::Git("git+https://g.example/d?branch=x#abc".into())).unwrap(),
            "pkg:cargo/demo@1.0.0%2Ba.b?vcs_url=git%2Bhttps:%2F%2Fg.example%2Fd%3Fbranch%3Dx%40abc"
        );
        assert_eq!(component("demo", Source::Local, "a", &[]).reference(), "local:demo@1.0.0+a.b");
    }

    #[test]
    fn what_stands_in_two_lock_files_is_one_component() {
        let first =
            vec![component("own", Source::Local, "a", &[1]), component("b", Source::Registry, "a", &[])];
        let second = vec![
            component("c", Source::Registry, "b", &[]),
            component("own", Source::Local, "b", &[0, 2]),
            component("b", Source::Registry, "b", &[0]),
        ];
        let merged = merge(vec![first, second]);
        let shape: Vec<_> = merged
            .iter()
            .map(|c| (c.name.as_str(), c.places.len(), c.dependencies.iter().copied().collect::<Vec<_>>()))
            .collect();
        assert_eq!(shape, [("b", 2, vec![1]), ("c", 1, vec![]), ("own", 2, vec![0, 1])]);
    }
}
