//! Handing one value from the thread that commits to the task that waits.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

#[derive(Debug)]
enum Slot<T> {
    Empty(Option<Waker>),
    Full(T),
    /// Nobody will fill it.
    Lost,
}

type Shared<T> = Arc<Mutex<Slot<T>>>;

/// The end that gives.
#[derive(Debug)]
pub(crate) struct Giver<T>(Option<Shared<T>>);

/// The end that waits; `None` when the giver was dropped without giving.
#[derive(Debug)]
pub(crate) struct Answer<T>(Shared<T>);

pub(crate) fn answer<T>() -> (Giver<T>, Answer<T>) {
    let shared = Arc::new(Mutex::new(Slot::Empty(None)));
    (Giver(Some(shared.clone())), Answer(shared))
}

impl<T> Giver<T> {
    pub(crate) fn give(mut self, value: T) {
        if let Some(shared) = self.0.take() {
            fill(&shared, Slot::Full(value));
        }
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            fill(&shared, Slot::Lost);
        }
    }
}

fn fill<T>(shared: &Mutex<Slot<T>>, slot: Slot<T>) {
    let mut guard = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let before = std::mem::replace(&mut *guard, slot);
    drop(guard);
    if let Slot::Empty(Some(waker)) = before {
        waker.wake();
    }
}

impl<T> Future for Answer<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *slot, Slot::Lost) {
            Slot::Full(value) => Poll::Ready(Some(value)),
            Slot::Lost => Poll::Ready(None),
            Slot::Empty(_) => {
                *slot = Slot::Empty(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_store::conformance::block_on;

    #[test]
    fn an_answer_comes_before_or_after_it_is_awaited_or_is_lost() {
        let (giver, waiting) = answer();
        giver.give(1);
        assert_eq!(block_on(waiting), Some(1));

        let (giver, waiting) = answer();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| block_on(waiting));
            giver.give(2);
            assert_eq!(waiter.join().unwrap(), Some(2));
        });

        let (giver, waiting) = answer::<u8>();
        drop(giver);
        assert_eq!(block_on(waiting), None);
    }
}
