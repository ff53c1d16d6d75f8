//! Contexts for plain calls of steps.

use async_trait::async_trait;
use serde::Serialize;
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use towpath_model::{Attempt, Json, KeyPhase, Name, RunId, StepId, Timestamp};
use towpath_step::{
    Provider, Providers, RunFailure, SecretValue, StepContext, StepError,
    host::{Entry, Host, WaitAsk, Waited},
};

/// Gives [`StepContext`] a form for tests: `StepContext::for_test()`.
///
/// ```
/// # extern crate towpath_step as towpath;
/// use towpath_step::{StepContext, StepError, step};
/// use towpath_testkit::ForTest;
///
/// #[step("demo.greet/v1", no_effect)]
/// async fn greet(cx: &StepContext, name: String) -> Result<String, StepError> {
///     cx.log("about to greet");
///     Ok(format!("hello {name}"))
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let cx = StepContext::for_test();
/// assert_eq!(greet(&cx, "world".into()).await.unwrap(), "hello world");
/// assert_eq!(cx.recorded().logs, ["about to greet"]);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait ForTest {
    /// A context without an engine: waits are over at once, secrets and signals are what the test gives.
    fn for_test() -> TestContext;
}

impl ForTest for StepContext {
    fn for_test() -> TestContext {
        TestContext::new()
    }
}

/// A [`StepContext`] for a test, and what the step did with it.
pub struct TestContext {
    entry: Entry,
    host: Arc<TestHost>,
    cx: StepContext,
}

/// What a step did with its context.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recorded {
    /// Texts that it logged.
    pub logs: Vec<String>,
    /// Progress that it reported.
    pub progress: Vec<(u8, String)>,
    /// Checkpoints that it saved, on their own or with a wait.
    pub checkpoints: Vec<Json>,
    /// Names of the durable waits that it came to.
    pub waits: Vec<String>,
    /// Names of the secrets that it asked for.
    pub secrets: Vec<String>,
}

#[derive(Default)]
struct Given {
    secrets: BTreeMap<String, String>,
    signals: BTreeMap<String, VecDeque<Json>>,
    now: Timestamp,
    cancelled: bool,
}

