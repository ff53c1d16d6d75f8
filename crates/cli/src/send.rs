//! Verbs, signals and decisions: each is an entry in the run's inbox, and an answer in its journal.

use crate::{
    args::{Abandon, Cancel, Decide, Handback, Plain, Release, Resolve, Retry, Sending, Signal, Skip},
    cx::Cx,
    fault::{Fault, exit},
    find, ids,
    out::Tone,
    story::EVENTS_PAGE,
    summary,
};
use serde::Serialize;
use std::time::Duration;
use tokio::time::Instant;
use towpath::{
    model::{
        Actor, Event, Header, Json, Message, Name, NewEntry, ResolveAs, RunNo, Seq, Status, StepId, Verb,
    },
    store::{Put, RunRow, Store},
};

/// How often, at least, the journal is looked at while an answer is awaited.
const LOOK: Duration = Duration::from_millis(250);

/// Something to be sent to a run.
pub(crate) struct Letter {
    run: String,
    sending: Sending,
    message: Message,
}

impl Letter {
    fn verb(plain: Plain, verb: Verb) -> Self {
        let Plain { run, why, sending } = plain;
        Letter { run, sending, message: Message::Verb { verb, reason: why.reason } }
    }

    pub(crate) fn pause(plain: Plain) -> Self {
        Letter::verb(plain, Verb::Pause)
    }

    pub(crate) fn resume(plain: Plain) -> Self {
        Letter::verb(plain, Verb::Resume)
    }

    pub(crate) fn signal(args: Signal) -> Self {
        let Signal { run, name, value, step, sending } = args;
        Letter { run, sending, message: Message::Signal { name, step, value } }
    }

    pub(crate) fn decide(args: Decide, approve: bool) -> Self {
        let Decide { run, step, comment, sending } = args;
        Letter { run, sending, message: Message::Approval { step, approve, comment } }
    }

    pub(crate) fn cancel(args: Cancel) -> Self {
        Letter::verb(args.plain, Verb::Cancel { unwind: !args.no_unwind })
    }

    pub(crate) fn retry(args: Retry) -> Self {
        let Retry { plain, which, new_key, from_scratch } = args;
        Letter::verb(plain, Verb::Retry { step: which.step, new_key, from_scratch })
    }

    pub(crate) fn skip(args: Skip) -> Self {
        let Skip { plain, which, output } = args;
        Letter::verb(plain, Verb::Skip { step: which.step, output })
    }

    pub(crate) fn resolve(args: Resolve) -> Self {
        // The command line takes one of the two, and only one.
        let to = args.to.done.map_or(ResolveAs::NotDone, ResolveAs::Done);
        Letter::verb(args.plain, Verb::Resolve { step: args.which.step, to })
    }

    pub(crate) fn handback(args: Handback) -> Self {
        Letter::verb(args.plain, Verb::Handback { step: args.which.step })
    }

    /// For the run that holds a lock.
    pub(crate) fn release(run: String, args: Release) -> Self {
        let Release { lock, reason, sending, force: _ } = args;
        Letter { run, sending, message: Message::Verb { verb: Verb::ReleaseLock { lock }, reason } }
    }

    pub(crate) fn abandon(args: Abandon) -> Self {
        let Abandon { run, reason, sending } = args;
        Letter { run, sending, message: Message::Verb { verb: Verb::Abandon, reason } }
    }
}

/// What became of something that was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Answer {
    /// The run follows it.
    Accepted(String),
    /// A signal for which nobody waits yet.
    Kept,
    /// The run does not follow it.
    Refused(String),
    /// Nobody has read it yet.
    Unanswered,
}

/// What became of it, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    run: String,
    sent: &'a str,
    id: &'a str,
    /// `accepted`, `kept`, `refused` or `unanswered`.
    answer: &'static str,
    /// What that means, or why it was refused.
    about: &'a str,
}

