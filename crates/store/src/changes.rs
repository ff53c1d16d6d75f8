//! Telling tasks that something was written, without any runtime.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// Tells everybody who waits that something was written. Clones tell the same waiters.
///
/// For those who implement a store; see [`Store::changed`](crate::Store::changed).
///
/// ```
/// use towpath_store::Changes;
/// let changes = Changes::default();
/// let waiting = changes.wait(); // counts from here, not from its first poll
/// changes.tell();
/// assert!(waiting.is_over());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Changes(Arc<Mutex<Waiters>>);

#[derive(Debug, Default)]
struct Waiters {
    told: u64,
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Changes {
    /// Ends every wait that began before.
    pub fn tell(&self) {
        let mut waiters = self.lock();
        waiters.told += 1;
        let wakers = std::mem::take(&mut waiters.wakers);
        // A waker may run anything, also what waits anew.
        drop(waiters);
        wakers.into_values().for_each(Waker::wake);
    }

    /// A future that is over with the first [`tell`](Self::tell) after this call, however late it is polled.
    pub fn wait(&self) -> Waiting {
        Waiting { changes: self.clone(), since: self.lock().told, key: None }
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        // Nothing in here can be left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait for the next change.
#[derive(Debug)]
#[must_use = "a wait does nothing unless it is awaited"]
pub struct Waiting {
    changes: Changes,
    since: u64,
    key: Option<u64>,
}

impl Waiting {
    /// Whether something was told since the wait began.
    pub fn is_over(&self) -> bool {
        self.changes.lock().told != self.since
    }
}

impl Future for Waiting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let changes = self.changes.clone();
        let mut waiters = changes.lock();
        if waiters.told != self.since {
            return Poll::Ready(());
        }
        let key = self.key.unwrap_or(waiters.next);
        if self.key.is_none() {
            waiters.next += 1;
            self.key = Some(key);
        }
        waiters.wakers.insert(key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.changes.lock().wakers.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{pin::pin, sync::atomic::AtomicUsize, sync::atomic::Ordering, task::Wake};

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn every_waiter_is_told_once_and_a_dropped_one_is_forgotten() {
        let (changes, count) = (Changes::default(), Arc::new(Count::default()));
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        let (mut first, mut second) = (pin!(changes.wait()), pin!(changes.wait()));
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        {
            let mut dropped = pin!(changes.wait());
            assert!(dropped.as_mut().poll(&mut cx).is_pending());
        }
        changes.tell();
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
        assert!(first.poll(&mut cx).is_ready());
        assert!(second.poll(&mut cx).is_ready());
        assert!(pin!(changes.wait()).poll(&mut cx).is_pending());
    }
}
