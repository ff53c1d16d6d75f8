//! Saying that something was not tested, to whoever counts.

use std::{fs::File, io::Write};

/// Says that a test, or a part of it, did not run, and why.
///
/// # Panics
/// When the file cannot be written in which they are counted.
#[expect(clippy::unwrap_used, reason = "a skip that nobody counts is worse than a test that fails")]
pub fn skipped(test: &str, why: &str) {
    eprintln!("SKIPPED: {test}: {why}");
    if let Some(path) = std::env::var_os("TOWPATH_SKIPS") {
        let mut file = File::options().append(true).create(true).open(path).unwrap();
        writeln!(file, "SKIPPED: {test}: {why}").unwrap();
    }
}
