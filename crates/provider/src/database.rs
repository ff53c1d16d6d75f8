//! What holds a schema that migrations change.

mod drift;
mod folder;
mod header;
mod migration;
mod name;

pub use drift::Drift;
pub use folder::Migrations;
pub use migration::{Migration, MigrationPhase, Requirement};

use crate::{Capability, ProviderError};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use towpath_model::{Digest, Key, Timestamp};

/// The table in which a database remembers what was applied to it.
pub const HISTORY_TABLE: &str = "towpath_migrations";

/// A database whose schema is changed by migrations: ordered files of SQL, each applied once.
///
/// The database itself remembers what was applied, in a table beside what the migrations make, so that the answer to
/// *what happened* is where the effect is. Nothing is ever undone: a way back is a further migration.
#[async_trait]
pub trait Database: Send + Sync {
    /// What this database can do.
    fn capability(&self) -> DatabaseCapability;

    /// What was applied, in the order of the numbers.
    ///
    /// # Contract
    /// - It changes nothing. A database without a history was never migrated: that is no error.
    /// - What it shows is settled: it waits until nobody migrates, for a bounded time, and is then `Unavailable`, saying
    ///   who does as far as that is known. So it tells what became of an [`apply`](Self::apply) whose answer was lost.
    async fn applied(&self) -> Result<Vec<AppliedMigration>, ProviderError>;

    /// Applies what is [pending](Migrations::pending), up to the [end](Migrations::up_to) that was set, and answers the
    /// whole history.
    ///
    /// # Contract
    /// - Migrations run in the order of their numbers.
    /// - Each runs in a transaction together with its row of the history: all of it or nothing. What was applied before
    ///   one that fails stays applied, and the error names the one that failed.
    /// - A repetition, with the same key or another, changes nothing. The key is kept with what it applied.
    /// - [`Drift`] is `ConditionFailed`, names the files, and changes nothing.
    /// - Two never migrate at once. The second waits for a bounded time and is then `Unavailable`, saying who migrates as
    ///   far as that is known.
    /// - A file that would end the transaction that it runs in is `Invalid`, and nothing of it takes effect.
    /// - A migration [without a transaction](Migration::in_transaction) holds one statement. Its row is `begun` before
    ///   and `done` after it. One that is found as begun is `OutcomeUnknown`, and nothing changes, until somebody has
    ///   looked.
    /// - `OutcomeUnknown` when the answer to the end of a transaction was lost; `Unavailable` says that nothing of the
    ///   migration that it names took effect.
    /// - When its future is dropped, what was under way is broken off as soon as the database can: it ends at the border
    ///   of a migration, and [`applied`](Self::applied) waits for that.
    async fn apply(&self, migrations: &Migrations, key: &Key)
    -> Result<Vec<AppliedMigration>, ProviderError>;
}

/// A migration as the history has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AppliedMigration {
    /// Its number, by which it is known.
    pub number: i64,
    /// The number as its file had it, such as `0002`.
    pub id: String,
    /// What its file said after the number, such as `add_note`.
    pub name: String,
    /// The [checksum](Migration::checksum) of its file.
    pub checksum: Digest,
    /// Whether older releases could still use what it left.
    pub phase: MigrationPhase,
    /// When, by the clock of the database.
    pub at: Timestamp,
    /// The key that it was applied with.
    pub by: String,
    /// Whether it is known to have taken effect.
    pub state: AppliedState,
}

/// Whether a migration of the history is known to have taken effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppliedState {
    /// It runs without a transaction and was begun; nobody recorded its end.
    Begun,
    /// It took effect.
    Done,
}

impl AppliedState {
    /// The word of the history table.
    pub fn as_str(self) -> &'static str {
        match self {
            AppliedState::Begun => "begun",
            AppliedState::Done => "done",
        }
    }

    /// Reads the word of the history table.
    pub fn parse(word: &str) -> Option<Self> {
        [AppliedState::Begun, AppliedState::Done].into_iter().find(|state| state.as_str() == word)
    }
}

/// What a database can do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct DatabaseCapability {
    /// Changes of the schema are part of a transaction: a migration takes effect as a whole or not at all.
    pub transactional_ddl: bool,
    /// Two callers never migrate at once, wherever they run.
    pub locks: bool,
    /// Migrations can have foreign keys [off](Migration::foreign_keys_off) while they run.
    pub foreign_keys_off: bool,
    /// How long a request that was sent may still take effect after its sender has died, when nobody waits for that as
    /// [`applied`](Database::applied) does.
    pub settles_within: Duration,
}

impl DatabaseCapability {
    /// Changes of the schema are part of a transaction.
    #[must_use]
    pub fn transactional_ddl(mut self) -> Self {
        self.transactional_ddl = true;
        self
    }

    /// Two callers never migrate at once.
    #[must_use]
    pub fn locks(mut self) -> Self {
        self.locks = true;
        self
    }

    /// Migrations can have foreign keys off while they run.
    #[must_use]
    pub fn foreign_keys_off(mut self) -> Self {
        self.foreign_keys_off = true;
        self
    }

    /// How long a request that was sent may still take effect after its sender has died.
    #[must_use]
    pub fn settles_within(mut self, bound: Duration) -> Self {
        self.settles_within = bound;
        self
    }
}

impl Capability for DatabaseCapability {
    fn missing(&self, wanted: &Self) -> Vec<&'static str> {
        [
            (self.transactional_ddl || !wanted.transactional_ddl, "transactional_ddl"),
            (self.locks || !wanted.locks, "locks"),
            (self.foreign_keys_off || !wanted.foreign_keys_off, "foreign_keys_off"),
        ]
        .into_iter()
        .filter_map(|(offered, name)| (!offered).then_some(name))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{AppliedState, DatabaseCapability};
    use crate::Capability;

    #[test]
    fn what_a_database_lacks_is_named() {
        let mysql = DatabaseCapability::default().locks();
        let wanted = DatabaseCapability::default().locks().transactional_ddl();
        assert_eq!(mysql.missing(&wanted), ["transactional_ddl"]);
        assert!(wanted.missing(&mysql).is_empty());
    }

    #[test]
    fn states_are_a_stored_format() {
        for (state, word) in [(AppliedState::Begun, "begun"), (AppliedState::Done, "done")] {
            assert_eq!((state.as_str(), AppliedState::parse(word)), (word, Some(state)));
        }
        assert_eq!(AppliedState::parse("DONE"), None);
    }
}
