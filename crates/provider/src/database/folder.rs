//! The migrations of a folder, in their order.

use super::{AppliedMigration, AppliedState, Drift, HISTORY_TABLE, Migration, drift, name};
use crate::{ProviderError, ProviderErrorKind};
use std::{fs, path::Path};

/// All migrations of a database, in the order of their numbers, and how far to go.
///
/// Gaps between the numbers mean nothing; two of one number are an error.
///
/// ```
/// use towpath_provider::Migrations;
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("0001_create_orders.sql"), "CREATE TABLE orders (id INTEGER PRIMARY KEY);")?;
/// std::fs::write(folder.path().join("0002_add_note.sql"), "ALTER TABLE orders ADD COLUMN note TEXT;")?;
/// let migrations = Migrations::read(folder.path())?;
/// let pending = migrations.pending(&[])?;
/// assert_eq!(pending.iter().map(|migration| migration.id()).collect::<Vec<_>>(), ["0001", "0002"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Migrations {
    all: Vec<Migration>,
    /// The number of the last that is wanted.
    until: Option<i64>,
}

impl Migrations {
    /// Reads a folder, and waits for its disk.
    ///
    /// Files that do not end in `.sql` are left alone, and so are those that begin with a dot or end in `.down.sql`. What
    /// else a name can be is in the book, under *migrations*.
    ///
    /// # Errors
    /// `NotFound` without such a folder; `Invalid`, with all files that cannot be migrations and why.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self, ProviderError> {
        let folder = folder.as_ref();
        let place =
            |error: ProviderError| error.during("read the migrations").with("folder", folder.display());
        let entries = fs::read_dir(folder).map_err(|e| place(unreadable(&e).because(e)))?;
        let (mut all, mut problems) = (Vec::new(), Vec::new());
        for entry in entries {
            let entry = entry.map_err(|e| place(unreadable(&e).because(e)))?;
            match one(&entry) {
                Ok(migration) => all.extend(migration),
                Err(what) => problems.push(format!("{}: {what}", entry.file_name().to_string_lossy())),
            }
        }
        problems.sort();
        Migrations::checked(all, problems).map_err(place)
    }

    /// These migrations, in the order of their numbers.
    ///
    /// # Errors
    /// `Invalid`, when two have one number.
    pub fn new(all: impl IntoIterator<Item = Migration>) -> Result<Self, ProviderError> {
        Migrations::checked(all.into_iter().collect(), Vec::new())
    }

    fn checked(mut all: Vec<Migration>, mut problems: Vec<String>) -> Result<Self, ProviderError> {
        all.sort_by(|a, b| (a.number(), a.file()).cmp(&(b.number(), b.file())));
        for pair in all.windows(2).filter(|pair| pair[0].number() == pair[1].number()) {
            let [a, b] = [pair[0].file(), pair[1].file()];
            problems.push(format!("{a} and {b} have the same number: give one of them another"));
        }
        if problems.is_empty() {
            return Ok(Migrations { all, until: None });
        }
        Err(ProviderError::new(ProviderErrorKind::Invalid, problems.join("; ")))
    }

    /// Goes no further than the migration with this number, given as `0002`, `2` or `0002_add_note`.
    ///
    /// # Errors
    /// `Invalid`, when there is none with it.
    pub fn up_to(mut self, id: &str) -> Result<Self, ProviderError> {
        let digits = id.split_once('_').map_or(id, |(digits, _)| digits);
        let digits = digits.strip_prefix(['V', 'v']).unwrap_or(digits);
        let number = digits.parse().ok();
        let found = self.all.iter().find(|migration| Some(migration.number()) == number);
        match found {
            Some(migration) => {
                self.until = Some(migration.number());
                Ok(self)
            }
            None => {
                let last = self.all.last().map_or("none", Migration::file);
                let what = format!("there is no migration {id} to go up to: the last is {last}");
                Err(ProviderError::new(ProviderErrorKind::Invalid, what))
            }
        }
    }

    /// All of them, also those beyond the end that was set.
    pub fn all(&self) -> &[Migration] {
        &self.all
    }

    /// Those up to the end that was set.
    pub fn wanted(&self) -> impl Iterator<Item = &Migration> {
        self.all.iter().filter(|migration| self.until.is_none_or(|until| migration.number() <= until))
    }

    /// How a history differs from these.
    pub fn drift(&self, applied: &[AppliedMigration]) -> Vec<Drift> {
        drift::between(&self.all, applied)
    }

    /// What is still to be applied, in its order.
    ///
    /// # Errors
    /// * `OutcomeUnknown`, when one of the history was begun and is not known to be done.
    /// * `ConditionFailed`, with every [`Drift`].
    pub fn pending(&self, applied: &[AppliedMigration]) -> Result<Vec<&Migration>, ProviderError> {
        if let Some(row) = applied.iter().find(|row| row.state == AppliedState::Begun) {
            return Err(ProviderError::outcome_unknown(begun(row)));
        }
        let drifts = self.drift(applied);
        if !drifts.is_empty() {
            let words: Vec<_> = drifts.iter().map(ToString::to_string).collect();
            return Err(ProviderError::new(ProviderErrorKind::ConditionFailed, words.join("; ")));
        }
        let is_applied = |number| applied.iter().any(|row| row.number == number);
        Ok(self.wanted().filter(|migration| !is_applied(migration.number())).collect())
    }
}

