//! Starting runs.

use crate::{
    Engine, EngineError, EngineErrorKind, Run,
    driver::{Begin, engine_actor, lock_changes},
    freeze,
    mailbox::Msg,
    plans::Prepared,
    reconcile::take_up_ours,
    shared::{Phase, Shared},
    take_up::drive_new,
    time::Backoff,
};
use std::{collections::BTreeMap, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};
use towpath_machine::{Action, RunState};
use towpath_model::{
    Actor, BlobRef, Chain, Digest, Epoch, Event, IdError, Listing, RunId, RunKey, RunNo, RunStarted, Seq,
    Timestamp, WorkerId, canonical,
};
use towpath_step::Plan;
use towpath_store::{Blob, NewRun, NoteVersion, RunRow, Started, StoreError, Wake};

const START: &str = "start a run";
/// How often a start that the store cannot be told of is tried before its caller is told.
const TRIES: u32 = 5;

/// A key for a run: a [`RunKey`], or a text that can be one.
pub trait IntoRunKey {
    /// The key.
    ///
    /// # Errors
    /// When the text cannot be one.
    fn into_run_key(self) -> Result<RunKey, IdError>;
}

impl IntoRunKey for RunKey {
    fn into_run_key(self) -> Result<RunKey, IdError> {
        Ok(self)
    }
}

impl IntoRunKey for &RunKey {
    fn into_run_key(self) -> Result<RunKey, IdError> {
        Ok(self.clone())
    }
}

impl IntoRunKey for &str {
    fn into_run_key(self) -> Result<RunKey, IdError> {
        RunKey::new(self)
    }
}

impl IntoRunKey for String {
    fn into_run_key(self) -> Result<RunKey, IdError> {
        RunKey::new(&self)
    }
}

impl IntoRunKey for &String {
    fn into_run_key(self) -> Result<RunKey, IdError> {
        RunKey::new(self)
    }
}

/// A start: give it options, then await it. Made by [`Engine::run`].
#[must_use = "a run does not start until this is awaited"]
pub struct Start<Out: towpath_step::Output> {
    engine: Engine,
    plan: Plan<Out>,
    key: Result<RunKey, IdError>,
    labels: BTreeMap<String, String>,
    reason: String,
    despite_freeze: Option<String>,
}

/// The label of a run that was started though a freeze held it; its value is why.
const DESPITE: &str = "despite-freeze";

impl Engine {
    /// Starts a run of a plan, once for each key of its pipeline: when there is one with this key already, it is that
    /// run, whatever its state.
    ///
    /// # Errors
    /// Everything that this engine lacks to drive the plan, at once and before the first effect; that the key belongs
    /// to a run of another plan; or that the store cannot do it.
    pub fn run<Out: towpath_step::Output>(&self, plan: Plan<Out>, key: impl IntoRunKey) -> Start<Out> {
        let (engine, key) = (self.clone(), key.into_run_key());
        Start { engine, plan, key, labels: BTreeMap::new(), reason: String::new(), despite_freeze: None }
    }
}

impl<Out: towpath_step::Output> Start<Out> {
    /// Adds a label to search by.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Says why, in the starter's words.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Starts it though a [freeze](crate::Freeze) holds it, for this reason, which is journaled as the run's label
    /// `despite-freeze`. Without a freeze it is a start like any other.
    pub fn despite_freeze(mut self, reason: impl Into<String>) -> Self {
        self.despite_freeze = Some(reason.into());
        self
    }

    async fn start(self) -> Result<Run<Out>, EngineError> {
        let Start { engine, plan, key, mut labels, reason, despite_freeze } = self;
        let shared = engine.shared().clone();
        if shared.phase() > Phase::Open {
            return Err(EngineError::new(EngineErrorKind::Stopped, START));
        }
        let (prepared, key) = fit(&shared, &plan, key)?;
        let is_despite = despite_freeze.is_some();
        labels.extend(despite_freeze.map(|reason| (DESPITE.to_owned(), reason)));
        let started = run_started(&plan, &prepared, key, labels, reason);
        let by = shared.config.actor.clone();
        match begin(&shared, &prepared, &started, &by, is_despite).await? {
            Answer::Ours(run, no) => Ok(Run::new(engine, run, no)),
            Answer::Known(row) => known(plan.hash(), row).map(|row| Run::of(engine, &row)),
        }
    }
}

