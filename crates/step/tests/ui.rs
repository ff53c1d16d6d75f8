//! What the compiler says to misuse, and what it lets pass. The texts are those of one toolchain; the day it moves, run
//! with `TRYBUILD=overwrite` and read the difference.

/// The toolchain that the texts under `ui/fail` are of.
const TOOLCHAIN: &str = "1.95.";

#[test]
fn misuse_is_refused_with_words_that_teach() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    if rustc_version().starts_with(TOOLCHAIN) {
        cases.compile_fail("tests/ui/fail/*.rs");
    } else {
        skip("step::ui", "the texts of the compiler are those of another toolchain");
    }
}

fn rustc_version() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = std::process::Command::new(rustc).arg("--version").output().expect("there is a compiler");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.strip_prefix("rustc ").unwrap_or(&text).to_owned()
}

/// Tells the one test command that something was left out: a passing test's output is not seen.
fn skip(test: &str, why: &str) {
    use std::io::Write;
    if let Some(path) = std::env::var_os("TOWPATH_SKIPS") {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .expect("the file of skips opens");
        writeln!(file, "SKIPPED: {test}: {why}").expect("the file of skips can be written");
    }
}
