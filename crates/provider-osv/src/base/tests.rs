use super::read;
use crate::component::Ecosystem;
use std::{collections::HashSet, error::Error as _, fs, path::Path};
use tempfile::TempDir;
use towpath_provider::ProviderErrorKind;

fn packages() -> HashSet<(Ecosystem, &'static str)> {
    [(Ecosystem::CratesIo, "demo-a")].into()
}

fn advisory(id: &str, modified: &str, package: &str, more: &str) -> String {
    format!(
        r#"{{"schema_version": "1.7.0", "id": "{id}", "modified": "{modified}", "summary": "s", {more}
            "affected": [{{"package": {{"ecosystem": "crates.io", "name": "{package}"}},
                           "ranges": [{{"type": "SEMVER", "events": [{{"introduced": "0"}}]}}]}}]}}"#
    )
}

fn folder(files: &[(&str, String)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn every_file_is_counted_and_only_what_is_meant_is_kept() {
    let folder = folder(&[
        ("a.json", advisory("A", "2026-01-01T00:00:00Z", "demo-a", "")),
        ("deep/er/b.json", advisory("B", "2026-02-01T00:00:00.5Z", "demo-b", "")),
        (
            "c.json",
            advisory("C", "2026-01-02T00:00:00Z", "demo-a", "\"withdrawn\": \"2026-01-02T00:00:00Z\","),
        ),
        (
            "d.json",
            advisory("D", "2026-01-02T00:00:00Z", "demo-a", "\"withdrawn\": null, \"aliases\": null,"),
        ),
        ("README.md", "no advisory".to_owned()),
        (".git/e.json", "no advisory".to_owned()),
    ]);
    let base = read(folder.path(), &packages()).unwrap();
    assert_eq!((base.count, base.withdrawn), (3, 1));
    assert_eq!(base.updated.unwrap().to_string(), "2026-02-01T00:00:00.500000Z");
    assert_eq!(base.advisories.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["A", "D"]);
}

#[test]
fn of_two_copies_the_younger_one_counts() {
    let old = advisory("A", "2026-01-01T00:00:00Z", "demo-a", "");
    let new = advisory("A", "2026-01-02T00:00:00Z", "demo-b", "");
    let withdrawn =
        advisory("B", "2026-01-02T00:00:00Z", "demo-a", "\"withdrawn\": \"2026-01-02T00:00:00Z\",");
    let files = [
        ("1.json", old.clone()),
        ("2.json", new),
        ("3.json", withdrawn),
        ("4.json", old.replace("\"A\"", "\"B\"")),
    ];
    let base = read(folder(&files).path(), &packages()).unwrap();
    assert_eq!((base.count, base.withdrawn, base.advisories.len()), (1, 1, 0));
}

#[test]
fn a_file_that_is_no_advisory_is_named() {
    let good = advisory("A", "2026-01-01T00:00:00Z", "demo-a", "");
    for (text, told) in [
        (good[..good.len() - 1].to_owned(), "EOF while parsing an object at line 3"),
        (good.replace("\"id\"", "\"ident\""), "missing field `id`"),
        (good.replace("\"A\"", "\"\""), "its id is empty"),
        (good.replace("2026-01-01T00:00:00Z", "yesterday"), "\"yesterday\" is no point in time"),
        (
            good.replace("\"introduced\": \"0\"", "\"introduced\": \"x\""),
            "demo-a: \"x\" is no semantic version",
        ),
        (good.replace("SEMVER", "SVN"), "demo-a: \"SVN\" is no type of a range"),
        ("[]".to_owned(), "invalid"),
        (String::new(), "EOF"),
    ] {
        let folder = folder(&[("good.json", good.replace("\"A\"", "\"G\"")), ("sub/bad.json", text)]);
        let error = read(folder.path(), &packages()).unwrap_err();
        assert_eq!(error.kind(), ProviderErrorKind::Invalid);
        assert!(error.to_string().contains("sub/bad.json"), "{error}");
        assert!(error.source().unwrap().to_string().contains(told), "{error:?}");
    }
}

#[test]
fn what_is_not_meant_may_be_of_a_kind_that_is_not_known() {
    let other = advisory("A", "2026-01-01T00:00:00Z", "demo-b", "").replace("SEMVER", "SVN");
    let base = read(folder(&[("a.json", other)]).path(), &packages()).unwrap();
    assert_eq!((base.count, base.advisories.len()), (1, 0));
}

#[test]
fn an_empty_folder_has_no_advisories_and_one_that_is_not_there_is_an_error() {
    let folder = folder(&[]);
    let base = read(folder.path(), &packages()).unwrap();
    assert_eq!((base.count, base.updated), (0, None));
    let missing = folder.path().join("missing");
    let error = read(&missing, &packages()).unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::NotFound);
    assert!(error.to_string().contains("missing"), "{error}");
}

#[cfg(unix)]
#[test]
fn links_are_what_they_lead_to() {
    use std::os::unix::fs::symlink;
    let target = folder(&[("a.json", advisory("A", "2026-01-01T00:00:00Z", "demo-a", ""))]);
    let base = folder(&[]);
    let at = |name: &str| base.path().join(name);
    symlink(target.path(), at("linked")).unwrap();
    symlink(target.path().join("a.json"), at("again.json")).unwrap();
    assert_eq!(read(base.path(), &packages()).unwrap().count, 1);
    symlink(base.path(), at("round")).unwrap();
    assert_eq!(read(base.path(), &packages()).unwrap_err().kind(), ProviderErrorKind::Invalid);
    fs::remove_file(at("round")).unwrap();
    symlink(Path::new("nowhere.json"), at("dangling.json")).unwrap();
    let error = read(base.path(), &packages()).unwrap_err();
    assert!(error.to_string().contains("dangling.json"), "{error}");
}
