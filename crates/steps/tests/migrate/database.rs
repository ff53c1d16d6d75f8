//! A real database, with something that happens before and after its calls.

use async_trait::async_trait;
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use towpath_model::Key;
use towpath_provider::{AppliedMigration, Database, DatabaseCapability, Migrations, ProviderError};
use towpath_provider_sql::Sqlite;
use towpath_step::{Offers, Provider};

/// A place before or after a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Point {
    /// The call, counted from 1.
    pub(crate) call: usize,
    pub(crate) after: bool,
}

/// What happens at a point.
#[derive(Clone, Debug)]
pub(crate) enum Happens {
    /// Before: it does not get there. After: its answer is lost.
    Fault,
    /// It stays there for ever, and says that it does.
    Stays(Arc<tokio::sync::Notify>),
}

/// A database in a file.
pub(crate) struct Hooked {
    inner: Sqlite,
    calls: AtomicUsize,
    applies: AtomicUsize,
    hits: AtomicUsize,
    hook: Mutex<Option<(Point, Happens)>>,
}

impl Hooked {
    pub(crate) fn at(path: PathBuf) -> Arc<Self> {
        Arc::new(Hooked {
            inner: Sqlite::at(path).create(),
            calls: AtomicUsize::new(0),
            applies: AtomicUsize::new(0),
            hits: AtomicUsize::new(0),
            hook: Mutex::new(None),
        })
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn applies(&self) -> usize {
        self.applies.load(Ordering::SeqCst)
    }

    pub(crate) fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    /// Has something happen at a point, once.
    pub(crate) fn aim(&self, point: Point, happens: Happens) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some((point, happens));
    }

    async fn come_to(&self, point: Point) -> Result<(), ProviderError> {
        let happens = {
            let mut hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
            hook.take_if(|(aim, _)| *aim == point)
        };
        let Some((_, happens)) = happens else { return Ok(()) };
        self.hits.fetch_add(1, Ordering::SeqCst);
        match happens {
            Happens::Fault if point.after => Err(ProviderError::outcome_unknown("the answer was lost")),
            Happens::Fault => Err(ProviderError::unavailable("nobody answers")),
            Happens::Stays(told) => {
                told.notify_one();
                std::future::pending().await
            }
        }
    }

    async fn between<T>(
        &self,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let n = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.come_to(Point { call: n, after: false }).await?;
        let answer = call.await?;
        self.come_to(Point { call: n, after: true }).await?;
        Ok(answer)
    }
}

#[async_trait]
impl Database for Hooked {
    fn capability(&self) -> DatabaseCapability {
        self.inner.capability()
    }

    async fn applied(&self) -> Result<Vec<AppliedMigration>, ProviderError> {
        self.between(self.inner.applied()).await
    }

    async fn apply(
        &self,
        migrations: &Migrations,
        key: &Key,
    ) -> Result<Vec<AppliedMigration>, ProviderError> {
        self.applies.fetch_add(1, Ordering::SeqCst);
        self.between(self.inner.apply(migrations, key)).await
    }
}

impl Provider for Hooked {
    fn offer(self: Arc<Self>, to: &mut Offers<'_>) {
        to.put::<dyn Database>(self);
    }
}
