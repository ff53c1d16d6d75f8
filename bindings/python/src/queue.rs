//! What Rust has to say to Python: one queue, read by one thread of Python.

use crate::{answer::Answer, fault::Wrong};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// One thing to be told.
pub(crate) enum Item {
    /// The answer to what was asked under this number.
    Answer { op: u64, answer: Result<Answer, Wrong> },
    /// A body is to be entered.
    Enter { entry: u64, body: u64, what: &'static str, facts: String },
    /// A body was dropped: what it still does is of no use.
    Leave { entry: u64 },
}

/// The queue.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    items: Vec<Item>,
    closed: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        // Pushing and taking leave nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, item: Item) {
        let mut state = self.state();
        if !state.closed {
            state.items.push(item);
            self.news.notify_one();
        }
    }

    /// Everything that there is to be told, once there is something; nothing once the queue is closed.
    pub(crate) fn take(&self) -> Option<Vec<Item>> {
        let mut state = self.state();
        loop {
            if !state.items.is_empty() {
                return Some(std::mem::take(&mut state.items));
            }
            if state.closed {
                return None;
            }
            state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.news.notify_all();
    }
}
