//! What must not leave the place where the project is made: paths of machines, addresses of package registries, and
//! talk about the making. A reader elsewhere can do nothing with them.

use super::files::File;
use super::finding::{Finding, Rule};

/// Folders that exist on somebody's machine. In two parts, so that this list does not find itself.
const FOLDERS: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

const REGISTRIES: [&str; 6] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("npmjs", ".org"),
    concat!("deb.", "debian.org"),
    concat!("proxy.", "golang.org"),
];

/// How the OSV format names an ecosystem after its registry: a word of that format, at which nobody calls.
const ECOSYSTEM: &str = concat!("\"ecosystem\": \"crates", ".io\"");

/// In lower case.
const MAKING: [&str; 6] = [
    concat!("this ", "session"),
    concat!("coding ", "agent"),
    concat!("ai ", "assistant"),
    concat!("language ", "model"),
    concat!("system ", "prompt"),
    concat!("as requested by ", "the user"),
];

pub(super) fn check(file: &File) -> Vec<Finding> {
    // Lock files hold addresses and are written by tools.
    let is_lock = file.name().ends_with(".lock") || file.name().ends_with("lock.json");
    let Some(text) = file.text.as_deref().filter(|_| !is_lock) else { return Vec::new() };
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for message in leaks(line) {
            findings.push(Finding::new(&file.path, index + 1, Rule::Leak, message));
        }
    }
    findings
}

fn leaks(line: &str) -> Vec<String> {
    let mut messages = Vec::new();
    for folder in FOLDERS.iter().filter(|folder| names_folder(line, folder)) {
        messages.push(format!("`{folder}` is a path of one machine; derive it, or ask for it"));
    }
    let line = line.to_lowercase().replace(ECOSYSTEM, "");
    for host in REGISTRIES.iter().filter(|host| line.contains(*host)) {
        messages.push(format!("`{host}` is the address of a package registry; leave it to the tools"));
    }
    for words in MAKING.iter().filter(|words| line.contains(*words)) {
        messages.push(format!("`{words}` is about how the project is made; say what is true of the code"));
    }
    messages
}

/// Whether a path begins with the folder; `docs/…` or `$BASE/…` in front of it makes it another path.
fn names_folder(line: &str, folder: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || "._-~})*".contains(c);
    line.match_indices(folder).any(|(at, _)| !line[..at].ends_with(continues))
}

#[cfg(test)]
mod tests {
    use super::{ECOSYSTEM, FOLDERS, MAKING, REGISTRIES, check};
    use crate::tidy::files::File;

    fn count(path: &str, text: &str) -> usize {
        check(&File::new(path, text.as_bytes().to_vec())).len()
    }

    #[test]
    fn everything_on_the_lists_is_found() {
        for leak in FOLDERS.iter().chain(&REGISTRIES).chain(&MAKING) {
            for text in [format!("see {leak}x"), format!("let a = \"{leak}\";"), format!("// ({leak})")] {
                assert_eq!(count("crates/a/src/a.rs", &text), 1, "{text}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_it_is_not() {
        let folder = FOLDERS[0];
        for text in [
            format!("docs{folder}a"),
            format!("$BASE{folder}a"),
            format!("${{base}}{folder}"),
            "work/".into(),
        ] {
            assert_eq!(count("docs/a.md", &text), 0, "{text}");
        }
        let host = REGISTRIES[0];
        assert_eq!(count("Cargo.lock", host), 0, "lock files are written by tools");
        assert_eq!(count("a.json", &format!("{{ {ECOSYSTEM} }}")), 0, "an ecosystem has that name");
        assert_eq!(count("a.json", &format!("{{ {ECOSYSTEM}, \"url\": \"https://{host}\" }}")), 1);
        assert_eq!(
            count("docs/a.md", &format!("line\nThe {}", host.to_uppercase())),
            1,
            "the case does not matter"
        );
    }
}
