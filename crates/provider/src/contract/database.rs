//! What a [`Database`] promises.

use super::{Fault, World, answered, armed, faulted};
use crate::{AppliedState, Database, Migration, Migrations, ProviderError, ProviderErrorKind};
use async_trait::async_trait;
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};
use towpath_model::{Key, KeyPhase, RunId, StepId};

/// Databases for the suite to try.
#[async_trait]
pub trait Databases: Send + Sync {
    /// A database without anything in it, which nobody else uses.
    async fn fresh(&self) -> Arc<dyn TryDatabase>;
}

/// One database, as the suite tries it.
#[async_trait]
pub trait TryDatabase: World {
    /// A provider of it. Each call makes another one of the same database, with a wait for others of well below a second.
    fn provider(&self) -> Arc<dyn Database>;

    /// How many rows a table has; `None` when it is not there. Asked past the provider.
    async fn rows(&self, table: &str) -> Option<i64>;

    /// Runs statements past the provider.
    async fn run(&self, sql: &str);
}

/// Everything that a database promises.
pub async fn all(databases: &dyn Databases) {
    an_unknown_database_was_never_migrated(&*databases.fresh().await).await;
    migrations_run_in_their_order(&*databases.fresh().await).await;
    what_fails_leaves_nothing_and_what_came_before_it_stays(&*databases.fresh().await).await;
    a_repetition_changes_nothing(&*databases.fresh().await).await;
    an_end_is_kept(&*databases.fresh().await).await;
    drift_changes_nothing(&*databases.fresh().await).await;
    nobody_ends_the_transaction(&*databases.fresh().await).await;
    a_migration_without_a_transaction_leaves_its_doubt(&*databases.fresh().await).await;
    two_at_once_apply_everything_once(&*databases.fresh().await).await;
    a_lost_answer_is_settled_by_asking(&*databases.fresh().await).await;
}

fn key(name: &str) -> Key {
    let step = StepId::new("migrate").expect("a constant id keeps the rule");
    Key::derive(RunId::from_bytes([7; 16]), &step, KeyPhase::Run, name, 0)
}

fn files(files: &[(&str, &str)]) -> Migrations {
    let read = files.iter().map(|(file, text)| {
        let migration = Migration::of_file(file, text.as_bytes()).expect("the suite's files are right");
        migration.expect("the suite's files are named like migrations")
    });
    Migrations::new(read).expect("the suite's files have numbers of their own")
}

const A: (&str, &str) = ("0001_a.sql", "CREATE TABLE a (id INTEGER PRIMARY KEY);\nINSERT INTO a VALUES (1);");
const B: (&str, &str) = ("0002_b.sql", "INSERT INTO a SELECT id + 1 FROM a; CREATE TABLE b (id INTEGER);");
const C: (&str, &str) = ("0010_c.sql", "INSERT INTO a SELECT id + 2 FROM a;");

async fn applied(try_it: &dyn TryDatabase) -> Vec<String> {
    let history = try_it.provider().applied().await.expect("the history can be read");
    history.into_iter().map(|row| row.id).collect()
}

async fn refused(
    try_it: &dyn TryDatabase,
    migrations: &Migrations,
    kind: ProviderErrorKind,
) -> ProviderError {
    let answer = try_it.provider().apply(migrations, &key("refused")).await;
    let error = answer.expect_err("it should have been refused");
    assert_eq!(error.kind(), kind, "{error:?}");
    error
}

/// A database without a history has none, and to look changes nothing.
pub async fn an_unknown_database_was_never_migrated(try_it: &dyn TryDatabase) {
    assert!(applied(try_it).await.is_empty());
    assert_eq!(try_it.rows(crate::HISTORY_TABLE).await, None, "to look changes nothing");
}

