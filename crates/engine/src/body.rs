//! Bodies: the only tasks that run a step's code.

use crate::{
    host::BodyHost,
    mailbox::{EntryNo, Mailbox, Msg},
    plans::Prepared,
    values::{self, Output, Stored},
};
use std::{
    any::Any,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use towpath_machine::{BodyEnd, Ix, Listed, Observation, UndoEnd};
use towpath_model::{Ended, Failure, FailureKind, Json, Payload, StepId};
use towpath_step::{ErasedStep, Observed, StepContext, StepError, Undo, UndoEnded, host::Entry};
use towpath_store::Blob;

/// Which method of a step is entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Before,
    Run,
    Observe,
    Undo,
    /// Reading the list of a `for_each`.
    List,
    /// Putting together what its items gave back.
    Gather,
}

impl What {
    /// Whether it changes nothing, so that it can be dropped without a word.
    pub(crate) fn is_quiet(self) -> bool {
        !matches!(self, What::Run | What::Undo)
    }
}

/// How an entry ended.
#[derive(Debug)]
pub(crate) enum End {
    Before(Result<Stored, (Failure, Option<Duration>)>),
    Run(BodyEnd, Option<Blob>),
    Observed(Observation, Option<Blob>),
    Undone(UndoEnd),
    Listed(Result<Box<ListRead>, Failure>),
    /// It was dropped before it ended.
    Dropped,
}

/// A list that was read.
#[derive(Debug)]
pub(crate) struct ListRead {
    pub(crate) listed: Arc<Listed>,
    pub(crate) items: Stored,
    pub(crate) given: Stored,
}

/// An entry that is ready to be polled.
pub(crate) type Body = Pin<Box<dyn Future<Output = End> + Send>>;

/// Everything that an entry needs. What is stored beside the journal is fetched by the body itself.
pub(crate) struct Given {
    pub(crate) entry: Entry,
    pub(crate) outputs: Vec<(StepId, Payload)>,
    pub(crate) checkpoint: Option<Payload>,
    pub(crate) before: Option<Payload>,
    /// For a compensation: the output, and how the step ended.
    pub(crate) undo: Option<(Option<Payload>, UndoEnded)>,
}

/// Makes an entry of a step.
pub(crate) fn body(
    what: What,
    step: Arc<dyn ErasedStep>,
    given: Given,
    host: Arc<BodyHost>,
    plan: Arc<Prepared>,
    ix: Ix,
) -> Body {
    Box::pin(async move {
        let (cx, undo) = match given.fetch(&host).await {
            Ok((entry, undo)) => (StepContext::new(entry, host.clone()), undo),
            Err(e) => return failed(what, e, &host),
        };
        let facts = plan.plan.facts(ix);
        match what {
            What::Before => caught(step.before_erased(&cx)).await.map_or_else(
                |panic| lost(what, Ended::Panicked, Some(panic), &host),
                |said| said.map_or_else(|e| failed(what, e, &host), |json| before(json, &host)),
            ),
            What::Run => match caught(step.run_erased(&cx)).await {
                Ok(Ok(json)) => {
                    let Output { payload: output, facts, unreadable, blob } = host.output(json, facts);
                    End::Run(BodyEnd::Done { output, facts, unreadable }, blob)
                }
                Ok(Err(e)) => failed(what, e, &host),
                Err(panic) => lost(what, Ended::Panicked, Some(panic), &host),
            },
            What::Observe => match caught(step.observe_erased(&cx)).await {
                Ok(Ok(said)) => observed(said, facts, &host),
                Ok(Err(e)) => failed(what, e, &host),
                Err(panic) => lost(what, Ended::Panicked, Some(panic), &host),
            },
            What::Undo => {
                let undo = undo.expect("an entry of a compensation is given what it undoes");
                match caught(step.compensate_erased(&cx, undo)).await {
                    Ok(Ok(())) => End::Undone(UndoEnd::Done),
                    Ok(Err(e)) => failed(what, e, &host),
                    Err(panic) => lost(what, Ended::Panicked, Some(panic), &host),
                }
            }
            What::List | What::Gather => unreachable!("no code of a step lists or gathers"),
        }
    })
}

impl Given {
    async fn fetch(self, host: &BodyHost) -> Result<(Entry, Option<Undo<Json>>), StepError> {
        let store = &*host.shared.store;
        let Given { mut entry, outputs, checkpoint, before, undo } = self;
        for (step, output) in outputs {
            let json = values::fetch(store, &output).await?;
            entry.outputs.push((step, json));
        }
        if let Some(checkpoint) = &checkpoint {
            entry.checkpoint = Some(values::fetch(store, checkpoint).await?);
        }
        if let Some(before) = &before {
            entry.before = Some(values::fetch(store, before).await?);
        }
        let Some((output, ended)) = undo else { return Ok((entry, None)) };
        let output = match output {
            Some(output) => Some(values::fetch(store, &output).await?),
            None => None,
        };
        let (before, checkpoint) = (entry.before.clone(), entry.checkpoint.clone());
        Ok((entry, Some(Undo { before, output, checkpoint, ended })))
    }
}

fn before(json: Json, host: &BodyHost) -> End {
    End::Before(host.saved(json, "the before-image").map_err(|e| (host.failure(e.to_failure()), e.delay())))
}

