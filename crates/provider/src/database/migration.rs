//! One migration: a file of SQL.

use super::{
    header,
    name::{self, Named},
};
use crate::{ProviderError, ProviderErrorKind};
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, str::FromStr};
use towpath_model::Digest;

/// Most bytes of one file.
const FILE_BYTES: usize = 16 << 20;

/// What a migration means to releases that were written before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MigrationPhase {
    /// They can go on: it adds.
    Expand,
    /// Some of them cannot: it takes away what they need.
    Contract,
}

impl MigrationPhase {
    /// The word that files and the history table have.
    pub fn as_str(self) -> &'static str {
        match self {
            MigrationPhase::Expand => "expand",
            MigrationPhase::Contract => "contract",
        }
    }

    /// Reads the word of the history table.
    pub fn parse(word: &str) -> Option<Self> {
        [MigrationPhase::Expand, MigrationPhase::Contract].into_iter().find(|phase| phase.as_str() == word)
    }
}

impl fmt::Display for MigrationPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What every release of a service has to be that is live when a contract migration runs.
///
/// The versions are a requirement of [semantic versioning](https://semver.org), as Cargo writes them: `>= 2.0.0`,
/// `>=1.4, <3`. A pre-release meets only a requirement that names a pre-release of the same version.
///
/// ```
/// use towpath_provider::Requirement;
/// let needs: Requirement = "orders >= 2.0.0".parse().unwrap();
/// assert_eq!(needs.is_met_by("2.1.0"), Some(true));
/// assert_eq!(needs.is_met_by("v1.9.3"), Some(false));
/// assert_eq!(needs.is_met_by("4f2c"), None, "that is no version that can be compared");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Requirement {
    service: String,
    versions: VersionReq,
}

impl Requirement {
    /// Of which service.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Whether a release of this version meets it; `None` when the version cannot be compared. A leading `v` is no part
    /// of a version.
    pub fn is_met_by(&self, version: &str) -> Option<bool> {
        let version = Version::parse(version.strip_prefix('v').unwrap_or(version)).ok()?;
        Some(self.versions.matches(&version))
    }
}

impl FromStr for Requirement {
    type Err = String;

    /// Reads `SERVICE VERSIONS`, as in `orders >= 2.0.0`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (service, versions) = match text.trim().split_once(char::is_whitespace) {
            Some((service, versions)) if !versions.trim().is_empty() => (service, versions.trim()),
            _ => {
                let service = if text.trim().is_empty() { "SERVICE" } else { text.trim() };
                return Err(format!(
                    "it needs a service and which versions of it: write `-- towpath: needs {service} >= 2.0.0`"
                ));
            }
        };
        let read = VersionReq::parse(versions).map_err(|e| {
            format!("`{versions}` is no requirement of versions ({e}): write `-- towpath: needs {service} >= 2.0.0`")
        })?;
        Ok(Requirement { service: service.to_owned(), versions: read })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.service, self.versions)
    }
}

/// A migration: one file of SQL, checked as far as a file can be.
///
/// ```
/// use towpath_provider::{Migration, MigrationPhase};
/// let text = b"-- towpath: needs orders >= 2.0.0\nALTER TABLE orders DROP COLUMN note;\n";
/// let migration = Migration::of_file("0003_drop_note.contract.sql", text)?.expect("it is named like one");
/// assert_eq!((migration.number(), migration.id(), migration.name()), (3, "0003", "drop_note"));
/// assert_eq!(migration.phase(), MigrationPhase::Contract);
/// # Ok::<(), towpath_provider::ProviderError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Migration {
    number: i64,
    id: String,
    name: String,
    file: String,
    phase: MigrationPhase,
    needs: Vec<Requirement>,
    in_transaction: bool,
    foreign_keys_off: bool,
    sql: String,
    checksum: Digest,
}

impl Migration {
    /// Reads a file; `None` when its name is that of no migration.
    ///
    /// # Errors
    /// `Invalid`, with what is wrong with the name or the text and what to write instead.
    pub fn of_file(file: &str, bytes: &[u8]) -> Result<Option<Self>, ProviderError> {
        Migration::read(file, bytes)
            .map_err(|what| ProviderError::new(ProviderErrorKind::Invalid, what).with("file", file))
    }

    pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Option<Self>, String> {
        let Named::Migration(named) = name::read(file)? else { return Ok(None) };
        let sql = text(bytes)?;
        let head = header::read(&sql)?;
        if !header::has_statement(&sql) {
            return Err("it holds no statement: write one, or take the file out".to_owned());
        }
        let phase = match (named.phase, head.phase) {
            (Some(of_name), Some(of_head)) if of_name != of_head => {
                return Err(format!("its name says {of_name} and its head says {of_head}: keep one"));
            }
            (Some(phase), _) | (_, Some(phase)) => phase,
            (None, None) => MigrationPhase::Expand,
        };
        match phase {
            MigrationPhase::Contract if head.needs.is_empty() => Err(
                "a contract migration says which releases can do without what it takes away: write at its head, for \
                 each service that uses it, `-- towpath: needs SERVICE >= 2.0.0`"
                    .to_owned(),
            ),
            MigrationPhase::Expand if !head.needs.is_empty() => Err(
                "`-- towpath: needs` is for contract migrations: name the file ….contract.sql, or write \
                 `-- towpath: contract` above it"
                    .to_owned(),
            ),
            _ if head.no_transaction && head.foreign_keys_off => Err(
                "`foreign-keys off` is for migrations in a transaction, at whose end the keys are checked: take one \
                 of the two lines out"
                    .to_owned(),
            ),
            _ => Ok(Some(Migration {
                number: named.number,
                id: named.id,
                name: named.name,
                file: file.to_owned(),
                phase,
                needs: head.needs,
                in_transaction: !head.no_transaction,
                foreign_keys_off: head.foreign_keys_off,
                checksum: Digest::of(sql.as_bytes()),
                sql,
            })),
        }
    }

