//! Names of migrations: `0001_create_orders.sql`, and what users of other tools bring.

use super::MigrationPhase;

/// What a file's name says of a migration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct FileName {
    pub(super) number: i64,
    /// The number as it was written.
    pub(super) id: String,
    pub(super) name: String,
    /// The phase, when the name has a suffix that says it.
    pub(super) phase: Option<MigrationPhase>,
}

/// What a name in a folder is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Named {
    Migration(FileName),
    /// No migration, and nobody could take it for one.
    Other,
}

/// Reads a name: `NUMBER_NAME.sql` (sqlx), with `.expand`, `.contract` or `.up` before the end (golang-migrate), or
/// `VNUMBER__NAME.sql` (Flyway, refinery). What looks like a migration of another form is an error: a file that is
/// silently left out is a schema that nobody expects.
pub(super) fn read(file: &str) -> Result<Named, String> {
    if file.starts_with('.') {
        return Ok(Named::Other);
    }
    let Some(stem) = file.strip_suffix(".sql") else {
        let other_case = file.len() >= 4 && file.to_ascii_lowercase().ends_with(".sql");
        return if other_case {
            Err("write the ending .sql in lower case".to_owned())
        } else {
            Ok(Named::Other)
        };
    };
    let (stem, phase) = match stem.rsplit_once('.') {
        None => (stem, None),
        // What goes back is a further migration here.
        Some((_, "down")) => return Ok(Named::Other),
        Some((stem, "up")) => (stem, None),
        Some((stem, "expand")) => (stem, Some(MigrationPhase::Expand)),
        Some((stem, "contract")) => (stem, Some(MigrationPhase::Contract)),
        Some(_) if is_dotted(stem) => {
            return Err("the number must be a whole one, as in 0012_add_note.sql".to_owned());
        }
        Some((_, suffix)) => {
            return Err(format!(
                "`.{suffix}` before .sql means nothing: write .expand or .contract, or leave it out"
            ));
        }
    };
    if stem.contains('.') {
        return Err("a name has no dots but those of its endings".to_owned());
    }
    let (id, name) = split(stem)?;
    let number: i64 =
        id.parse().map_err(|_| format!("the number {id} is too large: at most {}", i64::MAX))?;
    if number == 0 {
        return Err("numbers begin at 1".to_owned());
    }
    if name.is_empty() {
        return Err(format!("say after the number what it does, as in {id}_add_note.sql"));
    }
    Ok(Named::Migration(FileName { number, id: id.to_owned(), name: name.to_owned(), phase }))
}

/// The number and the name of a stem.
fn split(stem: &str) -> Result<(&str, &str), String> {
    let of_flyway =
        stem.strip_prefix(['V', 'v']).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let (text, separator) = match of_flyway {
        Some(rest) => (rest, "__"),
        None => (stem, "_"),
    };
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (id, rest) = text.split_at(end);
    if id.is_empty() {
        return Err(match stem.split_once("__") {
            Some(("R", _)) => "there are no repeatable migrations: write what changed as a further one",
            Some((prefix, _)) if prefix.starts_with('U') => {
                "`U` undoes in one tool and migrates in another: give it a number, or take it out of the folder"
            }
            _ => "a name begins with a number, as in 0012_add_note.sql",
        }
        .to_owned());
    }
    match rest.strip_prefix(separator) {
        Some(name) => Ok((id, name)),
        None if rest.is_empty() => Ok((id, "")),
        None => Err(format!(
            "after the number comes `{separator}`, as in {}{separator}add_note.sql",
            &stem[..stem.len() - rest.len()]
        )),
    }
}

/// Whether a stem begins with a number of several parts, as Flyway has them.
fn is_dotted(stem: &str) -> bool {
    let text = stem.strip_prefix(['V', 'v']).unwrap_or(stem);
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < text.len() && rest.starts_with('.') && rest[1..].starts_with(|c: char| c.is_ascii_digit())
}

/// Whether the name of a folder inside is one that migrations are in, as of tools that have one for each.
pub(super) fn is_nested(folder: &str) -> bool {
    let text = folder.strip_prefix(['V', 'v']).unwrap_or(folder);
    text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{FileName, Named, is_nested, read};
    use crate::MigrationPhase::{Contract, Expand};

    fn named(number: i64, id: &str, name: &str, phase: Option<crate::MigrationPhase>) -> Named {
        Named::Migration(FileName { number, id: id.into(), name: name.into(), phase })
    }

    #[test]
    fn names_of_every_layout_are_read() {
        for (file, wanted) in [
            ("0001_create_orders.sql", named(1, "0001", "create_orders", None)),
            ("0002_add_note.expand.sql", named(2, "0002", "add_note", Some(Expand))),
            ("0003_drop_old.contract.sql", named(3, "0003", "drop_old", Some(Contract))),
            ("20240131120000_add-note.sql", named(20_240_131_120_000, "20240131120000", "add-note", None)),
            ("000001_create.up.sql", named(1, "000001", "create", None)),
            ("V1__initial.sql", named(1, "1", "initial", None)),
            ("V007__a_b.contract.sql", named(7, "007", "a_b", Some(Contract))),
            ("9223372036854775807_last.sql", named(i64::MAX, "9223372036854775807", "last", None)),
            ("1_größer.sql", named(1, "1", "größer", None)),
            ("0001_create.down.sql", Named::Other),
            ("README.md", Named::Other),
            (".gitkeep", Named::Other),
            (".0001_x.sql", Named::Other),
            ("0001_create.sql~", Named::Other),
        ] {
            assert_eq!(read(file), Ok(wanted), "{file}");
        }
    }

    #[test]
    fn what_looks_like_a_migration_and_is_none_is_an_error() {
        for (file, words) in [
            ("create_orders.sql", "begins with a number"),
            (".sql.sql", ""),
            ("0001.sql", "say after the number"),
            ("0001_.sql", "say after the number"),
            ("0001-create.sql", "comes `_`, as in 0001_add_note.sql"),
            ("V1_create.sql", "comes `__`, as in V1__add_note.sql"),
            ("V1.1__create.sql", "whole one"),
            ("1.2_create.sql", "whole one"),
            ("R__views.sql", "no repeatable migrations"),
            ("U1__create.sql", "`U` undoes"),
            ("0003_drop.contarct.sql", "`.contarct` before .sql means nothing"),
            ("0003_v1.2_fix.expand.sql", "no dots"),
            ("0001_CREATE.SQL", "lower case"),
            ("0000_create.sql", "begin at 1"),
            ("9223372036854775808_x.sql", "too large"),
        ] {
            match read(file) {
                Err(said) => assert!(said.contains(words), "{file}: {said}"),
                Ok(Named::Other) => assert!(words.is_empty(), "{file}"),
                Ok(Named::Migration(found)) => panic!("{file}: {found:?}"),
            }
        }
    }

    #[test]
    fn folders_of_tools_that_have_one_for_each_migration_are_seen() {
        assert!(is_nested("2024-01-31-120000_create_orders") && is_nested("V2"));
        assert!(!is_nested("seeds") && !is_nested("views"));
    }
}
