//! `lib.rs` and `mod.rs` are tables of contents: documentation, attributes, modules and re-exports. What does something
//! has a file with a name.

use super::files::File;
use super::finding::{Finding, Rule};
use super::rust::Rust;

const ITEMS: [&str; 9] = ["fn", "struct", "enum", "union", "trait", "impl", "const", "static", "type"];

pub(super) fn check(file: &File) -> Vec<Finding> {
    match &file.rust {
        Some(rust) if matches!(file.name(), "lib.rs" | "mod.rs") => {
            let mut findings = Vec::new();
            module(&file.path, rust, 0, rust.len(), &mut findings);
            findings
        }
        _ => Vec::new(),
    }
}

/// Walks the items between two tokens.
fn module(path: &str, rust: &Rust, start: usize, end: usize, findings: &mut Vec<Finding>) {
    let (mut at, mut is_macro) = (start, false);
    while at < end {
        if let Some(attribute) = rust.attribute(at) {
            // Procedural macros must be in the root of their crate.
            is_macro |= rust.text(attribute.inside.start).starts_with("proc_macro");
            at = attribute.inside.end + 1;
            continue;
        }
        let item_end = rust.item_end(at);
        let keyword = (at..item_end).find(|&i| ITEMS.contains(&rust.text(i)) || is_container(rust.text(i)));
        match keyword.map(|i| (i, rust.text(i))) {
            Some((i, "mod")) if rust.is(i + 2, "{") && !rust.in_test(rust.line(i)) => {
                module(path, rust, i + 3, item_end, findings);
            }
            Some((i, word)) if ITEMS.contains(&word) && !is_macro && !rust.in_test(rust.line(i)) => {
                let message =
                    format!("`{word} {}` in a table of contents; move it to a file", rust.text(i + 1));
                findings.push(Finding::new(path, rust.line(i), Rule::Root, message));
            }
            _ => {}
        }
        (at, is_macro) = (item_end + 1, false);
    }
}

/// Words behind which an item word is no item: a path may not hold one, but a macro's body may.
fn is_container(word: &str) -> bool {
    matches!(word, "mod" | "use" | "extern" | "macro_rules")
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::files::File;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&File::new(path, text.as_bytes().to_vec())).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn only_contents_in_a_table_of_contents() {
        let contents = "//! Docs with fn.\n#![doc = \"fn\"]\nmod a;\n#[cfg(unix)]\npub mod b;\npub use a::{B, C};\n\
                        pub(crate) use b::d;\nextern crate alloc;\nmacro_rules! m { () => { fn f() {} } }\n";
        let cases: [(&str, String, &[usize]); 11] = [
            ("contents", contents.to_owned(), &[]),
            ("a function", format!("{contents}pub async fn f() {{}}"), &[10]),
            ("a struct", "pub struct A { fn_: u8 }\nmod b;".to_owned(), &[1]),
            ("an impl", "mod a;\nimpl<T> A for B<T> {\n    fn f() {}\n}\nmod b;".to_owned(), &[2]),
            ("a constant", "pub(crate) const A: u8 = 1;".to_owned(), &[1]),
            ("a prelude", "pub mod prelude {\n    pub use a::B;\n}\nmod c;".to_owned(), &[]),
            ("an inline module", "pub mod a {\n    pub fn f() {}\n}".to_owned(), &[2]),
            ("tests", "mod a;\n#[cfg(test)]\nmod tests {\n    fn f() {}\n}".to_owned(), &[]),
            (
                "a procedural macro",
                "#[proc_macro_attribute]\npub fn step(a: T) -> T {\n    b\n}".to_owned(),
                &[],
            ),
            ("after a procedural macro", "#[proc_macro]\npub fn a() {}\nfn b() {}".to_owned(), &[3]),
            ("a trait", "pub trait A {}".to_owned(), &[1]),
        ];
        for (what, text, expected) in cases {
            assert_eq!(lines("crates/a/src/lib.rs", &text), expected, "{what}");
        }
        assert_eq!(lines("crates/a/src/b/mod.rs", "fn f() {}"), [1]);
        assert_eq!(lines("crates/a/src/main.rs", "fn f() {}"), [0; 0]);
        assert_eq!(lines("crates/a/tests/common/mod.rs", "fn f() {}"), [0; 0]);
    }
}
