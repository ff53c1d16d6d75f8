//! Migrations as steps: of a real database, beside a platform that shows what is live.
#![cfg(feature = "deploy")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

#[path = "migrate/database.rs"]
mod database;
#[path = "migrate/faults.rs"]
mod faults;

use database::{Hooked, Point};
use rusqlite::Connection;
use std::{path::PathBuf, sync::Arc};
use tempfile::TempDir;
use towpath_model::{Change, ChangeAction, FailureKind, UndoPolicy};
use towpath_step::{Claim, Environment, Need, Observed, Step, StepContext, StepError};
use towpath_steps::deploy::{Migrate, Migrated};
use towpath_testkit::{FakeCluster, ForTest, TestContext, VirtualClock};

/// A folder of migrations, a database, and what is live.
struct Place {
    folder: TempDir,
    cluster: Arc<FakeCluster>,
    database: Arc<Hooked>,
}

const CREATE: (&str, &str) =
    ("0001_create_orders.sql", "CREATE TABLE orders (id INTEGER PRIMARY KEY, old TEXT);");
const ADD: (&str, &str) = ("0002_add_note.expand.sql", "ALTER TABLE orders ADD COLUMN note TEXT;");
const DROP: (&str, &str) =
    ("0003_drop_old.contract.sql", "-- towpath: needs orders >= 2.0.0\nALTER TABLE orders DROP COLUMN old;");
const INDEX: (&str, &str) = ("0004_index.sql", "CREATE INDEX by_note ON orders (note);");

impl Place {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Hooked::at(folder.path().join("orders.db"));
        let place = Place { folder, cluster: FakeCluster::new(Arc::new(VirtualClock::new())), database };
        std::fs::create_dir(place.migrations()).unwrap();
        place.write(files);
        place
    }

    fn migrations(&self) -> PathBuf {
        self.folder.path().join("migrations")
    }

    fn write(&self, files: &[(&str, &str)]) {
        for (file, text) in files {
            std::fs::write(self.migrations().join(file), text).unwrap();
        }
    }

    fn environment(&self) -> Environment {
        Environment::named("production").database("orders", "orders-db")
    }

    fn expand(&self) -> Migrate {
        Migrate::expand(&self.environment(), "orders", self.migrations().to_str().unwrap())
    }

    fn contract(&self) -> Migrate {
        Migrate::contract(&self.environment(), "orders", self.migrations().to_str().unwrap())
    }

    /// The context of one run; each name is another one.
    fn cx(&self, run: &str) -> TestContext {
        StepContext::for_test()
            .with_step(run)
            .with_provider("orders-db", self.database.clone())
            .with_provider("production", self.cluster.clone())
    }

    async fn run(&self, step: &Migrate, run: &str) -> Result<Migrated, StepError> {
        step.run(&self.cx(run)).await
    }

    /// The columns of the table, and the indices that migrations made.
    fn schema(&self) -> Vec<String> {
        let file = self.folder.path().join("orders.db");
        if !file.exists() {
            return Vec::new();
        }
        let connection = Connection::open(file).unwrap();
        let sql = "SELECT name FROM pragma_table_info('orders') UNION ALL \
                   SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
        let mut select = connection.prepare(sql).unwrap();
        let names = select.query_map([], |row| row.get(0)).unwrap();
        names.map(|name| name.unwrap()).collect()
    }
}

fn actions(changes: &[Change]) -> Vec<(ChangeAction, &str)> {
    changes.iter().map(|change| (change.action, change.target.as_str())).collect()
}

fn applied(migrated: &Migrated) -> (Vec<&str>, &str) {
    (migrated.applied.iter().map(String::as_str).collect(), migrated.schema.as_str())
}

#[tokio::test]
async fn expand_leaves_what_takes_away_and_contract_applies_it() {
    let place = Place::with(&[CREATE, ADD, DROP]);
    let expanded = place.run(&place.expand(), "one").await.unwrap();
    assert_eq!(applied(&expanded), (vec!["0001", "0002"], "0002"));
    assert_eq!(place.schema(), ["id", "old", "note"]);
    place.cluster.have("orders", "2.0.0", 1);
    let contracted = place.run(&place.contract(), "two").await.unwrap();
    assert_eq!(applied(&contracted), (vec!["0003"], "0003"));
    assert_eq!(place.schema(), ["id", "note"]);
    assert_ne!(expanded.checksum, contracted.checksum);
    let again = place.run(&place.expand(), "three").await.unwrap();
    assert_eq!(applied(&again), (vec![], "0003"));
    assert_eq!(again.checksum, contracted.checksum, "it is that of the schema and not of what was done");
}

