//! Migrations of a real server of Postgres.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use crate::{
    between::Between,
    common::{files, ids, key},
    server::{Server, address},
};
use async_trait::async_trait;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use towpath_provider::{
    AppliedState, Database, ProviderErrorKind as Kind,
    contract::{
        Fault, World,
        database::{self, Databases, TryDatabase},
    },
};
use towpath_provider_sql::Postgres;

const FIRST: (&str, &str) =
    ("0001_a.sql", "CREATE TABLE a (id integer PRIMARY KEY); INSERT INTO a VALUES (1), (2);");

struct Servers {
    server: Arc<Server>,
    made: AtomicUsize,
}

/// A database of the server, with something before it that can lose answers.
struct Fresh {
    server: Arc<Server>,
    between: Between,
    name: String,
}

#[async_trait]
impl Databases for Servers {
    async fn fresh(&self) -> Arc<dyn TryDatabase> {
        let name = format!("fresh_{}", self.made.fetch_add(1, Ordering::SeqCst));
        self.server.create(&name).await;
        let between = Between::before(self.server.folder());
        Arc::new(Fresh { server: self.server.clone(), between, name })
    }
}

#[async_trait]
impl World for Fresh {
    async fn arm(&self, fault: Fault) -> bool {
        if fault == Fault::LostAnswer {
            self.between.lose_the_next_commit();
        }
        fault == Fault::LostAnswer
    }

    async fn hits(&self) -> u64 {
        self.between.hits()
    }

    async fn pass(&self, _: Duration) {}
}

#[async_trait]
impl TryDatabase for Fresh {
    fn provider(&self) -> Arc<dyn Database> {
        let postgres = Postgres::at(&address(self.between.folder(), &self.name)).unwrap();
        Arc::new(postgres.lock_wait(Duration::from_millis(300)))
    }

    async fn rows(&self, table: &str) -> Option<i64> {
        let client = self.server.open(&self.name).await;
        let there = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await.unwrap();
        if !there.get::<_, bool>(0) {
            return None;
        }
        Some(client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0))
    }

    async fn run(&self, sql: &str) {
        self.server.open(&self.name).await.batch_execute(sql).await.unwrap();
    }
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let Some(server) = Server::start().await else { return };
    database::all(&Servers { server: Arc::new(server), made: AtomicUsize::new(0) }).await;
}

fn postgres(server: &Server) -> Postgres {
    let short = Duration::from_millis(300);
    Postgres::at(&server.address("postgres")).unwrap().lock_wait(short).lock_timeout(short)
}

