//! What a body sees of the engine.

mod calls;
mod read;
mod waits;

pub use waits::{Signal, SignalWithin, Sleep};

use crate::{
    Providers, SecretValue, StepError,
    erased::{encode, read},
    host::{Entry, Host},
};
use calls::Walk;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt::{self, Display},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use towpath_model::{Aftermath, Attempt, Json, Key, KeyPhase, PlanPreview, RunId, StepId, Timestamp, Why};

/// What the body of a step sees of the engine: its inputs, providers, keys, checkpoints and durable waits.
///
/// There is one per entry: one walk of the body from its top. Bodies get it as `cx`.
///
/// ```
/// # extern crate towpath_step as towpath;
/// use std::time::Duration;
/// use towpath_step::{StepContext, StepError, step};
/// # trait Router: Send + Sync { fn set_weight(&self, percent: u8, key: &towpath_step::model::Key) {} }
///
/// #[step("shop.canary/v1", idempotent, needs(router: dyn Router))]
/// async fn canary(cx: &StepContext, weights: Vec<u8>) -> Result<(), StepError> {
///     let router = cx.provider::<dyn Router>("router")?;
///     let reached = cx.last_checkpoint::<u8>()?.unwrap_or(0);
///     for weight in weights.into_iter().filter(|weight| *weight > reached) {
///         router.set_weight(weight, &cx.key(&format!("weight-{weight}"))?);
///         cx.sleep(&format!("bake-{weight}"), Duration::from_secs(600)).await?;
///         cx.checkpoint(&weight).await?;
///     }
///     Ok(())
/// }
/// ```
pub struct StepContext {
    entry: Arc<Entry>,
    host: Arc<dyn Host>,
    walk: Arc<Mutex<Walk>>,
}

/// Why a run left its way, and how undoing what it did has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunFailure {
    /// Why.
    pub why: Why,
    /// What was kept, what was left in place, what is in doubt, and which failures changed nothing.
    pub aftermath: Aftermath,
}

impl StepContext {
    /// A context for one entry. Engines and test kits make it.
    pub fn new(entry: Entry, host: Arc<dyn Host>) -> Self {
        let walk = Arc::new(Mutex::new(Walk::new(entry.checkpoint.clone())));
        StepContext { entry: Arc::new(entry), host, walk }
    }

    /// The same context, to be held by a body that cannot borrow it: one in another language.
    ///
    /// It is of use as long as the body goes on. A call that is pending when the body is dropped stays pending.
    #[must_use]
    pub fn share(&self) -> StepContext {
        let StepContext { entry, host, walk } = self;
        StepContext { entry: Arc::clone(entry), host: Arc::clone(host), walk: Arc::clone(walk) }
    }

    /// The run.
    pub fn run_id(&self) -> RunId {
        self.entry.run
    }

    /// The step's path in its plan.
    pub fn step_id(&self) -> &StepId {
        &self.entry.step
    }

    /// Why the run left its way, and what it left behind: for its `on_failure` steps, and for its `finally` steps unless it
    /// succeeded or was given up. On the way forward nothing has failed yet.
    ///
    /// ```
    /// # extern crate towpath_step as towpath;
    /// use towpath_step::{StepContext, StepError, step};
    ///
    /// #[step("shop.page/v1", no_effect)]
    /// async fn page(cx: &StepContext) -> Result<String, StepError> {
    ///     let Some(failure) = cx.failure() else { return Ok("all is well".into()) };
    ///     let left = failure.aftermath.left.len();
    ///     Ok(format!("{}; {left} steps could not be undone", failure.why))
    /// }
    /// ```
    pub fn failure(&self) -> Option<&RunFailure> {
        self.entry.failure.as_deref()
    }

    /// The attempt, numbered from 1. Entering again after a durable wait is the same attempt.
    pub fn attempt(&self) -> Attempt {
        self.entry.attempt
    }

    /// The key of the effect `name`: pass it on to the provider.
    ///
    /// It is the same in every attempt and entry of this step, whoever drives it, and another one where the step is
    /// undone. So what receives it can tell a repetition from a second order.
    ///
    /// # Errors
    /// Permanent, when the key of that name was taken in this entry already: two effects need two names.
    pub fn key(&self, name: &str) -> Result<Key, StepError> {
        if !self.walk().keys.insert(name.to_owned()) {
            return Err(StepError::permanent(format!(
                "the key {name:?} was taken in this entry already: give each effect a name of its own, such as \
                 \"weight-25\""
            )));
        }
        let Entry { run, step, phase, generation, .. } = &*self.entry;
        Ok(Key::derive(*run, step, *phase, name, *generation))
    }

    /// The key that the step's own work passes on for the effect `name`: for its undoing, to name what is to be undone. For
    /// the work itself it is the same as [`key`](Self::key), and may be asked for any number of times.
    pub fn run_key(&self, name: &str) -> Key {
        let Entry { run, step, generation, .. } = &*self.entry;
        Key::derive(*run, step, KeyPhase::Run, name, *generation)
    }

    /// Saves a value; ready when it is durable. Later entries and attempts, and the methods that observe and undo this
    /// step, see the last one.
    ///
    /// # Errors
    /// When it is above [the limit](towpath_model::limits::BLOB_BYTES), cannot be stored, or the body waits elsewhere
    /// at this moment.
    pub fn checkpoint<T: Serialize + ?Sized>(
        &self,
        value: &T,
    ) -> impl Future<Output = Result<(), StepError>> + Send {
        let json = encode(value, "the checkpoint");
        async move {
            let json = json?;
            let _call = self.begin("checkpoint")?;
            self.host.checkpoint(json.clone()).await?;
            self.walk().checkpoint = Some(json);
            Ok(())
        }
    }