/// What an operator is told of a migration without a transaction whose end nobody recorded.
fn begun(row: &AppliedMigration) -> String {
    let AppliedMigration { number, id, name, at, .. } = row;
    format!(
        "{id}_{name} runs without a transaction, was begun at {at} and is not recorded as done: look whether it took \
         effect; if it did, `UPDATE {HISTORY_TABLE} SET state = 'done' WHERE number = {number}`; if not, take away what \
         it may have left, such as an invalid index, and `DELETE FROM {HISTORY_TABLE} WHERE number = {number}`; then go \
         on"
    )
}

fn unreadable(error: &std::io::Error) -> ProviderError {
    match error.kind() {
        std::io::ErrorKind::NotFound => ProviderError::not_found("there is no such folder"),
        std::io::ErrorKind::NotADirectory => ProviderError::new(
            ProviderErrorKind::Invalid,
            "it is no folder: give the folder that the files are in",
        ),
        _ => ProviderError::unexpected("the folder cannot be read"),
    }
}

/// Reads one entry of a folder; `None` when it is no migration.
fn one(entry: &fs::DirEntry) -> Result<Option<Migration>, String> {
    let file_name = entry.file_name();
    let Some(file) = file_name.to_str() else {
        return Err("its name is no UTF-8".to_owned());
    };
    // Links are followed: some deployments mount each file as one.
    let about = fs::metadata(entry.path()).map_err(|e| format!("it cannot be read: {e}"))?;
    if about.is_dir() {
        return if name::is_nested(file) {
            Err("folders inside are not read: put its file beside the others, as in 0012_add_note.sql"
                .to_owned())
        } else {
            Ok(None)
        };
    }
    if let name::Named::Other = name::read(file)? {
        return Ok(None);
    }
    let bytes = fs::read(entry.path()).map_err(|e| format!("it cannot be read: {e}"))?;
    Migration::read(file, &bytes)
}

#[cfg(test)]
mod tests {
    use super::Migrations;
    use crate::{AppliedMigration, AppliedState, Drift, Migration, MigrationPhase, ProviderErrorKind};
    use towpath_model::{Digest, Timestamp};

    fn file(name: &str) -> Migration {
        Migration::of_file(name, format!("SELECT '{name}';").as_bytes()).unwrap().unwrap()
    }

    fn files(names: &[&str]) -> Migrations {
        Migrations::new(names.iter().map(|name| file(name))).unwrap()
    }

    fn row(name: &str) -> AppliedMigration {
        let of = file(name);
        AppliedMigration {
            number: of.number(),
            id: of.id().into(),
            name: of.name().into(),
            checksum: of.checksum(),
            phase: MigrationPhase::Expand,
            at: Timestamp::MIN,
            by: "key".into(),
            state: AppliedState::Done,
        }
    }

    fn ids(migrations: &Migrations, applied: &[AppliedMigration]) -> Vec<String> {
        migrations.pending(applied).unwrap().iter().map(|one| one.id().to_owned()).collect()
    }

