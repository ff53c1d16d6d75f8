//! What a supervisor has to say, on standard error.

use std::{fmt, io::Write};

/// Writes a line with the time before it.
pub(crate) fn note(text: fmt::Arguments<'_>) {
    let line = format!("{} {text}\n", crate::time::now());
    // There is nobody to tell that nothing can be told.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
