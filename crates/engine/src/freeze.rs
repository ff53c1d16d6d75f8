//! Freezes: nothing begins, and what goes on pauses, until somebody lifts them.
//!
//! All freezes of a store lie in one note. An engine knows a version of it and starts runs over that version only, so that
//! no run begins that a freeze which was declared before would have held.

mod apply;
mod record;

pub(crate) use record::{Act, Freezes, name};
pub use record::{Freeze, Frozen};

use crate::{Engine, EngineError, EngineErrorKind, note, shared::Shared};
use std::sync::{Arc, Mutex, PoisonError};
use towpath_model::{Actor, PipelineName, RunId, Timestamp};
use towpath_store::{NoteVersion, Store};

/// The freezes as far as an engine knows them.
pub(crate) struct Known(Mutex<Arc<note::Kept<Freezes>>>);

impl Known {
    /// None are known yet: the first start that meets one learns of it.
    pub(crate) fn none() -> Self {
        let at = NoteVersion { kind: name(record::KIND), name: name(record::NAME), version: 0 };
        Known(Mutex::new(Arc::new(note::Kept { at, record: Freezes::default() })))
    }

    pub(crate) fn now(&self) -> Arc<note::Kept<Freezes>> {
        // A pointer cannot be left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads them anew.
    pub(crate) async fn refresh(&self, store: &dyn Store) -> Result<(), EngineError> {
        let kept = Arc::new(note::read::<Freezes>(store, &name(record::NAME)).await?);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(())
    }
}

/// Refuses a start that a freeze holds.
///
/// # Errors
/// The freeze, with who declared it, why, and what to do.
pub(crate) fn check<'l>(
    shared: &Shared,
    known: &Freezes,
    operation: &'static str,
    pipeline: &PipelineName,
    labels: impl Iterator<Item = (&'l str, &'l str)> + Clone,
) -> Result<(), EngineError> {
    match known.holding(shared.now(), pipeline, labels) {
        None => Ok(()),
        Some(frozen) => Err(EngineError::new(EngineErrorKind::Frozen, operation)
            .with("freeze", &frozen.freeze.name)
            .with("by", &frozen.by)
            .with("since", frozen.at)
            .with("why", &frozen.freeze.reason)
            .with("hint", "start it despite the freeze with a reason, or wait until it is lifted")),
    }
}

/// Declares a freeze and pauses what goes on under it; which runs were told to pause.
///
/// # Errors
/// When there is one of that name, or the store cannot.
pub async fn freeze(store: &dyn Store, freeze: Freeze, by: &Actor) -> Result<Vec<RunId>, EngineError> {
    apply::freeze(store, freeze, by).await
}

/// Lifts a freeze and has those runs go on that it paused; which runs were told to go on.
///
/// # Errors
/// When there is none of that name, or the store cannot.
pub async fn thaw(
    store: &dyn Store,
    name: &str,
    by: &Actor,
    reason: &str,
) -> Result<Vec<RunId>, EngineError> {
    apply::thaw(store, name, by, reason).await
}

/// The freezes that hold, in the order in which they were declared.
///
/// # Errors
/// When the store cannot tell.
pub async fn freezes(store: &dyn Store) -> Result<Vec<Frozen>, EngineError> {
    let now = store.now().await.map_err(|e| EngineError::store("list freezes", e))?;
    let kept = note::read::<Freezes>(store, &name(record::NAME)).await?;
    Ok(kept.record.freezes.into_iter().filter(|frozen| frozen.holds_at(now)).collect())
}

/// Lifts the freezes whose time is over; when the next one's is.
pub(crate) async fn expire(shared: &Shared) -> Result<Option<Timestamp>, EngineError> {
    let (store, now) = (&*shared.store, shared.now());
    let kept = note::read::<Freezes>(store, &name(record::NAME)).await?;
    let mut next: Option<Timestamp> = None;
    for frozen in &kept.record.freezes {
        match frozen.freeze.until {
            Some(until) if until <= now => {
                let (engine, name) = (Actor::engine(), frozen.freeze.name.as_str());
                match apply::thaw(store, name, &engine, "its time is over").await {
                    // Another engine on the same store was faster.
                    Err(error) if *error.kind() == EngineErrorKind::Unknown => {}
                    done => drop(done?),
                }
            }
            Some(until) => next = Some(next.map_or(until, |next| next.min(until))),
            None => {}
        }
    }
    Ok(next)
}

impl Engine {
    /// Declares a freeze: runs that it covers do not start, and those that go on pause as soon as their drivers read it;
    /// what is being undone is undone.
    /// Says which runs were told to pause.
    ///
    /// ```
    /// use towpath_engine::{Engine, EngineErrorKind, Freeze};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), towpath_engine::EngineError> {
    /// let engine = Engine::open("memory:").start().await?;
    /// let paused = engine.freeze(Freeze::all("black-friday", "no changes until Monday")?).await?;
    /// assert!(paused.is_empty());
    /// engine.thaw("black-friday", "it is Monday").await?;
    /// assert_eq!(*engine.thaw("black-friday", "").await.unwrap_err().kind(), EngineErrorKind::Unknown);
    /// engine.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is one of that name, or the store cannot.
    pub async fn freeze(&self, freeze: Freeze) -> Result<Vec<RunId>, EngineError> {
        let shared = self.shared();
        let told = apply::freeze(&*shared.store, freeze, &shared.config.actor).await?;
        Ok(self.hinted(told))
    }

    /// Lifts a freeze: runs start again, and those that it paused go on. Says which runs were told to go on.
    ///
    /// # Errors
    /// When there is none of that name, or the store cannot.
    pub async fn thaw(&self, name: &str, reason: &str) -> Result<Vec<RunId>, EngineError> {
        let shared = self.shared();
        let told = apply::thaw(&*shared.store, name, &shared.config.actor, reason).await?;
        Ok(self.hinted(told))
    }

    /// Has those of the runs look into their inboxes at once that are driven here.
    fn hinted(&self, runs: Vec<RunId>) -> Vec<RunId> {
        let away = runs.iter().filter(|run| !self.shared().runs.hint(**run)).count();
        if away > 0 {
            self.shared().poke();
        }
        runs
    }

    /// The freezes that hold.
    ///
    /// # Errors
    /// When the store cannot tell.
    pub async fn freezes(&self) -> Result<Vec<Frozen>, EngineError> {
        freezes(&*self.shared().store).await
    }
}