    /// The last checkpoint, by whichever entry or attempt it was saved.
    ///
    /// # Errors
    /// Permanent, when it does not have the shape of `T`.
    pub fn last_checkpoint<T: DeserializeOwned>(&self) -> Result<Option<T>, StepError> {
        let last = self.walk().checkpoint.clone();
        last.map(|json| read(&json, "the checkpoint")).transpose()
    }

    /// The before-image: what the step's `before` returned.
    ///
    /// # Errors
    /// Permanent, when there is none, or it does not have the shape of `B`.
    pub fn before<B: DeserializeOwned>(&self) -> Result<B, StepError> {
        match &self.entry.before {
            Some(json) => read(json, "the before-image"),
            None => Err(StepError::permanent("there is no before-image: give the step `before = …`")),
        }
    }

    /// The fencing number of a lock that is held for this step: larger than that of every holder before. Hand it to what the
    /// lock protects, so that an answer of somebody who held it before and comes late can be told and refused.
    ///
    /// ```
    /// # extern crate towpath_step as towpath;
    /// use towpath_step::{StepContext, StepError, step};
    /// # trait Router: Send + Sync { fn set_weight(&self, percent: u8, fence: u64) {} }
    ///
    /// #[step("shop.shift/v1", idempotent, needs(router: dyn Router))]
    /// async fn shift(cx: &StepContext, weight: u8) -> Result<(), StepError> {
    ///     cx.provider::<dyn Router>("router")?.set_weight(weight, cx.fencing("production")?);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// Permanent, when the step was placed outside the lock's scope.
    pub fn fencing(&self, lock: &str) -> Result<u64, StepError> {
        let held = self.entry.fencing.iter().find(|(name, _)| name.as_str() == lock);
        held.map(|(_, fence)| *fence).ok_or_else(|| {
            StepError::permanent(format!(
                "the lock {lock:?} is not held for this step: place it in `p.holding({lock:?}, …)`"
            ))
        })
    }

    /// The provider that offers the trait `P` under `name`, as in `cx.provider::<dyn Scanner>("scanner")?`.
    ///
    /// # Errors
    /// Permanent, when there is none. A step that declares what it `needs(…)` is not begun without it.
    pub fn provider<P: ?Sized + Send + Sync + 'static>(&self, name: &str) -> Result<Arc<P>, StepError> {
        self.entry.providers.get::<P>(name).ok_or_else(|| {
            StepError::permanent(format!(
                "nothing offers {}: the engine has {}; declare `needs(…)` to be told before the run begins",
                crate::Need::of::<P>(name),
                self.entry.providers
            ))
        })
    }

    /// All providers.
    pub fn providers(&self) -> &Providers {
        &self.entry.providers
    }

    /// The value of a secret, now. `name` is its name, or a [`SecretRef`](crate::SecretRef).
    ///
    /// # Errors
    /// When nobody knows it, or the body waits elsewhere at this moment.
    pub fn secret(
        &self,
        name: impl AsRef<str>,
    ) -> impl Future<Output = Result<SecretValue, StepError>> + Send {
        let name = name.as_ref().to_owned();
        async move {
            let _call = self.begin("secret")?;
            self.host.secret(&name).await
        }
    }

    /// What these steps of the run's plan would change, from where the run and the world stand now.
    ///
    /// # Errors
    /// Permanent, when the steps are none of the plan, or the body waits elsewhere at this moment. A step that cannot tell
    /// is no error: the preview says so.
    pub fn preview(&self, steps: &[StepId]) -> impl Future<Output = Result<PlanPreview, StepError>> + Send {
        let steps = steps.to_vec();
        async move {
            let _call = self.begin("preview")?;
            self.host.preview(&steps).await
        }
    }

    /// Adds to the step's log.
    pub fn log(&self, text: impl Display) {
        self.host.log(&text.to_string());
    }

    /// Tells how far it is, in percent (at most 100), and what it does.
    pub fn progress(&self, percent: u8, message: impl Display) {
        self.host.progress(percent.min(100), &message.to_string());
    }

    /// The time now, by the engine's clock.
    pub fn now(&self) -> Timestamp {
        self.host.now()
    }

    /// Ready when the step is asked to stop. The body then has a grace period, after which it is dropped.
    ///
    /// It may be pending at a durable wait, unlike other calls.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send {
        self.host.cancelled()
    }

    /// Whether the step was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.host.is_cancelled()
    }

    fn walk(&self) -> MutexGuard<'_, Walk> {
        // Nothing panics while it holds the lock; if it ever did, the sets would still be sets.
        self.walk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for StepContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { run, step, attempt, phase, .. } = &*self.entry;
        write!(f, "StepContext({run} {step}, attempt {attempt}, {phase})")
    }
}

/// Encodes a before-image. For the macros.
#[doc(hidden)]
pub fn before_image<B: Serialize>(value: Result<B, StepError>) -> Result<Json, StepError> {
    encode(&value?, "the before-image")
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    const fn sent<T: Send>() {}
    shared::<StepContext>();
    shared::<Providers>();
    sent::<Sleep<'static>>();
    sent::<Signal<'static, ()>>();
    sent::<SignalWithin<'static, ()>>();
};
