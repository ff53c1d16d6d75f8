//! Durable waits.

use super::StepContext;
use crate::{
    StepError,
    erased::{encode, read},
    host::{WaitAsk, Waited},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{future::Future, marker::PhantomData, pin::Pin, time::Duration};
use towpath_model::{Json, KeyPhase, Name};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl StepContext {
    /// Waits durably: `cx.sleep("bake-25", minutes(10)).saving(&state).await?`.
    ///
    /// The time counts from the first call of this name, whichever entry made it. While it is not over, *the body ends
    /// here*: it is dropped, the run leaves memory, and when the time has come the body is entered again from its top,
    /// in the same attempt, with the same inputs and the last checkpoint. Then this call returns at once. Nothing is
    /// replayed: a body skips what its checkpoint says is done. (A short wait may be kept in memory; a body cannot tell.)
    ///
    /// # Errors
    /// Permanent, when another call of this context is pending at this moment, when a wait of this name was asked for in
    /// this entry already, when the name is none, or while the step is being undone.
    pub fn sleep(&self, name: &str, time: Duration) -> Sleep<'_> {
        Sleep(Wait::new(self, name, Some(time)))
    }

    /// Waits durably for a signal of this name, for ever: `let go: bool = cx.signal("go").await?`. It ends the body as
    /// [`sleep`](Self::sleep) does; what comes before anybody waits is kept.
    ///
    /// # Errors
    /// As for [`sleep`](Self::sleep), and permanent when what came does not have the shape of `T`.
    pub fn signal<T: DeserializeOwned>(&self, name: &str) -> Signal<'_, T> {
        let mut wait = Wait::new(self, name, None);
        wait.signal = Some(wait.name.clone());
        Signal(wait, PhantomData)
    }
}

/// What a wait is made of, before it begins.
struct Wait<'a> {
    cx: &'a StepContext,
    name: String,
    limit: Option<Duration>,
    signal: Option<String>,
    checkpoint: Option<Result<Json, StepError>>,
}

impl<'a> Wait<'a> {
    fn new(cx: &'a StepContext, name: &str, limit: Option<Duration>) -> Self {
        Wait { cx, name: name.to_owned(), limit, signal: None, checkpoint: None }
    }

    fn saving<T: Serialize + ?Sized>(mut self, state: &T) -> Self {
        self.checkpoint = Some(encode(state, "the checkpoint"));
        self
    }

    async fn over(self) -> Result<Waited, StepError> {
        let Wait { cx, name, limit, signal, checkpoint } = self;
        if cx.entry.phase == KeyPhase::Undo {
            return Err(StepError::permanent(format!(
                "the wait {name:?} is in the undoing of the step, which cannot wait durably: return a transient error \
                 with `retry_after` instead"
            )));
        }
        let name = name_of(&name)?;
        let signal = signal.as_deref().map(name_of).transpose()?;
        let checkpoint = checkpoint.transpose()?;
        let _waiting = cx.begin_wait(&name)?;
        let waited = cx.host.wait(WaitAsk { name, limit, signal, checkpoint: checkpoint.clone() }).await?;
        if checkpoint.is_some() {
            cx.walk().checkpoint = checkpoint;
        }
        Ok(waited)
    }
}

fn name_of(text: &str) -> Result<Name, StepError> {
    Name::new(text).map_err(|e| StepError::permanent("a wait has no usable name").because(e))
}

/// A durable wait for a time. Made by [`StepContext::sleep`]; it begins when it is awaited.
#[must_use = "a wait does nothing until it is awaited"]
pub struct Sleep<'a>(Wait<'a>);

impl Sleep<'_> {
    /// Saves a checkpoint in the commit that journals the wait.
    pub fn saving<T: Serialize + ?Sized>(self, state: &T) -> Self {
        Sleep(self.0.saving(state))
    }
}

impl<'a> IntoFuture for Sleep<'a> {
    type Output = Result<(), StepError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.0.over().await.map(drop) })
    }
}

/// A durable wait for a signal. Made by [`StepContext::signal`]; it begins when it is awaited.
#[must_use = "a wait does nothing until it is awaited"]
pub struct Signal<'a, T>(Wait<'a>, PhantomData<fn() -> T>);

impl<'a, T> Signal<'a, T> {
    /// Saves a checkpoint in the commit that journals the wait.
    pub fn saving<S: Serialize + ?Sized>(self, state: &S) -> Self {
        Signal(self.0.saving(state), PhantomData)
    }

    /// Gives the wait a name of its own, for a body that takes several signals of one name.
    pub fn named(mut self, wait: &str) -> Self {
        self.0.name = wait.to_owned();
        self
    }

    /// Waits this long at most, from the first call of this wait's name; `None` when the time passed.
    pub fn within(mut self, time: Duration) -> SignalWithin<'a, T> {
        self.0.limit = Some(time);
        SignalWithin(self.0, PhantomData)
    }
}

impl<'a, T: DeserializeOwned> IntoFuture for Signal<'a, T> {
    type Output = Result<T, StepError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async {
            let name = self.0.name.clone();
            match self.0.over().await? {
                Waited::Signal(value) => read(&value, "the signal's value"),
                Waited::TimeOver => Err(StepError::permanent(format!(
                    "the wait for the signal {name:?} ended by time, though it has no limit: give it `within(…)`"
                ))),
            }
        })
    }
}

/// A durable wait for a signal, with a limit. Made by [`Signal::within`]; it begins when it is awaited.
#[must_use = "a wait does nothing until it is awaited"]
pub struct SignalWithin<'a, T>(Wait<'a>, PhantomData<fn() -> T>);

impl<T> SignalWithin<'_, T> {
    /// Saves a checkpoint in the commit that journals the wait.
    pub fn saving<S: Serialize + ?Sized>(self, state: &S) -> Self {
        SignalWithin(self.0.saving(state), PhantomData)
    }

    /// Gives the wait a name of its own, for a body that takes several signals of one name.
    pub fn named(mut self, wait: &str) -> Self {
        self.0.name = wait.to_owned();
        self
    }
}

impl<'a, T: DeserializeOwned> IntoFuture for SignalWithin<'a, T> {
    type Output = Result<Option<T>, StepError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async {
            match self.0.over().await? {
                Waited::Signal(value) => read(&value, "the signal's value").map(Some),
                Waited::TimeOver => Ok(None),
            }
        })
    }
}
