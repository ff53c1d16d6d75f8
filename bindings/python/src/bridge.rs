//! The bridge: an engine with its runtime, as Python holds it.

use crate::{
    answer::{Answer, Run},
    call::{Call, OfRun},
    config::Config,
    entry::{Ask, Entry, Said},
    fault::{Told, Wrong},
    plan::Plan,
    queue::{Item, Queue},
};
use pyo3::{IntoPyObject, prelude::*};
use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::AbortHandle,
};
use towpath::{Engine, Updates, model::Json};

/// Things under numbers.
pub(crate) struct Numbered<T> {
    next: AtomicU64,
    all: Mutex<HashMap<u64, Arc<T>>>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Numbered { next: AtomicU64::new(1), all: Mutex::default() }
    }
}

impl<T> Numbered<T> {
    fn all(&self) -> MutexGuard<'_, HashMap<u64, Arc<T>>> {
        // A map cannot be left half done by a panic.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, thing: T) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.all().insert(number, Arc::new(thing));
        number
    }

    pub(crate) fn get(&self, number: u64) -> Option<Arc<T>> {
        self.all().get(&number).cloned()
    }

    pub(crate) fn remove(&self, number: u64) -> Option<Arc<T>> {
        self.all().remove(&number)
    }
}

/// What the bridge shares with what runs on its runtime.
pub(crate) struct Inner {
    pub(crate) queue: Queue,
    pub(crate) entries: Numbered<Entry>,
    pub(crate) updates: Numbered<tokio::sync::Mutex<Updates>>,
    pub(crate) engine: OnceLock<Engine>,
    pub(crate) runtime: Handle,
    /// What is being done for Python, by its numbers.
    ops: Mutex<HashMap<u64, Option<AbortHandle>>>,
}

impl Inner {
    pub(crate) fn engine(&self) -> Result<&Engine, Wrong> {
        self.engine.get().ok_or_else(|| Wrong::new("not-started", "the engine was not started"))
    }

    fn ops(&self) -> MutexGuard<'_, HashMap<u64, Option<AbortHandle>>> {
        self.ops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something, whose answer goes to Python under a number. Taken back, it is dropped where it stands.
    fn spawn(self: &Arc<Self>, op: u64, work: impl Future<Output = Result<Answer, Wrong>> + Send + 'static) {
        self.numbered(op, |work| self.runtime.spawn(work).abort_handle(), work);
    }

    /// The same, where `spawn` says who holds what is done.
    pub(crate) fn numbered<W: Future<Output = Result<Answer, Wrong>> + Send + 'static>(
        self: &Arc<Self>,
        op: u64,
        spawn: impl FnOnce(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> AbortHandle,
        work: W,
    ) {
        let listed = Listed { inner: Arc::clone(self), op };
        self.ops().insert(op, None);
        // The list is not locked meanwhile: what is spawned on a runtime that ends is dropped at once, and leaves the list.
        let handle = spawn(Box::pin(async move {
            let answer = work.await;
            listed.inner.queue.push(Item::Answer { op, answer });
        }));
        if let Some(there) = self.ops().get_mut(&op) {
            *there = Some(handle);
        }
    }
}

/// Something in the list of what is being done: it leaves the list however it ends.
struct Listed {
    inner: Arc<Inner>,
    op: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.inner.ops().remove(&self.op);
    }
}

/// An engine and its runtime.
#[pyclass(frozen, module = "towpath._native")]
pub(crate) struct Bridge {
    inner: Arc<Inner>,
    runtime: Mutex<Option<Runtime>>,
    /// The process that it was made in: threads do not survive a fork.
    process: u32,
}

#[pymethods]
impl Bridge {
    /// A bridge without an engine. Its threads end with `close`.
    #[new]
    fn new() -> PyResult<Self> {
        // One worker more than processors: whoever commits for all blocks one while the disk writes.
        let workers = std::thread::available_parallelism().map_or(2, usize::from) + 1;
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name("towpath")
            .enable_all()
            .build()
            .map_err(|e| Wrong::new("runtime", format!("start the threads of an engine: {e}")))?;
        let inner = Inner {
            queue: Queue::default(),
            entries: Numbered::default(),
            updates: Numbered::default(),
            engine: OnceLock::new(),
            runtime: runtime.handle().clone(),
            ops: Mutex::default(),
        };
        let process = std::process::id();
        Ok(Bridge { inner: Arc::new(inner), runtime: Mutex::new(Some(runtime)), process })
    }

