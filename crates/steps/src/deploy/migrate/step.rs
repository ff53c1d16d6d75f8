//! What a migration does in each method of a step.

use super::{Migrate, Migrated, live};
use serde::Serialize;
use std::sync::Arc;
use towpath_model::{Change, Digest, InDoubt, Json, Key, Methods, UndoPolicy};
use towpath_provider::{
    AppliedMigration, AppliedState, Database, Migration, MigrationPhase, Migrations, Platform,
};
use towpath_step::{Claim, Environment, Need, Observed, Reads, Step, StepContext, StepError};

/// The name of its one effect.
const EFFECT: &str = "migrate";

/// What a database had before.
#[derive(Serialize)]
struct Before {
    schema: String,
    applied: Vec<String>,
}

impl Migrate {
    fn provider(&self, cx: &StepContext) -> Result<Arc<dyn Database>, StepError> {
        self.environment.provider::<dyn Database>(cx, &self.role())
    }

    /// The files, up to where this step goes.
    async fn files(&self, cx: &StepContext) -> Result<Migrations, StepError> {
        let folder = cx.get(&self.folder)?;
        let read = tokio::task::spawn_blocking(move || Migrations::read(folder)).await;
        let all =
            read.map_err(|e| StepError::transient("the folder was not read to its end").because(e))??;
        match &self.up_to {
            Some(id) => Ok(all.up_to(&cx.get(id)?)?),
            None => Ok(all),
        }
    }

    /// What of a folder this step has still to apply.
    fn todo<'a>(
        &self,
        all: &'a Migrations,
        applied: &[AppliedMigration],
    ) -> Result<Vec<&'a Migration>, StepError> {
        let mut pending = self.pending(all, applied)?;
        if self.phase == MigrationPhase::Expand {
            let end = pending.iter().rposition(|one| one.phase() == MigrationPhase::Expand);
            pending.truncate(end.map_or(0, |end| end + 1));
        }
        Ok(pending)
    }

    /// What of a folder is not applied.
    fn pending<'a>(
        &self,
        all: &'a Migrations,
        applied: &[AppliedMigration],
    ) -> Result<Vec<&'a Migration>, StepError> {
        if applied.iter().any(|row| row.state == AppliedState::Begun) {
            // To look again would show the same: somebody has to.
            let Err(doubt) = all.pending(applied) else { return Ok(Vec::new()) };
            return Err(StepError::needs_operator(format!("{}: {doubt}", self.database)));
        }
        Ok(all.pending(applied).map_err(|drift| drift.with("database", &self.database))?)
    }

    async fn migrate(&self, cx: &StepContext, key: &Key) -> Result<Migrated, StepError> {
        let (all, database) = (self.files(cx).await?, self.provider(cx)?);
        let mut applied = database.applied().await?;
        loop {
            let todo = self.todo(&all, &applied)?;
            let Some(until) = first_part(&todo) else { return Ok(migrated(&applied, key)) };
            // All of them before the first, so that what is refused has changed nothing; and again before each that takes
            // something away, for the ones before it may have taken long.
            let is_new = applied.iter().all(|row| row.by == key.as_str());
            self.refuse_what_is_needed(cx, &todo, is_new).await?;
            let part = all.clone().up_to(until.id())?;
            applied = database.apply(&part, key).await?;
            if !applied.iter().any(|row| row.number == until.number()) {
                return Err(StepError::unknown(format!(
                    "{} was said to be applied, and the history does not have it",
                    until.file()
                )));
            }
            cx.log(format_args!("{} is at {}_{}", self.database, until.id(), until.name()));
        }
    }

    fn named(&self, migration: &Migration) -> String {
        format!("migration {}_{} of {}", migration.id(), migration.name(), self.database)
    }

    /// What a preview says of one that will be applied.
    async fn creation(&self, cx: &StepContext, migration: &Migration, is_new: bool) -> Change {
        let mut notes = Vec::new();
        if !migration.in_transaction() {
            notes.push("runs without a transaction".to_owned());
        }
        for need in migration.needs() {
            notes.push(live::foreseen(need, self.in_the_way(cx, need, is_new).await));
        }
        Change::create(self.named(migration)).to(&migration.checksum().short()).because(notes.join("; "))
    }
}

/// The last of those that are applied in one call: up to the next contract migration, before which it is looked again at
/// what is live.
fn first_part<'a>(todo: &[&'a Migration]) -> Option<&'a Migration> {
    let next = todo.iter().skip(1).position(|one| one.phase() == MigrationPhase::Contract);
    next.map_or(todo.last(), |next| todo.get(next)).copied()
}

