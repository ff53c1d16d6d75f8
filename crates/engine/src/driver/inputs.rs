//! What comes in.

use super::{
    core::{Driver, Gone},
    draft::{Asked, Draft},
};
use crate::{
    body::{self, End, What},
    config::{ENTRIES_PAGE, INBOX_LEAST},
    host,
    mailbox::{EntryNo, Msg, Reply, RunNow},
    time::Backoff,
    values::Stored,
};
use tokio::time::Instant;
use towpath_machine::{BodyEnd, Input, Ix, RunState, StepState};
use towpath_model::{
    Ended, Entry, Event, Failure, FailureKind, Message, Name, Payload, ResolveAs, Status, Verb, VerbAnswered,
};
use towpath_step::{
    StepError,
    host::{WaitAsk, Waited},
};

impl Driver {
    /// Takes everything that was told since the last transition.
    pub(super) fn collect(&mut self, draft: &mut Draft) {
        for input in std::mem::take(&mut self.owed) {
            self.take(input, draft);
        }
        while let Some((no, end)) = self.ended.pop_front() {
            self.body_ended(no, end, draft);
        }
        if let Some(msg) = self.received.take() {
            self.receive(msg, draft);
        }
        while !draft.is_full() {
            let Ok(msg) = self.mail.try_recv() else { return };
            self.receive(msg, draft);
        }
    }

    fn receive(&mut self, msg: Msg, draft: &mut Draft) {
        match msg {
            Msg::End(no, end) => self.body_ended(no, end, draft),
            Msg::Checkpoint(no, value, reply) => self.checkpoint(no, value, reply, draft),
            Msg::Wait(no, ask, saved, reply) => self.wait(no, ask, saved, reply, draft),
            // A body that was dropped needs no answer.
            Msg::Outputs(reply) => drop(reply.send(Ok(self.run_now()))),
            Msg::Inbox => self.inbox = true,
            // Somebody else writes all the time: this run looks now and then.
            Msg::Look => {
                self.look_at.get_or_insert(self.inbox_read + INBOX_LEAST);
            }
            Msg::Side => self.flushes.told(),
            Msg::Drain { grace } => self.drain(grace),
        }
    }

    fn run_now(&self) -> RunNow {
        let done = (0..self.plan.plan.len() as Ix).filter_map(|ix| match self.state.node(ix).state() {
            StepState::Done { output, unreadable: None, .. } => {
                Some((self.plan.plan.step(ix).id.clone(), output.clone()))
            }
            _ => None,
        });
        let (plan, run, values) = (self.plan.clone(), self.slot.run, self.state.values().clone());
        RunNow { plan, run, values, outputs: done.collect() }
    }

    /// Has the machine take something, and drafts what it makes of it.
    fn take(&mut self, input: Input, draft: &mut Draft) {
        // Only a body that asks is told errors, and those do not come this way.
        draft.push(self.state.take(input, draft.now).unwrap_or_default());
    }

    fn body_ended(&mut self, no: EntryNo, end: End, draft: &mut Draft) {
        // A body that was let go has nothing to say any more.
        let Some(i) = self.bodies.iter().position(|b| b.no == no) else { return };
        let live = self.bodies.swap_remove(i);
        let step = self.plan.plan.step(live.ix).id.clone();
        let end = match end {
            End::Dropped => body::lost(live.what, live.ending.unwrap_or(Ended::Dropped), None, &live.host),
            end => end,
        };
        let attempt = live.attempt;
        let input = match end {
            End::Before(result) => {
                let result = result.map(|stored| draft.keep(stored));
                Input::Before { step, result }
            }
            End::Run(end, blob) => {
                draft.blobs.extend(blob);
                if let BodyEnd::Done { output, .. } = &end {
                    draft.weigh(output);
                }
                Input::Ended { step, attempt, end }
            }
            End::Observed(answer, blob) => {
                draft.blobs.extend(blob);
                Input::Observed { step, answer }
            }
            End::Undone(end) => Input::Undone { step, attempt, end },
            End::Listed(read) => self.list_read(live.ix, read, draft),
            End::Dropped => return,
        };
        self.take(input, draft);
    }

