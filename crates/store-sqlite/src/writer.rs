//! Leader commit: whoever gets the write connection commits everything that is queued.
//!
//! There is no batching window and no timer: a batch is what was queued during the last flush of the disk. A write
//! alone is committed by the thread that asked for it; a thousand share one commit. Once queued a write is made, also
//! when nobody waits for its answer any more.

use crate::{
    committer::Committer,
    error::Failure,
    request::{Tx, Weight, Write, Written, request},
    stats::Counters,
};
use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError},
    thread::{self, JoinHandle},
};
use towpath_model::limits;
use towpath_store::StoreError;

/// After so many batches without a pause, a leader goes back to its own work.
const ROUNDS: usize = 8;

pub(crate) struct Writer {
    queue: Mutex<Vec<Box<dyn Write>>>,
    committer: Mutex<Committer>,
    relief: Relief,
    counters: Arc<Counters>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("queued", &lock(&self.queue).len()).finish_non_exhaustive()
    }
}

/// The thread that leads when there is no end of it. It is not there until it is needed.
#[derive(Debug, Default)]
struct Relief {
    state: Mutex<ReliefState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct ReliefState {
    is_asked: bool,
    is_over: bool,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn new(committer: Committer, counters: Arc<Counters>) -> Arc<Self> {
        let committer = Mutex::new(committer);
        Arc::new(Writer { queue: Mutex::default(), committer, relief: Relief::default(), counters })
    }

    /// Queues a write, and commits it if nobody else is committing. The answer is there when it is durable.
    pub(crate) fn submit<T: Send + 'static>(
        self: &Arc<Self>,
        operation: &'static str,
        weight: Weight,
        work: impl FnMut(&Tx<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Written<T> {
        let (write, written) = request(operation, weight, work);
        lock(&self.queue).push(write);
        self.lead(ROUNDS);
        written
    }

    /// [`submit`](Self::submit), and waits.
    pub(crate) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        operation: &'static str,
        work: impl FnMut(&Tx<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit(operation, Weight::default(), work).answer().await
    }

    /// Looks at the write connection if nobody commits; whoever does looks for itself.
    pub(crate) fn peek<T>(self: &Arc<Self>, look: impl FnOnce(&mut Committer) -> T) -> Option<T> {
        let found = {
            let mut committer = self.try_lead()?;
            look(&mut committer)
        };
        // A write that was queued meanwhile found the connection taken and went to wait.
        self.lead(ROUNDS);
        Some(found)
    }

    fn try_lead(&self) -> Option<MutexGuard<'_, Committer>> {
        match self.committer.try_lock() {
            Ok(committer) => Some(committer),
            // The batch of a thread that panicked is rolled back before the next one begins.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Commits until nothing is queued, for at most so many rounds.
    fn lead(self: &Arc<Self>, rounds: usize) {
        // Whoever queues something after the last look below finds the connection free.
        while !lock(&self.queue).is_empty() {
            let Some(mut committer) = self.try_lead() else { return };
            let mut left = rounds;
            while left > 0 {
                let batch = std::mem::take(&mut *lock(&self.queue));
                if batch.is_empty() {
                    break;
                }
                left -= 1;
                commit_all(&mut committer, batch);
            }
            drop(committer);
            if left == 0 && !lock(&self.queue).is_empty() && self.hand_over() {
                return;
            }
        }
    }

    /// Lets the store's own thread go on; whether there is one.
    fn hand_over(self: &Arc<Self>) -> bool {
        let mut state = lock(&self.relief.state);
        if state.thread.is_none() {
            let writer = self.clone();
            let thread = thread::Builder::new().name("towpath-commit".to_owned());
            state.thread = thread.spawn(move || writer.relieve()).ok();
        }
        state.is_asked = state.thread.is_some();
        self.relief.changed.notify_one();
        self.counters.handovers.add(u64::from(state.is_asked));
        state.is_asked
    }

    fn relieve(self: &Arc<Self>) {
        loop {
            let mut state = lock(&self.relief.state);
            while !state.is_asked && !state.is_over {
                state = self.relief.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if !state.is_asked {
                return;
            }
            state.is_asked = false;
            drop(state);
            self.lead(usize::MAX);
        }
    }

    /// Ends the store's own thread, after what is queued is written.
    pub(crate) fn close(&self) {
        let thread = {
            let mut state = lock(&self.relief.state);
            state.is_over = true;
            state.thread.take()
        };
        self.relief.changed.notify_one();
        if let Some(thread) = thread {
            // It ends by itself; a panic in it was answered to whoever waited.
            drop(thread.join());
        }
    }
}

/// Commits a queue in as few batches as the limits allow.
fn commit_all(committer: &mut Committer, mut queue: Vec<Box<dyn Write>>) {
    while !queue.is_empty() {
        let rest = queue.split_off(fitting(&queue));
        committer.commit(std::mem::replace(&mut queue, rest));
    }
}

/// How many writes go into the next batch. One that is too large for any goes alone.
fn fitting(queue: &[Box<dyn Write>]) -> usize {
    let mut sum = Weight::default();
    let is_full = queue.iter().position(|write| {
        let weight = write.weight();
        sum.transitions += weight.transitions;
        sum.bytes += weight.bytes;
        sum.transitions > limits::BATCH_TRANSITIONS || sum.bytes > limits::BATCH_BYTES
    });
    is_full.unwrap_or(queue.len()).max(1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these guard is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
