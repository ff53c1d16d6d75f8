//! What no line of code may hold: unfinished code, silenced tests, panics without a reason, waiting for time.

use super::files::File;
use super::finding::{Finding, Rule};
use super::rust::{Attribute, Rust};

pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |line: usize, rule: Rule, message: &str| {
        findings.push(Finding::new(&file.path, line, rule, message));
    };
    if let Some(rust) = &file.rust {
        for at in 0..rust.len() {
            if let Some((rule, message)) = call(rust, at) {
                add(rust.line(at), rule, message);
            }
            if let Some(attribute) = rust.attribute(at)
                && let Some((rule, message)) = attribute_rule(rust, &attribute)
            {
                add(attribute.line, rule, message);
            }
        }
    }
    for line in ignored_fences(file) {
        add(
            line,
            Rule::DocIgnore,
            "an example that nobody compiles; use `no_run`, or `text` if it is no code",
        );
    }
    findings
}

fn call(rust: &Rust, at: usize) -> Option<(Rule, &'static str)> {
    let is_test = rust.in_test(rust.line(at));
    match rust.text(at) {
        "todo" | "unimplemented" | "dbg" if rust.is(at + 1, "!") => {
            Some((Rule::Macro, "unfinished code; finish it, or leave it out"))
        }
        "unwrap" if !is_test && rust.is(at - at.min(1), ".") && rust.matches(at + 1, &["(", ")"]) => Some((
            Rule::Unwrap,
            "`unwrap` outside tests; return an error, or `expect` with the invariant in words",
        )),
        "thread" if !is_test && rust.matches(at + 1, &[":", ":", "sleep"]) => {
            Some((Rule::Sleep, "a sleep; wait for a condition, or take the time from the engine's clock"))
        }
        _ => None,
    }
}

fn attribute_rule(rust: &Rust, attribute: &Attribute) -> Option<(Rule, &'static str)> {
    let inside = attribute.inside.clone();
    let has = |word: &str| inside.clone().any(|at| rust.is(at, word));
    match rust.text(inside.start) {
        "ignore" => Some((Rule::Ignore, "an ignored test; make it run, or delete it")),
        "cfg_attr" if has("ignore") => Some((Rule::Ignore, "an ignored test; make it run, or delete it")),
        "allow" | "expect" if !has("reason") => {
            Some((Rule::Reason, "a lint is silenced without a reason; add `reason = \"…\"`"))
        }
        "cfg_attr" if (has("allow") || has("expect")) && !has("reason") => {
            Some((Rule::Reason, "a lint is silenced without a reason; add `reason = \"…\"`"))
        }
        "typetag" if typetag_needs_more(rust, attribute) => Some((
            Rule::Typetag,
            "the tag would be the name of a Rust type; give it a stable `name` or `tag`",
        )),
        _ => None,
    }
}

/// On an impl, typetag needs the kind as `name`; on a trait, a `tag`.
fn typetag_needs_more(rust: &Rust, attribute: &Attribute) -> bool {
    let mut item = attribute.inside.end + 1;
    while let Some(next) = rust.attribute(item) {
        item = next.inside.end + 1;
    }
    let end = rust.item_end(item);
    let is_trait = (item..end).take_while(|&at| !rust.is(at, "impl")).any(|at| rust.is(at, "trait"));
    let wanted = if is_trait { "tag" } else { "name" };
    !attribute.inside.clone().any(|at| rust.is(at, wanted))
}

