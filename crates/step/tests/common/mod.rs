//! A host that keeps what it is told, and a way to poll.
#![allow(dead_code, reason = "each test file uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail so")]

use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    future::pending,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};
use towpath_step::{
    Providers, SecretValue, StepContext, StepError,
    host::{Entry, Host, WaitAsk, Waited},
    model::{Attempt, Json, KeyPhase, RunId, StepId, Timestamp},
};

#[derive(Default)]
pub(crate) struct TestHost {
    pub(crate) saved: Mutex<Vec<Json>>,
    pub(crate) asked: Mutex<Vec<WaitAsk>>,
    /// How waits end; when there is no more, a wait never returns.
    pub(crate) ends: Mutex<Vec<Waited>>,
    pub(crate) lines: Mutex<Vec<String>>,
    /// Whether a checkpoint stays pending.
    pub(crate) slow: bool,
}

#[async_trait]
impl Host for TestHost {
    async fn checkpoint(&self, value: Json) -> Result<(), StepError> {
        if self.slow {
            pending::<()>().await;
        }
        self.saved.lock().unwrap().push(value);
        Ok(())
    }

    async fn wait(&self, ask: WaitAsk) -> Result<Waited, StepError> {
        self.asked.lock().unwrap().push(ask);
        let end = self.ends.lock().unwrap().pop();
        match end {
            Some(end) => Ok(end),
            None => pending().await,
        }
    }

    async fn secret(&self, name: &str) -> Result<SecretValue, StepError> {
        Ok(SecretValue::new(name, "hunter2!"))
    }

    fn log(&self, text: &str) {
        self.lines.lock().unwrap().push(text.to_owned());
    }

    fn progress(&self, percent: u8, message: &str) {
        self.lines.lock().unwrap().push(format!("{percent} {message}"));
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1)
    }

    async fn cancelled(&self) {
        pending().await
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

pub(crate) fn entry() -> Entry {
    Entry {
        run: RunId::from_bytes([7; 16]),
        step: StepId::new("canary").unwrap(),
        attempt: Attempt(1),
        phase: KeyPhase::Run,
        generation: 0,
        outputs: Vec::new(),
        params: Arc::new(BTreeMap::new()),
        checkpoint: None,
        before: None,
        failure: None,
        providers: Providers::new(),
        fencing: Default::default(),
    }
}

pub(crate) fn context() -> StepContext {
    StepContext::new(entry(), Arc::new(TestHost::default()))
}

/// Polls once; `None` when it is pending.
pub(crate) fn poll<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    poll(future).expect("nothing in these tests waits for something outside")
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
