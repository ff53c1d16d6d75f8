//! Changing the schema of a database.

mod live;
mod step;

use super::Release;
use serde::{Deserialize, Serialize};
use towpath_provider::MigrationPhase;
use towpath_step::{Environment, Input, IntoInput, Output};

/// Changes the schema of a database by the migrations of a folder: kind `towpath.migrate/v1`.
///
/// ```
/// # extern crate towpath_step as towpath;
/// use towpath_step::{Environment, Pipeline, PlanErrors};
/// use towpath_steps::deploy::Migrate;
///
/// let production = Environment::named("production").database("orders", "orders-db");
/// let p = Pipeline::new("checkout");
/// let schema = p.step("expand", Migrate::expand(&production, "orders", "migrations"));
/// // … the new release is deployed, takes the traffic, and the old one is removed …
/// p.step("contract", Migrate::contract(&production, "orders", "migrations")).after(&schema);
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// The database is the [`Database`](towpath_provider::Database) that plays the role `database.NAME` in the environment. A
/// plan stores the path of the folder; its files are read when the step runs, on the machine where it runs.
///
/// **Expand first.** A migration is *expand* when releases that were written before it can go on, and *contract* when it
/// takes away what some of them need. Contract migrations say what every live release has to be
/// (`-- towpath: needs orders >= 2.0.0`); while the [`Platform`](towpath_provider::Platform) of the environment shows one
/// that is not, whatever its weight, they are refused. So `expand` goes before a deployment, and `contract` after the old
/// release was removed.
///
/// **In doubt** the history of the database is asked, which tells what became of each migration. **Undoing** keeps what was
/// done: what was expanded does no harm, and the way back of a schema is a further migration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Migrate {
    environment: Environment,
    database: String,
    folder: Input<String>,
    phase: MigrationPhase,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    up_to: Option<Input<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    for_release: Option<Input<Release>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    though_none_live: bool,
}

/// What a [`Migrate`] gives back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
pub struct Migrated {
    /// The numbers that this step applied, such as `0002`, in their order; none when nothing was to be done.
    pub applied: Vec<String>,
    /// The number of the last migration that the database has now; empty when it has none.
    pub schema: String,
    /// SHA-256, in hexadecimal digits, over the number and the checksum of each migration that the database has now: two
    /// databases with the same one were made by the same files.
    pub checksum: String,
}

impl Migrate {
    /// Applies the expand migrations of this folder to this database of the environment.
    ///
    /// A contract migration that stands between them is applied as well when no live release is in its way; those at the
    /// end are left for [`contract`](Self::contract).
    pub fn expand(to: &Environment, database: &str, folder: impl IntoInput<String>) -> Self {
        Migrate::new(to, database, folder, MigrationPhase::Expand)
    }

    /// Applies all migrations of this folder to this database of the environment, those that take something away as well.
    ///
    /// It is rejected, and changes nothing, while a release is live that needs what one of them takes away.
    pub fn contract(to: &Environment, database: &str, folder: impl IntoInput<String>) -> Self {
        Migrate::new(to, database, folder, MigrationPhase::Contract)
    }

    fn new(to: &Environment, database: &str, folder: impl IntoInput<String>, phase: MigrationPhase) -> Self {
        Migrate {
            environment: to.clone(),
            database: database.to_owned(),
            folder: folder.into_input(),
            phase,
            up_to: None,
            for_release: None,
            though_none_live: false,
        }
    }

    /// Goes no further than the migration with this number, such as `0002`.
    #[must_use]
    pub fn up_to(mut self, id: impl IntoInput<String>) -> Self {
        self.up_to = Some(id.into_input());
        self
    }

    /// Says for which release it is, so that an environment that accepts only what has passed a gate takes it: give it the
    /// output of the approval.
    #[must_use]
    pub fn for_release(mut self, release: impl IntoInput<Release>) -> Self {
        self.for_release = Some(release.into_input());
        self
    }

    /// Applies contract migrations also when nothing is live of a service that they name.
    ///
    /// Without this they are refused then, unless the database is new: a name that is misspelt looks like a service that
    /// does not run.
    #[must_use]
    pub fn though_none_live(mut self) -> Self {
        self.though_none_live = true;
        self
    }

    /// The role that the database plays in its environment.
    fn role(&self) -> String {
        format!("database.{}", self.database)
    }
}