struct TestHost {
    given: Mutex<Given>,
    recorded: Mutex<Recorded>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TestContext {
    fn new() -> Self {
        let entry = Entry {
            run: RunId::from_bytes([7; 16]),
            step: StepId::new("step").expect("a constant id keeps the rule"),
            attempt: Attempt(1),
            phase: KeyPhase::Run,
            generation: 0,
            outputs: Vec::new(),
            params: Arc::default(),
            checkpoint: None,
            before: None,
            failure: None,
            providers: Providers::new(),
            fencing: BTreeMap::new(),
        };
        let given = Given { now: Timestamp::from_micros(1_893_456_000_000_000), ..Given::default() };
        let host = Arc::new(TestHost { given: Mutex::new(given), recorded: Mutex::default() });
        let cx = StepContext::new(entry.clone(), host.clone());
        TestContext { entry, host, cx }
    }

    fn change(mut self, change: impl FnOnce(&mut Entry)) -> Self {
        change(&mut self.entry);
        self.cx = StepContext::new(self.entry.clone(), self.host.clone());
        self
    }

    /// The step's id, which its keys are made of.
    ///
    /// # Panics
    /// When `id` is no step id.
    #[must_use]
    pub fn with_step(self, id: &str) -> Self {
        let id = StepId::new(id).expect("a test gives its step a valid id");
        self.change(|entry| entry.step = id)
    }

    /// The attempt, numbered from 1.
    #[must_use]
    pub fn with_attempt(self, attempt: u32) -> Self {
        self.change(|entry| entry.attempt = Attempt(attempt))
    }

    /// Enters the step's compensation instead of its work: keys are those of undoing.
    #[must_use]
    pub fn undoing(self) -> Self {
        self.change(|entry| entry.phase = KeyPhase::Undo)
    }

    /// The last checkpoint, as an entry before this one saved it.
    ///
    /// # Panics
    /// When the value cannot be JSON.
    #[must_use]
    pub fn with_checkpoint<T: Serialize + ?Sized>(self, value: &T) -> Self {
        let json = Json::of(value).expect("a test gives a value that can be json");
        self.change(|entry| entry.checkpoint = Some(json))
    }

    /// The before-image.
    ///
    /// # Panics
    /// When the value cannot be JSON.
    #[must_use]
    pub fn with_before<T: Serialize + ?Sized>(self, value: &T) -> Self {
        let json = Json::of(value).expect("a test gives a value that can be json");
        self.change(|entry| entry.before = Some(json))
    }

    /// Why the run left its way, as its last steps are told.
    #[must_use]
    pub fn with_failure(self, failure: RunFailure) -> Self {
        self.change(|entry| entry.failure = Some(Arc::new(failure)))
    }

    /// A provider, under a name.
    #[must_use]
    pub fn with_provider(self, name: &str, provider: impl Provider) -> Self {
        self.change(|entry| entry.providers = entry.providers.clone().provide(name, provider))
    }

    /// A lock that is held for the step, with its fencing number.
    ///
    /// # Panics
    /// When `lock` is no name.
    #[must_use]
    pub fn with_lock(self, lock: &str, fence: u64) -> Self {
        let lock = Name::new(lock).expect("a test gives a lock a valid name");
        self.change(|entry| _ = entry.fencing.insert(lock, fence))
    }

    /// The value of a secret.
    #[must_use]
    pub fn with_secret(self, name: &str, value: &str) -> Self {
        lock(&self.host.given).secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A signal that has come: the first wait for it gets the first.
    ///
    /// # Panics
    /// When the value cannot be JSON.
    #[must_use]
    pub fn with_signal<T: Serialize + ?Sized>(self, name: &str, value: &T) -> Self {
        let json = Json::of(value).expect("a test gives a value that can be json");
        lock(&self.host.given).signals.entry(name.to_owned()).or_default().push_back(json);
        self
    }

    /// The step was asked to stop.
    #[must_use]
    pub fn asked_to_stop(self) -> Self {
        lock(&self.host.given).cancelled = true;
        self
    }

    /// What the step did with the context so far.
    pub fn recorded(&self) -> Recorded {
        lock(&self.host.recorded).clone()
    }
}

impl Deref for TestContext {
    type Target = StepContext;
    fn deref(&self) -> &StepContext {
        &self.cx
    }
}

#[async_trait]
impl Host for TestHost {
    async fn checkpoint(&self, value: Json) -> Result<(), StepError> {
        lock(&self.recorded).checkpoints.push(value);
        Ok(())
    }

    async fn wait(&self, ask: WaitAsk) -> Result<Waited, StepError> {
        let mut recorded = lock(&self.recorded);
        recorded.waits.push(ask.name.to_string());
        recorded.checkpoints.extend(ask.checkpoint);
        drop(recorded);
        let mut given = lock(&self.given);
        if let Some(signal) = &ask.signal
            && let Some(value) = given.signals.get_mut(signal.as_str()).and_then(VecDeque::pop_front)
        {
            return Ok(Waited::Signal(value));
        }
        match ask.limit {
            Some(limit) => {
                given.now = given.now.plus(limit);
                Ok(Waited::TimeOver)
            }
            None => Err(StepError::permanent(format!(
                "the test gives no signal for the wait {:?}: add `.with_signal({:?}, …)` to the context",
                ask.name, ask.name
            ))),
        }
    }

    async fn secret(&self, name: &str) -> Result<SecretValue, StepError> {
        lock(&self.recorded).secrets.push(name.to_owned());
        match lock(&self.given).secrets.get(name) {
            Some(value) => Ok(SecretValue::new(name, value.clone())),
            None => Err(StepError::needs_operator(format!(
                "the test gives no secret {name:?}: add `.with_secret({name:?}, …)` to the context"
            ))),
        }
    }

    fn log(&self, text: &str) {
        lock(&self.recorded).logs.push(text.to_owned());
    }

    fn progress(&self, percent: u8, message: &str) {
        lock(&self.recorded).progress.push((percent, message.to_owned()));
    }

    fn now(&self) -> Timestamp {
        lock(&self.given).now
    }

    async fn cancelled(&self) {
        if !self.is_cancelled() {
            std::future::pending().await
        }
    }

    fn is_cancelled(&self) -> bool {
        lock(&self.given).cancelled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn waits_are_over_at_once_and_move_the_time() {
        let cx = StepContext::for_test().with_signal("go", &7);
        let before = cx.now();
        block_on(async {
            cx.sleep("bake", Duration::from_secs(600)).saving(&25).await.unwrap();
            assert_eq!(cx.signal::<u32>("go").await.unwrap(), 7);
            let late = cx.signal::<u32>("late").within(Duration::from_secs(60)).await.unwrap();
            assert_eq!(late, None);
            let never = cx.signal::<u32>("never").await.unwrap_err();
            assert!(never.to_string().contains("add `.with_signal(\"never\", …)`"), "{never}");
        });
        assert_eq!(cx.now().since(before), Duration::from_secs(660));
        assert_eq!(cx.recorded().waits, ["bake", "go", "late", "never"]);
        assert_eq!(cx.recorded().checkpoints, [Json::of(&25).unwrap()]);
        assert_eq!(cx.last_checkpoint::<u32>().unwrap(), Some(25));
    }

    #[test]
    fn keys_differ_between_work_and_undoing() {
        let (run, undo) = (StepContext::for_test(), StepContext::for_test().undoing());
        assert_ne!(run.key("a").unwrap(), undo.key("a").unwrap());
    }

    #[test]
    fn secrets_are_what_the_test_gives() {
        let cx = StepContext::for_test().with_secret("token", "hunter2!");
        block_on(async {
            assert_eq!(cx.secret("token").await.unwrap().expose(), "hunter2!");
            assert!(cx.secret("other").await.is_err());
        });
        assert_eq!(cx.recorded().secrets, ["token", "other"]);
    }
}