/// Lines that open an example with `ignore`, in doc comments and in Markdown.
fn ignored_fences(file: &File) -> Vec<usize> {
    let text = match (&file.rust, &file.text) {
        (Some(rust), _) => &rust.comments,
        (None, Some(text)) if file.is_markdown() => text,
        _ => return Vec::new(),
    };
    let is_ignored = |line: &str| {
        let line = line.trim_start().trim_start_matches(['/', '!', '*', '>']).trim_start();
        let info = line.strip_prefix("```").or(line.strip_prefix("~~~")).unwrap_or_default();
        info.split([',', ' ', '{', '}']).any(|word| word == "ignore" || word.starts_with("ignore-"))
    };
    text.lines().enumerate().filter(|(_, line)| is_ignored(line)).map(|(index, _)| index + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::files::File;
    use crate::tidy::finding::Rule;

    type Found<'a> = &'a [(usize, Rule)];

    fn found(path: &str, text: &str) -> Vec<(usize, Rule)> {
        let file = File::new(path, text.as_bytes().to_vec());
        check(&file).into_iter().map(|finding| (finding.line, finding.rule)).collect()
    }

    #[test]
    fn banned_code_is_found() {
        let cases: [(&str, &str, Found<'_>); 14] = [
            ("todo", "fn f() {\n    todo!()\n}", &[(2, Rule::Macro)]),
            ("unimplemented in a test", "#[test]\nfn f() { unimplemented!(\"a\") }", &[(2, Rule::Macro)]),
            ("dbg", "let a = dbg!(b);", &[(1, Rule::Macro)]),
            ("a name", "fn todo() { dbg(a) }", &[]),
            ("unwrap", "a\n    .unwrap()", &[(2, Rule::Unwrap)]),
            ("unwrap in a test", "#[test]\nfn f() { a.unwrap() }", &[]),
            ("its relatives", "a.unwrap_or(b).unwrap_or_default(); fn unwrap() {}", &[]),
            ("unwrap in an example", "/// a.unwrap()\nfn f() {}", &[]),
            ("sleep", "std::thread::sleep(a)", &[(1, Rule::Sleep)]),
            ("sleep by import", "use std::thread::sleep;", &[(1, Rule::Sleep)]),
            ("sleep in a test", "#[test]\nfn f() { thread::sleep(a) }", &[]),
            ("another thread", "std::thread::spawn(a)", &[]),
            ("a string", "\"todo!() .unwrap() thread::sleep\"", &[]),
            ("a comment", "// todo!()\n", &[]),
        ];
        for (what, text, expected) in cases {
            assert_eq!(found("crates/a/src/a.rs", text), expected, "{what}");
        }
    }

    #[test]
    fn banned_attributes_are_found() {
        let cases: [(&str, &str, Found<'_>); 14] = [
            ("ignore", "#[test]\n#[ignore]\nfn f() {}", &[(2, Rule::Ignore)]),
            ("ignore with words", "#[ignore = \"slow\"]\nfn f() {}", &[(1, Rule::Ignore)]),
            ("ignore sometimes", "#[cfg_attr(windows, ignore)]\nfn f() {}", &[(1, Rule::Ignore)]),
            ("allow", "#[allow(dead_code)]\nfn f() {}", &[(1, Rule::Reason)]),
            ("expect for a file", "#![expect(dead_code)]", &[(1, Rule::Reason)]),
            ("allow sometimes", "#[cfg_attr(windows, allow(dead_code))]\nfn f() {}", &[(1, Rule::Reason)]),
            ("with a reason", "#[expect(dead_code, reason = \"public\")]\nfn f() {}", &[]),
            ("a bare typetag", "#[typetag::serde]\nimpl A for B {}", &[(1, Rule::Typetag)]),
            ("serialize too", "#[typetag::serialize]\n#[b]\nimpl A for B {}", &[(1, Rule::Typetag)]),
            ("a tag is no name", "#[typetag::serde(tag = \"a\")]\nimpl A for B {}", &[(1, Rule::Typetag)]),
            ("a name", "#[typetag::serde(name = \"a/v1\")]\nimpl A for B {}", &[]),
            ("a bare trait", "#[typetag::serde]\npub trait A {}", &[(1, Rule::Typetag)]),
            ("a trait with a tag", "#[typetag::serde(tag = \"kind\")]\npub trait A {}", &[]),
            ("another attribute", "#[serde(default)]\nstruct A;", &[]),
        ];
        for (what, text, expected) in cases {
            assert_eq!(found("crates/a/src/a.rs", text), expected, "{what}");
        }
    }

    #[test]
    fn ignored_examples_are_found() {
        let cases: [(&str, &str, &str, Found<'_>); 8] = [
            ("a doc comment", "a.rs", "/// Text.\n/// ```ignore\n/// a\n/// ```", &[(2, Rule::DocIgnore)]),
            ("a module", "a.rs", "//! ```rust,ignore\n//! ```", &[(1, Rule::DocIgnore)]),
            ("a platform", "a.rs", "/// ```ignore-windows\n/// ```", &[(1, Rule::DocIgnore)]),
            ("Markdown", "a.md", "text\n```rust, ignore\n```", &[(2, Rule::DocIgnore)]),
            ("no_run", "a.rs", "/// ```no_run\n/// ```", &[]),
            ("a string", "a.rs", "let a = \"/// ```ignore\";", &[]),
            ("a word", "a.md", "ignore this\n```text\nignore\n```", &[]),
            ("not documentation", "a.toml", "```ignore", &[]),
        ];
        for (what, path, text, expected) in cases {
            assert_eq!(found(path, text), expected, "{what}");
        }
    }
}