fn observed(said: Observed<Json>, facts: &[String], host: &BodyHost) -> End {
    match said {
        Observed::Done(json) => {
            let Output { payload: output, facts, unreadable, blob } = host.output(json, facts);
            End::Observed(Observation::Done { output, facts, unreadable }, blob)
        }
        Observed::NotDone => End::Observed(Observation::NotDone, None),
        Observed::TakenOver(seen) => End::Observed(Observation::TakenOver(clean(seen, host)), None),
        Observed::Unknown(why) => {
            let failure = host.failure(Failure::new(FailureKind::Unknown, why));
            End::Observed(Observation::Unknown { failure, retry_after: None }, None)
        }
    }
}

/// What was seen, without the values of secrets.
fn clean(seen: Json, host: &BodyHost) -> Json {
    let clean =
        host.secrets.scrub(seen.as_str()).map(|text| Json::parse(&text).unwrap_or_else(|_| Json::null()));
    clean.unwrap_or(seen)
}

/// The end of an entry that returned an error.
pub(crate) fn failed(what: What, error: StepError, host: &BodyHost) -> End {
    if let (Some(seen), What::Run | What::Observe) = (error.seen(), what) {
        let seen = clean(seen.clone(), host);
        return match what {
            What::Run => End::Run(BodyEnd::TakenOver(seen), None),
            _ => End::Observed(Observation::TakenOver(seen), None),
        };
    }
    let (failure, retry_after) = (host.failure(error.to_failure()), error.delay());
    match what {
        What::Before => End::Before(Err((failure, retry_after))),
        What::Run => End::Run(BodyEnd::Failed { failure, retry_after }, None),
        What::Observe => End::Observed(Observation::Unknown { failure, retry_after }, None),
        What::Undo => End::Undone(UndoEnd::Failed { failure, retry_after }),
        What::List => End::Listed(Err(failure)),
        What::Gather => unreadable(failure.to_string()),
    }
}

/// The end of an entry that ended without a word.
pub(crate) fn lost(what: What, ended: Ended, message: Option<String>, host: &BodyHost) -> End {
    let of = |kind| match &message {
        Some(message) => host.failure(Failure::new(kind, ended.to_string()).caused_by(message.clone())),
        None => Failure::new(kind, ended.to_string()),
    };
    match what {
        // Taking a before-image changes nothing, so that trying again is harmless.
        What::Before => End::Before(Err((of(FailureKind::Transient), None))),
        What::Run => {
            let failure = message.is_some().then(|| of(FailureKind::Unknown));
            End::Run(BodyEnd::Lost { ended, failure }, None)
        }
        What::Observe => {
            let failure = of(FailureKind::Unknown);
            End::Observed(Observation::Unknown { failure, retry_after: None }, None)
        }
        What::Undo => {
            let failure = message.is_some().then(|| of(FailureKind::Unknown));
            End::Undone(UndoEnd::Lost(ended, failure))
        }
        // Reading changes nothing either.
        What::List => End::Listed(Err(of(FailureKind::Transient))),
        What::Gather => unreadable(of(FailureKind::Permanent).to_string()),
    }
}

/// The items are done, though nobody can read what they gave back.
pub(crate) fn unreadable(message: String) -> End {
    let Output { payload: output, facts, unreadable, blob } = Output::unreadable(message);
    End::Run(BodyEnd::Done { output, facts, unreadable }, blob)
}

/// Runs a step's code, and gives the message when it panics.
pub(crate) async fn caught<T>(code: impl Future<Output = T>) -> Result<T, String> {
    let mut code = pin!(code);
    std::future::poll_fn(|cx| {
        // What panicked is not polled again, and what it shares with others is behind locks of its own.
        match std::panic::catch_unwind(AssertUnwindSafe(|| code.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => std::task::Poll::Ready(Err(message_of(&*panic))),
        }
    })
    .await
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// A body in a task of its own. Its end is told exactly once, also when it is dropped: then after it was.
pub(crate) struct Supervised {
    // Dropped before the teller, in this order.
    body: Option<Body>,
    teller: Teller,
    /// Where what its first poll was like is learned, when nothing is known yet.
    learner: Option<(Arc<Prepared>, Ix)>,
}

/// A first poll that takes longer than this is not worth making outside a task.
pub(crate) const QUICK: Duration = Duration::from_micros(300);

impl Supervised {
    pub(crate) fn new(
        body: Body,
        entry: EntryNo,
        mailbox: Mailbox,
        learner: Option<(Arc<Prepared>, Ix)>,
    ) -> Self {
        Supervised { body: Some(body), teller: Teller { entry, mailbox, end: Some(End::Dropped) }, learner }
    }
}

impl Future for Supervised {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let learner = self.learner.take();
        let began = learner.as_ref().map(|_| Instant::now());
        let Some(body) = &mut self.body else { return Poll::Ready(()) };
        let poll = body.as_mut().poll(cx);
        if let (Some((plan, ix)), Some(began)) = (learner, began) {
            plan.known(ix).habit.learn(poll.is_ready() && began.elapsed() < QUICK);
        }
        poll.map(|end| {
            self.body = None;
            self.teller.end = Some(end);
        })
    }
}

struct Teller {
    entry: EntryNo,
    mailbox: Mailbox,
    end: Option<End>,
}

impl Drop for Teller {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            // Without a driver nobody wants to know.
            let _ = self.mailbox.send(Msg::End(self.entry, end));
        }
    }
}