/// Sends it, and waits for the answer. Gives the exit code.
pub(crate) async fn send(cx: &mut Cx<'_>, letter: Letter) -> Result<u8, Fault> {
    let Letter { run, sending, message } = letter;
    let row = find::run(&*cx.store, &run).await?;
    let actor = match sending.actor {
        Some(actor) => actor,
        None => towpath::os_user(),
    };
    let id = match sending.id {
        Some(id) => id,
        None => ids::entry(&*cx.store).await?,
    };
    let before = cx.store.head(row.no).await?.seq;
    let json = Json::of(&message).map_err(|e| Fault::failed(format!("encode the message: {e}")))?;
    let entry = NewEntry { dedupe_id: id.clone(), actor: actor.clone(), message: json };
    let asked = Asked { row: &row, id: &id, actor: &actor, message: &message };
    let answer = match cx.store.put_entry(row.run, entry).await? {
        Put::Accepted => asked.wait(&*cx.store, before, sending.wait).await?,
        // It was sent before, and may have been answered at any time.
        Put::Duplicate => asked.wait(&*cx.store, Seq(0), sending.wait).await?,
        Put::Full => {
            Answer::Refused("the run's inbox is full: send it again when a worker has read it".into())
        }
        Put::Settled => asked.settled(&*cx.store).await?,
    };
    say(cx, &asked, &answer)?;
    Ok(match answer {
        Answer::Accepted(_) | Answer::Kept => exit::OK,
        Answer::Refused(_) => exit::FAILED,
        Answer::Unanswered if sending.wait.is_zero() => exit::OK,
        Answer::Unanswered => exit::UNANSWERED,
    })
}

fn say(cx: &mut Cx<'_>, asked: &Asked<'_>, answer: &Answer) -> Result<(), Fault> {
    let tick = cx.spelling.of("tick");
    let unanswered = match &asked.row.owner {
        Some(owner) => format!("worker {owner} drives the run and has not read its inbox; it is in there"),
        None => format!("no worker drives the run; it is in its inbox, and a worker or `{tick}` reads it"),
    };
    let (word, tone, about) = match answer {
        Answer::Accepted(about) => ("accepted", Tone::Good, about.as_str()),
        Answer::Kept => ("kept", Tone::Good, "no step waits for it yet; the first that does gets it"),
        Answer::Refused(why) => ("refused", Tone::Bad, why.as_str()),
        Answer::Unanswered => ("unanswered", Tone::Needs, unanswered.as_str()),
    };
    let sent = asked.what();
    if cx.out.json {
        let id = asked.id.as_str();
        let line = Line { run: asked.row.run.to_string(), sent: &sent, id, answer: word, about };
        return Ok(cx.out.value(&line)?);
    }
    let word = if word == "unanswered" { "not answered yet" } else { word };
    let about = if about.is_empty() { String::new() } else { format!(": {about}") };
    Ok(cx.out.line(format!("{sent} {}{about}", cx.out.paint.text(tone, word)))?)
}

/// What was sent, and to which run.
struct Asked<'a> {
    row: &'a RunRow,
    id: &'a Name,
    actor: &'a Actor,
    message: &'a Message,
}

