//! The inbox: signals, approvals and verbs, merged with time.

use crate::{Input, Ix, RunState};
use towpath_model::{
    Entry, EntryRefused, Event, Json, Message, Name, SignalKept, StepId, Timestamp, WaitOver,
};

/// The signal by which a decision reaches its step.
const APPROVAL: &str = "approval";

impl RunState {
    /// Takes entries of the inbox, merged with the timers that came due before each: by the time at which the store
    /// took an entry, the entry first on a tie. So an approval that came in time counts, whenever it is read.
    pub fn merge(&mut self, entries: Vec<Entry>, now: Timestamp) -> Vec<Event> {
        let now = now.max(self.time);
        let mut events = Vec::new();
        for entry in entries {
            let received_at = entry.received_at;
            self.fire(&mut events, now, |at| at < received_at && at <= now);
            // An entry is always answered by events; only bodies are told errors.
            events.extend(self.take(Input::Entry(entry), now).unwrap_or_default());
        }
        events
    }

    pub(crate) fn entry(&self, entry: Entry) -> Vec<Event> {
        let message = match entry.message.read::<Message>() {
            Ok(message) => message,
            Err(error) => {
                let why = format!("the message cannot be read by this release: {error}");
                return vec![EntryRefused { id: entry.dedupe_id, from: entry.actor, why }.into()];
            }
        };
        let about = match &message {
            Message::Signal { step, .. } => step.as_ref(),
            Message::Approval { step, .. } => Some(step),
            Message::Verb { .. }
            | Message::SubRunSettled { .. }
            | Message::Parent { .. }
            | Message::LockGranted { .. } => None,
        };
        if let Some(step) = about.filter(|step| self.plan.find(step).is_none()) {
            let why = format!("the plan has no step {step}");
            return vec![EntryRefused { id: entry.dedupe_id, from: entry.actor, why }.into()];
        }
        match message {
            // Its text could claim to be anybody's answer; that of an approval is the sender's own.
            Message::Signal { name, .. } if name.as_str() == APPROVAL => {
                let why = format!("the signal {APPROVAL} is sent by `approve` and `reject` alone");
                vec![EntryRefused { id: entry.dedupe_id, from: entry.actor, why }.into()]
            }
            Message::Signal { name, step, value } => self.signal(&entry, name, step, value),
            Message::Approval { step, approve, comment } => {
                let at = entry.received_at;
                let value =
                    serde_json::json!({"approve": approve, "by": entry.actor, "comment": comment, "at": at});
                let value = Json::of(&value).expect("an approval is json");
                let name = Name::new(APPROVAL).expect("a constant name keeps the rule");
                self.signal(&entry, name, Some(step), value)
            }
            Message::Verb { verb, reason } => self.verb(entry, verb, reason),
            Message::LockGranted { lock, fence, asked } => self.lock_granted(&entry, lock, fence, asked),
            message @ (Message::SubRunSettled { .. } | Message::Parent { .. }) => {
                self.told_by_a_run(&entry, message)
            }
        }
    }

    /// A run that has settled is told nothing any more, but to undo what it did by the run that it is an item of.
    pub(crate) fn entry_after_the_end(&self, entry: &Entry) -> Vec<Event> {
        match entry.message.read::<Message>() {
            Ok(message @ Message::Parent { .. }) if entry.actor == towpath_model::Actor::engine() => {
                self.told_by_a_run(entry, message)
            }
            _ => Vec::new(),
        }
    }

    fn signal(&self, entry: &Entry, signal: Name, step: Option<StepId>, value: Json) -> Vec<Event> {
        let (from, received_at) = (entry.actor.clone(), entry.received_at);
        let open = self
            .listener(&signal, step.as_ref(), received_at)
            .filter(|ix| self.has_place() && self.may_act(*ix) && !self.live.rematch)
            .and_then(|ix| Some((ix, self.node(ix).open_wait()?.0.clone())));
        let event = match open {
            Some((ix, wait)) => {
                let step = self.plan.step(ix).id.clone();
                WaitOver { step, wait, value: Some(value), from: Some(from), kept: None }.into()
            }
            None => SignalKept { signal, step, value, from, received_at }.into(),
        };
        vec![event]
    }

    /// The first step that waits for a signal and whose wait is not over yet.
    pub(crate) fn listener(&self, signal: &Name, step: Option<&StepId>, at: Timestamp) -> Option<Ix> {
        let waits = |ix: &Ix| {
            let until = self.node(*ix).timer();
            until.is_none_or(|until| at <= until) && !self.live.due_waits.contains(ix)
        };
        let all = (signal.clone(), 0)..=(signal.clone(), Ix::MAX);
        match step {
            Some(step) => {
                let ix = self.plan.find(step)?;
                self.sets.listeners.contains(&(signal.clone(), ix)).then_some(ix).filter(waits)
            }
            None => self.sets.listeners.range(all).map(|(_, ix)| *ix).find(waits),
        }
    }
}