/// Migrations run in the order of their numbers, and the history says so.
pub async fn migrations_run_in_their_order(try_it: &dyn TryDatabase) {
    let history = try_it.provider().apply(&files(&[C, B, A]), &key("one")).await;
    let history = history.expect("they can be applied");
    let seen: Vec<_> = history.iter().map(|row| (row.number, row.id.as_str(), row.name.as_str())).collect();
    assert_eq!(seen, [(1, "0001", "a"), (2, "0002", "b"), (10, "0010", "c")]);
    assert!(history.iter().all(|row| row.by == key("one").as_str() && row.state == AppliedState::Done));
    assert!(history.windows(2).all(|pair| pair[0].at <= pair[1].at) && history[0].at.as_micros() > 0);
    assert_eq!(try_it.rows("a").await, Some(4));
    assert_eq!(try_it.provider().applied().await.expect("the history can be read"), history);
}

/// A migration that fails takes no effect; those before it stay applied.
pub async fn what_fails_leaves_nothing_and_what_came_before_it_stays(try_it: &dyn TryDatabase) {
    let broken = (
        "0002_b.sql",
        "INSERT INTO a VALUES (2); CREATE TABLE b (id INTEGER); INSERT INTO nowhere VALUES (1);",
    );
    let error = refused(try_it, &files(&[A, broken, C]), ProviderErrorKind::Invalid).await;
    assert!(error.to_string().contains("0002_b.sql"), "{error}");
    assert!(
        !error.to_string().contains("INSERT INTO a VALUES"),
        "the text of a file is not for messages: {error}"
    );
    assert_eq!(applied(try_it).await, ["0001"]);
    assert_eq!((try_it.rows("a").await, try_it.rows("b").await), (Some(1), None));
    let mended = try_it.provider().apply(&files(&[A, B, C]), &key("two")).await;
    let mended = mended.expect("what failed was not applied, so it may be mended");
    let by: Vec<_> = mended.iter().map(|row| row.by.as_str()).collect();
    assert_eq!(by, [key("refused").as_str(), key("two").as_str(), key("two").as_str()]);
}

/// What was applied is not applied again, with the same key or another.
pub async fn a_repetition_changes_nothing(try_it: &dyn TryDatabase) {
    let first = try_it.provider().apply(&files(&[A, B]), &key("one")).await.expect("they can be applied");
    for name in ["one", "other"] {
        let again = try_it.provider().apply(&files(&[A, B]), &key(name)).await;
        assert_eq!(again.expect("a repetition is harmless"), first, "{name}");
    }
    assert_eq!(try_it.rows("a").await, Some(2));
}

/// Nothing is applied beyond the end that was set.
pub async fn an_end_is_kept(try_it: &dyn TryDatabase) {
    let all = files(&[A, B, C]);
    let some = all.clone().up_to("0002").expect("there is one");
    try_it.provider().apply(&some, &key("one")).await.expect("they can be applied");
    assert_eq!(applied(try_it).await, ["0001", "0002"]);
    try_it.provider().apply(&all, &key("one")).await.expect("they can be applied");
    try_it.provider().apply(&some, &key("one")).await.expect("what is beyond the end is no drift");
    assert_eq!(applied(try_it).await, ["0001", "0002", "0010"]);
}

/// Every drift is refused, names its file, and changes nothing.
pub async fn drift_changes_nothing(try_it: &dyn TryDatabase) {
    try_it.provider().apply(&files(&[A, C]), &key("one")).await.expect("they can be applied");
    let before = try_it.provider().applied().await.expect("the history can be read");
    let pending = ("0011_d.sql", "CREATE TABLE d (id INTEGER);");
    let changed = (C.0, "INSERT INTO a SELECT id + 3 FROM a;");
    for (all, named) in [
        (files(&[A, changed, pending]), "0010_c.sql"),
        (files(&[A, pending]), "0010_c"),
        (files(&[A, B, C, pending]), "0002_b.sql"),
    ] {
        let error = refused(try_it, &all, ProviderErrorKind::ConditionFailed).await;
        assert!(error.to_string().contains(named), "{named}: {error}");
        assert_eq!(try_it.provider().applied().await.expect("the history can be read"), before);
        assert_eq!(try_it.rows("d").await, None);
    }
}

