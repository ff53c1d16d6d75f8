//! The engine as one entry of a body sees it.

use crate::{
    mailbox::{EntryNo, Mailbox, Msg, RunNow},
    preview::{self, Look},
    secrets,
    shared::Shared,
    side::Side,
    values::{self, Output, Stored},
};
use async_trait::async_trait;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::{Notify, oneshot};
use towpath_machine::Node;
use towpath_model::{Attempt, Failure, Json, Name, PlanPreview, StepId, Timestamp};
use towpath_step::{
    Scrubber, SecretValue, StepError,
    host::{Host, WaitAsk, Waited},
};
use towpath_store::{LogLine, Progress};

/// The secrets that were resolved in one entry of a body.
#[derive(Default)]
pub(crate) struct Secrets {
    /// Most bodies ask for none: they pay one look at this.
    any: AtomicBool,
    scrubber: Mutex<Scrubber>,
}

impl Secrets {
    fn scrubber(&self) -> MutexGuard<'_, Scrubber> {
        // A list cannot be left half done by a panic.
        self.scrubber.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, value: &SecretValue) {
        self.scrubber().add(value);
        self.any.store(true, Ordering::Release);
    }

    /// The text without the values; `None` when there is none in it.
    pub(crate) fn scrub(&self, text: &str) -> Option<String> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        match self.scrubber().scrub(text) {
            Cow::Borrowed(_) => None,
            Cow::Owned(clean) => Some(clean),
        }
    }

    /// The text without the values.
    fn clean(&self, text: String) -> String {
        self.scrub(&text).unwrap_or(text)
    }

    /// The names of the secrets whose values stand in a text.
    fn names(&self, text: &str) -> String {
        self.scrubber().names(text).into_iter().collect::<Vec<_>>().join(", ")
    }

    fn failure(&self, mut failure: Failure) -> Failure {
        if !self.any.load(Ordering::Acquire) {
            return failure;
        }
        failure.message = self.clean(failure.message);
        failure.causes = failure.causes.into_iter().map(|cause| self.clean(cause)).collect();
        failure.details = failure.details.and_then(|details| match self.scrub(details.as_str()) {
            // A value in place of a number may leave what is no JSON: then it goes as a whole.
            Some(text) => Json::parse(&text).ok(),
            None => Some(details),
        });
        failure
    }
}

/// One entry of a body, from the engine's side.
pub(crate) struct BodyHost {
    pub(crate) shared: Arc<Shared>,
    pub(crate) entry: EntryNo,
    pub(crate) mailbox: Mailbox,
    pub(crate) step: StepId,
    pub(crate) attempt: Attempt,
    /// Whether it may wait durably: only a step's own work can.
    pub(crate) may_wait: bool,
    /// The waits of the step that were over when it was entered.
    pub(crate) over: BTreeMap<Name, Over>,
    pub(crate) side: Arc<Side>,
    pub(crate) secrets: Secrets,
    pub(crate) cancel: Cancel,
}

/// A wait that is over.
pub(crate) struct Over {
    signal: Option<Name>,
    value: Option<Json>,
}

/// The waits of a step that are over.
pub(crate) fn over(node: &Node) -> BTreeMap<Name, Over> {
    let over = node.waits().iter().filter_map(|(name, wait)| {
        let value = wait.over.clone()?;
        Some((name.clone(), Over { signal: wait.signal.clone(), value }))
    });
    over.collect()
}

/// What a wait gave, as a body sees it.
pub(crate) fn waited(value: Option<Json>) -> Waited {
    value.map_or(Waited::TimeOver, Waited::Signal)
}

/// A body's flag that it is to stop.
#[derive(Default)]
pub(crate) struct Cancel {
    asked: AtomicBool,
    told: Notify,
}

impl Cancel {
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        self.told.notify_waiters();
    }

    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}

impl BodyHost {
    /// Makes an output ready: a secret in it makes it unreadable, though the step is done.
    pub(crate) fn output(&self, json: Json, facts: &[String]) -> Output {
        if self.secrets.scrub(json.as_str()).is_none() {
            return Output::of(json, facts);
        }
        let names = self.secrets.names(json.as_str());
        Output::unreadable(format!(
            "the output holds the value of a secret ({names}): give back the secret's name instead, and rotate it"
        ))
    }

    /// A failure as it may be stored.
    pub(crate) fn failure(&self, failure: Failure) -> Failure {
        self.secrets.failure(failure)
    }