/// Starts a run for a schedule.
#[cfg(feature = "schedule")]
pub(crate) async fn by_schedule(
    shared: &Arc<Shared>,
    plan: &Plan<towpath_model::Json>,
    key: RunKey,
    labels: BTreeMap<String, String>,
    reason: String,
    by: Actor,
) -> Result<RunId, EngineError> {
    let (prepared, key) = fit(shared, plan, Ok(key))?;
    let started = run_started(plan, &prepared, key, labels, reason);
    match begin(shared, &prepared, &started, &by, false).await? {
        Answer::Ours(run, _) => Ok(run),
        Answer::Known(row) => known(plan.hash(), row).map(|row| row.run),
    }
}

/// The run that is there with a key, unless it is of another plan.
fn known(plan_hash: Digest, row: Box<RunRow>) -> Result<Box<RunRow>, EngineError> {
    if row.plan_hash == plan_hash {
        return Ok(row);
    }
    let (run, plan) = (row.run, row.plan_hash);
    Err(EngineError::new(EngineErrorKind::KeyTaken { run, plan }, START).with("key", row.key))
}

fn run_started<Out: towpath_step::Output>(
    plan: &Plan<Out>,
    prepared: &Prepared,
    key: RunKey,
    labels: BTreeMap<String, String>,
    reason: String,
) -> RunStarted {
    RunStarted {
        plan_hash: plan.hash(),
        plan: BlobRef { digest: prepared.hash, bytes: prepared.text.len() as u64 },
        pipeline: plan.record().pipeline.clone(),
        key,
        values: plan.values().as_ref().clone(),
        labels,
        reason,
        parent: None,
        forked_from: None,
        deadline: None,
        fencing: BTreeMap::new(),
    }
}

/// Starts a run over the freezes that are known, and again when there are others.
async fn begin(
    shared: &Arc<Shared>,
    prepared: &Arc<Prepared>,
    started: &RunStarted,
    by: &Actor,
    is_despite: bool,
) -> Result<Answer, EngineError> {
    let labels = || started.labels.iter().map(|(label, value)| (label.as_str(), value.as_str()));
    loop {
        let known = shared.freezes.now();
        if !is_despite
            && let Err(frozen) = freeze::check(shared, &known.record, START, &started.pipeline, labels())
        {
            let there = shared.store.find_key(&started.pipeline, &started.key).await;
            if let Some(row) = there.map_err(|e| EngineError::store(START, e))? {
                return Ok(Answer::Known(Box::new(row)));
            }
            shared.freezes.refresh(&*shared.store).await?;
            if shared.freezes.now().at.version == known.at.version {
                return Err(frozen);
            }
            continue;
        }
        let over = (!is_despite).then(|| known.at.clone());
        let fresh = Fresh::new(shared, prepared.clone(), started.clone(), by.clone(), over);
        match fresh.start(shared.clone()).await? {
            Some(answer) => return Ok(answer),
            None => shared.freezes.refresh(&*shared.store).await?,
        }
    }
}