#[tokio::test]
async fn what_a_file_sets_and_what_a_failure_leaves_stays_in_its_place() {
    let Some(server) = Server::start().await else { return };
    let (postgres, other) = (postgres(&server), server.open("postgres").await);
    other.batch_execute("CREATE ROLE somebody; GRANT ALL ON SCHEMA public TO somebody").await.unwrap();
    let dump = "SELECT pg_catalog.set_config('search_path', '', false); SET lock_timeout = 0; \
                SET standard_conforming_strings = off; SET ROLE somebody; CREATE TABLE public.b (id integer);";
    let third = ("0003_c.sql", "INSERT INTO a VALUES (3);");
    let all = [FIRST, ("0002_b.sql", dump), third];
    let history = postgres.apply(&files(&all), &key("a")).await.unwrap();
    assert_eq!(
        ids(&history),
        ["0001", "0002", "0003"],
        "one that sets where names are looked for leaves the others alone"
    );

    // The server's words, without the values of rows, and the line.
    let twice = ("0004_d.sql", "-- one\nINSERT INTO a VALUES (70707);\nINSERT INTO a VALUES (70707);");
    let error = postgres.apply(&files(&[all[0], all[1], all[2], twice]), &key("a")).await.unwrap_err();
    let said = format!("{error:?}");
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(said.contains("a_pkey") && said.contains("23505") && said.contains("0004_d.sql"), "{said}");
    assert!(!said.contains("70707"), "{said}");
    let wrong = ("0004_d.sql", "SELECT 1;\n\nSELEKT 2;");
    let error = postgres.apply(&files(&[all[0], all[1], all[2], wrong]), &key("a")).await.unwrap_err();
    assert!(error.to_string().contains("line: 3"), "{error}");

    // A constraint that is checked at the end refuses the end.
    let late =
        "CREATE TABLE d (id integer REFERENCES a DEFERRABLE INITIALLY DEFERRED); INSERT INTO d VALUES (99);";
    let error =
        postgres.apply(&files(&[all[0], all[1], all[2], ("0004_d.sql", late)]), &key("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error:?}");
    let body = "CREATE FUNCTION f() RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END; \
                DO $$ BEGIN PERFORM f(); END $$;";
    let history =
        postgres.apply(&files(&[all[0], all[1], all[2], ("0004_d.sql", body)]), &key("a")).await.unwrap();
    assert_eq!(ids(&history)[3], "0004");
    let columns = "SELECT string_agg(column_name || ' ' || data_type || ' ' || is_nullable, ', ' ORDER BY ordinal_position)
        FROM information_schema.columns WHERE table_name = 'towpath_migrations'";
    let columns: String = other.query_one(columns, &[]).await.unwrap().get(0);
    assert_eq!(
        columns,
        "number bigint NO, id text NO, name text NO, checksum text NO, phase text NO, state text NO, \
         applied_at timestamp with time zone NO, applied_by text NO, format integer NO",
        "it is a stored format"
    );
}

#[tokio::test]
async fn an_index_is_made_beside_others_and_one_that_fails_rests() {
    let Some(server) = Server::start().await else { return };
    let (postgres, other) = (postgres(&server), server.open("postgres").await);
    let head = "-- towpath: no-transaction\n";
    let index = format!("{head}CREATE INDEX CONCURRENTLY by_id ON a (id);");
    let history = postgres.apply(&files(&[FIRST, ("0002_b.sql", &index)]), &key("a")).await.unwrap();
    assert_eq!(ids(&history), ["0001", "0002"]);

    // What the server refuses as it stands leaves no doubt.
    let nowhere = format!("{head}CREATE INDEX CONCURRENTLY no_such ON nowhere (id);");
    let all = |third: &str| files(&[FIRST, ("0002_b.sql", &index), ("0003_c.sql", third)]);
    let error = postgres.apply(&all(&nowhere), &key("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error:?}");
    assert_eq!(ids(&postgres.applied().await.unwrap()), ["0001", "0002"]);

    // What fails on the way leaves an invalid index.
    let half = format!("{head}CREATE UNIQUE INDEX CONCURRENTLY half ON a ((id / id));");
    let error = postgres.apply(&all(&half), &key("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::OutcomeUnknown, "{error:?}");
    let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    assert_eq!(other.query_one(invalid, &[]).await.unwrap().get::<_, i64>(0), 1);
    assert_eq!(postgres.applied().await.unwrap()[2].state, AppliedState::Begun);
    let error = postgres.apply(&all(&half), &key("a")).await.unwrap_err();
    assert!(error.to_string().contains("DELETE FROM towpath_migrations WHERE number = 3"), "{error}");
    other.batch_execute("DROP INDEX half").await.unwrap();
    other.batch_execute("DELETE FROM towpath_migrations WHERE number = 3").await.unwrap();
    let better = format!("{head}CREATE UNIQUE INDEX CONCURRENTLY half ON a ((id * 2));");
    assert_eq!(postgres.apply(&all(&better), &key("a")).await.unwrap().len(), 3);
}

/// Waits until a statement runs on the server.
async fn runs(other: &tokio_postgres::Client, like: &str) -> i32 {
    let sql = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()";
    let (since, mut again) = (Instant::now(), tokio::time::interval(Duration::from_millis(10)));
    loop {
        if let Some(row) = other.query_opt(sql, &[&like]).await.unwrap() {
            return row.get(0);
        }
        assert!(since.elapsed() < Duration::from_secs(30), "never run: {like}");
        again.tick().await;
    }
}

#[tokio::test]
async fn who_is_in_the_middle_is_known_and_broken_off_at_a_border() {
    let Some(server) = Server::start().await else { return };
    let (patient, other) =
        (postgres(&server).lock_wait(Duration::from_secs(30)), server.open("postgres").await);
    let all = || files(&[FIRST, ("0002_b.sql", "CREATE TABLE b (id integer); SELECT pg_sleep(1000);")]);

    let (first, of_first) = (patient.clone(), all());
    let under_way = tokio::spawn(async move { first.apply(&of_first, &key("first")).await.map(drop) });
    let process = runs(&other, "%pg_sleep(1000)%").await;
    let hasty = postgres(&server);
    for error in [hasty.apply(&all(), &key("second")).await.unwrap_err(), hasty.applied().await.unwrap_err()]
    {
        assert_eq!(error.kind(), Kind::Unavailable);
        let holder = format!("holder: towpath {}, process {process} of the server", key("first"));
        assert!(error.is_transient() && error.to_string().contains(&holder), "{error}");
    }
    // The server ends the session of who migrates.
    other.execute("SELECT pg_terminate_backend($1)", &[&process]).await.unwrap();
    let error = under_way.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    assert_eq!(ids(&patient.applied().await.unwrap()), ["0001"]);

    // Nobody waits for it any more: to ask waits until the server has noticed.
    let (first, of_first) = (patient.clone(), all());
    let under_way = tokio::spawn(async move { first.apply(&of_first, &key("first")).await.map(drop) });
    runs(&other, "%pg_sleep(1000)%").await;
    under_way.abort();
    assert!(under_way.await.unwrap_err().is_cancelled());
    assert_eq!(ids(&patient.applied().await.unwrap()), ["0001"]);
    let there = other.query_one("SELECT to_regclass('b') IS NULL", &[]).await.unwrap();
    assert!(there.get::<_, bool>(0), "nothing of 0002 is there");
}

#[tokio::test]
async fn a_table_in_use_is_not_waited_for_without_end() {
    let Some(server) = Server::start().await else { return };
    let (postgres, other) = (postgres(&server), server.open("postgres").await);
    postgres.apply(&files(&[FIRST]), &key("a")).await.unwrap();
    other.batch_execute("BEGIN; LOCK TABLE a IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let all =
        files(&[FIRST, ("0002_b.sql", "CREATE TABLE b (id integer); ALTER TABLE a ADD COLUMN n integer;")]);
    let error = postgres.apply(&all, &key("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.is_transient() && error.to_string().contains("`lock_timeout`"), "{error}");
    other.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(postgres.apply(&all, &key("a")).await.unwrap().len(), 2);
}
