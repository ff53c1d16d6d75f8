//! One word for one thing. The table is in docs/architecture.md; here are the words that it rules out and that have no
//! second meaning in our field (a lock, a driver or a conflict may well be something else), for the names that a user
//! sees.

use super::files::File;
use super::finding::{Finding, Rule};
use super::lexer;
use super::rust::Rust;

/// A word and what we say instead.
const SYNONYMS: [(&str, &str); 14] = [
    ("activities", "steps"),
    ("activity", "step"),
    ("execution", "run"),
    ("executions", "runs"),
    ("hung", "stuck"),
    ("job", "pipeline"),
    ("jobs", "pipelines"),
    ("plugin", "provider"),
    ("stage", "step"),
    ("stages", "steps"),
    ("task", "step"),
    ("tasks", "steps"),
    ("workflow", "pipeline"),
    ("workflows", "pipelines"),
];

const ITEMS: [&str; 9] = ["struct", "enum", "union", "trait", "type", "fn", "mod", "const", "static"];
const QUALIFIERS: [&str; 3] = ["async", "unsafe", "mut"];

pub(super) fn check(file: &File) -> Vec<Finding> {
    let in_library = file.path.starts_with("crates/") || file.path.starts_with("bindings/");
    if !in_library || file.is_test() {
        return Vec::new();
    }
    let names = match (&file.rust, &file.text) {
        (Some(rust), _) => rust_names(rust),
        (None, Some(text)) if file.is_python() => python_names(text),
        _ => Vec::new(),
    };
    let mut findings = Vec::new();
    for (line, name) in names {
        for (word, instead) in words(&name).iter().filter_map(|word| synonym(word)) {
            let message = format!("`{name}` says {word}; our word is {instead}");
            findings.push(Finding::new(&file.path, line, Rule::Vocabulary, message));
        }
    }
    findings
}

fn synonym(word: &str) -> Option<(&'static str, &'static str)> {
    SYNONYMS.into_iter().find(|(banned, _)| *banned == word)
}

/// Names of public items and of public fields.
fn rust_names(rust: &Rust) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    for at in (0..rust.len()).filter(|&at| rust.is(at, "pub") && !rust.in_test(rust.line(at))) {
        let mut next = at + 1;
        while QUALIFIERS.contains(&rust.text(next)) || (rust.is(next, "const") && rust.is(next + 1, "fn")) {
            next += 1;
        }
        let name = if ITEMS.contains(&rust.text(next)) {
            next + 1
        } else if rust.is(next + 1, ":") && !rust.is(next + 2, ":") {
            next
        } else {
            continue;
        };
        if rust.is_name(name) {
            names.push((rust.line(name), rust.text(name).to_owned()));
        }
    }
    names
}

/// Names of classes and functions without a leading underscore.
fn python_names(text: &str) -> Vec<(usize, String)> {
    let name = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        let rest = line.strip_prefix("def ").or(line.strip_prefix("class "))?;
        let name: String = rest.bytes().take_while(|&b| lexer::is_word(b)).map(char::from).collect();
        (!name.starts_with('_')).then_some(name)
    };
    text.lines().enumerate().filter_map(|(index, line)| Some((index + 1, name(line)?))).collect()
}

/// The words of `snake_case`, `CamelCase` and `UPPER_CASE`, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && after_lower) {
            words.push(String::new());
        }
        if c != '_' {
            words.last_mut().expect("there is a first word").extend(c.to_lowercase());
        }
        after_lower = c.is_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::{check, words};
    use crate::tidy::files::File;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&File::new(path, text.as_bytes().to_vec())).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn names_have_words() {
        for (name, expected) in [
            ("start_run", ["start", "run"]),
            ("StartRun", ["start", "run"]),
            ("START_RUN", ["start", "run"]),
            ("startRun", ["start", "run"]),
        ] {
            assert_eq!(words(name), expected, "{name}");
        }
    }

    #[test]
    fn synonyms_are_found() {
        let cases: [(&str, &str, &[usize]); 14] = [
            ("a struct", "pub struct Workflow;", &[1]),
            ("part of a name", "pub enum ActivityKind {}", &[1]),
            ("a function", "pub async fn execution() {}", &[1]),
            ("a constant function", "pub const fn start_job() {}", &[1]),
            ("a constant", "pub const MAX_TASKS: usize = 1;", &[1]),
            ("a field", "pub struct A {\n    pub workflow: B,\n}", &[2]),
            ("a module", "pub mod jobs;", &[1]),
            ("our words", "pub struct Pipeline;\npub fn start_run() {}", &[]),
            ("a word inside a word", "pub fn taskbar() {}\npub struct Jobless;", &[]),
            ("private", "struct Workflow;\npub(crate) fn execution() {}", &[]),
            ("another's name", "pub use other::Workflow;", &[]),
            ("a comment", "/// pub struct Workflow\npub struct A;", &[]),
            ("a path", "pub fn f(a: tokio::task::B) {}", &[]),
            ("a test", "#[cfg(test)]\nmod tests {\n    pub struct Workflow;\n}", &[]),
        ];
        for (what, text, expected) in cases {
            assert_eq!(lines("crates/a/src/a.rs", text), expected, "{what}");
        }
        assert_eq!(lines("xtask/src/a.rs", "pub struct Stage;"), [0; 0], "not the library");
    }

    #[test]
    fn synonyms_are_found_in_python() {
        let text =
            "class Workflow:\n    async def execution(self): ...\n    def _job(self): ...\n# class Task\n";
        assert_eq!(lines("bindings/python/towpath/a.py", text), [1, 2]);
        assert_eq!(lines("bindings/python/tests/a.py", text), [0; 0]);
    }
}