    /// Its number, by which it is known and ordered.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// The number as the file has it, such as `0002`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the file says after the number, such as `add_note`. It may change without a drift.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whether older releases can go on after it.
    pub fn phase(&self) -> MigrationPhase {
        self.phase
    }

    /// What every live release has to be when it runs; of contract migrations alone.
    pub fn needs(&self) -> &[Requirement] {
        &self.needs
    }

    /// Whether it runs in a transaction; not when its head says `-- towpath: no-transaction`.
    pub fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Whether foreign keys are off while it runs, and checked before it takes effect: `-- towpath: foreign-keys off`.
    pub fn foreign_keys_off(&self) -> bool {
        self.foreign_keys_off
    }

    /// The text that is run: the file without its byte order mark, and with line feeds for line ends.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The SHA-256 of [`sql`](Self::sql), so that checkouts with other line ends have the same.
    pub fn checksum(&self) -> Digest {
        self.checksum
    }
}

/// The text of a file, the same for every checkout of it.
fn text(bytes: &[u8]) -> Result<String, String> {
    if bytes.len() > FILE_BYTES {
        return Err(format!("it has {} bytes, and a migration has at most {FILE_BYTES}", bytes.len()));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|e| format!("it is no UTF-8 (at byte {}): save it as UTF-8", e.valid_up_to()))?;
    if text.contains('\0') {
        return Err("it holds a zero byte: save it as UTF-8, without zeros".to_owned());
    }
    let text =
        if text.contains("\r\n") { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) };
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::{FILE_BYTES, Migration, MigrationPhase, Requirement};

    fn read(file: &str, text: impl AsRef<[u8]>) -> Migration {
        Migration::of_file(file, text.as_ref()).unwrap().unwrap()
    }

    #[test]
    fn line_ends_and_a_byte_order_mark_do_not_change_the_checksum() {
        let unix = read("1_a.sql", "CREATE TABLE a (\n  id INTEGER\n);\n");
        let windows = read("1_a.sql", "\u{feff}CREATE TABLE a (\r\n  id INTEGER\r\n);\r\n");
        assert_eq!((unix.checksum(), unix.sql()), (windows.checksum(), windows.sql()));
        assert_eq!(
            unix.checksum().to_string(),
            "d2012908ab8a4528d72f35e03cab6b75871de8a1f1f505a628fd53642e46309a",
            "it is a stored format"
        );
        assert_ne!(unix.checksum(), read("1_a.sql", "CREATE TABLE a (\n  id INTEGER\n);").checksum());
        assert_eq!(unix.checksum(), read("1_b.expand.sql", unix.sql()).checksum(), "a name is no content");
    }

    #[test]
    fn texts_that_cannot_be_run_are_refused() {
        let too_long = vec![b'a'; FILE_BYTES + 1];
        for (bytes, words) in [
            (&b""[..], "no statement"),
            (b"\xef\xbb\xbf\r\n-- nothing yet\r\n", "no statement"),
            (b"\xff\xfeS\0E\0", "no UTF-8 (at byte 0)"),
            (b"SELECT 1;\0", "zero byte"),
            (b"-- towpath: no-transaction\n-- towpath: foreign-keys off\nVACUUM;", "take one"),
            (&too_long, "at most 16777216"),
        ] {
            let said = Migration::of_file("0007_x.sql", bytes).unwrap_err().to_string();
            assert!(said.contains(words) && said.contains("(file: 0007_x.sql)"), "{said}");
        }
        assert!(read("0007_x.sql", &too_long[1..]).sql().len() == FILE_BYTES);
    }

    #[test]
    fn a_contract_says_what_it_needs_and_an_expand_does_not() {
        let of = |file: &str, text: &str| Migration::of_file(file, text.as_bytes());
        let said = of("3_drop.contract.sql", "DROP TABLE a;").unwrap_err().to_string();
        assert!(said.contains("write at its head") && said.contains("needs SERVICE >= 2.0.0"), "{said}");
        let said = of("3_drop.sql", "-- towpath: needs a >= 1\nDROP TABLE a;").unwrap_err().to_string();
        assert!(said.contains("for contract migrations"), "{said}");
        let said = of("3_drop.expand.sql", "-- towpath: contract\nDROP TABLE a;").unwrap_err().to_string();
        assert!(said.contains("its name says expand and its head says contract"), "{said}");
        let head = "-- towpath: contract\n-- towpath: needs a >= 1.0.0\n";
        assert_eq!(read("3_drop.sql", format!("{head}DROP TABLE a;")).phase(), MigrationPhase::Contract);
    }

    #[test]
    fn requirements_are_those_of_semantic_versioning() {
        let needs: Requirement = " orders  >=2.0.0, <3".parse().unwrap();
        for (version, met) in [
            ("2.0.0", Some(true)),
            ("v2.9.1", Some(true)),
            ("1.99.0", Some(false)),
            ("3.0.0", Some(false)),
            ("2.1.0-rc.1", Some(false)),
            ("2", None),
            ("main-4f2c", None),
        ] {
            assert_eq!(needs.is_met_by(version), met, "{version}");
        }
        assert_eq!(needs.to_string(), "orders >=2.0.0, <3");
    }
}
