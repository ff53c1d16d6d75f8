//! Snapshots of stored formats: the record that a change to a format has to change knowingly. Tests of
//! crates above this one take this file in by its path.

/// Compares `shown` with `snapshots/name`. Run with `TOWPATH_BLESS=1` to write it, and give the reason in the commit.
#[allow(clippy::unwrap_used, reason = "a test may fail so")]
pub(crate) fn check(name: &str, shown: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(name);
    if std::env::var_os("TOWPATH_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, shown).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (want, got)) in want.lines().zip(shown.lines()).enumerate() {
        assert_eq!(
            got,
            want,
            "{name}:{}: the stored format changed; if it had to, bless it and say why",
            line + 1
        );
    }
    assert_eq!(shown.lines().count(), want.lines().count(), "{name}: lines were added or removed");
}
