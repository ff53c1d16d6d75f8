//! The `towpath` command.

use pyo3::prelude::*;
use std::ffi::OsString;

/// Runs a command line of the stock command, whose first word is how it is called; its exit code.
#[pyfunction]
pub(crate) fn command(py: Python<'_>, line: Vec<OsString>) -> u8 {
    py.detach(|| towpath_cli::code_of(towpath_cli::App::stock(), line))
}
