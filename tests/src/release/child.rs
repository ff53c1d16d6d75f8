//! The process that drives a release, and stops dead where it is told to.

use super::{
    boundary::{Boundary, name},
    pipeline::{Place, SERVICE, What},
};
use crate::crash::child::{Failed, open, tell};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use towpath::{
    Engine,
    model::{Event, Header, RunId, Seq, Status, StoredEvent, Then},
    store::{Filter, Page, RunRow, Store},
};
use towpath_testkit::{Call, Fault, FaultStore, Side};

/// A life that lasts longer hangs.
const LIFETIME_MAX: Duration = Duration::from_secs(90);

/// What a child is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// Where everything is.
    pub place: Place,
    /// What it runs.
    pub what: What,
    /// Where it stops dead; without, it goes on to the end.
    pub aim: Option<Aim>,
}

/// Where a child stops dead.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Aim {
    /// At the first boundary at which no life has ended yet.
    New {
        /// Those at which one has.
        known: BTreeSet<Boundary>,
        /// Only once undoing has begun.
        undoing: bool,
    },
    /// At so many appends from here, just before or just after it.
    Ahead {
        /// The first one is 1.
        appends: u32,
        /// Just after it.
        after: bool,
    },
}

/// Where a child has stopped dead.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stop {
    /// The number of the first event of the append.
    pub first: u64,
    /// What its events say.
    pub events: Vec<String>,
    /// Just after the append, and not just before it.
    pub after: bool,
}

/// Starts the run, or goes on with it, and tells the parent how it ended.
///
/// # Errors
/// When the engine cannot be started or does not settle the run.
pub async fn drive(orders: Orders) -> Result<(), Failed> {
    std::thread::spawn(|| {
        std::thread::park_timeout(LIFETIME_MAX);
        tell("error the run did not move for too long");
        std::process::exit(1);
    });
    let store = open(&orders.place.journal())?;
    let key = orders.what.key().to_owned();
    let known = store.find_key(&SERVICE.parse()?, &key.parse()?).await?;
    let sentry = match orders.aim.clone() {
        Some(aim) => Some(Arc::new(Sentry::new(aim, known.as_ref(), &*store).await?)),
        None => None,
    };
    let seen = store.clone();
    let store = match &sentry {
        Some(sentry) => watched(store, sentry),
        None => store,
    };
    // The providers say for themselves how long what a dead process has sent may still take effect.
    let engine = Engine::builder(store)
        .park_after(Duration::ZERO)
        .settle_after(Duration::ZERO)
        .lease(Duration::from_secs(60));
    let engine = orders.place.bind(engine)?.start().await?;
    let pipeline = orders.place.pipeline(&orders.what).map_err(|e| e.to_string())?;
    let plan = pipeline.plan().map_err(|e| e.to_string())?;
    let run = engine.run(plan, key).await?;
    let outcome = outcome(&*seen, run.id(), sentry.as_deref()).await?;
    tell(&outcome);
    engine.shutdown().await?;
    Ok(())
}

/// How the run ended, or that it rests.
async fn outcome(store: &dyn Store, run: RunId, sentry: Option<&Sentry>) -> Result<String, Failed> {
    let mut every = tokio::time::interval(Duration::from_millis(5));
    loop {
        every.tick().await;
        let row = store.find(run).await?.ok_or("the run is not there")?;
        let said = match (row.listing.status, &row.listing.outcome) {
            (Status::Settled, Some(outcome)) => format!("settled {}", outcome.word()),
            (Status::Stuck | Status::Quarantined, _) => format!("rests {}", row.listing.note),
            _ => continue,
        };
        if sentry.is_some_and(|sentry| sentry.stop().is_some()) {
            // Whoever made the last append stands still, or is about to, and says so.
            std::future::pending::<()>().await;
        }
        return Ok(said);
    }
}

/// An event as it is stored.
fn read(event: &StoredEvent) -> (Header, Event) {
    let header = Header::decode(&event.header).expect("a journal holds events that can be read");
    let payload = event.payload.as_ref().expect("nobody has removed the payload");
    let event = Event::decode(header.kind, payload).expect("the payload is that of its kind");
    (header, event)
}