    fn checkpoint(&mut self, no: EntryNo, value: Stored, reply: Reply<()>, draft: &mut Draft) {
        let Some(live) = self.bodies.iter().find(|b| b.no == no) else { return };
        let undoing = match live.what {
            What::Run => false,
            What::Undo => true,
            What::Before | What::Observe | What::List | What::Gather => {
                let text =
                    "a checkpoint can be saved by a step's work and by its undoing, not while it looks";
                // A body that is gone needs no answer.
                let _ = reply.send(Err(StepError::permanent(text)));
                return;
            }
        };
        let step = self.plan.plan.step(live.ix).id.clone();
        let value = draft.keep(value);
        match self.state.take(Input::Checkpoint { step, undoing, value }, draft.now) {
            Ok(events) => {
                draft.push(events);
                draft.saved.push(reply);
            }
            Err(failure) => drop(reply.send(Err(error_of(failure)))),
        }
    }

    fn wait(
        &mut self,
        no: EntryNo,
        ask: WaitAsk,
        saved: Option<Stored>,
        reply: Reply<Waited>,
        draft: &mut Draft,
    ) {
        let Some(live) = self.bodies.iter().find(|b| b.no == no) else { return };
        let ix = live.ix;
        let known = |state: &RunState, wait: &Name| state.node(ix).waits().get(wait).cloned();
        if let Some(over) = known(&self.state, &ask.name).and_then(|wait| wait.over) {
            // A body that was dropped needs no answer.
            let _ = reply.send(Ok(host::waited(over)));
            return;
        }
        let step = self.plan.plan.step(ix).id.clone();
        let checkpoint: Option<Payload> = saved.map(|stored| draft.keep(stored));
        let WaitAsk { name: wait, signal, limit, .. } = ask;
        let until = limit.map(|limit| draft.now.plus(limit));
        let input = Input::Wait { step, wait: wait.clone(), until, signal, checkpoint };
        match self.state.take(input, draft.now) {
            Ok(events) => {
                draft.push(events);
                // The first deadline counts, whichever attempt asked for it.
                let until = known(&self.state, &wait).and_then(|wait| wait.until);
                draft.waits.push(Asked { entry: no, wait, until, reply });
            }
            Err(failure) => drop(reply.send(Err(error_of(failure)))),
        }
    }

    /// Reads the inbox when it was told of, and always before a timer fires: what came in time counts.
    pub(super) async fn read_inbox(&mut self, draft: &mut Draft) -> Result<(), Gone> {
        let is_due = self.wake.is_some_and(|at| at <= draft.now);
        let is_asked = self.look_at.is_some_and(|at| at <= Instant::now());
        if !self.inbox && !is_due && !is_asked {
            return Ok(());
        }
        self.look_at = None;
        let entries = self.entries().await?;
        self.inbox = entries.len() == ENTRIES_PAGE;
        self.inbox_read = Instant::now();
        let mut weight = 0;
        let mut taken: Vec<Entry> = Vec::with_capacity(entries.len());
        for entry in entries {
            weight += entry.message.as_str().len();
            if weight > (2 << 20) && !taken.is_empty() {
                self.inbox = true;
                break;
            }
            taken.push(entry);
        }
        if taken.is_empty() {
            return Ok(());
        }
        draft.consumed.extend(taken.iter().map(|e| e.id));
        let mut answers = self.retries_of_quarantined(&mut taken).await;
        answers.extend(self.misfits(&mut taken));
        // What runs above and below have to say came first, and is not changed by a retry.
        let events = self.state.merge(taken, draft.now);
        draft.push_caused(events);
        self.answer(answers, draft);
        Ok(())
    }

    /// Takes out the retries of a run that was quarantined and can be folded now: it has been retried by that, and nothing
    /// of it rests for the machine to see.
    async fn retries_of_quarantined(&self, entries: &mut Vec<Entry>) -> Vec<VerbAnswered> {
        let is_fresh = self.listing.is_none();
        if !is_fresh || !entries.iter().any(|e| retry_of(e).is_some()) {
            return Vec::new();
        }
        match self.shared.store.find(self.slot.run).await {
            Ok(Some(row)) if row.listing.status == Status::Quarantined => {}
            _ => return Vec::new(),
        }
        let mut answers = Vec::new();
        entries.retain(|entry| {
            let retry = retry_of(entry);
            answers.extend(retry.map(|(verb, reason)| VerbAnswered {
                id: entry.dedupe_id.clone(),
                verb,
                by: entry.actor.clone(),
                reason,
                refused: None,
            }));
            retry_of(entry).is_none()
        });
        answers
    }