impl Asked<'_> {
    /// What was sent, in a word or two.
    fn what(&self) -> String {
        match self.message {
            Message::Signal { name, .. } => format!("signal {name}"),
            Message::Approval { step, approve: true, .. } => format!("approve {step}"),
            Message::Approval { step, .. } => format!("reject {step}"),
            Message::Verb { verb, .. } => summary::verb(verb),
            Message::SubRunSettled { .. } | Message::Parent { .. } | Message::LockGranted { .. } => {
                "what only runs and stores send".into()
            }
        }
    }

    /// Waits until the journal holds an answer.
    async fn wait(&self, store: &dyn Store, after: Seq, most: Duration) -> Result<Answer, Fault> {
        let deadline = Instant::now() + most.min(Duration::from_secs(86_400));
        let mut after = after;
        loop {
            // Asked for before looking, so that nothing falls between the look and the wait.
            let changed = store.changed();
            if let Some(answer) = self.look(store, &mut after).await? {
                return Ok(answer);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Answer::Unanswered);
            }
            // Either end of it is a reason to look again.
            let _ = tokio::time::timeout(left.min(LOOK), changed).await;
        }
    }

    /// Looks for the answer in the events after a number, and moves the number.
    async fn look(&self, store: &dyn Store, after: &mut Seq) -> Result<Option<Answer>, Fault> {
        // The state of the inbox and of the run are read before the journal, which holds whatever ended them.
        let is_read = !self.is_unread(store, self.row.no).await?;
        let is_over = store.find(self.row.run).await?.is_some_and(|r| r.listing.status == Status::Settled);
        let mut kept = None;
        loop {
            let page = store.events(self.row.no, *after, EVENTS_PAGE).await?;
            if page.is_empty() {
                break;
            }
            for stored in &page {
                *after = after.next();
                let Ok(header) = Header::decode(&stored.header) else { continue };
                let Some(payload) = &stored.payload else { continue };
                let Ok(event) = Event::decode(header.kind, payload) else { continue };
                match (self.answers(&event), &event) {
                    // Whoever waits for it later gets it.
                    (Some(Answer::Kept), _) => kept = Some(*after),
                    (Some(answer), _) => return Ok(Some(answer)),
                    (None, Event::WaitOver(e)) if kept.is_some() && e.kept == kept => {
                        return Ok(Some(goes_on(&e.step)));
                    }
                    (None, _) => {}
                }
            }
        }
        if kept.is_some() {
            return Ok(Some(Answer::Kept));
        }
        if is_over {
            return self.settled(store).await.map(Some);
        }
        // When it was read, and what it led to cannot be told from the journal, it was followed all the same.
        Ok(is_read.then(|| Answer::Accepted(String::new())))
    }

    async fn is_unread(&self, store: &dyn Store, no: RunNo) -> Result<bool, Fault> {
        let entries = store.entries(no, towpath::model::limits::INBOX_ENTRIES).await?;
        Ok(entries.iter().any(|e| e.dedupe_id == *self.id))
    }

    /// The answer that an event is, if it is one.
    fn answers(&self, event: &Event) -> Option<Answer> {
        match event {
            Event::VerbAnswered(e) if e.id == *self.id => Some(match &e.refused {
                Some(why) => Answer::Refused(why.clone()),
                None => Answer::Accepted(String::new()),
            }),
            Event::EntryRefused(e) if e.id == *self.id => Some(Answer::Refused(e.why.clone())),
            Event::WaitOver(e) if e.kept.is_none() && e.from.as_ref() == Some(self.actor) => {
                let value = e.value.as_ref()?;
                self.is_its_value(&e.step, value).then(|| goes_on(&e.step))
            }
            Event::SignalKept(e) if e.from == *self.actor && self.is_kept_as(&e.signal, &e.value) => {
                Some(Answer::Kept)
            }
            _ => None,
        }
    }

    /// Whether a wait of a step ended by this message.
    fn is_its_value(&self, of: &StepId, found: &Json) -> bool {
        match self.message {
            Message::Signal { step, value, .. } => value == found && step.as_ref().is_none_or(|s| s == of),
            Message::Approval { step, approve, comment } => {
                of == step && is_decision(found, *approve, comment)
            }
            Message::Verb { .. }
            | Message::SubRunSettled { .. }
            | Message::Parent { .. }
            | Message::LockGranted { .. } => false,
        }
    }

    fn is_kept_as(&self, signal: &Name, found: &Json) -> bool {
        match self.message {
            Message::Signal { name, value, .. } => name == signal && value == found,
            Message::Approval { approve, comment, .. } => {
                signal.as_str() == "approval" && is_decision(found, *approve, comment)
            }
            Message::Verb { .. }
            | Message::SubRunSettled { .. }
            | Message::Parent { .. }
            | Message::LockGranted { .. } => false,
        }
    }

    /// The answer of a run that is over.
    async fn settled(&self, store: &dyn Store) -> Result<Answer, Fault> {
        let row = store.find(self.row.run).await?;
        let outcome = row.and_then(|r| r.listing.outcome).map(|o| format!(": {o}")).unwrap_or_default();
        Ok(Answer::Refused(format!("the run has settled{outcome}")))
    }
}

fn goes_on(step: &StepId) -> Answer {
    Answer::Accepted(format!("{step} goes on"))
}

/// Whether a signal's value is this decision: the machine adds who decided, and when.
fn is_decision(value: &Json, approve: bool, comment: &str) -> bool {
    let Ok(value) = value.read::<serde_json::Value>() else { return false };
    value["approve"] == approve && value["comment"] == comment
}

#[cfg(test)]
mod tests;