    /// Starts the engine that these settings describe.
    fn start(&self, op: u64, config: &str) -> PyResult<()> {
        self.here()?;
        let config = Config::read(config)?;
        let inner = Arc::clone(&self.inner);
        self.inner.spawn(op, async move {
            let engine = config.start(&inner).await?;
            match inner.engine.set(engine) {
                Ok(()) => Ok(Answer::of(&())),
                Err(_) => Err(Wrong::new("started", "the engine was started already")),
            }
        });
        Ok(())
    }

    /// Everything that Rust has to say, as tuples; waits for something. Nothing, once it is closed.
    fn take(&self, py: Python<'_>) -> PyResult<Option<Vec<Py<PyAny>>>> {
        let items = py.detach(|| self.inner.queue.take());
        items.map(|items| items.into_iter().map(|item| told(py, item)).collect()).transpose()
    }

    /// Does what a call says.
    fn call(&self, op: u64, call: &str) -> PyResult<()> {
        self.here()?;
        let call = Call::read(call)?;
        let inner = Arc::clone(&self.inner);
        self.inner.spawn(op, async move { call.perform(&inner).await });
        Ok(())
    }

    /// Does to a run what a call says.
    fn of_run(&self, op: u64, run: &Run, call: &str) -> PyResult<()> {
        self.here()?;
        let (call, run) = (OfRun::read(call)?, run.run.clone());
        let inner = Arc::clone(&self.inner);
        self.inner.spawn(op, async move { call.perform(&inner, run).await });
        Ok(())
    }

    /// Starts a run of a plan.
    fn run(
        &self,
        op: u64,
        plan: &Plan,
        key: String,
        labels: BTreeMap<String, String>,
        reason: String,
    ) -> PyResult<()> {
        self.here()?;
        let (inner, plan) = (Arc::clone(&self.inner), plan.plan.clone());
        self.inner.spawn(op, async move {
            let start = inner.engine()?.run(plan, key).reason(reason);
            let start = labels.into_iter().fold(start, |start, (name, value)| start.label(name, value));
            Ok(Answer::Run(start.await?))
        });
        Ok(())
    }

    /// Tells what a plan would change.
    fn preview(&self, op: u64, plan: &Plan) -> PyResult<()> {
        self.here()?;
        let (inner, plan) = (Arc::clone(&self.inner), plan.plan.clone());
        self.inner.spawn(op, async move {
            let preview = inner.engine()?.preview(&plan).await?;
            Ok(Answer::of(&serde_json::json!({
                "steps": preview.steps, "digest": preview.digest(), "text": preview.to_string(),
            })))
        });
        Ok(())
    }

    /// Takes back what was asked for under a number.
    fn cancel(&self, op: u64) {
        // The list is not locked while it ends, since it then leaves the list.
        let handle = self.inner.ops().remove(&op);
        if let Some(Some(handle)) = handle {
            handle.abort();
        }
    }

    /// Follows no longer what was followed under a number.
    fn unfollow(&self, updates: u64) {
        self.inner.updates.remove(updates);
    }

    /// A call of the context of a body; its answer comes as those of calls do. False, when the body was dropped.
    fn ask(&self, entry: u64, op: u64, ask: &str) -> PyResult<bool> {
        self.here()?;
        let ask: Ask = serde_json::from_str(ask).map_err(|e| Wrong::given("a call of a context", &e))?;
        let Some(entry) = self.inner.entries.get(entry) else { return Ok(false) };
        entry.ask(&self.inner, op, ask);
        Ok(true)
    }

    /// The key of an effect of a body.
    fn key(&self, entry: u64, name: &str) -> PyResult<String> {
        let entry = self.entry(entry)?;
        Ok(entry.cx.key(name).map_err(Wrong::from)?.as_str().to_owned())
    }

    /// The key that the work passes on for an effect, for its undoing.
    fn run_key(&self, entry: u64, name: &str) -> PyResult<String> {
        Ok(self.entry(entry)?.cx.run_key(name).as_str().to_owned())
    }