    /// Takes out the verbs that give a step an output which has not the shape of its kind's, as far as this engine knows the
    /// kind: nobody who reads it could.
    fn misfits(&self, entries: &mut Vec<Entry>) -> Vec<VerbAnswered> {
        let mut answers = Vec::new();
        entries.retain(|entry| {
            let Some((verb, reason)) = output_of(entry) else { return true };
            let Some(why) = self.misfit(&verb) else { return true };
            let (id, by, refused) = (entry.dedupe_id.clone(), entry.actor.clone(), Some(why));
            answers.push(VerbAnswered { id, verb, by, reason, refused });
            false
        });
        answers
    }

    fn misfit(&self, verb: &Verb) -> Option<String> {
        let (step, output) = match verb {
            Verb::Skip { step, output: Some(output) } => (step, output),
            Verb::Resolve { step, to: ResolveAs::Done(output) } => (step, output),
            _ => return None,
        };
        let resting: Vec<Ix> = self.state.resting().collect();
        let ix = match (step, &resting[..]) {
            (Some(step), _) => self.plan.plan.find(step)?,
            (None, [only]) => *only,
            (None, _) => return None,
        };
        // What is said of an undoing is no output.
        if self.state.node(ix).undo_state().is_resting() {
            return None;
        }
        let why = self.plan.known(ix).body()?.takes_output(output).err()?;
        let step = self.plan.plan.step(ix);
        Some(format!("it is no output of {}, a {}: {why}", step.id, step.kind))
    }

    fn answer(&mut self, answers: Vec<VerbAnswered>, draft: &mut Draft) {
        for answer in answers {
            let event = Event::from(answer);
            let folded = self.state.apply(self.state.seq().next(), draft.now, &event);
            folded.expect("an answer to a verb can follow everything");
            draft.push(vec![event]);
        }
    }

    async fn entries(&self) -> Result<Vec<Entry>, Gone> {
        let (store, slot) = (&self.shared.store, &self.slot);
        let mut backoff = Backoff::new();
        loop {
            let read = tokio::select! {
                biased;
                read = store.entries(slot.no, ENTRIES_PAGE) => read,
                () = slot.lost() => return Err(Gone),
            };
            match read {
                Ok(entries) => return Ok(entries),
                Err(error) => {
                    tracing::warn!(run = %slot.run, error = %error, "the inbox cannot be read; trying again");
                    tokio::select! {
                        () = backoff.wait() => {}
                        () = slot.lost() => return Err(Gone),
                    }
                }
            }
        }
    }
}

/// The verb `retry` without a step, and its reason.
fn retry_of(entry: &Entry) -> Option<(Verb, String)> {
    match entry.message.read::<Message>() {
        Ok(Message::Verb { verb: verb @ Verb::Retry { step: None, .. }, reason }) => Some((verb, reason)),
        _ => None,
    }
}

/// A verb that gives a step an output, and its reason.
fn output_of(entry: &Entry) -> Option<(Verb, String)> {
    match entry.message.read::<Message>() {
        Ok(Message::Verb {
            verb: verb @ (Verb::Skip { output: Some(_), .. } | Verb::Resolve { to: ResolveAs::Done(_), .. }),
            reason,
        }) => Some((verb, reason)),
        _ => None,
    }
}

/// The machine's refusal, as a body is told.
fn error_of(failure: Failure) -> StepError {
    match failure.kind {
        FailureKind::Transient => StepError::transient(failure.to_string()),
        FailureKind::Rejected => StepError::rejected(failure.to_string()),
        FailureKind::Permanent => StepError::permanent(failure.to_string()),
        FailureKind::Unknown => StepError::unknown(failure.to_string()),
        FailureKind::NeedsOperator => StepError::needs_operator(failure.to_string()),
        FailureKind::Cancelled => StepError::cancelled(failure.to_string()),
    }
}
