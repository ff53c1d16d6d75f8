use super::{PUBLIC, read};
use crate::component::{Component, Source};
use std::path::Path;
use towpath_provider::{ProviderError, ProviderErrorKind};

fn parse(text: &str) -> Result<Vec<Component>, ProviderError> {
    read(Path::new("some/Cargo.lock"), text)
}

/// Name, version, and the names with versions that it depends on.
fn shape(components: &[Component]) -> Vec<(String, Vec<String>)> {
    let name = |c: &Component| format!("{} {}", c.name, c.version);
    let edges = |c: &Component| c.dependencies.iter().map(|n| name(&components[*n])).collect();
    components.iter().map(|c| (name(c), edges(c))).collect()
}

const REGISTRY: &str = PUBLIC[0];
const SPARSE: &str = PUBLIC[1];

#[test]
fn the_first_version_has_its_sums_in_metadata() {
    let text = format!(
        r#"
[root]
name = "own"
version = "0.1.0"
dependencies = [
 "demo 1.0.0 ({REGISTRY})",
]

[[package]]
name = "demo"
version = "1.0.0"
source = "{REGISTRY}"

[metadata]
"checksum demo 1.0.0 ({REGISTRY})" = "ab"
"checksum own 0.1.0 (path)" = "<none>"
"#
    );
    let components = parse(&text).unwrap();
    assert_eq!(
        shape(&components),
        [("demo 1.0.0".into(), vec![]), ("own 0.1.0".into(), vec!["demo 1.0.0".to_owned()])]
    );
    assert_eq!(components[0].checksum.as_deref(), Some("ab"));
    assert_eq!(
        (components[0].source.clone(), components[1].source.clone()),
        (Source::Registry, Source::Local)
    );
    assert_eq!((components[0].places[0].line, components[1].places[0].line), (10, 3));
}

#[test]
fn dependencies_are_as_short_as_they_can_be() {
    for version in ["", "version = 3\n", "version = 4\n"] {
        let text = format!(
            r#"{version}
[[package]]
name = "own"
version = "0.1.0"
dependencies = ["demo 1.0.0", "demo 2.0.0", "other", "fork 1.0.0", "fork 1.0.0 (git+https://g.example/fork?branch=main)"]

[[package]]
name = "demo"
version = "1.0.0"
source = "{REGISTRY}"
checksum = "cd"

[[package]]
name = "demo"
version = "2.0.0"
source = "{SPARSE}"

[[package]]
name = "other"
version = "3.0.0-rc.1+build"
source = "registry+https://r.example/index"

[[package]]
name = "fork"
version = "1.0.0"

[[package]]
name = "fork"
version = "1.0.0"
source = "git+https://g.example/fork?branch=main#0123"

[[patch.unused]]
name = "nobody"
version = "9.0.0"
"#
        );
        let components = parse(&text).unwrap();
        let own = &components[0];
        assert_eq!(own.dependencies.iter().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5], "{version}");
        assert_eq!(components.len(), 6, "what a patch does not use is not built");
        assert_eq!(components[1].checksum.as_deref(), Some("cd"));
        assert_eq!(components[2].source, Source::Registry);
        assert_eq!(components[3].source, Source::OtherRegistry("https://r.example/index".into()));
        assert_eq!(components[4].source, Source::Local);
        assert_eq!(components[5].source, Source::Git("git+https://g.example/fork?branch=main#0123".into()));
    }
}

#[test]
fn the_lock_file_of_this_workspace_is_read_whole() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    let text = std::fs::read_to_string(&path).unwrap();
    let components = read(&path, &text).unwrap();
    assert_eq!(components.len(), text.matches("[[package]]").count());
    let own = components.iter().find(|c| c.name == "towpath-provider-osv").unwrap();
    assert_eq!(own.source, Source::Local);
    let needs: Vec<&str> = own.dependencies.iter().map(|n| components[*n].name.as_str()).collect();
    assert!(needs.contains(&"semver") && needs.contains(&"towpath-provider"), "{needs:?}");
    for component in components.iter().filter(|c| c.source == Source::Registry) {
        assert!(component.checksum.is_some(), "{} has its sum", component.name);
        let line = component.places[0].line as usize;
        let told = text.lines().nth(line - 1).unwrap();
        assert_eq!(told, format!("name = {:?}", component.name), "line {line}");
    }
}

#[test]
fn what_cannot_be_is_said_and_where() {
    let package = |more: &str| format!("[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n{more}\n");
    for (text, told) in [
        ("no toml".to_owned(), "this is no Cargo.lock"),
        ("[[package]]\nname = \"a\"\n".to_owned(), "this is no Cargo.lock"),
        ("version = 5\n".to_owned(), "version 5 of Cargo.lock is not known; versions up to 4 are"),
        (package("").replace("1.0.0", "1.0"), "\"1.0\" is no version of a"),
        (
            package("dependencies = [\"b\"]"),
            "a depends on \"b\", which is not in the file: let Cargo write it again",
        ),
        (
            package("dependencies = [\"a 1.0.0 (git+x)\"]"),
            "a depends on \"a 1.0.0 (git+x)\", which is not in the file: let Cargo write it again",
        ),
        (package("") + &package(""), "a 1.0.0 is in the file twice"),
        (
            package("source = \"git+x#1\"")
                + &package("source = \"git+y#1\"")
                + "[[package]]\nname = \"b\"\nversion = \"1.0.0\"\ndependencies = [\"a\"]\n",
            "b depends on \"a\", which is not in the file: let Cargo write it again",
        ),
    ] {
        let error = parse(&text).unwrap_err();
        assert_eq!(error.kind(), ProviderErrorKind::Invalid);
        assert_eq!(error.to_string(), format!("scan: {told} (file: some/Cargo.lock)"), "{text}");
    }
}
