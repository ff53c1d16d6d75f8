//! The process that drives one run, and stops dead where it is told to.

use super::plans::{FOR_EACH, LedgerWorld, kinds, plan};
use std::{
    error::Error,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use towpath::{
    Engine,
    model::{PipelineName, RunId, RunKey, Status, StepId},
    store::Store,
    store_sqlite::{Options, SqliteStore},
};
use towpath_testkit::{Aim, Fault, FaultStore};

/// A child that lives longer hangs: no sample plan takes a tenth of it.
const LIFETIME_MAX: Duration = Duration::from_secs(60);

/// Why a child cannot go on.
pub type Failed = Box<dyn Error + Send + Sync>;

/// What a child is told.
#[derive(Clone, Debug)]
pub struct Orders {
    /// The journal.
    pub db: PathBuf,
    /// Name of the sample plan.
    pub plan: String,
    /// Port of the ledger.
    pub ledger: u16,
    /// Where to stop dead.
    pub aim: Option<Aim>,
    /// In the journal of which item; in that of the run itself without.
    pub item: Option<u64>,
}

/// Opens a journal as the children do.
///
/// # Errors
/// When it cannot be opened.
pub fn open(db: &Path) -> Result<Arc<dyn Store>, Failed> {
    Ok(Arc::new(SqliteStore::open(db, Options::default())?))
}

/// Tells the parent something, one line each.
///
/// # Panics
/// When the parent is gone: a child does not outlive it.
pub fn tell(line: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the parent reads what its child tells");
}

/// Starts the run, or goes on with it, and tells the parent how it stands until it has settled.
///
/// # Errors
/// When the engine cannot be started or does not settle the run.
pub async fn drive(orders: Orders) -> Result<(), Failed> {
    std::thread::spawn(|| {
        std::thread::park_timeout(LIFETIME_MAX);
        tell("error the run did not move for too long");
        std::process::exit(1);
    });
    let store = open(&orders.db)?;
    let seen = store.clone();
    let store = match orders.aim {
        Some(aim) => {
            let fault = Fault::Call(Arc::new(move || stop_dead(aim)));
            let (pipeline, key) = (PipelineName::new(&orders.plan)?, RunKey::new(&orders.plan)?);
            let known = store.find_key(&pipeline, &key).await?.map(|row| row.run);
            FaultStore::of_run(store, aim, whose(known, orders.item), fault)
        }
        None => store,
    };
    let engine = Engine::builder(store)
        .steps(kinds())
        .bind("ledger", LedgerWorld { port: orders.ledger })
        .park_after(Duration::ZERO)
        .lease(Duration::from_secs(60))
        .start()
        .await?;
    let plan = plan(&orders.plan).map_err(|e| e.to_string())?;
    let run = engine.run(plan, orders.plan.as_str()).await?;
    tell(&format!("run {}", run.id()));
    watch(&*seen, run.id(), orders.aim.filter(|_| orders.item.is_none())).await?;
    engine.shutdown().await?;
    Ok(())
}

/// The keys of the two runs that want one lock.
pub const RIVALS: [&str; 2] = ["one", "two"];

/// Starts two runs that want one lock, or goes on with them, and tells the parent when both have settled.
///
/// `orders.item` says at which of the two is aimed, from 0.
///
/// # Errors
/// When the engine cannot be started or does not settle the runs.
pub async fn contend(orders: Orders) -> Result<(), Failed> {
    std::thread::spawn(|| {
        std::thread::park_timeout(LIFETIME_MAX);
        tell("error the runs did not move for too long");
        std::process::exit(1);
    });
    let store = open(&orders.db)?;
    let seen = store.clone();
    let pipeline = PipelineName::new(&orders.plan)?;
    let mut known = Vec::new();
    for key in RIVALS {
        known.extend(store.find_key(&pipeline, &RunKey::new(key)?).await?.map(|row| row.run));
    }
    let which = usize::try_from(orders.item.unwrap_or(0))?;
    let store = match orders.aim {
        Some(aim) => {
            let fault = Fault::Call(Arc::new(move || stop_dead(aim)));
            FaultStore::of_run(store, aim, rival(known, which), fault)
        }
        None => store,
    };
    let engine = Engine::builder(store)
        .steps(kinds())
        .bind("ledger", LedgerWorld { port: orders.ledger })
        .park_after(Duration::ZERO)
        .lease(Duration::from_secs(60))
        .start()
        .await?;
    let mut runs = Vec::new();
    for key in RIVALS {
        let plan = plan(&orders.plan).map_err(|e| e.to_string())?;
        let run = engine.run(plan, key).await?;
        tell(&format!("run {}", run.id()));
        runs.push(run.id());
    }
    for (i, run) in runs.iter().enumerate() {
        watch_quietly(&*seen, *run, orders.aim.filter(|_| i == which)).await?;
    }
    tell("settled both");
    engine.shutdown().await?;
    Ok(())
}

/// Whether a run is that one of the two: by its id, or by the order in which they are seen first.
fn rival(known: Vec<RunId>, which: usize) -> impl Fn(RunId) -> bool + Send + Sync + 'static {
    let seen = Mutex::new(known);
    move |run| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.contains(&run) {
            seen.push(run);
        }
        seen.get(which) == Some(&run)
    }
}

/// Returns when a run has settled.
async fn watch_quietly(store: &dyn Store, run: RunId, aim: Option<Aim>) -> Result<(), Failed> {
    let mut every = tokio::time::interval(Duration::from_millis(5));
    loop {
        every.tick().await;
        let row = store.find(run).await?.ok_or("the run is not there")?;
        if row.listing.status == Status::Settled {
            let last = store.head(row.no).await?.seq;
            if aim.is_some_and(|aim| aim.seq <= last) {
                // The last append was aimed at: whoever made it stands still, or is about to, and says so.
                std::future::pending::<()>().await;
            }
            return Ok(());
        }
    }
}

/// Whether a run is the one that is aimed at: the one that is known or else the first of which an event is written, or an
/// item of it.
fn whose(known: Option<RunId>, item: Option<u64>) -> impl Fn(RunId) -> bool + Send + Sync + 'static {
    let first = known.map_or_else(OnceLock::new, OnceLock::from);
    let step = StepId::new(FOR_EACH).expect("a constant id keeps the rule");
    move |run| {
        let parent = *first.get_or_init(|| run);
        item.map_or(run == parent, |index| run == RunId::of_item(parent, &step, index, 1))
    }
}

/// Stands still for ever at the append that was aimed at, so that the parent kills the process just there.
fn stop_dead(aim: Aim) {
    tell(&format!("aimed {aim}"));
    loop {
        std::thread::park();
    }
}

async fn watch(store: &dyn Store, run: RunId, aim: Option<Aim>) -> Result<(), Failed> {
    let mut every = tokio::time::interval(Duration::from_millis(5));
    let mut last = None;
    loop {
        every.tick().await;
        let row = store.find(run).await?.ok_or("the run is not there")?;
        if last == Some(row.listing.status) {
            continue;
        }
        last = Some(row.listing.status);
        match (row.listing.status, &row.listing.outcome) {
            (Status::Settled, Some(outcome)) => {
                let last = store.head(row.no).await?.seq;
                if aim.is_some_and(|aim| aim.seq <= last) {
                    // The last append was aimed at: whoever made it stands still, or is about to, and says so.
                    std::future::pending::<()>().await;
                }
                tell(&format!("settled {}", outcome.word()));
                return Ok(());
            }
            (status, _) => tell(&format!("status {status}")),
        }
    }
}
