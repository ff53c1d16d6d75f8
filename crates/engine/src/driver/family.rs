//! A run that has items, and a run that is one: what its transitions do to other runs.

use super::{
    commit::engine_actor,
    core::{Driver, Gone},
    draft::Draft,
};
use crate::{
    body::{self, End, ListRead, What},
    plans::Prepared,
    time::Backoff,
    values::{self, Output, Stored},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use towpath_machine::{BodyEnd, Input, ItemStart, Items, Ix, Listed, StepState, list_items, read_items};
use towpath_model::{
    Below, BlobRef, Chain, Digest, Epoch, Event, Failure, FailureKind, ItemKey, Json, Listing, Message, Name,
    NewEntry, Order, Outcome, Payload, RunId, RunKey, RunStarted, Seq, Status, StepId, Timestamp, canonical,
    limits, plan_hash,
};
use towpath_store::{Blob, NewRun, Store, Wake};

/// What a transition does to other runs.
#[derive(Default)]
pub(super) struct Family {
    pub(super) start: Vec<NewRun>,
    pub(super) send: Vec<(RunId, NewEntry)>,
    pub(super) recall: Vec<(RunId, NewEntry)>,
    pub(super) blobs: Vec<Blob>,
}

impl Driver {
    /// A step's path as it is named from outside: with the items that the run stands below.
    pub(super) fn path_of(&self, ix: Ix) -> StepId {
        let step = &self.plan.plan.step(ix).id;
        match self.state.below() {
            // A path that is too deep was refused with the plan.
            Some(below) => step.within(&below.path).unwrap_or_else(|_| step.clone()),
            None => step.clone(),
        }
    }

    /// Reads the list of a `for_each`.
    pub(super) fn list(&mut self, step: &StepId) {
        if self.draining || self.withhold() {
            return;
        }
        let ix = self.ix(step);
        let (host, plan) = (self.host(What::List, ix, self.state.node(ix).attempt()), self.plan.clone());
        let outputs: Vec<(StepId, Payload)> = plan
            .plan
            .step(ix)
            .reads
            .iter()
            .filter_map(|read| match self.state.find(&read.step)?.state() {
                StepState::Done { output, .. } => Some((read.step.clone(), output.clone())),
                _ => None,
            })
            .collect();
        let (values, store) = (self.state.values().clone(), self.shared.store.clone());
        let body = Box::pin(async move {
            let mut known = BTreeMap::new();
            for (step, output) in outputs {
                match values::fetch(&*store, &output).await {
                    Ok(json) => drop(known.insert(step, json)),
                    Err(error) => return End::Listed(Err(error.to_failure())),
                }
            }
            let listed = list_items(&plan.plan, plan.plan.step(ix), &values, &|id| known.get(id).cloned());
            End::Listed(listed.and_then(|listed| stored(listed).map(Box::new)))
        });
        let attempt = self.state.node(ix).attempt();
        self.spawn(What::List, ix, attempt, host, body, None);
    }

    /// The list of a `for_each` was read: what is journaled of it. The plan of its items is stored with it.
    pub(super) fn list_read(
        &mut self,
        ix: Ix,
        read: Result<Box<ListRead>, Failure>,
        draft: &mut Draft,
    ) -> Input {
        let step = self.plan.plan.step(ix).id.clone();
        let result = read.map(|read| {
            let ListRead { listed, items, given } = *read;
            if let Some(each) = self.plan.each(ix) {
                draft.blobs.push(Blob { digest: each.hash, text: each.text.clone() });
            }
            let count = listed.items.len() as u64;
            self.lists.insert(ix, listed);
            (draft.keep(items), draft.keep(given), count)
        });
        Input::Listed { step, result }
    }

    /// Puts together what the items of a step gave back.
    pub(super) fn gather(&mut self, step: &StepId) {
        if self.draining || self.withhold() {
            return;
        }
        let ix = self.ix(step);
        let Some(items) = self.state.node(ix).items() else { return };
        let outputs: Vec<Option<Payload>> = items.outputs().map(|output| output.cloned()).collect();
        let attempt = self.state.node(ix).attempt();
        let (host, store) = (self.host(What::Gather, ix, attempt), self.shared.store.clone());
        let facts = self.plan.plan.facts(ix).to_vec();
        let body = Box::pin(async move {
            match gathered(&*store, &outputs).await {
                Ok(json) => {
                    let Output { payload: output, facts, unreadable, blob } = Output::of(json, &facts);
                    End::Run(BodyEnd::Done { output, facts, unreadable }, blob)
                }
                Err(why) => body::unreadable(why),
            }
        });
        self.spawn(What::Gather, ix, attempt, host, body, None);
    }

    /// Whether the run stays in memory, because items of it are about to report.
    pub(super) fn stays_for_items(&self) -> bool {
        let limit = self.shared.config.park_after;
        !self.draining && self.state.awaits_items() && self.moved.elapsed() < limit
    }

    /// What a draft does to other runs.
    pub(super) async fn family(&mut self, draft: &mut Draft) -> Result<Family, Gone> {
        let mut family = Family::default();
        for (drafted, n) in draft.events.iter().zip(1..) {
            let Event::RunSettled(settled) = &drafted.event else { continue };
            if let Some((to, message)) = self.state.report(settled) {
                let seq = Seq(self.chain.seq().0 + n);
                let entry = report(self.slot.run, seq, message, &mut family.blobs);
                family.send.push((to, entry));
            }
        }
        for ordered in std::mem::take(&mut draft.orders) {
            // All of them in one order: of a run that was recalled, the row may say still that it is over.
            let entry = order_entry(self.slot.run, &ordered.order, ordered.fencing);
            family.recall.push((ordered.run, entry));
        }
        for start in std::mem::take(&mut draft.starts) {
            let ix = self.ix(&start.step);
            let listed = self.listed(ix).await?;
            family.start.extend(self.new_item(ix, &start, &listed, draft.now));
        }
        Ok(family)
    }

    /// The list of a step, read again when it was listed before this driver began.
    async fn listed(&mut self, ix: Ix) -> Result<Arc<Listed>, Gone> {
        if let Some(listed) = self.lists.get(&ix) {
            return Ok(listed.clone());
        }
        let items = self.state.node(ix).items().expect("items begin after they were listed");
        let mut backoff = Backoff::new();
        let listed = loop {
            let read = tokio::select! {
                read = read_again(&*self.shared.store, items) => read,
                () = self.slot.lost() => return Err(Gone),
            };
            match read {
                Ok(listed) => break Arc::new(listed),
                Err(error) => {
                    tracing::error!(run = %self.slot.run, error, "the list of items cannot be read; trying again");
                    tokio::select! {
                        () = backoff.wait() => {}
                        () = self.slot.lost() => return Err(Gone),
                    }
                }
            }
        };
        self.lists.insert(ix, listed.clone());
        Ok(listed)
    }

    /// The run of an item, which anybody may claim.
    fn new_item(&self, ix: Ix, start: &ItemStart, listed: &Listed, now: Timestamp) -> Option<NewRun> {
        let each: &Prepared = self.plan.each(ix)?;
        let (item, value) = listed.items.get(usize::try_from(start.index).ok()?)?;
        let mut values = listed.given.clone();
        values.insert("item".to_owned(), value.clone());
        let record = each.plan.record();
        let started = RunStarted {
            plan_hash: plan_hash(each.hash, &values).expect("the list was checked to be canonical"),
            plan: BlobRef { digest: each.hash, bytes: each.text.len() as u64 },
            pipeline: record.pipeline.clone(),
            key: RunKey::of_sub_run(start.run),
            values,
            labels: Default::default(),
            reason: String::new(),
            parent: Some(self.below(ix, item, start.index)),
            forked_from: None,
            deadline: record.deadline_ms.map(|ms| now.plus(Duration::from_millis(ms))),
            fencing: self.state.fencing(ix),
        };
        let mut chain = Chain::new(start.run);
        let event = Event::from(started.clone());
        let payload = event.encode().expect("an event is made of ids, numbers and JSON, and can be encoded");
        let sealed = chain.seal(event.kind().code(), now, Epoch(0), engine_actor(), payload);
        Some(NewRun {
            run: start.run,
            pipeline: started.pipeline,
            key: started.key,
            plan_hash: started.plan_hash,
            events: vec![sealed.stored],
            head_hash: chain.hash(),
            listing: Listing { status: Status::Running, note: String::new(), outcome: None },
            labels: Vec::new(),
            parent: Some(self.slot.run),
            wake: Wake::At(now),
            owner: None,
            blobs: Vec::new(),
            locks: Vec::new(),
            over: None,
        })
    }

    fn below(&self, ix: Ix, item: &ItemKey, index: u64) -> Below {
        let step = self.plan.plan.step(ix).id.clone();
        let path = self.path_of(ix).item(item);
        Below { run: self.slot.run, step, item: item.clone(), index, path }
    }

    /// Those whom a durable transition concerns look.
    pub(super) fn tell_family(&self, family: &Family) {
        for (run, _) in family.send.iter().chain(&family.recall) {
            if !self.shared.runs.hint(*run) {
                self.shared.poke();
            }
        }
        if !family.start.is_empty() {
            self.shared.poke();
        }
    }
}

/// The entry by which an item's end reaches its parent. A large output is stored beside it.
pub(crate) fn report(run: RunId, seq: Seq, mut message: Message, blobs: &mut Vec<Blob>) -> NewEntry {
    if let Message::SubRunSettled { outcome: Outcome::Succeeded { output: Some(output) }, .. } = &mut message
        && let Payload::Inline(json) = output
        && json.as_str().len() > limits::REPORTED_BYTES
    {
        let text = json.as_str().to_owned();
        let digest = Digest::of(text.as_bytes());
        *output = Payload::Blob(BlobRef { digest, bytes: text.len() as u64 });
        blobs.push(Blob { digest, text });
    }
    entry(&format!("sub-run/{run}/{seq}"), &message)
}

/// The entry by which a run has an item of it do something.
pub(crate) fn order_entry(parent: RunId, order: &Order, fencing: BTreeMap<Name, u64>) -> NewEntry {
    let dedupe = format!("parent/{}/{parent}", order.word());
    entry(&dedupe, &Message::Parent { order: order.clone(), fencing })
}

fn entry(dedupe_id: &str, message: &Message) -> NewEntry {
    NewEntry {
        dedupe_id: Name::new(dedupe_id).expect("words, ids and numbers are a short line"),
        actor: engine_actor().clone(),
        message: Json::of(message).expect("a message is JSON"),
    }
}

/// A list as it was journaled.
async fn read_again(store: &dyn Store, items: &Items) -> Result<Listed, String> {
    let fetch = |payload| async move { values::fetch(store, payload).await.map_err(|e| e.to_string()) };
    let (listed, given) = (fetch(items.listed()).await?, fetch(items.given()).await?);
    read_items(&listed, &given).map_err(|e| e.to_string())
}

/// A list as it is journaled.
fn stored(listed: Listed) -> Result<ListRead, Failure> {
    let fault = |text: String| Failure::new(FailureKind::Permanent, text);
    let (items, given) = (listed.items_json(), listed.given_json());
    let shared = given.as_str().len();
    let largest = listed.items.iter().max_by_key(|(_, value)| value.as_str().len());
    if let Some((key, value)) =
        largest.filter(|(_, value)| value.as_str().len() + shared > limits::INLINE_BYTES)
    {
        let bytes = value.as_str().len() + shared;
        return Err(fault(format!(
            "what item {key} is given has {bytes} bytes and the limit is {}: store it elsewhere and pass a reference",
            limits::INLINE_BYTES
        )));
    }
    for json in [&items, &given] {
        canonical::of(json)
            .map_err(|e| fault("the items cannot be hashed".into()).caused_by(e.to_string()))?;
    }
    let items = Stored::of(items).map_err(|large| fault(large.message("the list")))?;
    let given = Stored::of(given).map_err(|large| fault(large.message("what the items are given")))?;
    Ok(ListRead { listed: Arc::new(listed), items, given })
}

async fn gathered(store: &dyn Store, outputs: &[Option<Payload>]) -> Result<Json, String> {
    let mut text = String::from("[");
    for output in outputs {
        if text.len() > 1 {
            text.push(',');
        }
        match output {
            None => text.push_str("null"),
            Some(output) => {
                let json = values::fetch(store, output).await.map_err(|e| e.to_string())?;
                text.push_str(json.as_str());
            }
        }
        if text.len() > limits::BLOB_BYTES {
            return Err(format!(
                "what the items gave back has more than {} bytes: store it elsewhere and pass references",
                limits::BLOB_BYTES
            ));
        }
    }
    text.push(']');
    Json::parse(&text).map_err(|e| e.to_string())
}
