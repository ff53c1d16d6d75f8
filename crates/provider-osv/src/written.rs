//! Files that are named by what is in them.

use crate::fault;
use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
    process,
    sync::atomic::{AtomicU64, Ordering},
};
use towpath_model::Digest;
use towpath_provider::{ProviderError, ReportFile};

/// Most bytes of an artifact's name in that of a file.
const NAME: usize = 64;

/// Writes a file into a folder, which is made when it is not there. Its name holds the digest of its content, and it gets that
/// name when it is whole: who finds it finds all of it, and nobody ever changes it.
pub(crate) fn write(
    folder: &str,
    artifact: &str,
    end: &str,
    content: &[u8],
) -> Result<ReportFile, ProviderError> {
    let digest = Digest::of(content);
    let name = format!("{}-{}.{end}", plain(artifact), digest.short());
    let path = Path::new(folder).join(&name);
    let report = ReportFile {
        path: path.display().to_string(),
        digest: format!("sha256:{digest}"),
        size_bytes: content.len() as u64,
    };
    if fs::read(&path).is_ok_and(|there| there == content) {
        return Ok(report);
    }
    let failed = |error| fault::io("a report cannot be written", &path, error);
    fs::create_dir_all(folder).map_err(failed)?;
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let draft = Path::new(folder).join(format!(".{name}.{}-{number}", process::id()));
    let written = save(&draft, content).and_then(|()| fs::rename(&draft, &path));
    if written.is_err() {
        // It has no name that anybody would look for; if even this fails, a draft is left.
        let _ = fs::remove_file(&draft);
    }
    written.map_err(failed)?;
    Ok(report)
}

fn save(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// What is left of a name when it may stand in a file's: it can be chosen by somebody else, and must not lead elsewhere.
fn plain(name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .take(NAME)
        .collect();
    let clean = clean.trim_matches(['.', '-']);
    if clean.is_empty() { "artifact".to_owned() } else { clean.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{plain, write};
    use std::{collections::BTreeSet, fs, path::Path};
    use tempfile::TempDir;
    use towpath_provider::ProviderErrorKind;

    #[test]
    fn names_lead_nowhere_else() {
        for (name, clean) in [
            ("registry.example/shop:1", "registry.example-shop-1"),
            ("../../etc/passwd", "etc-passwd"),
            ("...", "artifact"),
            ("", "artifact"),
            ("ü", "artifact"),
        ] {
            assert_eq!(plain(name), clean);
        }
        assert_eq!(plain(&"a".repeat(300)).len(), 64);
    }

    #[test]
    fn what_is_the_same_is_one_file_and_what_is_not_is_another() {
        let folder = TempDir::new().unwrap();
        let inner = folder.path().join("a/b").display().to_string();
        let first = write(&inner, "shop", "txt", b"one").unwrap();
        assert_eq!(write(&inner, "shop", "txt", b"one").unwrap(), first);
        let second = write(&inner, "shop", "txt", b"two").unwrap();
        let there: BTreeSet<String> =
            fs::read_dir(&inner).unwrap().map(|e| e.unwrap().path().display().to_string()).collect();
        assert_eq!(there, [first.path.clone(), second.path].into(), "and no draft is left");
        // What somebody has damaged is written again.
        fs::write(&first.path, "half").unwrap();
        write(&inner, "shop", "txt", b"one").unwrap();
        assert_eq!(fs::read(&first.path).unwrap(), b"one");
        assert!(Path::new(&first.path).starts_with(&inner));
    }

    #[test]
    fn a_folder_that_is_none_is_an_error_that_names_the_file() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = write(&file.display().to_string(), "shop", "txt", b"one").unwrap_err();
        assert!(error.to_string().contains("shop-"), "{error}");
        assert_ne!(error.kind(), ProviderErrorKind::OutcomeUnknown);
    }
}
