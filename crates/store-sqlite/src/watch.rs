//! Noticing what other processes write.
//!
//! SQLite does not tell. While somebody waits, a small thread asks for `PRAGMA data_version` every 50 ms; while nobody
//! does, there is no thread.

use crate::writer::Writer;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    thread::{self, JoinHandle},
    time::Duration,
};
use towpath_store::{Changes, Waiting};

const PERIOD: Duration = Duration::from_millis(50);

pub(crate) struct Watch {
    changes: Changes,
    writer: Arc<Writer>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: usize,
    is_over: bool,
    is_looking: bool,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("waiting", &self.lock().waiting).finish_non_exhaustive()
    }
}

impl Watch {
    pub(crate) fn new(changes: Changes, writer: Arc<Writer>) -> Arc<Self> {
        Arc::new(Watch { changes, writer, state: Mutex::default(), changed: Condvar::new() })
    }

    /// A wait that counts from now.
    pub(crate) fn wait(self: &Arc<Self>) -> Watched {
        let waiting = self.changes.wait();
        let mut state = self.lock();
        state.waiting += 1;
        if !state.is_looking && !state.is_over {
            if let Some(last) = state.thread.take() {
                // It has said that it ends, and needs nothing more.
                drop(last.join());
            }
            let this = self.clone();
            let thread = thread::Builder::new().name("towpath-watch".to_owned());
            // Without a thread what this process writes is noticed all the same.
            state.thread = thread.spawn(move || this.run()).ok();
            state.is_looking = state.thread.is_some();
        }
        Watched { watch: self.clone(), waiting }
    }

    fn run(&self) {
        let mut idle = 0;
        loop {
            let state = self.lock();
            let waited = self.changed.wait_timeout_while(state, PERIOD, |state| !state.is_over);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            // One who waits, looks and waits again has no wait at the moment when we look.
            idle = if state.waiting == 0 { idle + 1 } else { 0 };
            if state.is_over || idle > 20 {
                state.is_looking = false;
                return;
            }
            drop(state);
            self.writer.peek(|committer| committer.look_for_others());
        }
    }

    /// Ends the thread.
    pub(crate) fn close(&self) {
        let thread = {
            let mut state = self.lock();
            state.is_over = true;
            state.thread.take()
        };
        self.changed.notify_one();
        if let Some(thread) = thread {
            // It only looks; a panic in it has nothing to tell.
            drop(thread.join());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait for the next change, by this process or by another.
pub(crate) struct Watched {
    watch: Arc<Watch>,
    waiting: Waiting,
}

impl Future for Watched {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.waiting).poll(cx)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.lock().waiting -= 1;
    }
}
