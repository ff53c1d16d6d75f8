//! What an engine is set to.

use std::time::Duration;
use towpath_model::{Actor, WorkerId};

/// How an engine behaves.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The name under which the engine registers first.
    pub(crate) worker: WorkerId,
    /// Who sends what this handle sends.
    pub(crate) actor: Actor,
    /// Length of the worker's lease.
    pub(crate) lease: Duration,
    /// How long a body that was asked to stop may go on.
    pub(crate) grace: Duration,
    /// Up to which remaining length a durable wait may be waited for in memory.
    pub(crate) park_after: Duration,
    /// How long a request of a dead worker may still be under way.
    pub(crate) settle_after: Duration,
    /// Most runs in memory.
    pub(crate) concurrency: usize,
    /// Whether runs are driven without anybody asking.
    pub(crate) background: bool,
}

impl Config {
    /// The time before the end of a lease at which everything is let go.
    pub(crate) fn margin(&self) -> Duration {
        self.lease / 5
    }

    /// How often the lease is renewed.
    pub(crate) fn beat(&self) -> Duration {
        self.lease / 3
    }
}

/// How often, at least, the store is asked for work though nobody has told of any.
pub(crate) const POLL: Duration = Duration::from_secs(1);
/// How often, at most, somebody else's writes make the engine look for work.
pub(crate) const POLL_LEAST: Duration = Duration::from_millis(25);
/// How often, at most, a run in memory looks into its inbox because something was written somewhere.
pub(crate) const INBOX_LEAST: Duration = Duration::from_millis(250);
/// How often the wall clock is read, at least, while something waits for it.
pub(crate) const CLOCK_STEP: Duration = Duration::from_secs(10);
/// How long logs may wait for a commit.
pub(crate) const LOGS_LATEST: Duration = Duration::from_millis(250);
/// How long progress may wait for a commit, and how often it is written at most.
pub(crate) const PROGRESS_LATEST: Duration = Duration::from_secs(1);
/// How long a run rests that this worker cannot drive, before somebody tries again.
pub(crate) const BLOCKED_FOR: Duration = Duration::from_secs(15);
/// How long a worker that cannot drive a run lets others take it up first, each time it is due.
pub(crate) const GIVE_WAY: Duration = Duration::from_millis(250);
/// How often heads that moved are anchored.
pub(crate) const ANCHOR_PERIOD: Duration = Duration::from_secs(60);
/// Events by which moved heads are looked for at once.
pub(crate) const ANCHOR_HEADS: usize = 100_000;
/// Takeovers in a row without progress after which a run is quarantined.
pub(crate) const TAKEOVERS_MOST: u32 = 3;
/// Events read at once.
pub(crate) const EVENTS_PAGE: usize = 1_000;
/// Inbox entries folded in one transition.
pub(crate) const ENTRIES_PAGE: usize = 256;
/// Runs claimed at once.
pub(crate) const CLAIM_PAGE: usize = 256;
