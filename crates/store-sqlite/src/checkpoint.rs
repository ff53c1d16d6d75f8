//! Writing the log back into the database, beside the commits.
//!
//! A pass on a connection and thread of its own copies what is in the log while others commit (PASSIVE). Under a writer
//! that never pauses it never catches up, and a log that is not caught up with never begins anew; so after each pass the
//! writer itself copies the little that came meanwhile, between two commits. Then the log begins anew, in place: a file
//! that does not grow is flushed faster. When nothing is committed for a while the log is emptied (TRUNCATE).

use crate::{Options, open, paths::Paths, stats::Counters};
use rusqlite::Connection;
use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Pages of a log after which a pass is due: 4 MiB.
const PASS: u32 = 1_024;

/// How long nothing is committed before the log is emptied; longer each time that others are in the way.
const IDLE: Duration = Duration::from_secs(1);
const IDLE_MOST: Duration = Duration::from_secs(64);

/// What the writer knows of the log.
pub(crate) struct LogSize {
    /// Pages in the log, told by SQLite with each commit.
    pages: Arc<AtomicU32>,
    /// Pages at the last pass that was asked for.
    asked_at: u32,
    thread: Arc<Checkpointer>,
}

/// The thread of the passes. It is not there until the first commit.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    state: Mutex<State>,
    changed: Condvar,
    paths: Paths,
    options: Options,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct State {
    is_due: bool,
    /// Whether a pass was made that the writer has not finished.
    is_passed: bool,
    is_over: bool,
    /// Whether there may be something in the log.
    is_used: bool,
    /// Counts commits, to see that there were none.
    commits: u64,
    /// How often the log could not be emptied since the last commit.
    tries: u32,
    thread: Option<JoinHandle<()>>,
}

impl LogSize {
    pub(crate) fn new(thread: Arc<Checkpointer>) -> Self {
        LogSize { pages: Arc::default(), asked_at: 0, thread }
    }

    /// Has a connection tell the size of the log.
    pub(crate) fn follow(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let told = self.pages.clone();
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            told.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))
    }

    /// Has the log written back when it is time, after a commit of this connection.
    pub(crate) fn committed(&mut self, connection: &Connection, counters: &Counters) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.asked_at {
            self.asked_at = 0;
        }
        let is_due = pages >= self.asked_at + PASS;
        if is_due {
            self.asked_at = pages;
        }
        // When a reader is in the way, the next time will do.
        if self.thread.committed(is_due) && pass(connection, "PASSIVE").is_ok() {
            counters.checkpoints.add(1);
        }
    }
}

/// Copies the log; whether all of it.
fn pass(connection: &Connection, mode: &str) -> rusqlite::Result<bool> {
    let counts =
        |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let (busy, pages, copied) = connection.prepare_cached(&sql)?.query_row([], counts)?;
    Ok(busy == 0 && pages == copied)
}

impl Checkpointer {
    pub(crate) fn new(paths: &Paths, options: &Options, counters: Arc<Counters>) -> Arc<Self> {
        let (paths, options) = (paths.clone(), options.clone());
        Arc::new(Checkpointer { state: Mutex::default(), changed: Condvar::new(), paths, options, counters })
    }

    /// Notes a commit; whether the writer is to finish a pass.
    fn committed(self: &Arc<Self>, is_due: bool) -> bool {
        let mut state = self.lock();
        let is_passed = std::mem::take(&mut state.is_passed);
        state.commits += 1;
        state.tries = 0;
        state.is_due |= is_due;
        if state.is_used && !is_due {
            return is_passed;
        }
        state.is_used = true;
        if state.thread.is_none() && !state.is_over {
            let this = self.clone();
            let thread = thread::Builder::new().name("towpath-checkpoint".to_owned());
            state.thread = thread.spawn(move || this.run()).ok();
        }
        self.changed.notify_one();
        // Without a thread the writer has to do all of it.
        is_passed || (is_due && state.thread.is_none())
    }

    fn run(&self) {
        let mut connection = None;
        while let Some(mode) = self.next() {
            if connection.is_none() {
                connection = open::checkpointing(&self.paths, &self.options).ok();
            }
            let Some(connection) = &connection else { continue };
            let is_done = pass(connection, mode).unwrap_or(false);
            self.counters.checkpoints.add(1);
            let mut state = self.lock();
            if mode == "PASSIVE" {
                state.is_passed = true;
            } else if !is_done {
                state.is_used = true;
                state.tries += 1;
            }
        }
    }

    /// Waits for what is to be done next.
    fn next(&self) -> Option<&'static str> {
        let mut state = self.lock();
        loop {
            if state.is_over {
                return None;
            }
            if std::mem::take(&mut state.is_due) {
                return Some("PASSIVE");
            }
            let commits = state.commits;
            if !state.is_used {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let idle = (IDLE * 2_u32.saturating_pow(state.tries)).min(IDLE_MOST);
            let waited = self.changed.wait_timeout(state, idle).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
            if waited.1.timed_out() && state.commits == commits && !state.is_over && !state.is_due {
                state.is_used = false;
                return Some("TRUNCATE");
            }
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
            // It holds nothing that a panic could leave half done.
            drop(thread.join());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
