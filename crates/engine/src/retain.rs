//! Removing runs that are old enough, beside the work that goes on.

use crate::{
    Engine, EngineError,
    archive::{self, Written},
    os_user::os_user,
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};
use towpath_model::{Actor, Digest, Outcome, PipelineName, RunId, RunKey, Seq, Status};
use towpath_store::{
    Cursor, Filter, Level, Page, Removal, Remove, RunRow, Store, StoreError, StoreErrorKind,
};

const OPERATION: &str = "remove old runs";

/// Runs removed in one commit.
const BATCH: usize = 32;
/// Rows freed in one commit: few enough that others do not wait for it.
const SWEEP_ROWS: usize = 500;

/// Which runs are removed, and where they are kept.
///
/// A run is removed when it has settled and everything here agrees: it is old enough, has one of the outcomes, is of the
/// pipeline, has the labels, and is not among the newest of its pipeline that are kept. Items go with the run that they
/// belong to, and only with it. Nothing is removed of a run that goes on, rests, or has an item that does.
///
/// ```
/// use std::time::Duration;
/// use towpath_engine::Retention;
/// # async fn example(engine: towpath_engine::Engine) -> Result<(), towpath_engine::EngineError> {
/// let quarter = Duration::from_secs(90 * 24 * 3600);
/// let policy = Retention::older_than(quarter).keep(100).archive("/srv/archive");
/// let report = engine.retain(&policy).await?;
/// println!("{} runs removed", report.removed.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a policy removes nothing until it is applied"]
pub struct Retention {
    older_than: Duration,
    keep: usize,
    outcomes: Vec<String>,
    pipeline: Option<PipelineName>,
    labels: Vec<(String, String)>,
    archive: Option<PathBuf>,
    dry_run: bool,
    by: Option<Actor>,
}

/// What was removed, or would be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Retained {
    /// Runs that were removed.
    pub removed: Vec<Removed>,
    /// Runs that had to stay though the policy would have them removed.
    pub kept: Vec<Kept>,
}

/// A run that was removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Removed {
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// Its key, which is free now.
    pub key: RunKey,
    /// Its items, and theirs, which went with it.
    pub items: usize,
    /// Its archive.
    pub archive: Option<PathBuf>,
}

/// A run that had to stay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// The run.
    pub run: RunId,
    /// Its key.
    pub key: RunKey,
    /// Why.
    pub why: String,
}

impl Retention {
    /// Removes runs that have been over for longer than this.
    pub fn older_than(age: Duration) -> Self {
        Retention {
            older_than: age,
            keep: 0,
            outcomes: Vec::new(),
            pipeline: None,
            labels: Vec::new(),
            archive: None,
            dry_run: false,
            by: None,
        }
    }

    /// Keeps the newest so many settled runs of each pipeline, whatever their age.
    pub fn keep(mut self, newest: usize) -> Self {
        self.keep = newest;
        self
    }

    /// Only runs that ended with one of these words, as [`Outcome::word`] gives them; called again, further ones.
    pub fn outcome(mut self, word: &str) -> Self {
        self.outcomes.push(word.to_owned());
        self
    }

    /// Only runs of this pipeline.
    pub fn pipeline(mut self, pipeline: PipelineName) -> Self {
        self.pipeline = Some(pipeline);
        self
    }

    /// Only runs with this label; called again, further ones.
    pub fn label(mut self, label: &str, value: &str) -> Self {
        self.labels.push((label.to_owned(), value.to_owned()));
        self
    }

    /// Writes each run into an [archive](crate::archive) in this folder first. A run whose archive is not there, whole and
    /// verified, is not removed.
    pub fn archive(mut self, folder: impl Into<PathBuf>) -> Self {
        self.archive = Some(folder.into());
        self
    }

    /// Says what would be removed, and removes nothing.
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Who removes them; by default the user of the process.
    pub fn by(mut self, actor: Actor) -> Self {
        self.by = Some(actor);
        self
    }

    /// Applies the policy to a store. [`Engine::retain`] does so for an engine's own.
    ///
    /// Others go on meanwhile: a run is taken out in one small commit with its items, and what it leaves is freed in
    /// pieces. When this is interrupted, the next one goes on.
    ///
    /// # Errors
    /// When the store cannot be used. What was removed by then stays removed.
    pub async fn apply(&self, store: &dyn Store) -> Result<Retained, EngineError> {
        let failed = |e| EngineError::store(OPERATION, e);
        let mut retained = Retained::default();
        if let Some(folder) = self.archive.as_ref().filter(|_| !self.dry_run) {
            std::fs::create_dir_all(folder).map_err(|e| {
                EngineError::unfit(
                    OPERATION,
                    vec![format!("the folder {} cannot be made: {e}", folder.display())],
                )
            })?;
        }
        let now = store.now().await.map_err(failed)?;
        let filter = Filter {
            status: vec![Status::Settled],
            pipeline: self.pipeline.clone(),
            labels: Vec::new(),
            level: Level::Top,
            owner: None,
        };
        let (mut after, mut seen) = (None, HashMap::<PipelineName, usize>::new());
        loop {
            let page = store.list(&filter, Page { after, limit: Page::MOST }).await.map_err(failed)?;
            let Some(last) = page.last() else { break };
            after = Some(Cursor(last.no));
            for row in &page {
                let newer = seen.entry(row.pipeline.clone()).or_default();
                *newer += 1;
                let is_old = now.since(row.changed_at) > self.older_than;
                if *newer > self.keep && is_old && self.is_meant(row) {
                    self.one(store, row, &mut retained).await.map_err(failed)?;
                }
            }
        }
        if !self.dry_run {
            sweep(store).await.map_err(failed)?;
        }
        Ok(retained)
    }

