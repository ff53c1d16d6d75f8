//! A history and a folder that no longer belong together.

use super::{AppliedMigration, Migration};
use std::fmt;

/// One way in which what was applied and what is in the folder differ.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Drift {
    /// What was applied is another text than the file has now.
    Changed {
        /// The name of the file.
        file: String,
        /// What was applied.
        applied: AppliedMigration,
    },
    /// What was applied is not in the folder.
    Missing {
        /// What was applied.
        applied: AppliedMigration,
    },
    /// It was not applied, and sorts before what was.
    Late {
        /// The name of the file.
        file: String,
        /// The last that was applied.
        last: AppliedMigration,
    },
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Drift::Changed { file, applied } => write!(
                f,
                "{file} was changed after it was applied at {} (its checksum was {}): put its text back, and write \
                 what shall change as a further migration",
                applied.at,
                applied.checksum.short()
            ),
            Drift::Missing { applied } => write!(
                f,
                "{}_{} was applied at {} and is not in the folder: put the file back, or take a newer folder",
                applied.id, applied.name, applied.at
            ),
            Drift::Late { file, last } => write!(
                f,
                "{file} is new and sorts before {}_{}, which was applied already: give it a higher number",
                last.id, last.name
            ),
        }
    }
}

/// How a history and a folder differ; both are in the order of the numbers.
pub(super) fn between(all: &[Migration], applied: &[AppliedMigration]) -> Vec<Drift> {
    let file_of = |row: &AppliedMigration| all.iter().find(|migration| migration.number() == row.number);
    let mut drifts = Vec::new();
    for row in applied {
        match file_of(row) {
            None => drifts.push(Drift::Missing { applied: row.clone() }),
            Some(migration) if migration.checksum() != row.checksum => {
                drifts.push(Drift::Changed { file: migration.file().to_owned(), applied: row.clone() });
            }
            Some(_) => {}
        }
    }
    if let Some(last) = applied.last() {
        let is_applied = |migration: &Migration| applied.iter().any(|row| row.number == migration.number());
        let late = all.iter().take_while(|migration| migration.number() < last.number);
        drifts.extend(
            late.filter(|migration| !is_applied(migration))
                .map(|migration| Drift::Late { file: migration.file().to_owned(), last: last.clone() }),
        );
    }
    drifts
}