    /// A value that a body saves, as it may be stored.
    pub(crate) fn saved(&self, json: Json, what: &str) -> Result<Stored, StepError> {
        let json = match self.secrets.scrub(json.as_str()) {
            None => json,
            Some(clean) => Json::parse(&clean).map_err(|_| {
                let names = self.secrets.names(json.as_str());
                StepError::permanent(format!(
                    "{what} holds the value of a secret ({names}): save its name instead"
                ))
            })?,
        };
        Stored::of(json).map_err(|large| StepError::permanent(large.message(what)))
    }

    fn tell_side(&self, is_first: bool) {
        if is_first {
            // When the driver is gone, this body is about to be dropped.
            let _ = self.mailbox.send(Msg::Side);
        }
    }

    /// Awaits the driver's answer. Without a driver the body is about to be dropped, so that no answer is needed.
    async fn answer<T>(answer: oneshot::Receiver<Result<T, StepError>>) -> Result<T, StepError> {
        match answer.await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Host for BodyHost {
    async fn checkpoint(&self, value: Json) -> Result<(), StepError> {
        let value = self.saved(value, "the checkpoint")?;
        let (reply, answer) = oneshot::channel();
        let _ = self.mailbox.send(Msg::Checkpoint(self.entry, value, reply));
        Self::answer(answer).await
    }

    async fn wait(&self, ask: WaitAsk) -> Result<Waited, StepError> {
        if !self.may_wait {
            return Err(StepError::permanent(format!(
                "the wait {:?} is not in the step's own work: only that can wait durably",
                ask.name
            )));
        }
        if let Some(over) = self.over.get(&ask.name) {
            if over.signal != ask.signal {
                return Err(StepError::permanent(format!(
                    "the wait {:?} began as a wait for {}: give this one another name",
                    ask.name,
                    over.signal.as_ref().map_or("a time".to_owned(), |s| format!("the signal {s}"))
                )));
            }
            return Ok(waited(over.value.clone()));
        }
        let saved = ask.checkpoint.clone().map(|json| self.saved(json, "the checkpoint")).transpose()?;
        let (reply, answer) = oneshot::channel();
        let _ = self.mailbox.send(Msg::Wait(self.entry, ask, saved, reply));
        Self::answer(answer).await
    }

    async fn secret(&self, name: &str) -> Result<SecretValue, StepError> {
        let value = secrets::resolve(&*self.shared.secrets, name).await?;
        self.secrets.add(&value);
        Ok(value)
    }

    async fn preview(&self, steps: &[StepId]) -> Result<PlanPreview, StepError> {
        let (reply, answer) = oneshot::channel();
        let _ = self.mailbox.send(Msg::Outputs(reply));
        let RunNow { plan, run, values, outputs } = Self::answer(answer).await?;
        // What was shown of an item is asked of the step that has it.
        let steps: BTreeSet<StepId> = steps.iter().map(StepId::outside_of_items).collect();
        if let Some(stray) = steps.iter().find(|id| plan.plan.find(id).is_none()) {
            return Err(StepError::permanent(format!(
                "{stray} is no step of this plan: it cannot be previewed"
            )));
        }
        let needed = preview::needed(&plan.plan, &steps);
        let mut known = BTreeMap::new();
        for (step, output) in outputs.into_iter().filter(|(step, _)| needed.contains(step)) {
            known.insert(step, values::fetch(&*self.shared.store, &output).await?);
        }
        let look =
            Look { shared: &self.shared, run, values: &values, plan: &plan, shown: steps, below: None };
        Ok(look.look(known).await)
    }

    fn log(&self, text: &str) {
        let text = self.secrets.clean(text.to_owned());
        let (step, attempt, at) = (self.step.clone(), self.attempt, self.now());
        self.tell_side(self.side.log(LogLine { step, attempt, line: 0, at, text }));
    }

    fn progress(&self, percent: u8, message: &str) {
        let message = self.secrets.clean(message.to_owned());
        let (step, at) = (self.step.clone(), self.now());
        self.tell_side(self.side.progress(Progress { step, percent, message, at }));
    }

    fn now(&self) -> Timestamp {
        self.shared.now()
    }

    async fn cancelled(&self) {
        loop {
            let told = self.cancel.told.notified();
            if self.cancel.is_asked() {
                return;
            }
            told.await;
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_asked()
    }
}