    /// Whether a run is one of those that the policy is about.
    fn is_meant(&self, row: &RunRow) -> bool {
        let word = row.listing.outcome.as_ref().map_or("", Outcome::word);
        (self.outcomes.is_empty() || self.outcomes.iter().any(|o| o == word))
            && self.labels.iter().all(|label| row.labels.contains(label))
    }

    /// Removes one run with its items, or says why it stays.
    async fn one(&self, store: &dyn Store, row: &RunRow, retained: &mut Retained) -> Result<(), StoreError> {
        let mut keep = |why: String| retained.kept.push(Kept { run: row.run, key: row.key.clone(), why });
        let Some(family) = family(store, row).await? else {
            return Ok(());
        };
        let family = match family {
            Ok(family) => family,
            Err(why) => {
                keep(why);
                return Ok(());
            }
        };
        let (items, mut archive) = (family.len() - 1, None);
        let family = match &self.archive {
            Some(folder) => {
                let path = folder.join(file_name(row));
                archive = Some(path.clone());
                match self.dry_run {
                    true => family,
                    false => match archived(store, row, &path).await {
                        Ok(written) => written,
                        Err(why) => {
                            keep(why);
                            return Ok(());
                        }
                    },
                }
            }
            None => family,
        };
        if !self.dry_run
            && let Some(why) = self.remove(store, &family, archive.as_deref()).await?
        {
            keep(why);
            return Ok(());
        }
        let (run, pipeline, key) = (row.run, row.pipeline.clone(), row.key.clone());
        retained.removed.push(Removed { run, pipeline, key, items, archive });
        Ok(())
    }

    /// Removes a family, the deepest first; why the rest of it stays, if it does.
    async fn remove(
        &self,
        store: &dyn Store,
        family: &[Written],
        archive: Option<&Path>,
    ) -> Result<Option<String>, StoreError> {
        let by = self.by.clone().unwrap_or_else(os_user);
        let note = archive.map_or_else(String::new, |path| format!("archived in {}", path.display()));
        for batch in family.chunks(BATCH) {
            let remove = |one: &Written| Remove {
                run: one.run,
                seq: one.seq,
                hash: one.hash,
                by: by.clone(),
                note: note.clone(),
            };
            let answers = store.remove(batch.iter().map(remove).collect()).await?;
            let refused = answers.iter().zip(batch).find(|(answer, _)| {
                // Another one may be about the same work.
                !matches!(answer, Removal::Removed | Removal::NotThere)
            });
            if let Some((why, one)) = refused {
                return Ok(Some(format!("run {}: {why}", one.run)));
            }
            // A long `for_each` leaves much behind: it is freed on the way.
            store.sweep(SWEEP_ROWS).await?;
            tokio::task::yield_now().await;
        }
        Ok(None)
    }
}

impl Engine {
    /// Removes runs that are over, by a policy.
    ///
    /// # Errors
    /// When the store cannot be used. What was removed by then stays removed.
    pub async fn retain(&self, policy: &Retention) -> Result<Retained, EngineError> {
        policy.apply(&**self.store()).await
    }
}

/// Frees all that removed runs have left.
async fn sweep(store: &dyn Store) -> Result<(), StoreError> {
    while store.sweep(SWEEP_ROWS).await? {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// A run and its items, the deepest first, each where its journal ends; or why it has to stay. `None` when it is gone.
async fn family(store: &dyn Store, row: &RunRow) -> Result<Option<Result<Vec<Written>, String>>, StoreError> {
    let (mut family, mut open) = (Vec::new(), vec![row.clone()]);
    while let Some(row) = open.pop() {
        if row.listing.status != Status::Settled {
            return Ok(Some(Err(format!("item {} is {}", row.run, row.listing.status))));
        }
        let head = match store.head(row.no).await {
            Ok(head) => head,
            Err(e) if e.kind() == StoreErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        family.push(Written { run: row.run, seq: head.seq, hash: head.hash });
        let filter = Filter { level: Level::ItemsOf(row.run), ..Filter::default() };
        let mut after = None;
        loop {
            let page = store.list(&filter, Page { after, limit: Page::MOST }).await?;
            let Some(last) = page.last() else { break };
            after = Some(Cursor(last.no));
            open.extend(page);
        }
    }
    // Each was found before its items.
    family.reverse();
    Ok(Some(Ok(family)))
}

/// Archives a run, and looks at the archive as it lies on the disk; what is in it, or why it cannot be relied on.
async fn archived(store: &dyn Store, row: &RunRow, path: &Path) -> Result<Vec<Written>, String> {
    let said = |e: archive::ArchiveError| crate::verify::chain(&e);
    let written = archive::write(store, row, path).await.map_err(said)?;
    let on_disk = path.to_owned();
    let verdict = tokio::task::spawn_blocking(move || archive::verify(&on_disk)).await;
    let verdict = verdict.map_err(|e| format!("verify its archive: {e}"))?.map_err(said)?;
    if let Some(fault) = verdict.first_fault() {
        return Err(format!("its archive {} is not intact: {fault}", path.display()));
    }
    let on_disk: HashMap<RunId, (Seq, Digest)> =
        verdict.runs.iter().map(|v| (v.run, (v.events, v.head))).collect();
    if !written.iter().all(|one| on_disk.get(&one.run) == Some(&(one.seq, one.hash))) {
        return Err(format!("its archive {} is not what was written", path.display()));
    }
    Ok(written)
}

/// The name of a run's archive: its pipeline and its id.
fn file_name(row: &RunRow) -> String {
    format!("{}-{}.towpath", row.pipeline, row.run)
}