    /// Adds to the log of a step.
    fn log(&self, entry: u64, text: &str) -> PyResult<()> {
        self.entry(entry)?.cx.log(text);
        Ok(())
    }

    /// Tells how far a step is.
    fn progress(&self, entry: u64, percent: u8, message: &str) -> PyResult<()> {
        self.entry(entry)?.cx.progress(percent, message);
        Ok(())
    }

    /// Whether a body was asked to stop, or dropped.
    fn is_cancelled(&self, entry: u64) -> bool {
        self.inner.entries.get(entry).is_none_or(|entry| entry.cx.is_cancelled())
    }

    /// The time by the engine's clock, in microseconds.
    fn now(&self, entry: u64) -> PyResult<i64> {
        Ok(self.entry(entry)?.cx.now().as_micros())
    }

    /// Ends a body with its value, as JSON.
    fn done(&self, entry: u64, value: String) {
        if let Some(entry) = self.inner.entries.get(entry) {
            entry.end(Said::Done(value));
        }
    }

    /// Ends a body with its error.
    fn failed(&self, entry: u64, told: &str) -> PyResult<()> {
        let told: Told = serde_json::from_str(told).map_err(|e| Wrong::given("the error of a body", &e))?;
        if let Some(entry) = self.inner.entries.get(entry) {
            entry.end(Said::Failed(Box::new(told)));
        }
        Ok(())
    }

    /// Ends the threads. An engine that was not shut down is left as a process that died leaves it.
    fn close(&self, py: Python<'_>) {
        self.inner.queue.close();
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            // What still commits has its time; what waits is dropped.
            py.detach(|| runtime.shutdown_timeout(Duration::from_secs(5)));
        }
    }
}

impl Bridge {
    /// Refuses what comes after `close`, and a process that was forked from the one with the threads.
    fn here(&self) -> Result<(), Wrong> {
        if std::process::id() == self.process {
            // It is taken out while nothing else is done, so that this waits for nobody.
            let is_open = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).is_some();
            return if is_open {
                Ok(())
            } else {
                Err(Wrong::new("stopped", "the engine was closed: open another"))
            };
        }
        Err(Wrong::new(
            "forked",
            format!(
                "this engine belongs to process {}, and its threads did not survive the fork to {}: open an engine in \
                 each process, after forking",
                self.process,
                std::process::id()
            ),
        ))
    }

    fn entry(&self, entry: u64) -> Result<Arc<Entry>, Wrong> {
        let left = || Wrong::new("left", "the step was left: its context is of no use any more");
        self.inner.entries.get(entry).ok_or_else(left)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        match runtime {
            // Its threads are in another process.
            Some(runtime) if std::process::id() != self.process => std::mem::forget(runtime),
            Some(runtime) => runtime.shutdown_background(),
            None => {}
        }
    }
}

fn told(py: Python<'_>, item: Item) -> PyResult<Py<PyAny>> {
    let tuple = match item {
        Item::Answer { op, answer: Ok(answer) } => {
            ("answer", op, answer.into_python(py)?, py.None()).into_pyobject(py)?
        }
        Item::Answer { op, answer: Err(wrong) } => {
            ("answer", op, py.None(), wrong.text().into_pyobject(py)?.into_any().unbind())
                .into_pyobject(py)?
        }
        Item::Enter { entry, body, what, facts } => {
            let facts = facts.into_pyobject(py)?.into_any().unbind();
            ("enter", entry, (body, what).into_pyobject(py)?.into_any().unbind(), facts).into_pyobject(py)?
        }
        Item::Leave { entry } => ("leave", entry, py.None(), py.None()).into_pyobject(py)?,
    };
    Ok(tuple.into_any().unbind())
}

/// A run, when one was found.
pub(crate) fn found(
    engine: &Engine,
    row: Option<towpath::engine::RunRow>,
) -> impl Future<Output = Result<Answer, Wrong>> {
    let engine = engine.clone();
    async move {
        match row {
            Some(row) => Ok(Answer::Run(engine.attach::<Json>(row.run).await?)),
            None => Ok(Answer::of(&())),
        }
    }
}
