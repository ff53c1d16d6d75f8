//! Driving on demand: for a cron line, a CI job, a function.

use crate::{
    Engine, EngineError, beat,
    resting::resting_items,
    shared::{Phase, Shared},
    tally::Left,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use towpath_model::{Status, Timestamp};
use towpath_store::{Cursor, Filter, Page};

const DRIVE: &str = "drive runs";

/// Until when [`Engine::drive`] goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// Every run of the store is over, or waits for an operator or for a worker that knows it, itself or in all of its
    /// items that are under way.
    Settled,
    /// Nothing is due any more.
    Parked,
}

/// What became of the runs that were driven.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DriveReport {
    /// Runs that are over.
    pub settled: usize,
    /// Those of them that succeeded.
    pub succeeded: usize,
    /// Those of them that did not.
    pub failed: usize,
    /// Runs that wait: for a time, a signal, a resume.
    pub parked: usize,
    /// Runs for which an operator has to decide.
    pub stuck: usize,
    /// Runs that this engine cannot drive.
    pub blocked: usize,
    /// Runs that were still going when the time was over.
    pub going: usize,
    /// When something will be due next.
    pub next_wake: Option<Timestamp>,
}

impl Engine {
    /// Advances whatever is due, and returns when it is as far as asked for, or when `limit` has passed.
    ///
    /// An engine that was started with [`background(false)`](crate::Builder::background) goes only here.
    ///
    /// ```
    /// use towpath_engine::{Engine, Until};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), towpath_engine::EngineError> {
    /// let engine = Engine::open("memory:").background(false).start().await?;
    /// let report = engine.drive(Until::Parked, None).await?;
    /// assert_eq!((report.settled, report.next_wake), (0, None));
    /// engine.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot tell what is due.
    ///
    /// # Cancel safety
    /// Safe to drop: what runs goes on to its end, and nothing further is taken up.
    pub async fn drive(&self, until: Until, limit: Option<Duration>) -> Result<DriveReport, EngineError> {
        let shared = self.shared();
        let counting = Counting::begin(shared);
        let _driving = shared.drive();
        let end = limit.map(|limit| Instant::now() + limit);
        let tick = match end {
            // What is still going when the time is over is counted below.
            Some(end) => tokio::time::timeout_at(end, drive(shared, until)).await.unwrap_or(Ok(None))?,
            None => drive(shared, until).await?,
        };
        let report = counting.report().await?;
        let next_wake = [report.next_wake, tick].into_iter().flatten().min();
        Ok(DriveReport { next_wake, ..report })
    }
}

/// Returns when everything is as far as asked for; the next tick of a schedule, or end of a freeze.
async fn drive(shared: &Arc<Shared>, until: Until) -> Result<Option<Timestamp>, EngineError> {
    let mut changes = shared.changes();
    let mut phases = shared.phases();
    let mut tick = None;
    loop {
        changes.mark_unchanged();
        if !shared.config.background && shared.runs.is_empty() {
            // Nobody else looks at the clock for this engine.
            tick = beat::look(shared).await?;
        }
        let looks = shared.looks();
        shared.poke();
        let left = shared.runs.one_left();
        // What is due now is in memory once the reconciler has looked, and gone again once it is driven.
        if !shared.looked_after(looks).await || shared.phase() > Phase::Open {
            return Ok(tick);
        }
        if shared.runs.is_empty() && is_far_enough(shared, until).await? {
            return Ok(tick);
        }
        tokio::select! {
            () = left => {}
            _ = changes.changed() => {}
            _ = phases.changed() => {}
            () = wait_for_wake(shared) => {}
        }
    }
}

/// Returns when something is due, and in a second at the latest.
async fn wait_for_wake(shared: &Shared) {
    let most = Duration::from_secs(1);
    let wait = match shared.store.next_wake().await {
        Ok(Some(at)) => at.since(shared.now()).min(most),
        _ => most,
    };
    tokio::time::sleep_until(Instant::now() + wait.max(Duration::from_millis(1))).await;
}

async fn is_far_enough(shared: &Shared, until: Until) -> Result<bool, EngineError> {
    let failed = |e| EngineError::store(DRIVE, e);
    let due = shared.store.next_wake().await.map_err(failed)?.is_some_and(|at| at <= shared.now());
    if due || until == Until::Parked {
        return Ok(!due);
    }
    let open = Filter {
        status: vec![Status::Running, Status::Waiting, Status::Paused, Status::Unwinding],
        ..Filter::default()
    };
    let mut after = None;
    loop {
        let page = shared.store.list(&open, Page { after, limit: 1_000 }).await.map_err(failed)?;
        let Some(last) = page.last() else { return Ok(true) };
        after = Some(Cursor(last.no));
        for row in page {
            if resting_items(shared, &row).await.map_err(failed)?.is_none() {
                return Ok(false);
            }
        }
    }
}

/// Counts what becomes of runs, until it is dropped.
struct Counting<'a>(&'a Arc<Shared>);

impl<'a> Counting<'a> {
    fn begin(shared: &'a Arc<Shared>) -> Self {
        shared.tally.begin();
        Counting(shared)
    }

    async fn report(&self) -> Result<DriveReport, EngineError> {
        let count = |left| self.0.tally.count(left);
        let (succeeded, failed) = (count(Left::Succeeded), count(Left::Failed));
        let next_wake = self.0.store.next_wake().await.map_err(|e| EngineError::store(DRIVE, e))?;
        Ok(DriveReport {
            settled: succeeded + failed,
            succeeded,
            failed,
            parked: count(Left::Parked),
            stuck: count(Left::Stuck),
            blocked: count(Left::Blocked),
            going: self.0.runs.len(),
            next_wake,
        })
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        self.0.tally.end();
    }
}
