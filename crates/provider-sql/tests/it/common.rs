//! What the tests of all databases need.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use towpath_model::{Key, KeyPhase, RunId, StepId};
use towpath_provider::{AppliedMigration, Migration, Migrations};

pub(crate) fn key(name: &str) -> Key {
    Key::derive(RunId::from_bytes([7; 16]), &StepId::new("migrate").unwrap(), KeyPhase::Run, name, 0)
}

pub(crate) fn files(files: &[(&str, &str)]) -> Migrations {
    let read = |(file, text): &(&str, &str)| Migration::of_file(file, text.as_bytes()).unwrap().unwrap();
    Migrations::new(files.iter().map(read)).unwrap()
}

pub(crate) fn ids(history: &[AppliedMigration]) -> Vec<&str> {
    history.iter().map(|row| row.id.as_str()).collect()
}