impl<Out: towpath_step::Output> IntoFuture for Start<Out> {
    type Output = Result<Run<Out>, EngineError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

/// Everything that has to be right before a run may start.
/// The plan made ready, when this engine has everything for it.
pub(crate) fn prepare<Out: towpath_step::Output>(
    shared: &Shared,
    plan: &Plan<Out>,
    operation: &'static str,
) -> Result<Arc<Prepared>, EngineError> {
    match prepared(shared, plan) {
        (Some(prepared), problems) if problems.is_empty() => Ok(prepared),
        (_, problems) => Err(EngineError::unfit(operation, problems).with("pipeline", plan.pipeline())),
    }
}

/// The plan made ready, and everything that is wrong with it or missing for it.
fn prepared<Out: towpath_step::Output>(
    shared: &Shared,
    plan: &Plan<Out>,
) -> (Option<Arc<Prepared>>, Vec<String>) {
    let prepared = match shared.plans.get(plan.pipeline_hash()) {
        Some(known) => known,
        None => match canonical::of(&**plan.record()) {
            Ok(text) => match shared.plans.prepare(shared, plan.pipeline_hash(), plan.record(), text) {
                Ok(prepared) => prepared,
                Err(found) => return (None, found.0.iter().map(ToString::to_string).collect()),
            },
            Err(error) => return (None, vec![error.to_string()]),
        },
    };
    let lacking = prepared.lacking();
    (Some(prepared), lacking)
}

fn fit<Out: towpath_step::Output>(
    shared: &Shared,
    plan: &Plan<Out>,
    key: Result<RunKey, IdError>,
) -> Result<(Arc<Prepared>, RunKey), EngineError> {
    let (prepared, mut problems) = prepared(shared, plan);
    let key = key.map_err(|e| problems.push(e.to_string())).ok();
    if key.as_ref().is_some_and(RunKey::is_of_sub_run) {
        problems.push("the key has the form of those of sub-runs: choose another".into());
    }
    match (prepared, key) {
        (Some(prepared), Some(key)) if problems.is_empty() => Ok((prepared, key)),
        _ => Err(EngineError::unfit(START, problems).with("pipeline", plan.pipeline())),
    }
}

/// A run that is about to be started.
struct Fresh {
    run: RunId,
    plan: Arc<Prepared>,
    started: RunStarted,
    now: Timestamp,
    /// Who drives it from the start; nobody, when this engine has no room or does not drive.
    owner: Option<WorkerId>,
    state: RunState,
    events: Vec<Event>,
    actions: Vec<Action>,
    actor: Actor,
    /// The freezes over which it starts.
    over: Option<NoteVersion>,
}

/// Answer to a start.
enum Answer {
    Ours(RunId, RunNo),
    Known(Box<RunRow>),
}

impl Fresh {
    fn new(
        shared: &Shared,
        plan: Arc<Prepared>,
        mut started: RunStarted,
        actor: Actor,
        over: Option<NoteVersion>,
    ) -> Self {
        let now = shared.now();
        let deadline = plan.plan.record().deadline_ms;
        started.deadline = deadline.map(|ms| now.plus(Duration::from_millis(ms)));
        let run = new_id(now);
        let owner = (shared.is_driving() && shared.free() > 0).then(|| shared.lease.worker());
        let mut state = RunState::new(run, plan.plan.clone());
        let first = Event::from(started.clone());
        state.apply(Seq(1), now, &first).expect("a run of a checked plan can start");
        let mut events = vec![first];
        let mut actions = Vec::new();
        if owner.is_some() {
            let decision = state.decide(now);
            events.extend(decision.events);
            actions = decision.actions;
        }
        Fresh { run, plan, started, now, owner, state, events, actions, actor, over }
    }

    fn epoch(&self) -> Epoch {
        Epoch(u64::from(self.owner.is_some()))
    }

    /// What the store is given, the same each time.
    fn new_run(&self) -> (NewRun, Chain, Listing) {
        let mut chain = Chain::new(self.run);
        let mut actor = &self.actor;
        let mut seal = |event: &Event| {
            let payload =
                event.encode().expect("an event is made of ids, numbers and JSON, and can be encoded");
            let sealed = chain.seal(event.kind().code(), self.now, self.epoch(), actor, payload);
            actor = engine_actor();
            sealed.stored
        };
        let events = self.events.iter().map(&mut seal).collect();
        let listing = self.state.listing();
        let new = NewRun {
            run: self.run,
            pipeline: self.started.pipeline.clone(),
            key: self.started.key.clone(),
            plan_hash: self.started.plan_hash,
            events,
            head_hash: chain.hash(),
            listing: listing.clone(),
            labels: self.started.labels.clone().into_iter().collect(),
            parent: None,
            wake: if self.owner.is_some() { Wake::Never } else { Wake::At(self.now) },
            owner: self.owner.clone(),
            blobs: vec![Blob { digest: self.plan.hash, text: self.plan.text.clone() }],
            locks: lock_changes(Seq(0), self.events.iter()),
            over: self.over.clone(),
        };
        (new, chain, listing)
    }