#[tokio::test]
async fn the_same_run_again_changes_nothing_and_says_the_same() {
    let place = Place::with(&[CREATE, ADD]);
    let first = place.run(&place.expand(), "one").await.unwrap();
    let again = place.run(&place.expand(), "one").await.unwrap();
    assert_eq!(again, first);
    assert_eq!(place.database.applies(), 1, "what is there is not asked for again");
}

#[tokio::test]
async fn it_goes_no_further_than_it_is_told() {
    let place = Place::with(&[CREATE, ADD, INDEX]);
    let some = place.run(&place.expand().up_to("0002"), "one").await.unwrap();
    assert_eq!(applied(&some), (vec!["0001", "0002"], "0002"));
    let error = place.run(&place.expand().up_to("0009"), "one").await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Permanent);
    assert!(
        error.to_string().contains("no migration 0009 to go up to: the last is 0004_index.sql"),
        "{error}"
    );
    let rest = place.run(&place.expand(), "two").await.unwrap();
    assert_eq!(applied(&rest), (vec!["0004"], "0004"));
}

#[tokio::test]
async fn a_contract_is_refused_while_a_release_is_live_that_needs_the_old_whatever_its_weight() {
    let place = Place::with(&[CREATE, ADD, DROP]);
    place.run(&place.expand(), "one").await.unwrap();
    for (version, words) in [
        (
            "1.9.3",
            "orders 1.9.3 is live in production: move its traffic to a newer release, remove it, and run this again",
        ),
        ("2.0.0-rc.1", "orders 2.0.0-rc.1 is live"),
        ("main-4f2c", "no version that can be compared"),
    ] {
        place.cluster.have("orders", "2.1.0", 2);
        place.cluster.have("orders", version, 0);
        let error = place.run(&place.contract(), "two").await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Rejected, "{error}");
        let said = error.to_string();
        assert!(said.contains(words) && said.contains("0003_drop_old.contract.sql needs"), "{said}");
        assert_eq!(place.schema(), ["id", "old", "note"]);
        place.cluster.remove_by_hand("orders", version);
    }
    assert_eq!(applied(&place.run(&place.contract(), "two").await.unwrap()).1, "0003");
}

#[tokio::test]
async fn what_is_refused_changes_nothing_of_what_stands_before_it() {
    let place = Place::with(&[CREATE]);
    place.run(&place.expand(), "one").await.unwrap();
    place.write(&[ADD, DROP]);
    place.cluster.have("orders", "1.0.0", 1);
    place.run(&place.contract(), "two").await.unwrap_err();
    assert_eq!(place.schema(), ["id", "old"], "not even 0002, which takes nothing away");
}

#[tokio::test]
async fn it_is_looked_again_before_each_that_takes_something_away() {
    let place = Place::with(&[CREATE, ADD, DROP]);
    place.cluster.have("orders", "2.0.0", 1);
    // The first look is before everything, the second one before 0003.
    place.cluster.before_call(2, |cluster| cluster.have("orders", "1.0.0", 1));
    let error = place.run(&place.contract(), "one").await.unwrap_err();
    assert_eq!((error.kind(), place.cluster.hits()), (FailureKind::Rejected, 1), "{error}");
    assert_eq!(place.schema(), ["id", "old", "note"]);
}

#[tokio::test]
async fn an_expansion_goes_past_a_contract_that_nobody_needs_and_is_refused_at_one_that_somebody_does() {
    let place = Place::with(&[CREATE, ADD]);
    place.run(&place.expand(), "one").await.unwrap();
    place.write(&[DROP, INDEX]);
    place.cluster.have("orders", "1.0.0", 1);
    let error = place.run(&place.expand(), "two").await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Rejected);
    place.cluster.remove_by_hand("orders", "1.0.0");
    place.cluster.have("orders", "2.0.0", 1);
    let done = place.run(&place.expand(), "two").await.unwrap();
    assert_eq!(applied(&done), (vec!["0003", "0004"], "0004"));
}

#[tokio::test]
async fn nothing_live_counts_only_for_a_new_database_or_when_it_was_said() {
    let fresh = Place::with(&[CREATE, ADD, DROP, INDEX]);
    assert_eq!(applied(&fresh.run(&fresh.expand(), "one").await.unwrap()).1, "0004", "nobody can use it yet");

    let place = Place::with(&[CREATE, ADD]);
    place.run(&place.expand(), "one").await.unwrap();
    let misspelt = DROP.1.replace("orders >=", "order >=");
    place.write(&[(DROP.0, &misspelt)]);
    place.cluster.have("orders", "1.0.0", 1);
    let error = place.run(&place.contract(), "two").await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Rejected);
    assert!(
        error.to_string().contains("nothing is live of order in production: correct its name"),
        "{error}"
    );
    assert_eq!(place.schema(), ["id", "old", "note"]);
    place.run(&place.contract().though_none_live(), "two").await.unwrap();
    assert_eq!(place.schema(), ["id", "note"]);
}

