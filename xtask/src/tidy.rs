//! Rules of the house that a compiler does not know, each checked by a function and each with a test that plants a
//! violation. Where a rule needs an exception, the reason stands beside it:
//!
//! ```text
//! // tidy: allow(sleep): the kernel gives no event for this
//! ```
//!
//! on the line itself or on the one above. An exception without a reason, for an unknown rule, or that no longer
//! excuses anything is a violation as well.

mod banned;
mod exceptions;
mod files;
mod finding;
mod graph;
mod leaks;
mod lexer;
mod purity;
mod roots;
mod rust;
mod size;
mod vocabulary;

use files::File;
use finding::Finding;

use crate::outcome::Outcome;
use crate::workspace::Workspace;

/// The stage of `cargo xtask test`; prints every violation there is.
pub(crate) fn stage(workspace: &Workspace) -> Outcome {
    let result = findings(workspace).and_then(|findings| {
        for finding in &findings {
            println!("{finding}");
        }
        if findings.is_empty() { Ok(()) } else { Err(format!("violations: {}", findings.len())) }
    });
    result.into()
}

fn findings(workspace: &Workspace) -> Result<Vec<Finding>, String> {
    let files = files::read_all(workspace)?;
    let mut findings = graph::check(workspace, &files)?;
    findings.extend(files.iter().flat_map(check_file));
    Ok(exceptions::apply(&files, findings))
}

/// Everything that can be said about one file by itself.
fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = leaks::check(file);
    findings.extend(size::check(file));
    findings.extend(banned::check(file));
    findings.extend(roots::check(file));
    findings.extend(purity::check(file));
    findings.extend(vocabulary::check(file));
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::check_file;
    use super::files::File;
    use super::finding::Rule;

    /// A check that nobody calls would pass for ever: one file that breaks every rule there is about a file.
    #[test]
    fn every_rule_is_called() {
        let text = format!(
            "#[ignore]\n#[allow(dead_code)]\npub fn workflow() {{\n    todo!();\n    a.unwrap();\n    \
             std::thread::sleep(b);\n{}}}\n#[typetag::serde]\nimpl A for B {{}}\n/// ```ignore\n/// ```\n// {}x\n{}",
            "    a();\n".repeat(70),
            concat!("/ho", "me/"),
            format!("// {}\n", "x".repeat(300)).repeat(900),
        );
        let file = File::new("crates/machine/src/lib.rs", text.into_bytes());
        let found: BTreeSet<Rule> = check_file(&file).into_iter().map(|finding| finding.rule).collect();
        let expected: BTreeSet<Rule> =
            Rule::EXCUSABLE.into_iter().filter(|&rule| rule != Rule::Graph).collect();
        assert_eq!(found, expected);
    }
}
