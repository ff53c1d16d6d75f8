//! Entries: bodies that Python is in.

use crate::{
    answer::Answer,
    bridge::Inner,
    fault::{Told, Wrong},
    queue::Item,
};
use serde::Deserialize;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::oneshot::{Receiver, Sender, channel},
    task::JoinSet,
};
use towpath::{
    StepContext,
    model::{Json, StepId},
};

/// How a body in Python ended.
pub(crate) enum Said {
    /// With this value, as JSON.
    Done(String),
    /// With this error.
    Failed(Box<Told>),
}

/// What Python may do to a body that it is in.
pub(crate) struct Entry {
    pub(crate) cx: Arc<StepContext>,
    said: Mutex<Option<Sender<Said>>>,
    /// Calls of the context that are not answered. They end with the entry.
    calls: Mutex<JoinSet<()>>,
}

/// A body that was entered. When this is dropped, so are the calls of its context, and Python is told to leave it.
pub(crate) struct Entered {
    inner: Arc<Inner>,
    number: u64,
}

impl Entered {
    pub(crate) fn begin(inner: &Arc<Inner>, cx: StepContext) -> (Self, Receiver<Said>) {
        let (said, answer) = channel();
        let entry = Entry { cx: Arc::new(cx), said: Mutex::new(Some(said)), calls: Mutex::default() };
        let number = inner.entries.put(entry);
        (Entered { inner: Arc::clone(inner), number }, answer)
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Some(entry) = self.inner.entries.remove(self.number) else { return };
        entry.calls.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        // Whoever has said how it ended has left it already.
        if entry.said.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            self.inner.queue.push(Item::Leave { entry: self.number });
        }
    }
}

/// What a body asks of its context, and waits for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Ask {
    Checkpoint(Json),
    Sleep {
        name: String,
        ms: u64,
        #[serde(default)]
        saving: Option<Json>,
    },
    Signal {
        name: String,
        #[serde(default)]
        wait: Option<String>,
        #[serde(default)]
        within_ms: Option<u64>,
        #[serde(default)]
        saving: Option<Json>,
    },
    Secret(String),
    Preview(Vec<StepId>),
    Cancelled,
}

impl Entry {
    /// Ends the body.
    pub(crate) fn end(&self, said: Said) {
        let sender = self.said.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // A body that was dropped has nobody who wants to know.
            let _ = sender.send(said);
        }
    }

    /// Answers `ask` under a number, unless the body is dropped before.
    pub(crate) fn ask(self: &Arc<Self>, inner: &Arc<Inner>, op: u64, ask: Ask) {
        let cx = Arc::clone(&self.cx);
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        while calls.try_join_next().is_some() {}
        inner.numbered(
            op,
            |call| calls.spawn_on(call, &inner.runtime),
            async move { answer(&cx, ask).await },
        );
    }
}

async fn answer(cx: &StepContext, ask: Ask) -> Result<Answer, Wrong> {
    let ms = Duration::from_millis;
    Ok(match ask {
        Ask::Checkpoint(value) => Answer::of(&cx.checkpoint(&value).await?),
        Ask::Sleep { name, ms: time, saving } => {
            let sleep = cx.sleep(&name, ms(time));
            match &saving {
                Some(state) => sleep.saving(state).await?,
                None => sleep.await?,
            }
            Answer::of(&())
        }
        Ask::Signal { name, wait, within_ms, saving } => {
            let signal = cx.signal::<Json>(&name);
            let signal = match &wait {
                Some(wait) => signal.named(wait),
                None => signal,
            };
            let signal = match &saving {
                Some(state) => signal.saving(state),
                None => signal,
            };
            // A list tells a signal whose value is null from one that did not come.
            match within_ms {
                Some(time) => Answer::of(&signal.within(ms(time)).await?.into_iter().collect::<Vec<Json>>()),
                None => Answer::of(&[signal.await?]),
            }
        }
        Ask::Secret(name) => Answer::Secret(cx.secret(&name).await?.expose().to_owned()),
        Ask::Preview(steps) => {
            let preview = cx.preview(&steps).await?;
            Answer::of(&serde_json::json!({
                "steps": preview.steps, "digest": preview.digest(), "text": preview.to_string(),
            }))
        }
        Ask::Cancelled => Answer::of(&cx.cancelled().await),
    })
}
