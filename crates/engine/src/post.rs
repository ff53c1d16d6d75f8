//! Sending to runs: signals, approvals and verbs, all through the inbox.

use crate::{Engine, EngineError, EngineErrorKind, Run, engine::find, updates::find_event};
use serde::Serialize;
use towpath_model::{Event, IdError, Json, Message, Name, NewEntry, RunId, StepId, Verb};
use towpath_store::Put;

const SEND: &str = "send to a run";

impl Engine {
    /// Puts a message into a run's inbox, as the engine's actor. It is durable when this returns, and is followed by
    /// whoever drives the run.
    ///
    /// A second message with the same `dedupe_id` is ignored; without one, each is another.
    ///
    /// # Errors
    /// When there is no such run, it is over, its inbox is full, or the store cannot take it.
    pub async fn send(
        &self,
        run: RunId,
        message: &Message,
        dedupe_id: Option<Name>,
    ) -> Result<Name, EngineError> {
        let shared = self.shared();
        let unreadable =
            |e: serde_json::Error| EngineError::new(EngineErrorKind::Unreadable, SEND).because(e);
        let message = Json::of(message).map_err(unreadable)?;
        let dedupe_id = dedupe_id.unwrap_or_else(|| {
            Name::new(&uuid::Uuid::now_v7().to_string()).expect("a UUID is a line of 36 bytes")
        });
        let entry = NewEntry { dedupe_id: dedupe_id.clone(), actor: shared.config.actor.clone(), message };
        let of = |kind| EngineError::new(kind, SEND).with("run", run);
        let put = shared.store.put_entry(run, entry).await.map_err(|e| match e.kind() {
            towpath_store::StoreErrorKind::NotFound => of(EngineErrorKind::NotFound),
            _ => EngineError::store(SEND, e).with("run", run),
        })?;
        match put {
            Put::Accepted | Put::Duplicate => {}
            Put::Full => return Err(of(EngineErrorKind::Full)),
            Put::Settled => return Err(of(EngineErrorKind::Settled)),
        }
        if !shared.runs.hint(run) {
            shared.poke();
        }
        Ok(dedupe_id)
    }

    /// Sends an operator's verb and waits for the run's answer, which is journaled.
    ///
    /// Somebody has to drive the run for it to answer: this engine, or another worker of the store.
    ///
    /// # Errors
    /// When the run refuses it: the error says why and which verbs apply.
    ///
    /// # Cancel safety
    /// Dropping the future drops only the answer.
    pub async fn verb(&self, run: RunId, verb: Verb, reason: impl Into<String>) -> Result<(), EngineError> {
        const ORDER: &str = "give a run a verb";
        let row = find(self.shared(), ORDER, run).await?;
        let head = self.shared().store.head(row.no).await.map_err(|e| EngineError::store(ORDER, e))?;
        let word = verb.word();
        let id = self.send(run, &Message::Verb { verb, reason: reason.into() }, None).await?;
        let answer = find_event(self, run, row.no, head.seq, |event| match event {
            Event::VerbAnswered(e) if e.id == id => Some(e.refused.clone()),
            Event::EntryRefused(e) if e.id == id => Some(Some(e.why.clone())),
            _ => None,
        });
        let refused = |kind| EngineError::new(kind, ORDER).with("run", run).with("verb", word);
        match answer.await? {
            Some(None) => Ok(()),
            Some(Some(why)) => Err(refused(EngineErrorKind::Refused).with("why", why)),
            // It ended before it came to read the verb.
            None => Err(refused(EngineErrorKind::Settled)),
        }
    }
}

impl<Out> Run<Out> {
    /// Sends a signal: a value for whoever waits for it, kept when nobody waits yet.
    ///
    /// # Errors
    /// When the name is none, the run is over, or its inbox is full.
    pub async fn signal<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<(), EngineError> {
        let message = signal(name, None, value)?;
        self.engine.send(self.id, &message, None).await.map(drop)
    }

    /// Sends a signal to one step.
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    pub async fn signal_step<T: Serialize + ?Sized>(
        &self,
        step: &str,
        name: &str,
        value: &T,
    ) -> Result<(), EngineError> {
        let message = signal(name, Some(step_of(step)?), value)?;
        self.engine.send(self.id, &message, None).await.map(drop)
    }

    /// Decides about a step that waits for a decision.
    ///
    /// # Errors
    /// When the step's id is none, the run is over, or its inbox is full.
    pub async fn approve(
        &self,
        step: &str,
        approve: bool,
        comment: impl Into<String>,
    ) -> Result<(), EngineError> {
        let message = Message::Approval { step: step_of(step)?, approve, comment: comment.into() };
        self.engine.send(self.id, &message, None).await.map(drop)
    }

    /// Sends an operator's verb and waits for the run's answer.
    ///
    /// # Errors
    /// As [`Engine::verb`].
    pub async fn verb(&self, verb: Verb, reason: impl Into<String>) -> Result<(), EngineError> {
        self.engine.verb(self.id, verb, reason).await
    }
}

fn signal<T: Serialize + ?Sized>(
    name: &str,
    step: Option<StepId>,
    value: &T,
) -> Result<Message, EngineError> {
    let unreadable = |e: serde_json::Error| EngineError::new(EngineErrorKind::Unreadable, SEND).because(e);
    let name = Name::new(name).map_err(no_id)?;
    Ok(Message::Signal { name, step, value: Json::of(value).map_err(unreadable)? })
}

fn step_of(step: &str) -> Result<StepId, EngineError> {
    StepId::new(step).map_err(no_id)
}

fn no_id(error: IdError) -> EngineError {
    EngineError::unfit(SEND, vec![error.to_string()])
}