    /// Starts the run; `None` when there are other freezes by now, and nothing was started. When this future is dropped meanwhile, the run starts all the same, or is not there.
    async fn start(self, shared: Arc<Shared>) -> Result<Option<Answer>, EngineError> {
        let mut guard = Guard { fresh: Some(self), shared, runtime: Handle::current() };
        let (mut backoff, mut tries) = (Backoff::new(), 0);
        loop {
            let answer = guard.once().await;
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    tries += 1;
                    if tries < TRIES && error.is_transient() {
                        backoff.wait().await;
                        continue;
                    }
                    guard.give_up();
                    return Err(EngineError::store(START, error));
                }
            }
        }
    }

    /// Drives the run, which is ours.
    fn drive(self, shared: &Arc<Shared>, no: RunNo, chain: Chain, listing: Listing) {
        let (mailbox, mail): (_, UnboundedReceiver<Msg>) = unbounded_channel();
        let epoch = self.epoch();
        // A lock that is free was granted with the start.
        let inbox = self.events.iter().any(|event| matches!(event, Event::LocksAsked(_)));
        let (slot, _) = shared.runs.enter(self.run, no, mailbox);
        let Fresh { plan, state, actions, .. } = self;
        let listing = Some(listing);
        let begin = Begin {
            slot,
            plan,
            state,
            chain,
            epoch,
            listing,
            actions,
            inbox,
            observe_at: None,
            death_proven: false,
        };
        drive_new(shared, mail, begin);
    }
}

/// A start under way: when it is dropped, what was begun is brought to its end.
struct Guard {
    fresh: Option<Fresh>,
    shared: Arc<Shared>,
    runtime: Handle,
}

impl Guard {
    /// What came of it; `None` when there are other freezes by now, and nothing was started.
    async fn once(&mut self) -> Result<Option<Answer>, StoreError> {
        let Some(fresh) = &self.fresh else { unreachable!("a start is taken out with its answer") };
        let (new, chain, listing) = fresh.new_run();
        let answer = self.shared.store.start_run(new).await?;
        let Some(fresh) = self.fresh.take() else { unreachable!("a start is taken out with its answer") };
        let (run, no) = match answer {
            Started::New(no) => (fresh.run, no),
            // An earlier try of ours was written, though its answer was lost.
            Started::Existing(row) if row.run == fresh.run => (row.run, row.no),
            Started::Existing(row) => return Ok(Some(Answer::Known(row))),
            Started::Moved => return Ok(None),
        };
        let lease = &self.shared.lease;
        if fresh.owner.as_ref().is_some_and(|owner| !lease.is_valid() || lease.worker() != *owner) {
            // The lease was lost meanwhile: the run goes to whoever claims it when that expires.
            return Ok(Some(Answer::Ours(run, no)));
        }
        if fresh.owner.is_some() {
            fresh.drive(&self.shared, no, chain, listing);
        } else {
            self.shared.wakes_at(fresh.now);
        }
        Ok(Some(Answer::Ours(run, no)))
    }

    /// The caller is told that it is not known whether the run started: what became of it is found out, and a run that
    /// is ours is driven.
    fn give_up(&mut self) {
        let Some(fresh) = self.fresh.take() else { return };
        if fresh.owner.is_none() {
            return;
        }
        let shared = self.shared.clone();
        self.runtime.spawn(async move {
            let mut backoff = Backoff::new();
            while shared.phase() == Phase::Open {
                let ours = async {
                    match shared.store.find(fresh.run).await? {
                        Some(row) => take_up_ours(&shared, &row).await,
                        None => Ok(()),
                    }
                };
                if ours.await.is_ok() {
                    return;
                }
                backoff.wait().await;
            }
        });
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(fresh) = self.fresh.take() else { return };
        let (shared, runtime) = (self.shared.clone(), self.runtime.clone());
        // Whether the run was written is not known, and it may be leased to us: the start is made for certain.
        self.runtime.spawn(async move {
            let mut guard = Guard { fresh: Some(fresh), shared, runtime };
            let mut backoff = Backoff::new();
            while guard.once().await.is_err() {
                if guard.shared.phase() > Phase::Open {
                    guard.fresh = None;
                    return;
                }
                backoff.wait().await;
            }
        });
    }
}

/// A new id: version 7 of RFC 9562, by the engine's clock.
fn new_id(now: Timestamp) -> RunId {
    let micros = u64::try_from(now.as_micros()).unwrap_or(0);
    let nanos = u32::try_from(micros % 1_000_000).unwrap_or(0) * 1_000;
    let time = uuid::Timestamp::from_unix(uuid::NoContext, micros / 1_000_000, nanos);
    RunId::from_bytes(uuid::Uuid::new_v7(time).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let at = |micros| new_id(Timestamp::from_micros(micros));
        assert!(at(1_700_000_000_000_000) < at(1_700_000_000_001_000));
        assert_ne!(at(5), at(5));
    }

    #[test]
    fn keys_are_texts_that_can_be_keys() {
        assert!("checkout@4f2c".into_run_key().is_ok());
        assert!("".into_run_key().is_err());
    }
}