/// Whether a run undoes from this event on.
fn begins_to_undo(event: &Event) -> bool {
    matches!(event, Event::StepFailed(e) if e.then == Then::Fail) || matches!(event, Event::UnwindStarted(_))
}

/// Looks at every append of one run, and says where to stop.
struct Sentry {
    aim: Mutex<Aim>,
    run: OnceLock<RunId>,
    earlier: Vec<RunId>,
    stop: Mutex<Option<Stop>>,
    is_undoing: Mutex<bool>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sentry {
    async fn new(aim: Aim, known: Option<&RunRow>, store: &dyn Store) -> Result<Self, Failed> {
        let run = known.map(|row| row.run);
        let events = match known {
            Some(row) => store.events(row.no, Seq(0), 50_000).await?,
            None => Vec::new(),
        };
        let mut is_undoing = false;
        for event in &events {
            is_undoing |= begins_to_undo(&read(event).1);
        }
        let all = store.list(&Filter::default(), Page { after: None, limit: 100 }).await?;
        Ok(Sentry {
            aim: Mutex::new(aim),
            run: run.map_or_else(OnceLock::new, OnceLock::from),
            earlier: all.into_iter().map(|row| row.run).filter(|earlier| run != Some(*earlier)).collect(),
            stop: Mutex::default(),
            is_undoing: Mutex::new(is_undoing),
        })
    }

    /// Where it has been decided to stop.
    fn stop(&self) -> Option<Stop> {
        locked(&self.stop).clone()
    }

    /// The events of the run that a call appends: the number of the first, and what each says.
    fn own(&self, call: Call<'_>) -> Option<(u64, Vec<String>)> {
        let events: Vec<&StoredEvent> = match call {
            Call::Start(new) => new.events.iter().collect(),
            Call::Commit(batch) => batch.iter().flat_map(|transition| &transition.events).collect(),
            _ => return None,
        };
        let (mut first, mut names) = (None, Vec::new());
        for event in events {
            let (header, event) = read(event);
            if self.earlier.contains(&header.run) || *self.run.get_or_init(|| header.run) != header.run {
                continue;
            }
            *locked(&self.is_undoing) |= begins_to_undo(&event);
            first.get_or_insert(header.seq.0);
            names.push(name(&event));
        }
        Some((first?, names))
    }

    /// Decides before an append on which side of it to stop, if at all.
    fn decide(&self, first: u64, events: Vec<String>) {
        let after = match &mut *locked(&self.aim) {
            Aim::New { undoing: true, .. } if !*locked(&self.is_undoing) => return,
            Aim::New { known, .. } => {
                let is_new = |after| {
                    let event = |event: &String| Boundary { event: event.clone(), after };
                    events.iter().map(event).any(|boundary| !known.contains(&boundary))
                };
                if is_new(false) {
                    false
                } else if is_new(true) {
                    true
                } else {
                    return;
                }
            }
            Aim::Ahead { appends, after } => {
                *appends = appends.saturating_sub(1);
                if *appends > 0 {
                    return;
                }
                *after
            }
        };
        *locked(&self.stop) = Some(Stop { first, events, after });
    }

    /// What happens on this side of a call.
    fn strike(self: &Arc<Self>, side: Side, call: Call<'_>) -> Option<Fault> {
        let (first, events) = self.own(call)?;
        if side == Side::Before && self.stop().is_none() {
            self.decide(first, events);
        }
        let stop = self.stop()?;
        let is_here = stop.first == first && stop.after == (side == Side::After);
        is_here.then(|| Fault::Call(Arc::new(move || stand(&stop))))
    }
}

/// Stands still for ever at the append that was aimed at, so that the parent kills the process just there.
fn stand(stop: &Stop) {
    tell(&format!("stands {}", serde_json::to_string(stop).expect("texts and a number are JSON")));
    loop {
        std::thread::park();
    }
}

fn watched(store: Arc<dyn Store>, sentry: &Arc<Sentry>) -> Arc<dyn Store> {
    let (store, sentry) = (FaultStore::new(store), sentry.clone());
    store.hook(move |side, call| sentry.strike(side, call));
    store
}
