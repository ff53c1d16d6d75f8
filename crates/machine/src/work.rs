//! A count of what the machine does, for the test that holds its cost to what changed.

#[cfg(test)]
thread_local! {
    static DONE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts `n` steps, edges or timers that were looked at. Nothing outside tests.
#[inline]
pub(crate) fn work(n: usize) {
    #[cfg(test)]
    DONE.with(|done| done.set(done.get() + n));
    #[cfg(not(test))]
    let _ = n;
}

/// What was counted since the last call, in this thread.
#[cfg(test)]
pub(crate) fn take() -> usize {
    DONE.with(|done| done.replace(0))
}
