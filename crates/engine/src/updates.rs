//! Following a run's journal.

use crate::{
    Engine, EngineError, EngineErrorKind,
    runs::{Follow, View},
    shared::{Phase, Shared},
    time::Backoff,
};
use std::collections::VecDeque;
use tokio::sync::watch;
use towpath_model::{Actor, Event, Header, RunId, RunNo, Seq, StoredEvent, Timestamp};
use towpath_store::Progress;

const FOLLOW: &str = "follow a run";
/// Events read at once.
const PAGE: usize = 256;
/// Events by which a follower may be behind before it is told that it lags.
const BEHIND_MOST: u64 = 1_024;

/// What is journaled of a run, as it comes. Made by [`Run::events`](crate::Run::events).
///
/// ```
/// # use towpath_engine::{Engine, EngineError, Run, Update};
/// # use towpath_step::{Pipeline, StepContext, StepError, step, steps};
/// # extern crate towpath_step as towpath;
/// # #[step("demo.nothing/v1", no_effect)]
/// # async fn nothing(_cx: &StepContext) -> Result<(), StepError> { Ok(()) }
/// async fn tell(run: &Run) -> Result<u64, EngineError> {
///     let (mut updates, mut events) = (run.events(), 0);
///     while let Some(update) = updates.next().await {
///         match update? {
///             Update::Event { .. } => events += 1,
///             Update::Lagged(missed) => events += missed,
///             _ => {}
///         }
///     }
///     Ok(events)
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let p = Pipeline::new("nothing");
/// # p.step("nothing", nothing::of());
/// # let engine = Engine::open("memory:").steps(steps![nothing]).start().await?;
/// # let run = engine.run(p.build()?.plan()?, "first").await?;
/// assert_eq!(tell(&run).await?, 4);
/// # engine.shutdown().await?;
/// # Ok(())
/// # }
/// ```
///
/// It reads the journal at the pace of whoever asks, so that a slow follower holds nothing up; one that falls far behind
/// a run that goes on is told how much it missed. It works wherever the run is driven.
pub struct Updates {
    engine: Engine,
    no: RunNo,
    /// The last event that was given.
    last: Seq,
    /// Whether everything was given that had been journaled when it began.
    caught_up: bool,
    /// Whether what came faster than it was asked for may be left out.
    may_lag: bool,
    over: bool,
    ready: VecDeque<Update>,
    progress: Vec<Progress>,
    views: watch::Receiver<View>,
    changes: watch::Receiver<u64>,
    _follow: Follow,
}

/// One thing that happened to a run.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Update {
    /// Something was journaled.
    Event {
        /// Number of the event.
        seq: Seq,
        /// When.
        at: Timestamp,
        /// Who caused it.
        actor: Actor,
        /// What.
        event: Box<Event>,
    },
    /// Something was journaled that this release cannot read, or whose payload was redacted.
    Sealed {
        /// Number of the event.
        seq: Seq,
    },
    /// A step told how far it is.
    Progress(Progress),
    /// This many events came faster than they were asked for, and were left out.
    Lagged(u64),
}

impl Updates {
    pub(crate) fn new(engine: &Engine, run: RunId, no: RunNo) -> Self {
        let watch = engine.shared().runs.watch(run);
        Updates {
            engine: engine.clone(),
            no,
            last: Seq(0),
            caught_up: false,
            may_lag: true,
            over: false,
            ready: VecDeque::new(),
            progress: Vec::new(),
            views: watch.subscribe(),
            changes: engine.shared().changes(),
            _follow: watch.follow(),
        }
    }

    /// The next thing that happens; `None` when the run is over and everything was given.
    ///
    /// # Errors
    /// When the journal cannot be read, and then asking again goes on where it was; or the engine was shut down.
    ///
    /// # Cancel safety
    /// Safe to drop: nothing is lost.
    pub async fn next(&mut self) -> Option<Result<Update, EngineError>> {
        loop {
            if let Some(update) = self.ready.pop_front() {
                return Some(Ok(update));
            }
            if self.over {
                return None;
            }
            let here = self.views.borrow_and_update().here;
            self.changes.mark_unchanged();
            if let Err(error) = self.fill().await {
                return Some(Err(error));
            }
            if self.ready.is_empty() && !self.over {
                self.caught_up = true;
                let shared = self.engine.shared().clone();
                if shared.phase() == Phase::Stopped {
                    return Some(Err(EngineError::new(EngineErrorKind::Stopped, FOLLOW)));
                }
                crate::run::next(&shared, &mut self.views, &mut self.changes, here).await;
            }
        }
    }

    /// Reads what came since the last time.
    async fn fill(&mut self) -> Result<(), EngineError> {
        let shared = self.engine.shared().clone();
        let failed = |e| EngineError::store(FOLLOW, e);
        if self.caught_up && self.may_lag {
            self.skip(&shared).await?;
        }
        let page = shared.store.events(self.no, self.last, PAGE).await.map_err(failed)?;
        for stored in page {
            let update = read(self.last.next(), &stored);
            self.last = self.last.next();
            self.over |=
                matches!(&update, Update::Event { event, .. } if matches!(**event, Event::RunSettled(_)));
            self.ready.push_back(update);
        }
        for progress in shared.store.progress(self.no).await.map_err(failed)? {
            if !self.progress.contains(&progress) {
                self.progress.retain(|p| p.step != progress.step);
                self.progress.push(progress.clone());
                self.ready.push_back(Update::Progress(progress));
            }
        }
        Ok(())
    }

    async fn skip(&mut self, shared: &Shared) -> Result<(), EngineError> {
        let head = shared.store.head(self.no).await.map_err(|e| EngineError::store(FOLLOW, e))?;
        let behind = head.seq.0.saturating_sub(self.last.0);
        if behind > BEHIND_MOST {
            let missed = behind - PAGE as u64;
            self.last = Seq(self.last.0 + missed);
            self.ready.push_back(Update::Lagged(missed));
        }
        Ok(())
    }
}

fn read(seq: Seq, stored: &StoredEvent) -> Update {
    let header = Header::decode(&stored.header).ok();
    let event = header.as_ref().zip(stored.payload.as_ref()).and_then(|(h, p)| Event::decode(h.kind, p).ok());
    match (header, event) {
        (Some(header), Some(event)) => {
            Update::Event { seq, at: header.time, actor: header.actor, event: Box::new(event) }
        }
        _ => Update::Sealed { seq },
    }
}

/// Waits for an event of a run after a number, and leaves none out. A store that cannot be reached is asked again.
pub(crate) async fn find_event<T>(
    engine: &Engine,
    run: RunId,
    no: RunNo,
    after: Seq,
    wanted: impl Fn(&Event) -> Option<T>,
) -> Result<Option<T>, EngineError> {
    let mut updates = Updates::new(engine, run, no);
    (updates.last, updates.may_lag) = (after, false);
    let mut backoff = Backoff::new();
    loop {
        let Some(update) = updates.next().await else { return Ok(None) };
        match update {
            Ok(Update::Event { event, .. }) => {
                if let Some(found) = wanted(&event) {
                    return Ok(Some(found));
                }
            }
            Ok(_) => {}
            Err(error) if *error.kind() == EngineErrorKind::Stopped => return Err(error),
            Err(error) => {
                tracing::warn!(%run, error = %error, "the journal cannot be read; trying again");
                backoff.wait().await;
            }
        }
    }
}
