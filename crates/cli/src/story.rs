//! A run as its journal tells it: folded by the machine, from the plan that is stored, without any kinds.

use crate::fault::{self, Fault};
use std::{collections::BTreeMap, sync::Arc};
use towpath::{
    machine::{Plan, RunState},
    model::{
        Actor, Aftermath, Attempt, Chain, Digest, Event, Failure, Header, PlanRecord, RunId, RunStarted, Seq,
        StepId, StoredEvent, Then, Timestamp,
    },
    store::{RunRow, Store, StoreErrorKind},
};

/// Events read at once.
pub(crate) const EVENTS_PAGE: usize = 1_000;

/// Is told of events, in their order.
pub(crate) type Told<'a> = &'a mut (dyn FnMut(&StoredEvent, &Header, &Event) + Send);

/// What a run's journal tells.
pub(crate) struct Story {
    /// How the run began, and who began it.
    pub(crate) start: Option<(RunStarted, Actor)>,
    /// The state, or why the journal cannot be folded.
    pub(crate) state: Result<RunState, String>,
    /// What became of each step over time.
    pub(crate) steps: BTreeMap<StepId, StepStory>,
    /// What the run left behind.
    pub(crate) aftermath: Option<Aftermath>,
    /// Number of events.
    pub(crate) events: u64,
    /// The chain up to the last event that was read.
    chain: Chain,
}

/// What became of one step over time: what the state, which holds the present, does not tell.
#[derive(Default)]
pub(crate) struct StepStory {
    /// The first intent.
    pub(crate) started_at: Option<Timestamp>,
    /// When it came to rest for good.
    pub(crate) ended_at: Option<Timestamp>,
    /// Attempts that failed.
    pub(crate) failures: Vec<Tried>,
    /// Attempts at undoing it that failed.
    pub(crate) undo_failures: Vec<Tried>,
    /// When undoing it began.
    pub(crate) undo_started_at: Option<Timestamp>,
    /// When it was undone.
    pub(crate) undone_at: Option<Timestamp>,
}

/// An attempt that failed.
pub(crate) struct Tried {
    /// The attempt.
    pub(crate) attempt: Attempt,
    /// When it ended.
    pub(crate) at: Timestamp,
    /// What went wrong.
    pub(crate) failure: Failure,
}

impl Story {
    /// Reads a run's journal, up to the first event that cannot be believed or folded.
    pub(crate) async fn read(store: &dyn Store, row: &RunRow) -> Result<Story, Fault> {
        let mut story = Story::new(row.run);
        story.read_on(store, row, &mut |_, _, _| {}).await?;
        Ok(story)
    }

    /// The story of a run of which nothing was read yet.
    pub(crate) fn new(run: RunId) -> Self {
        Story {
            start: None,
            state: Err("its journal is empty".into()),
            steps: BTreeMap::new(),
            aftermath: None,
            events: 0,
            chain: Chain::new(run),
        }
    }

    /// Reads on from where it was read to, and tells of each event that could be folded.
    pub(crate) async fn read_on(
        &mut self,
        store: &dyn Store,
        row: &RunRow,
        told: Told<'_>,
    ) -> Result<(), Fault> {
        self.events = store.head(row.no).await?.seq.0;
        // What could not be folded once is not tried again: nothing behind it can be.
        while self.state.is_ok() || self.chain.seq() == Seq(0) {
            let page = match store.events(row.no, self.chain.seq(), EVENTS_PAGE).await {
                Ok(page) => page,
                Err(e) if e.kind() == StoreErrorKind::Corrupt => {
                    self.state = Err(fault::chain(&e));
                    return Ok(());
                }
                Err(e) => return Err(e.into()),
            };
            if page.is_empty() {
                return Ok(());
            }
            for stored in &page {
                let read = open(&mut self.chain, stored);
                let taken = match read {
                    Ok((header, event)) => self.take(store, row, stored, &header, event, told).await?,
                    Err(why) => Err(why),
                };
                if let Err(why) = taken {
                    self.state = Err(why);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes the next event, or says why it cannot be folded.
    async fn take(
        &mut self,
        store: &dyn Store,
        row: &RunRow,
        stored: &StoredEvent,
        header: &Header,
        event: Event,
        told: Told<'_>,
    ) -> Result<Result<(), String>, Fault> {
        if let Event::RunStarted(e) = &event {
            self.start = Some((e.clone(), header.actor.clone()));
            self.state = plan(store, e).await?.map(|plan| RunState::new(row.run, Arc::new(plan)));
        }
        let folded = match &mut self.state {
            Ok(state) => state.apply(header.seq, header.time, &event).map_err(|e| e.to_string()),
            Err(why) => Err(why.clone()),
        };
        if folded.is_ok() {
            told(stored, header, &event);
            self.tell(header, event);
        }
        Ok(folded)
    }

    fn step(&mut self, id: &StepId) -> &mut StepStory {
        self.steps.entry(id.clone()).or_default()
    }

    fn tell(&mut self, header: &Header, event: Event) {
        let at = header.time;
        match event {
            Event::StepStarted(e) => {
                let step = self.step(&e.step);
                step.started_at.get_or_insert(at);
                step.ended_at = None;
            }
            Event::StepDone(e) => self.step(&e.step).ended_at = Some(at),
            Event::StepSkipped(e) => self.step(&e.step).ended_at = Some(at),
            Event::StepFailed(e) => {
                let step = self.step(&e.step);
                step.failures.push(Tried { attempt: e.attempt, at, failure: e.failure });
                step.ended_at = (e.then == Then::Fail).then_some(at);
            }
            Event::StepInDoubt(e) => {
                if let Some(failure) = e.failure {
                    self.step(&e.step).failures.push(Tried { attempt: e.attempt, at, failure });
                }
            }
            Event::CompensationStarted(e) => {
                self.step(&e.step).undo_started_at.get_or_insert(at);
            }
            Event::CompensationDone(e) => self.step(&e.step).undone_at = Some(at),
            Event::CompensationFailed(e) => {
                let tried = Tried { attempt: e.attempt, at, failure: e.failure };
                self.step(&e.step).undo_failures.push(tried);
            }
            Event::RunSettled(e) => self.aftermath = Some(e.aftermath),
            _ => {}
        }
    }
}

/// Checks that an event is the next of its chain, and reads it.
fn open(chain: &mut Chain, stored: &StoredEvent) -> Result<(Header, Event), String> {
    let header = chain.verify(stored).map_err(|e| e.to_string())?;
    let at = header.seq;
    let payload = stored.payload.as_ref().ok_or_else(|| format!("event {at}: its payload was redacted"))?;
    let event = Event::decode(header.kind, payload).map_err(|e| format!("event {at}: {e}"))?;
    Ok((header, event))
}

/// The plan of a run, ready to be folded with, or why it cannot be.
async fn plan(store: &dyn Store, start: &RunStarted) -> Result<Result<Plan, String>, Fault> {
    let text = match store.blob(start.plan.digest).await {
        Ok(text) => text,
        Err(e) if e.is_transient() => return Err(e.into()),
        Err(e) => return Ok(Err(format!("its plan cannot be read: {e}"))),
    };
    if Digest::of(text.as_bytes()) != start.plan.digest {
        return Ok(Err("its plan was changed: the stored record has another digest".into()));
    }
    let record: PlanRecord = match serde_json::from_str(&text) {
        Ok(record) => record,
        Err(e) => return Ok(Err(format!("its plan cannot be read by this release: {e}"))),
    };
    Ok(Plan::compile(Arc::new(record)).map_err(|e| e.to_string()))
}
