//! The record, the machine and the views of plans have no clock, no randomness, no async and no I/O. The crates they may not depend on are
//! in `graph`; this is what they may not name.

use super::files::File;
use super::finding::{Finding, Rule};
use super::rust::Rust;

const PURE: [&str; 3] = ["crates/model/src/", "crates/machine/src/", "crates/view/src/"];
const NAMES: [&str; 3] = ["SystemTime", "Instant", "async"];
const MODULES: [&str; 5] = ["env", "fs", "net", "process", "thread"];
const MACROS: [&str; 4] = ["print", "println", "eprint", "eprintln"];

pub(super) fn check(file: &File) -> Vec<Finding> {
    match &file.rust {
        Some(rust) if PURE.iter().any(|folder| file.path.starts_with(folder)) => names(&file.path, rust),
        _ => Vec::new(),
    }
}

fn names(path: &str, rust: &Rust) -> Vec<Finding> {
    let mut findings = Vec::new();
    for at in (0..rust.len()).filter(|&at| !rust.in_test(rust.line(at))) {
        for (position, name) in impure(rust, at) {
            let message = format!("`{name}` in a pure crate; let the engine do it and pass the result in");
            findings.push(Finding::new(path, rust.line(position), Rule::Purity, message));
        }
    }
    findings
}

fn impure(rust: &Rust, at: usize) -> Vec<(usize, String)> {
    let word = rust.text(at);
    if NAMES.contains(&word) {
        return vec![(at, word.to_owned())];
    }
    if MACROS.contains(&word) && rust.is(at + 1, "!") {
        return vec![(at, format!("{word}!"))];
    }
    if !rust.matches(at, &["std", ":", ":"]) {
        return Vec::new();
    }
    let first = at + 3;
    // `std::{fs, net::TcpStream}`: a module stands at the beginning of the group or behind a comma.
    let in_group = |i: usize| matches!(rust.text(i - 1), "{" | ",");
    let modules = if rust.is(first, "{") {
        (first + 1..rust.close(first)).filter(|&i| in_group(i)).collect()
    } else {
        vec![first]
    };
    modules
        .into_iter()
        .filter(|&i| MODULES.contains(&rust.text(i)))
        .map(|i| (i, format!("std::{}", rust.text(i))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::files::File;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&File::new(path, text.as_bytes().to_vec())).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn impure_names_are_found() {
        let cases: [(&str, &str, &[usize]); 13] = [
            ("a clock", "use std::time::SystemTime;", &[1]),
            ("another clock", "fn f(\n    now: Instant,\n) {}", &[2]),
            ("a file", "std::fs::read(p)", &[1]),
            ("a group", "use std::{\n    fmt,\n    fs,\n    net::TcpStream,\n};", &[3, 4]),
            ("a thread", "std::thread::spawn(f)", &[1]),
            ("the environment", "std::env::var(n)", &[1]),
            ("a future", "pub async fn f() {}", &[1]),
            ("a future in a block", "let f = async { };", &[1]),
            ("printing", "println!(\"a\")", &[1]),
            ("pure code", "use std::{fmt, time::Duration};\nfn instant() { print(a) }", &[]),
            ("a comment", "// not SystemTime, not println!\nfn f() {}", &[]),
            ("a string", "let s = \"std::fs\";", &[]),
            ("a test", "#[cfg(test)]\nmod tests {\n    use std::fs;\n}", &[]),
        ];
        for (what, text, expected) in cases {
            assert_eq!(lines("crates/machine/src/a.rs", text), expected, "{what}");
        }
    }

    #[test]
    fn only_pure_crates_are_looked_at() {
        for (path, found) in [("crates/model/src/a.rs", 1), ("crates/engine/src/a.rs", 0)] {
            assert_eq!(lines(path, "use std::fs;").len(), found, "{path}");
        }
        assert_eq!(
            lines("crates/machine/src/a/tests.rs", "use std::fs;"),
            [0; 0],
            "tests may do what they like"
        );
    }
}