#[tokio::test]
async fn drift_fails_for_good_and_names_the_file() {
    let place = Place::with(&[CREATE, ADD]);
    place.run(&place.expand(), "one").await.unwrap();
    place.write(&[INDEX, (ADD.0, "ALTER TABLE orders ADD COLUMN note BLOB;")]);
    let error = place.run(&place.expand(), "two").await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Permanent);
    assert!(
        error.to_string().contains("0002_add_note.expand.sql was changed after it was applied"),
        "{error}"
    );
    let changes = place.expand().preview(&place.cx("two")).await.unwrap();
    assert_eq!(actions(&changes), [(ChangeAction::Unknown, "schema of orders")]);
    assert!(changes[0].note.contains("0002_add_note.expand.sql was changed"), "{changes:?}");
    assert_eq!(place.schema(), ["id", "old", "note"]);
}

#[tokio::test]
async fn doubt_about_a_migration_without_a_transaction_rests_until_somebody_has_looked() {
    let tidy = ("0002_tidy.sql", "-- towpath: no-transaction\nVACUUM;");
    let place = Place::with(&[CREATE, tidy]);
    place.run(&place.expand(), "one").await.unwrap();
    let connection = Connection::open(place.folder.path().join("orders.db")).unwrap();
    connection.execute_batch("UPDATE towpath_migrations SET state = 'begun' WHERE number = 2").unwrap();
    let said = place.run(&place.expand(), "one").await.unwrap_err();
    let observed = place.expand().observe(&place.cx("one")).await.unwrap_err();
    for error in [said, observed] {
        assert_eq!(error.kind(), FailureKind::NeedsOperator);
        let words = "UPDATE towpath_migrations SET state = 'done' WHERE number = 2";
        assert!(error.to_string().contains(words), "{error}");
    }
    let changes = place.expand().preview(&place.cx("one")).await.unwrap();
    assert_eq!(actions(&changes), [(ChangeAction::Unknown, "schema of orders")]);
    connection.execute_batch("UPDATE towpath_migrations SET state = 'done' WHERE number = 2").unwrap();
    let done = place.run(&place.expand(), "one").await.unwrap();
    assert_eq!(applied(&done), (vec!["0001", "0002"], "0002"));
}

#[tokio::test]
async fn observe_tells_by_the_history() {
    let place = Place::with(&[CREATE, ADD, DROP]);
    let observe = async |step: &Migrate| step.observe(&place.cx("one")).await.unwrap();
    assert_eq!(observe(&place.expand()).await, Observed::NotDone);
    place.run(&place.expand().up_to("0001"), "one").await.unwrap();
    assert_eq!(observe(&place.expand()).await, Observed::NotDone);
    let done = place.run(&place.expand(), "one").await.unwrap();
    assert_eq!(observe(&place.expand()).await, Observed::Done(done));
    assert_eq!(observe(&place.contract()).await, Observed::NotDone);
    place.write(&[(ADD.0, "SELECT 1;")]);
    assert_eq!(observe(&place.expand()).await, Observed::NotDone, "the next attempt says what is wrong");
}

#[tokio::test]
async fn a_preview_tells_what_would_be_applied_what_waits_and_what_is_in_the_way() {
    let place = Place::with(&[CREATE, ADD, DROP]);
    let preview = async |step: Migrate| step.preview(&place.cx("one")).await.unwrap();
    let changes = preview(place.expand()).await;
    assert_eq!(
        actions(&changes),
        [
            (ChangeAction::Create, "migration 0001_create_orders of orders"),
            (ChangeAction::Create, "migration 0002_add_note of orders"),
            (ChangeAction::None, "migration 0003_drop_old of orders"),
        ]
    );
    assert_eq!(place.database.applies(), 0);
    assert!(place.schema().is_empty());
    place.run(&place.expand(), "one").await.unwrap();
    assert_eq!(actions(&preview(place.expand()).await)[0].0, ChangeAction::None);

    place.cluster.have("orders", "1.0.0", 1);
    let refused = preview(place.contract()).await;
    assert!(refused[0].note.contains("is refused as it is now: orders 1.0.0 is live"), "{refused:?}");
    place.cluster.remove_by_hand("orders", "1.0.0");
    place.cluster.have("orders", "2.0.0", 1);
    assert_eq!(preview(place.contract()).await[0].note, "needs orders >=2.0.0, which is so");
    place.run(&place.contract(), "one").await.unwrap();
    let none = preview(place.contract()).await;
    assert_eq!(none[0].to_string(), "= schema of orders: \"0003\" (nothing is pending)");
}