fn ids<'a>(rows: impl Iterator<Item = &'a AppliedMigration>) -> Vec<String> {
    rows.map(|row| row.id.clone()).collect()
}

fn schema(applied: &[AppliedMigration]) -> String {
    applied.last().map(|row| row.id.clone()).unwrap_or_default()
}

fn migrated(applied: &[AppliedMigration], key: &Key) -> Migrated {
    let lines: String = applied.iter().map(|row| format!("{} {}\n", row.number, row.checksum)).collect();
    Migrated {
        applied: ids(applied.iter().filter(|row| row.by == key.as_str())),
        schema: schema(applied),
        checksum: Digest::of(lines.as_bytes()).to_string(),
    }
}

impl Step for Migrate {
    const KIND: &'static str = "towpath.migrate/v1";
    const IN_DOUBT: InDoubt = InDoubt::Observe;
    const METHODS: Methods =
        Methods { preview: true, before: true, observe: true, compensate: false, local: false };
    const UNDO: UndoPolicy = UndoPolicy::Keep;
    type Output = Migrated;

    fn reads(&self) -> Reads {
        let reads = Reads::none().and("folder", &self.folder);
        let reads = self.up_to.iter().fold(reads, |reads, id| reads.and("up_to", id));
        self.for_release.iter().fold(reads, |reads, release| reads.and("for_release", release))
    }

    fn environment(&self) -> Option<&Environment> {
        Some(&self.environment)
    }

    fn needs_here(&self) -> Vec<Need> {
        let database = Need::of::<dyn Database>(self.environment.binding(&self.role()));
        let platform = Need::of::<dyn Platform>(self.environment.binding("platform"));
        // An expansion asks what is live only when a contract migration is in its way.
        if self.phase == MigrationPhase::Contract { vec![database, platform] } else { vec![database] }
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::own(format!("schema of {} in {}", self.database, self.environment.name()))]
    }

    async fn preview(&self, cx: &StepContext) -> Result<Vec<Change>, StepError> {
        let end_is_known =
            self.up_to.as_ref().map(|id| cx.known(id)).transpose()?.is_none_or(|id| id.is_some());
        if cx.known(&self.folder)?.is_none() || !end_is_known {
            let why = "it hangs on steps that have not run";
            return Ok(vec![Change::unknown(format!("schema of {}", self.database), why)]);
        }
        let (all, applied) = (self.files(cx).await?, self.provider(cx)?.applied().await?);
        let drifts = all.drift(&applied);
        if !drifts.is_empty() {
            let target = format!("schema of {}", self.database);
            return Ok(drifts.iter().map(|drift| Change::unknown(target.as_str(), drift)).collect());
        }
        let (todo, pending) = match (self.todo(&all, &applied), self.pending(&all, &applied)) {
            (Ok(todo), Ok(pending)) => (todo, pending),
            (Err(doubt), _) | (_, Err(doubt)) => {
                return Ok(vec![Change::unknown(format!("schema of {}", self.database), doubt)]);
            }
        };
        let mut changes = Vec::new();
        for migration in &todo {
            changes.push(self.creation(cx, migration, applied.is_empty()).await);
        }
        for left in &pending[todo.len()..] {
            let why = "it takes something away: `Migrate::contract` applies it";
            changes.push(Change::none(self.named(left)).because(why));
        }
        if changes.is_empty() {
            let at = Change::none(format!("schema of {}", self.database)).from(&schema(&applied));
            changes.push(at.because("nothing is pending"));
        }
        Ok(changes)
    }

    async fn before(&self, cx: &StepContext) -> Result<Json, StepError> {
        let applied = self.provider(cx)?.applied().await?;
        let before = Before { schema: schema(&applied), applied: ids(applied.iter()) };
        Json::of(&before).map_err(|e| StepError::permanent("what was applied cannot be stored").because(e))
    }

    async fn run(&self, cx: &StepContext) -> Result<Migrated, StepError> {
        let key = cx.key(EFFECT)?;
        self.migrate(cx, &key).await
    }

    async fn observe(&self, cx: &StepContext) -> Result<Observed<Migrated>, StepError> {
        let (all, key) = (self.files(cx).await?, cx.run_key(EFFECT));
        let applied = self.provider(cx)?.applied().await?;
        Ok(match self.todo(&all, &applied) {
            Ok(todo) if todo.is_empty() => Observed::Done(migrated(&applied, &key)),
            Ok(_) => Observed::NotDone,
            // A drift is told by the next attempt, which changes nothing either.
            Err(error) if error.kind() == towpath_model::FailureKind::Permanent => Observed::NotDone,
            Err(error) => return Err(error),
        })
    }
}