/// A file cannot end the transaction that it runs in.
pub async fn nobody_ends_the_transaction(try_it: &dyn TryDatabase) {
    try_it.provider().apply(&files(&[A]), &key("one")).await.expect("it can be applied");
    for end in ["COMMIT", "  /* now */ commit", "END", "ROLLBACK", "BEGIN"] {
        let text = format!("INSERT INTO a VALUES (2);\n{end};\nINSERT INTO a VALUES (3);");
        let error = refused(try_it, &files(&[A, ("0002_b.sql", &text)]), ProviderErrorKind::Invalid).await;
        assert!(error.to_string().contains("transaction"), "{end}: {error}");
        assert_eq!((applied(try_it).await, try_it.rows("a").await), (vec!["0001".into()], Some(1)), "{end}");
    }
}

/// A migration without a transaction is one statement, and its doubt rests until somebody has looked.
pub async fn a_migration_without_a_transaction_leaves_its_doubt(try_it: &dyn TryDatabase) {
    let outside = ("0002_tidy.sql", "-- towpath: no-transaction\nVACUUM;");
    let within = ("0002_tidy.sql", "VACUUM;");
    refused(try_it, &files(&[A, within]), ProviderErrorKind::Invalid).await;
    let two = ("0002_tidy.sql", "-- towpath: no-transaction\nVACUUM; VACUUM;");
    let error = refused(try_it, &files(&[A, two]), ProviderErrorKind::Invalid).await;
    assert!(error.to_string().contains("one statement"), "{error}");
    assert_eq!(applied(try_it).await, ["0001"]);
    let all = files(&[A, outside, C]);
    let some = all.clone().up_to("0002").expect("there is one");
    try_it.provider().apply(&some, &key("one")).await.expect("it can be applied");
    assert_eq!(applied(try_it).await, ["0001", "0002"]);

    // As a process leaves it that dies in the middle.
    let table = crate::HISTORY_TABLE;
    try_it.run(&format!("UPDATE {table} SET state = 'begun' WHERE number = 2")).await;
    let error = refused(try_it, &all, ProviderErrorKind::OutcomeUnknown).await;
    assert!(error.to_string().contains("was begun at"), "{error}");
    let history = try_it.provider().applied().await.expect("the history can be read");
    assert_eq!(history[1].state, AppliedState::Begun);
    try_it.run(&format!("UPDATE {table} SET state = 'done' WHERE number = 2")).await;
    try_it.provider().apply(&all, &key("one")).await.expect("somebody has looked");
    assert_eq!(applied(try_it).await, ["0001", "0002", "0010"]);
}

/// Two who migrate at once apply everything once.
pub async fn two_at_once_apply_everything_once(try_it: &dyn TryDatabase) {
    let (one, other) = (try_it.provider(), try_it.provider());
    let (all, keys) = (files(&[A, B, C]), [key("one"), key("other")]);
    let (a, b) = both(one.apply(&all, &keys[0]), other.apply(&all, &keys[1])).await;
    for answer in [a, b] {
        if let Err(error) = answer {
            assert_eq!(error.kind(), ProviderErrorKind::Unavailable, "{error:?}");
        }
    }
    let history = one.apply(&all, &keys[0]).await.expect("nobody else migrates now");
    assert_eq!((history.len(), try_it.rows("a").await), (3, Some(4)), "each of them once");
}

/// What became of a migration whose end was not answered is found by asking.
pub async fn a_lost_answer_is_settled_by_asking(try_it: &dyn TryDatabase) {
    let start = try_it.provider().apply(&files(&[A]), &key("one")).await;
    answered(start, "a first migration");
    let Some(before) = armed(try_it, Fault::LostAnswer).await else { return };
    let lost = try_it.provider().apply(&files(&[A, B]), &key("two")).await;
    faulted(try_it, Fault::LostAnswer, before, lost).await;
    assert_eq!(applied(try_it).await, ["0001", "0002"], "it took effect, and to ask tells");
    let again = try_it.provider().apply(&files(&[A, B]), &key("two")).await;
    assert_eq!(answered(again, "a repetition")[1].by, key("two").as_str());
    assert_eq!(try_it.rows("a").await, Some(2));
}

/// Waits for both at once.
async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut of_a, mut of_b) = (None, None);
    poll_fn(|cx| {
        if of_a.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(cx)
        {
            of_a = Some(output);
        }
        if of_b.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(cx)
        {
            of_b = Some(output);
        }
        match (of_a.take(), of_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (of_a, of_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}