#[tokio::test]
async fn the_before_image_is_what_was_applied() {
    let place = Place::with(&[CREATE, ADD]);
    let before = async || place.expand().before(&place.cx("one")).await.unwrap();
    assert_eq!(before().await.as_str(), r#"{"schema":"","applied":[]}"#);
    place.run(&place.expand(), "one").await.unwrap();
    assert_eq!(before().await.as_str(), r#"{"schema":"0002","applied":["0001","0002"]}"#);
}

#[tokio::test]
async fn without_a_platform_a_contract_in_the_way_says_what_to_bind() {
    let place = Place::with(&[CREATE, DROP, INDEX]);
    let cx = StepContext::for_test().with_provider("orders-db", place.database.clone());
    let error = place.expand().run(&cx).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Permanent);
    assert!(error.to_string().contains("bind a platform as \"production\""), "{error}");
    assert!(place.schema().is_empty());
}

#[tokio::test]
async fn wrong_files_fail_for_good_before_anything_is_changed() {
    let place =
        Place::with(&[CREATE, ("0002_x.contract.sql", "DROP TABLE orders;"), ("three.sql", "SELECT 1;")]);
    let error = place.run(&place.contract(), "one").await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Permanent);
    for words in ["0002_x.contract.sql: a contract migration says", "three.sql: a name begins with a number"]
    {
        assert!(error.to_string().contains(words), "{error}");
    }
    let nowhere = Migrate::expand(&place.environment(), "orders", "no/such/folder");
    let error = place.run(&nowhere, "one").await.unwrap_err();
    assert!(error.to_string().contains("no such folder (folder: no/such/folder)"), "{error}");
    assert!(place.schema().is_empty());
}

#[test]
fn what_it_needs_is_known_before_a_run() {
    let place = Place::with(&[]);
    let needs = |step: Migrate| step.needs_here().iter().map(Need::to_string).collect::<Vec<_>>();
    let database = "towpath_provider::database::Database as \"orders-db\"";
    assert_eq!(needs(place.expand()), [database]);
    let platform = "towpath_provider::platform::Platform as \"production\"";
    assert_eq!(needs(place.contract()), [database, platform]);
    assert_eq!(place.expand().claims(), [Claim::own("schema of orders in production")]);
    assert_eq!(place.expand().declared().undo, UndoPolicy::Keep);
}

#[test]
fn what_a_plan_stores_is_a_stored_format() {
    let production = Environment::named("production").database("orders", "orders-db");
    for (step, stored) in [
        (
            Migrate::expand(&production, "orders", "migrations"),
            r#"{"environment":{"name":"production","roles":{"database.orders":"orders-db"}},"database":"orders","folder":{"value":"migrations"},"phase":"expand"}"#,
        ),
        (
            Migrate::contract(&production, "orders", "migrations").up_to("0002").though_none_live(),
            r#"{"environment":{"name":"production","roles":{"database.orders":"orders-db"}},"database":"orders","folder":{"value":"migrations"},"phase":"contract","up_to":{"value":"0002"},"though_none_live":true}"#,
        ),
    ] {
        let json = towpath_model::Json::of(&step).unwrap();
        assert_eq!(json.as_str(), stored);
        let known = towpath_steps::steps();
        let read = known.decode(Migrate::KIND, &json).unwrap();
        let again = towpath_model::Json::of(&read).unwrap();
        assert!(again.as_str().contains(stored), "{again:?}");
        let more = towpath_model::Json::parse(&stored.replacen('{', r#"{"surprise":1,"#, 1)).unwrap();
        assert!(known.decode(Migrate::KIND, &more).is_err(), "a field of a later release is not passed over");
    }
}

#[tokio::test]
async fn the_schema_has_a_checksum_that_is_a_stored_format() {
    let place = Place::with(&[("0001_a.sql", "CREATE TABLE orders (id INTEGER);\n")]);
    let one = place.run(&place.expand(), "one").await.unwrap();
    let file = towpath_model::Digest::of(b"CREATE TABLE orders (id INTEGER);\n");
    assert_eq!(one.checksum, towpath_model::Digest::of(format!("1 {file}\n").as_bytes()).to_string());
}

/// As the book has it.
fn checkout(production: &Environment) -> towpath_step::Pipeline<()> {
    let p = towpath_step::Pipeline::new("checkout");
    let live = |p: &towpath_step::Draft, schema: &towpath_step::Handle<Migrated>| {
        p.step("live", towpath_steps::Notify::log("deployed")).after(schema)
    };
    let schema = p.step("expand", Migrate::expand(production, "orders", "migrations"));
    let live = live(&p, &schema);
    p.step("contract", Migrate::contract(production, "orders", "migrations")).after(&live);
    p.build().unwrap()
}

#[test]
fn a_pipeline_expands_and_contracts() {
    let production = Environment::named("production").database("orders", "orders-db");
    assert_eq!(checkout(&production).record().steps.len(), 3);
}