    #[test]
    fn numbers_and_not_texts_make_the_order_and_gaps_mean_nothing() {
        let all = files(&["10_c.sql", "9_b.sql", "0001_a.sql", "20240131120000_d.sql"]);
        assert_eq!(ids(&all, &[]), ["0001", "9", "10", "20240131120000"]);
        assert_eq!(ids(&all, &[row("0001_a.sql"), row("9_b.sql")]), ["10", "20240131120000"]);
    }

    #[test]
    fn an_end_is_found_however_it_is_written() {
        for id in ["0002", "2", "0002_b", "V2", "2_whatever"] {
            let some = files(&["0001_a.sql", "0002_b.sql", "0003_c.sql"]).up_to(id).unwrap();
            assert_eq!(ids(&some, &[row("0001_a.sql")]), ["0002"], "{id}");
            assert_eq!(some.all().len(), 3);
        }
        let said = files(&["0001_a.sql"]).up_to("0004").unwrap_err().to_string();
        assert_eq!(said, "there is no migration 0004 to go up to: the last is 0001_a.sql");
    }

    #[test]
    fn an_end_that_is_passed_leaves_nothing_to_do_and_is_no_drift() {
        let some = files(&["0001_a.sql", "0002_b.sql"]).up_to("1").unwrap();
        assert!(ids(&some, &[row("0001_a.sql"), row("0002_b.sql")]).is_empty());
    }

    #[test]
    fn each_drift_names_its_file() {
        let all = files(&["0001_a.sql", "0003_c.sql"]);
        let changed = AppliedMigration { checksum: Digest::ZERO, ..row("0001_a.sql") };
        for (applied, words) in [
            (vec![changed], "0001_a.sql was changed"),
            (vec![row("0001_a.sql"), row("0002_b.sql")], "0002_b was applied"),
            (vec![row("0003_c.sql")], "0001_a.sql is new and sorts before 0003_c"),
        ] {
            let error = all.pending(&applied).unwrap_err();
            assert_eq!(error.kind(), ProviderErrorKind::ConditionFailed);
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(all.drift(&applied).len(), 1);
        }
        let last = row("0003_c.sql");
        let late = Drift::Late { file: "0001_a.sql".into(), last: last.clone() };
        assert_eq!(all.drift(&[last]), [late]);
    }

    #[test]
    fn another_name_is_no_drift() {
        let renamed = AppliedMigration { name: "before".into(), id: "1".into(), ..row("0001_a.sql") };
        assert!(ids(&files(&["0001_a.sql"]), &[renamed]).is_empty());
    }

    #[test]
    fn doubt_comes_first_and_says_what_to_do() {
        let begun = AppliedMigration { state: AppliedState::Begun, ..row("0002_b.sql") };
        let error = files(&["0001_a.sql"]).pending(&[begun]).unwrap_err();
        assert_eq!(error.kind(), ProviderErrorKind::OutcomeUnknown);
        assert!(error.to_string().contains("DELETE FROM towpath_migrations WHERE number = 2"), "{error}");
    }

    #[test]
    fn everything_wrong_in_a_folder_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("0001_a.sql", "SELECT 1;"),
            ("1_b.sql", "SELECT 1;"),
            ("0002_c.contract.sql", "SELECT 1;"),
            ("notes.sql", "SELECT 1;"),
            ("README.md", "no migration"),
            ("0001_a.down.sql", "DROP TABLE a;"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        std::fs::create_dir(folder.path().join("2024-01-31-120000_d")).unwrap();
        std::fs::create_dir(folder.path().join("seeds")).unwrap();
        let error = Migrations::read(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ProviderErrorKind::Invalid);
        let said = error.to_string();
        for words in [
            "0001_a.sql and 1_b.sql have the same number",
            "0002_c.contract.sql: a contract migration says",
            "notes.sql: a name begins with a number",
            "2024-01-31-120000_d: folders inside are not read",
            &folder.path().display().to_string(),
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(!said.contains("README") && !said.contains("down") && !said.contains("seeds"), "{said}");
    }

    #[test]
    fn a_folder_that_is_none_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let error = Migrations::read(folder.path().join("migrations")).unwrap_err();
        assert_eq!(error.kind(), ProviderErrorKind::NotFound);
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert_eq!(
            Migrations::read(folder.path().join("file")).unwrap_err().kind(),
            ProviderErrorKind::Invalid
        );
        assert!(Migrations::read(folder.path()).unwrap().all().is_empty());
    }
}
